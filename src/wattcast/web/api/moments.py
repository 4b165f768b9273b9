"""Moments as they are sent, as UTC epoch seconds: with an offset as they are, without one on the clock of a zone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from wattcast.errors import BadRequest
from wattcast.meter.clock import Instants, to_utc

_FIRST_YEAR, _LAST_YEAR = 1971, 2099
_FIRST_S, _END_S = (int(datetime(year, 1, 1, tzinfo=UTC).timestamp()) for year in (_FIRST_YEAR, _LAST_YEAR + 1))


class Read(NamedTuple):
    """Moments that were read. seconds: shape (n,), of no meaning where there is a fault; faults: number -> what is wrong with it.

    notes: what was assumed of them.
    """

    seconds: Instants
    faults: dict[int, str]
    notes: tuple[str, ...]


def instant(moment: datetime, zone: str, field: str) -> int:
    """UTC epoch seconds of one moment; without an offset, of a repeated hour the first showing. Raises BadRequest."""
    if moment.tzinfo is not None and not moment.microsecond and _FIRST_S <= (second := int(moment.timestamp())) < _END_S:
        return second
    read = instants([moment], zone)
    if said := read.faults.get(0):
        raise BadRequest(f"{field}: {said}", "give another time, or say its offset", {field: said})
    return int(read.seconds[0])


def without_offset(moment: datetime | None, zone: str) -> tuple[str, ...]:
    """The note that a moment was read in the zone; none where it says its offset."""
    return () if moment is None or moment.tzinfo else (_in_zone(zone),)


def instants(moments: list[datetime], zone: str) -> Read:
    """All moments at once. Of an hour that the clock repeats the first showing is taken until it steps back, as in a meter file."""
    naive = None in [moment.tzinfo for moment in moments]
    stamps = np.array([(moment.replace(tzinfo=UTC) if naive and moment.tzinfo is None else moment).timestamp() for moment in moments])
    seconds = stamps.astype(np.int64)
    plain = (seconds == stamps) & (seconds >= _FIRST_S) & (seconds < _END_S)
    faults: dict[int, str] = {}
    if np.count_nonzero(plain) != len(plain):
        whole = seconds == stamps
        faults = {int(at): _between() if whole[at] else "must be a whole second" for at in np.flatnonzero(~plain)}
    if not naive:
        return Read(seconds, faults, ())
    rows = np.flatnonzero(plain & np.array([moment.tzinfo is None for moment in moments]))
    if np.count_nonzero(np.diff(seconds[rows]) < 0) > len(rows) // 2:
        rows = rows[::-1]
    seconds[rows], never = to_utc(seconds[rows], zone)
    faults |= {int(at): f"was never shown by the clock of {zone}, which was put forward" for at in rows[never]}
    return Read(seconds, faults, (_in_zone(zone),))


def _between() -> str:
    return f"must lie between the years {_FIRST_YEAR} and {_LAST_YEAR}"


def _in_zone(zone: str) -> str:
    return f"times without an offset were read in the zone {zone}"
