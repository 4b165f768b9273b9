"""The one definition of features: training, evaluation and serving all call `build_features` with the spec of the bundle.

A row is one (origin, lead). Numpy over the meter table's arrays, the same code for a million rows and for one; nothing is fitted here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wattcast.forecasting.spec import FeatureSpec, Recent, Seasonal, all_days
from wattcast.meter.clock import DAY_S, HOUR_S, Instants, utc_offset_s, wall_clock_days_before
from wattcast.meter.table import MeterTable, Values

Matrix = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Sums = npt.NDArray[np.float64]

_BLOCK = 16_384


@dataclass(frozen=True, eq=False)
class Features:
    """One row per (origin, lead), origins outermost. matrix: float32, NaN = not known. base_kw: what a "change" counts from, else zero."""

    matrix: Matrix
    names: tuple[str, ...]
    targets: Values
    base_kw: Values
    target_s: Instants

    @property
    def trainable(self) -> npt.NDArray[np.bool_]:
        """The rows whose target was measured and whose base is known, shape (rows,)."""
        return np.isfinite(self.targets) & np.isfinite(self.base_kw)


def build_features(table: MeterTable, origins: Rows, spec: FeatureSpec, leads: Rows | None = None) -> Features:
    """One row of features for every origin and lead, from what had ended by each origin.

    origins: row indices into `table`, 0 to len(table): the origin is the START of that row, so rows before it are known. leads: shape
    (origins, k) where only some leads are wanted, else all of 1 to horizon. Targets not in the table are NaN.
    """
    origins = np.asarray(origins, dtype=np.int64)
    if leads is None:
        leads = np.broadcast_to(np.arange(1, spec.horizon + 1), (len(origins), spec.horizon))
    per_origin = leads.shape[1]
    matrix = np.empty((leads.size, len(spec.names)), dtype=np.float32)
    targets, base = np.empty(leads.size, dtype=np.float32), np.zeros(leads.size, dtype=np.float32)
    for first in range(0, len(origins), block := max(_BLOCK // per_origin, 1)):
        part, rows = slice(first, first + block), slice(first * per_origin, (first + block) * per_origin)
        # Only the stretch that this block can see, so that memory does not grow with the table.
        reach = max(int(origins[part].min()) - spec.history_steps, 0)
        history = _History(table.rows(reach, int(origins[part].max()) + spec.horizon))
        here = origins[part] - reach
        _fill(matrix[rows], history, here, leads[part], spec)
        if spec.target == "change":
            base[rows] = np.repeat(history.at("power_kw", here - 1), per_origin)
        targets[rows] = history.at("power_kw", (here[:, None] + leads[part] - 1).ravel()) - base[rows]
    target_s = table.start_s + (origins[:, None] + leads - 1).ravel() * table.step_s
    return Features(matrix, spec.names, targets, base, target_s)


def _fill(out: Matrix, history: _History, origins: Rows, leads: Rows, spec: FeatureSpec) -> None:
    """Write the columns of one block of origins, left to right, in the order of `spec.names`."""
    blocks: list[npt.NDArray[np.generic]] = [leads.reshape(-1, 1)] if spec.horizon > 1 else []
    recent = (_recent(history, origins, part, spec.event_memory) for part in spec.recent)
    blocks.extend(np.repeat(block, leads.shape[1], axis=0) for block in recent)
    if spec.seasonal != Seasonal():
        blocks.append(_seasonal(history, origins, leads, spec))
    if spec.calendar:
        targets = history.table.start_s + (origins[:, None] + leads - 1).ravel() * history.table.step_s
        blocks.append(_calendar(targets, spec))
    np.concatenate(blocks, axis=1, out=out, casting="same_kind")


class _History:
    """The table's columns, padded so that a row outside it reads as NaN, with running sums made once and only where asked for."""

    def __init__(self, table: MeterTable) -> None:
        self.table = table
        self._padded: dict[str, Values] = {}
        self._sums: dict[tuple[str, int], Sums] = {}
        self._events: dict[tuple[str, float], tuple[Rows, Values]] = {}

    def values(self, column: str) -> Values:
        if column not in self._padded:
            edge = np.full(1, np.nan, dtype=np.float32)
            self._padded[column] = np.concatenate([edge, _column(self.table, column), edge])
        return self._padded[column]

    def at(self, column: str, rows: Rows) -> Values:
        """The column at these rows of the table, NaN outside it."""
        return self.values(column)[np.clip(rows + 1, 0, len(self.table) + 1)]

    def moment(self, column: str, power: int, origins: Rows, windows: Rows) -> Sums:
        """Sum of value**power (power 0: the count) of what was measured in the last `windows` rows before each origin."""
        key = (column, power)
        if key not in self._sums:
            values = self.values(column)[1:-1].astype(np.float64)
            terms = np.where(np.isfinite(values), values**power, 0.0)
            self._sums[key] = np.concatenate([[0.0], np.cumsum(terms)])
        sums = self._sums[key]
        top = len(self.table)
        upto = np.clip(origins, 0, top)[:, None]
        moments: Sums = sums[upto] - sums[np.clip(origins[:, None] - windows, 0, top)]
        return moments

    def events(self, column: str, threshold: float) -> tuple[Rows, Values]:
        """For each origin the last row before it in which the column changed by more than the threshold (-1: none), and all changes."""
        key = (column, threshold)
        if key not in self._events:
            changes = np.diff(self.values(column))
            happened = np.abs(np.nan_to_num(changes)) > threshold
            last = np.maximum.accumulate(np.where(happened, np.arange(len(changes)), -1))
            self._events[key] = (np.concatenate([[-1], last[:-1]]), changes)
        return self._events[key]


