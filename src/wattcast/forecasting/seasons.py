"""What a row of features looks back on before its target: the same time of earlier days, one by one and in the mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import numpy as np
import numpy.typing as npt

from wattcast.forecasting.layout import SeasonalLayout
from wattcast.forecasting.lookback import History, Matrix, Rows
from wattcast.forecasting.spec import FeatureSpec
from wattcast.meter.clock import DAY_S, HOUR_S, Instants, is_steady, span_of, utc_offset_s, wall_clock_days_before
from wattcast.meter.table import Values

Mask = npt.NDArray[np.bool_]

# The proleptic ordinal of 1970-01-01.
_EPOCH = 719_163


def seasonal_columns(history: History, origins: Rows, lead: Rows, targets: Instants, spec: FeatureSpec) -> Matrix:
    """The columns of every Seasonal of the spec, shape (rows, columns): NaN at leads from which a day does not reach back past the origin.

    origins, lead, targets: of every row, the first as rows of the table, the last as instants.
    """
    out = np.empty((len(targets), spec.layout.seasonal_width), dtype=np.float32)
    for part in spec.layout.seasonal if len(targets) else ():
        by_day = _days_of_one(history, origins, targets, part, spec)
        if by_day is None:
            back_s = targets[:, None] - wall_clock_days_before(spec.zone, targets[:, None], part.days)
            by_day = _lagged(history, origins, lead, back_s, part, spec)
        out[:, part.day_places] = by_day[:, part.day_numbers]
        if len(part.hours):
            out[:, part.hour_places] = _lagged(history, origins, lead, part.hours * HOUR_S, part, spec)
        measured = np.isfinite(by_day)
        known = np.where(measured, by_day, np.float32(0)).astype(np.float64)
        if len(part.mean_places):
            out[:, part.mean_places] = _weighted(known, measured, part.mean_weights)
        if len(part.kind_places):
            alike = measured & _of_the_same_kind(targets, part.days, spec)
            out[:, part.kind_places] = _weighted(np.where(alike, known, 0.0), alike, part.kind_weights)
    return out


def _days_of_one(history: History, origins: Rows, targets: Instants, part: SeasonalLayout, spec: FeatureSpec) -> Values | None:
    """What `_lagged` gives for the earlier days of one origin at the end of the table: the days before it, laid side by side.

    None where it is not as simple as that: several origins, more than a day of leads, or a clock change between.
    """
    per_day, leads = DAY_S // spec.step_s, len(targets)
    alone = spec.gate_s is None and leads == spec.horizon <= per_day and origins[0] == origins[-1] == history.length
    if not alone or DAY_S % spec.step_s or len(part.days) == 0 or not is_steady(spec.zone, targets, int(part.days[-1])):
        return None
    longest = int(part.days[-1])
    rows = longest * per_day + part.nearby
    column = history.block[part.column][-1 - rows : -1] if history.length >= rows else None
    if column is None:
        column = np.full(rows, np.nan, dtype=np.float32)
        column[rows - history.length :] = history.block[part.column][1:-1]
    if part.nearby:
        edge = np.full(part.nearby, np.nan, dtype=np.float32)
        padded = np.concatenate([column, edge])
        width = 2 * part.nearby + 1
        column = mean_of_measured([padded[step : step + rows - part.nearby] for step in range(width)])
    by_day: Values = column.reshape(longest, per_day)[longest - part.days, :leads].T
    return by_day


def _lagged(history: History, origins: Rows, lead: Rows, back_s: Instants, part: SeasonalLayout, spec: FeatureSpec) -> Values:
    """The column so many seconds before each target (with the steps near it, in the mean), NaN where it lies past the origin.

    back_s: shape (rows or 1, lags); the outcome (rows, lags).
    """
    ahead = (lead - 1)[:, None] - -(-back_s // spec.step_s)
    if not part.nearby:
        return np.where(ahead < 0, history.at(part.column, origins[:, None] + ahead), np.float32(np.nan))
    near = ahead + np.arange(-part.nearby, part.nearby + 1)[:, None, None]
    return mean_of_measured(np.where(near < 0, history.at(part.column, origins[:, None] + near), np.float32(np.nan)))


def _weighted(known: npt.NDArray[np.float64], measured: Mask, weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Means over days, shape (rows, means), of what was measured; NaN where nothing was. weights: shape (days, means)."""
    with np.errstate(invalid="ignore", divide="ignore"):
        means: npt.NDArray[np.float64] = (known @ weights) / (measured.astype(np.float64) @ weights)
    return means


def _of_the_same_kind(targets: Instants, days: Rows, spec: FeatureSpec) -> Mask:
    """Whether each of these days before a target's is of its kind: workday, Saturday, Sunday or holiday. Shape (targets, days)."""
    return cast("Mask", spec.remembered_kinds.get(targets, lambda: _alike(targets, days, spec), hash(days.tobytes())))


def _alike(targets: Instants, days: Rows, spec: FeatureSpec) -> Mask:
    local_day = (targets + utc_offset_s(spec.zone, targets)) // DAY_S
    earliest, latest = span_of(local_day)
    first = earliest - int(days[-1])
    every = np.arange(first, latest + 1)
    weekday = (every + 3) % 7
    kinds = np.where(is_holiday(every, spec) | (weekday == 6), 2, weekday == 5)
    place = (local_day - first)[:, None]
    alike: Mask = kinds[place - days] == kinds[place]
    return alike


def is_holiday(local_days: Rows, spec: FeatureSpec) -> Mask:
    """Whether each local day, counted from 1970-01-01, is one of the spec's holidays."""
    holidays = spec.holiday_ordinals
    if len(holidays) == 0:
        return np.zeros(len(local_days), dtype=np.bool_)
    ordinals = local_days + _EPOCH
    found: Mask = holidays[np.minimum(np.searchsorted(holidays, ordinals), len(holidays) - 1)] == ordinals
    return found


def mean_of_measured(columns: Sequence[Values] | Values) -> Values:
    """The mean over the first axis of what was measured, NaN where nothing was."""
    stacked = np.asarray(columns)
    measured = np.isfinite(stacked)
    with np.errstate(invalid="ignore", divide="ignore"):
        total = np.add.reduce(np.where(measured, stacked, np.float32(0)), axis=0, dtype=np.float64)
        return np.asarray(total / np.add.reduce(measured, axis=0, dtype=np.float64), dtype=np.float32)
