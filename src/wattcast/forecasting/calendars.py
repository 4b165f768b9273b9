"""Holidays of a country, taken once when a model is trained: the dates travel in the bundle, so a newer library changes no forecast."""

from __future__ import annotations

from datetime import UTC, date, datetime

from wattcast.errors import BadParams
from wattcast.meter.clock import DAY_S
from wattcast.meter.table import MeterTable


def frozen_holidays(known: MeterTable) -> tuple[int, ...]:
    """The holidays of the meter's country from a year before its readings to ten years after, as ordinals; none where none is named."""
    if not known.meter.holidays:
        return ()
    first = datetime.fromtimestamp(known.start_s, UTC).year - 1
    last = datetime.fromtimestamp(known.end_s + 10 * 366 * DAY_S, UTC).year
    return tuple(sorted(day.toordinal() for day in _holidays_of(known.meter.holidays, range(first, last + 1))))


def refuse_unknown_holidays(code: str) -> None:
    """Raise BadParams unless the holidays of this country, or country-subdivision, are known."""
    _holidays_of(code, range(2000, 2001))


def _holidays_of(code: str, years: range) -> list[date]:
    import holidays  # noqa: PLC0415 (no answer needs it: the dates travel in the bundle)

    country, _, subdivision = code.partition("-")
    try:
        return list(holidays.country_holidays(country, subdiv=subdivision or None, years=years))
    except NotImplementedError as cause:
        hint = "use the code of a country or country-subdivision, such as FR or US-CA"
        raise BadParams(f'holidays of "{code}" are not known', hint) from cause
