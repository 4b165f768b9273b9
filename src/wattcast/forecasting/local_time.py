"""What the calendar says of a row of features: columns of the local time of its target, and nothing that was measured."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import numpy as np
import numpy.typing as npt

from wattcast.forecasting.lookback import Matrix
from wattcast.forecasting.seasons import is_holiday
from wattcast.forecasting.spec import FeatureSpec
from wattcast.meter.clock import DAY_S, HOUR_S, Instants, utc_offset_s

_DAYS_OF_YEAR = 365.25


def calendar_columns(targets: Instants, spec: FeatureSpec) -> Matrix:
    """The columns of `spec.calendar`, shape (targets, columns): hour (0 to 24, with its fraction), weekday (Monday 0), day of the year
    (0 to 366), holiday; weekdays: one each, 0 or 1; year: waves of one, two and three turns a year, -1 to 1.
    """
    return cast("Matrix", spec.remembered_calendar.get(targets, lambda: _computed(targets, spec)))


def _computed(targets: Instants, spec: FeatureSpec) -> Matrix:
    return np.stack([column.astype(np.float32) for column in _columns(targets, spec)], axis=1)


def _columns(targets: Instants, spec: FeatureSpec) -> Iterator[npt.NDArray[np.generic]]:
    local = targets + utc_offset_s(spec.zone, targets)
    day = local // DAY_S
    for name in spec.calendar:
        match name:
            case "hour":
                yield (local - day * DAY_S) / HOUR_S
            case "weekday":
                yield (day + 3) % 7
            case "holiday":
                yield is_holiday(day, spec)
            case "day_of_year":
                yield _day_of_year(day)
            case "weekdays":
                yield from ((day + 3) % 7 == number for number in range(7))
            case "year":
                turns = 2 * np.pi * _day_of_year(day) / _DAYS_OF_YEAR
                yield from (wave(number * turns) for number in (1, 2, 3) for wave in (np.sin, np.cos))


def _day_of_year(day: Instants) -> Instants:
    dates = day.astype("datetime64[D]")
    return np.asarray((dates - dates.astype("datetime64[Y]")).astype(np.int64))
