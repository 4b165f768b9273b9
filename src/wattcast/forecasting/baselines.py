"""The forecasts that a model must beat, and the typical day: what answers when no model can."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from wattcast.errors import NotEnoughHistory
from wattcast.forecasting.features import Features, build_features
from wattcast.forecasting.lookback import Rows
from wattcast.forecasting.names import recent_names, seasonal_names
from wattcast.forecasting.seasons import mean_of_measured
from wattcast.forecasting.spec import USUAL_DAY, FeatureSpec, Recent, Seasonal
from wattcast.meter.clock import DAY_S, HOUR_S, Instants, season_of, utc_offset_s
from wattcast.meter.table import MeterTable, Values

_WEEK = tuple(range(1, 8))


@dataclass(frozen=True)
class _Baseline:
    """A forecast from features of one column each: the first that is known, or `together` the mean of those that are."""

    title: str
    parts: tuple[Recent | Seasonal, ...]
    together: bool = False


# Beyond 24 hours ahead, yesterday is not known: the day before that stands in.
_BASELINES: Mapping[str, _Baseline] = {
    "persistence": _Baseline("the last reading repeated", (Recent("power_kw", offsets=(0,)),)),
    "daily_naive": _Baseline("the same time a day before", (Seasonal(days=(1,)), Seasonal(days=(2,)))),
    "weekly_naive": _Baseline("the same time a week before", (Seasonal(days=(7,)), Seasonal(days=(14,)))),
    "yearly_naive": _Baseline("the same weekday and time a year (52 weeks) before", (Seasonal(days=(364,)),)),
    "mean_7_days": _Baseline("the mean of the same time on the last 7 days", (Seasonal(means=(_WEEK,)),)),
    "usual_day": _Baseline(
        "the last 7 days, smoothed, and the days of the same kind of 8 weeks",
        USUAL_DAY,
        together=True,
    ),
}
TITLES: Mapping[str, str] = {name: baseline.title for name, baseline in _BASELINES.items()}


def baseline_names() -> tuple[str, ...]:
    """The names of all baselines."""
    return tuple(_BASELINES)


def baselines(table: MeterTable, origins: Rows, spec: FeatureSpec, names: tuple[str, ...], leads: Rows | None = None) -> dict[str, Values]:
    """Each baseline's forecast in kW, one value per row as in `build_features` with this spec, NaN where its readings are not known."""
    return _of_features(build_features(table, origins, _baseline_spec(spec, names), leads), names)


def residual_spread(
    table: MeterTable, spec: FeatureSpec, names: tuple[str, ...], levels: tuple[float, ...], most_origins: int = 20_000
) -> dict[str, dict[str, float]]:
    """How far actuals lay from each baseline: its name -> level -> kW to add. Over at most so many origins, evenly spread."""
    # Of a task with a gate every origin away from it gives no row.
    most = len(table) + 1 if spec.gate_s is not None else min(len(table) + 1, most_origins)
    origins = np.linspace(0, len(table), most).astype(np.int64)
    features = build_features(table, origins, _baseline_spec(spec, names))
    spread = {}
    for name, forecast in _of_features(features, names).items():
        residual = (features.targets - forecast)[np.isfinite(features.targets - forecast)]
        spread[name] = {f"{level:g}": float(np.quantile(residual, level)) if residual.size else 0.0 for level in levels}
    return spread


def _baseline_spec(spec: FeatureSpec, names: tuple[str, ...]) -> FeatureSpec:
    """The rows of `spec` with what these baselines look at as their only features, what several look at once."""
    parts = [part for name in names for part in _BASELINES[name].parts]
    recent = tuple(dict.fromkeys(part for part in parts if isinstance(part, Recent)))
    seasonal: dict[tuple[int, float | None], Seasonal] = {}
    for part in dict.fromkeys(part for part in parts if isinstance(part, Seasonal)):
        alike = seasonal.get(key := (part.nearby, part.half_life), replace(part, days=(), means=(), kinds=()))
        days, means, kinds = (*alike.days, *part.days), (*alike.means, *part.means), (*alike.kinds, *part.kinds)
        seasonal[key] = replace(alike, days=days, means=means, kinds=kinds)
    return replace(spec, recent=recent, seasonal=tuple(seasonal.values()), known=(), calendar=(), target="level", scale=None)


