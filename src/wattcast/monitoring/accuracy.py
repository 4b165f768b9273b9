"""How good the forecasts given out were, now that readings came: beside every baseline, on the very same intervals."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wattcast.forecasting.baselines import baselines
from wattcast.forecasting.forecast import LoggedForecast
from wattcast.forecasting.metrics import Score, Scored, score
from wattcast.forecasting.spec import FeatureSpec
from wattcast.meter.clock import DAY_S, HOUR_S, Instants
from wattcast.meter.table import MeterTable, Values
from wattcast.monitoring.logged import Columns, Forecaster, columns_of, measured

WINDOWS_S = (7 * DAY_S, 28 * DAY_S)
# How long after its origin an interval ends: over the first up to the second, in hours.
LEADS_H = ((0, 1), (1, 6), (6, 12), (12, 24), (24, 48), (48, 10_000))
EVERY_LEAD = "every lead"

_SCORED, _WAITING, _MISSING, _ALONE = range(4)
_Marks = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Accuracy:
    """How good one forecaster was in the last `window_s` seconds, at leads of one kind ("1 to 6 h") or at every lead.

    score: None where no interval could be scored. bias: mean forecast less what came, kW, NaN where nothing could be scored.
    waiting: intervals that are not over, or not measured yet; missing: those that were never measured, though later ones were; alone:
    those that were measured, where some baseline was not known at the origin.
    """

    who: Forecaster
    window_s: int
    leads: str
    score: Score | None
    bias: float
    waiting: int
    missing: int
    alone: int


def accuracy(
    logged: Iterable[LoggedForecast],
    table: MeterTable,
    names: tuple[str, ...],
    now_s: int,
    *,
    windows_s: tuple[int, ...] = WINDOWS_S,
    holidays: tuple[int, ...] = (),
) -> list[Accuracy]:
    """Every forecaster of these forecasts of one meter and task, in every window and at every kind of leads that it forecast.

    table: the readings known now, at the task's resolution; forecasts at another are left out. A window holds the intervals that ended in
    it, and those that are waiting for an end after it. names: baselines, computed for each origin from the readings before it; holidays:
    local days as the task's spec has them, which the usual day looks at.
    """
    table = table.until(now_s)
    found: list[Accuracy] = []
    for who, every in columns_of(logged, table.step_s):
        rows = every.where(every.target_s + table.step_s > now_s - max(windows_s))
        met = _meet(rows, table, names, holidays)
        for window_s in windows_s:
            inside = rows.target_s + table.step_s > now_s - window_s
            found += [_accuracy(who, window_s, leads, met, inside & own) for leads, own in _by_leads(rows, table.step_s)]
    return [one for one in found if one.score is not None or one.waiting + one.missing + one.alone]


@dataclass(frozen=True, eq=False)
class _Met:
    """Forecasts beside what came. scored: the rows marked _SCORED in `state`, in their order."""

    scored: Scored
    state: npt.NDArray[np.int8]


def _meet(rows: Columns, table: MeterTable, names: tuple[str, ...], holidays: tuple[int, ...]) -> _Met:
    actual = measured(table, rows.target_s)
    state = np.where(rows.target_s < (table.last_measured_s() or table.start_s), _MISSING, _WAITING).astype(np.int8)
    came = np.flatnonzero(np.isfinite(actual))
    origin = (rows.origin_s[came] - table.start_s) // table.step_s
    lead = (rows.target_s[came] - table.start_s) // table.step_s - origin + 1
    beside = _beside(table, origin, lead, names, holidays)
    known = np.all([np.isfinite(values) for values in beside.values()], axis=0) if beside else np.ones(len(came), dtype=bool)
    state[came] = np.where(known, _SCORED, _ALONE)
    whole = came[known]
    # What is known of no quantile counts as its mean: an interval that should hold nothing.
    quantiles = rows.values[:, 1:] if 0.5 in rows.levels else rows.values[:, :1]
    scored = Scored(
        levels=rows.levels if 0.5 in rows.levels else (0.5,),
        actual=actual[whole],
        mean=rows.values[whole, 0],
        quantiles=quantiles[whole],
        baselines={name: values[known] for name, values in beside.items()},
        target_s=rows.target_s[whole],
        origin=origin[known],
        lead=lead[known],
    )
    return _Met(scored, state)


def _beside(table: MeterTable, origin: Instants, lead: Instants, names: tuple[str, ...], holidays: tuple[int, ...]) -> dict[str, Values]:
    """Each baseline of each row, NaN where it is not known, computed once for every origin."""
    beside = {name: np.full(len(origin), np.nan, dtype=np.float32) for name in names}
    own = np.flatnonzero((origin >= 0) & (lead > 0))
    if own.size == 0 or not names:
        return beside
    origins, number = np.unique(origin[own], return_inverse=True)
    most = int(lead[own].max())
    wanted = np.zeros((len(origins), most), dtype=np.int64)
    wanted[number, lead[own] - 1] = lead[own]
    spec = FeatureSpec(table.step_s, most, table.meter.zone, holidays=holidays)
    place = np.cumsum(wanted.ravel() > 0) - 1
    for name, values in baselines(table, origins, spec, names, wanted).items():
        beside[name][own] = values[place[number * most + lead[own] - 1]]
    return beside


def _by_leads(rows: Columns, step_s: int) -> Iterator[tuple[str, _Marks]]:
    """The rows of every kind of leads, and all of them."""
    ahead_s = rows.target_s + step_s - rows.origin_s
    for over, upto in LEADS_H:
        own = (ahead_s > over * HOUR_S) & (ahead_s <= upto * HOUR_S)
        if own.any():
            yield (f"{over} to {upto} h" if upto < LEADS_H[-1][1] else f"over {over} h"), own
    yield EVERY_LEAD, np.ones(len(rows), dtype=bool)


def _accuracy(who: Forecaster, window_s: int, leads: str, met: _Met, own: _Marks) -> Accuracy:
    scored = met.scored.where(own[met.state == _SCORED])
    waiting, missing, alone = (int(np.count_nonzero(own & (met.state == state))) for state in (_WAITING, _MISSING, _ALONE))
    there = len(scored.actual) > 0
    bias = float(np.mean(scored.mean - scored.actual, dtype=np.float64)) if there else float("nan")
    return Accuracy(who, window_s, leads, score(scored) if there else None, bias, waiting, missing, alone)