def _recent(history: _History, origins: Rows, part: Recent, memory: int) -> Matrix:
    """The columns of one Recent, shape (origins, columns), in the order of `_recent_names`."""
    blocks: list[npt.NDArray[np.floating]] = []
    if part.offsets:
        blocks.append(history.at(part.column, origins[:, None] - 1 - np.array(part.offsets)))
    windows = np.array(part.means + part.spreads, dtype=np.int64)
    if windows.size:
        with np.errstate(invalid="ignore", divide="ignore"):
            count = history.moment(part.column, 0, origins, windows)
            mean = history.moment(part.column, 1, origins, windows) / count
            blocks.append(mean[:, : len(part.means)])
            if part.spreads:
                square = history.moment(part.column, 2, origins, windows) / count
                spread = np.sqrt(np.maximum(square - mean**2, 0.0))
                blocks.append(spread[:, len(part.means) :])
    if part.extremes:
        window = history.at(part.column, origins[:, None] - 1 - np.arange(max(part.extremes)))
        for width in part.extremes:
            blocks.append(np.fmin.reduce(window[:, :width], axis=1)[:, None])
            blocks.append(np.fmax.reduce(window[:, :width], axis=1)[:, None])
    if part.event is not None:
        blocks.append(_event_columns(history, origins, part.column, part.event, memory))
    return np.concatenate(blocks, axis=1).astype(np.float32)


def _event_columns(history: _History, origins: Rows, column: str, threshold: float, memory: int) -> Matrix:
    """Age of the last event in steps (`memory` where older), its size and the length of the run before it (NaN beyond `memory`)."""
    last_event, changes = history.events(column, threshold)
    known = origins - 1
    last = last_event[origins]
    seen = (last >= 0) & (known - last < memory)
    before = last_event[np.clip(last, 0, None)]
    measured = seen & (before >= 0) & (known - before < memory)
    age = np.where(seen, known - last, memory)
    size = np.where(seen, changes[np.clip(last, 0, None)], np.nan)
    run = np.where(measured, last - before, np.nan)
    return np.stack([age, size, run], axis=1).astype(np.float32)


def _seasonal(history: _History, origins: Rows, leads: Rows, spec: FeatureSpec) -> Matrix:
    """Lags and means over earlier days, shape (rows, columns): NaN at leads from which a day does not reach back past the origin."""
    table = history.table
    known = np.repeat(origins, leads.shape[1])
    targets = table.start_s + (origins[:, None] + leads - 1).ravel() * table.step_s
    days = all_days(spec.seasonal)

    def lagged(instants: Instants) -> Values:
        rows = (instants - table.start_s) // table.step_s
        return np.where(rows < known, history.at("power_kw", rows), np.float32(np.nan))

    by_day = {day: lagged(wall_clock_days_before(spec.zone, targets, day)) for day in days}
    columns = [by_day[day] for day in spec.seasonal.days]
    columns += [lagged(targets - hours * HOUR_S) for hours in spec.seasonal.hours]
    columns += [_mean_of_measured([by_day[day] for day in mean]) for mean in spec.seasonal.means]
    return np.stack(columns, axis=1)


def _mean_of_measured(columns: list[Values]) -> Values:
    stacked = np.stack(columns)
    measured = np.isfinite(stacked)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(measured, stacked, 0.0).sum(axis=0) / measured.sum(axis=0), dtype=np.float32)


def _calendar(targets: Instants, spec: FeatureSpec) -> Matrix:
    """Hour (0 to 24, with its fraction), weekday (Monday 0), day of the year (0 to 366) and holiday (0 or 1) of the target's local time."""
    local = targets + utc_offset_s(spec.zone, targets)
    day, second = np.divmod(local, DAY_S)
    dates = day.astype("datetime64[D]")
    day_of_year = (dates - dates.astype("datetime64[Y]")).astype(np.int64)
    # 1970-01-01 is day 0 here, a Thursday, and ordinal 719,163 of the proleptic calendar.
    holiday = np.isin(day + 719_163, np.array(spec.holidays, dtype=np.int64))
    columns = {"hour": second / HOUR_S, "weekday": (day + 3) % 7, "day_of_year": day_of_year, "holiday": holiday}
    return np.stack([columns[name] for name in spec.calendar], axis=1).astype(np.float32)


_Derived = tuple[tuple[str, ...], Callable[..., Values]]
DERIVED: Mapping[str, _Derived] = {
    # What the sub-meters (Wh of a minute) leave unexplained.
    "rest_kw": (("power_kw", "sub1_wh", "sub2_wh", "sub3_wh"), lambda power, *subs: power - np.float32(0.06) * sum(subs)),
    # Voltage and current are rounded otherwise than power: what they say beyond it tells where in the minute the load moved.
    "apparent_excess_kw": (("power_kw", "voltage_v", "current_a"), lambda power, volt, ampere: volt * ampere / np.float32(1000) - power),
}


def available_columns(columns: set[str]) -> set[str]:
    """The columns a spec may name for a meter that measures `columns`: these and the ones derived from them."""
    return columns | {name for name, (needs, _) in DERIVED.items() if set(needs) <= columns}


def _column(table: MeterTable, name: str) -> Values:
    columns = table.columns()
    if name in DERIVED and name not in columns:
        needs, compute = DERIVED[name]
        return np.asarray(compute(*(_column(table, need) for need in needs)), dtype=np.float32)
    return columns.get(name, np.full(len(table), np.nan, dtype=np.float32))