def _of_features(features: Features, names: tuple[str, ...]) -> dict[str, Values]:
    columns = {name: features.matrix[:, index] for index, name in enumerate(features.names)}
    forecasts = {}
    for name in names:
        own = [columns[source] for part in _BASELINES[name].parts for source in _names_of(part)]
        forecasts[name] = mean_of_measured(own) if _BASELINES[name].together else _first_known(own)
    return forecasts


def _names_of(part: Recent | Seasonal) -> tuple[str, ...]:
    return recent_names(part) if isinstance(part, Recent) else seasonal_names(part)


def _first_known(columns: list[Values]) -> Values:
    known = columns[0]
    for column in columns[1:]:
        known = np.where(np.isfinite(known), known, column)
    return known


_SEASONS, _KINDS_OF_DAY, _HOURS = 4, 2, 24


@dataclass(frozen=True)
class Profile:
    """The typical day: load by season, kind of day (0 weekday, 1 weekend) and local hour, divided by the meter's mean load `scale_kw`.

    cells: shape (season, kind of day, hour, 1 + levels): the mean, then quantiles; where nothing was measured, those of the hour.
    """

    zone: str
    scale_kw: float
    levels: tuple[float, ...]
    cells: tuple[tuple[tuple[tuple[float, ...], ...], ...], ...]

    def at(self, targets: Instants) -> npt.NDArray[np.float64]:
        """Mean and quantiles in kW at each instant, shape (targets, 1 + levels)."""
        season, kind, hour = _cell_of(targets, self.zone)
        return np.asarray(self.cells, dtype=np.float64)[season, kind, hour] * self.scale_kw


def climatological_profile(table: MeterTable, levels: tuple[float, ...]) -> Profile:
    """The profile of what the table measured. Raises NotEnoughHistory where it measured nothing."""
    measured = np.isfinite(table.power_kw)
    power, instants = table.power_kw[measured].astype(np.float64), table.instants()[measured]
    if power.size == 0:
        raise NotEnoughHistory(f"meter {table.meter.id} has no reading at all", "give a file with measured values")
    scale = float(np.mean(np.abs(power))) or 1.0
    season, kind, hour = _cell_of(instants, table.meter.zone)
    cell = (season * _KINDS_OF_DAY + kind) * _HOURS + hour
    everywhere = _summary(power, levels)
    by_hour = [_summary(power[hour == value], levels, everywhere) for value in range(_HOURS)]
    order = np.argsort(cell, kind="stable")
    bounds = np.searchsorted(cell[order], np.arange(_SEASONS * _KINDS_OF_DAY * _HOURS + 1))
    rows = [_summary(power[order[first:stop]], levels, by_hour[number % _HOURS]) for number, (first, stop) in enumerate(pairwise(bounds))]
    cells = np.round(np.array(rows) / scale, 5).reshape(_SEASONS, _KINDS_OF_DAY, _HOURS, 1 + len(levels))
    return Profile(table.meter.zone, scale, levels, tuple(tuple(tuple(map(tuple, day)) for day in kinds) for kinds in cells.tolist()))


@dataclass(frozen=True)
class Fallback:
    """What answers for a task of a meter when no model can.

    spread: baseline -> quantile level -> kW to add to it, as `residual_spread` gives; profile: the typical day.
    """

    spread: Mapping[str, Mapping[str, float]]
    profile: Profile


def fallback_of(table: MeterTable, first_test: int, spec: FeatureSpec, names: tuple[str, ...], levels: tuple[float, ...]) -> Fallback:
    """What answers where no bundle can: how far these baselines were off before the test, and the typical day of all readings."""
    return Fallback(residual_spread(table.rows(0, first_test), spec, names, levels), climatological_profile(table, levels))


def _summary(power: npt.NDArray[np.float64], levels: tuple[float, ...], otherwise: list[float] | None = None) -> list[float]:
    if power.size == 0 and otherwise is not None:
        return otherwise
    return [float(power.mean()), *(float(value) for value in np.quantile(power, levels))]


def _cell_of(instants: Instants, zone: str) -> tuple[Instants, Instants, Instants]:
    """Season (0 = December to February), kind of day and hour of the local time of each instant."""
    day, second = np.divmod(instants + utc_offset_s(zone, instants), DAY_S)
    return season_of(day), ((day + 3) % 7 >= 5).astype(np.int64), second // HOUR_S
