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
    import holidays  # noqa: PLC0415 (training only: the dates travel in the bundle)

    first = datetime.fromtimestamp(known.start_s, UTC).year - 1
    last = datetime.fromtimestamp(known.end_s + 10 * 366 * DAY_S, UTC).year
    country, _, subdivision = known.meter.holidays.partition("-")
    try:
        days: list[date] = list(holidays.country_holidays(country, subdiv=subdivision or None, years=range(first, last + 1)))
    except NotImplementedError as cause:
        hint = "use a country or country-subdivision code such as FR or US-CA under meters in params.yaml"
        raise BadParams(f'holidays of "{known.meter.holidays}" are not known', hint) from cause
    return tuple(sorted(day.toordinal() for day in days))
