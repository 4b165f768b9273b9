"""An experiment in service: which of two models answers on which day. Both forecast every day; the other one in the shadow."""

from __future__ import annotations

import hashlib
from datetime import date

from wattcast.errors import BadParams

_BITS = 53


def answers_by_challenger(meter: str, local_day: str | int, share: float) -> bool:
    """Whether the challenger answers for the meter on this day; for the same meter and day the same in every process and release.

    local_day: of the origin, as "2026-01-31" or in days since 1970-01-01. share: of meters and days, 0 to 1; a day that is the
    challenger's at one share is so at every greater one. Raises BadParams for another share, or where there is no such day.
    """
    if not 0 <= share <= 1:
        raise BadParams(f"a challenger cannot answer {share:g} of all days", "give a share from 0 to 1")
    digest = hashlib.blake2b(f"{meter} {_named(local_day)}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest) >> (64 - _BITS)) / (1 << _BITS) < share


def _named(local_day: str | int) -> str:
    try:
        day = date.fromisoformat(local_day) if isinstance(local_day, str) else date.fromordinal(date(1970, 1, 1).toordinal() + local_day)
    except (ValueError, OverflowError) as cause:
        raise BadParams(f'"{local_day}" is no local day', "write it as 2026-01-31, or count days since 1970-01-01") from cause
    return day.isoformat()
