"""What a row of features looks back on: columns of the meter table before an origin, or before a target."""

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


class History:
    """The table's columns, padded so that a row outside it reads as NaN, with running sums made once and only where asked for."""

    def __init__(self, table: MeterTable) -> None:
        self.table = table
        self._padded: dict[str, Values] = {}
        self._sums: dict[tuple[str, int], Sums] = {}
        self._events: dict[tuple[str, float, str], Events] = {}

    def values(self, column: str) -> Values:
        """The column between two edges of NaN."""
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

    def events(self, column: str, threshold: float) -> Events:
        """Where the column changed by more than the threshold between two readings."""
        return self._once((column, threshold, "event"), lambda _, changes: np.abs(np.nan_to_num(changes)) > threshold)

    def switches(self, column: str, level: float) -> Events:
        """Where the column went from one side of the level to the other between two readings."""
        return self._once(
            (column, level, "switch"), lambda values, changes: np.isfinite(changes) & (np.diff((values > level).astype(np.int8)) != 0)
        )

    def _once(self, key: tuple[str, float, str], happens: Callable[[Values, Values], npt.NDArray[np.bool_]]) -> Events:
        if key not in self._events:
            values = self.values(key[0])
            changes = np.diff(values)
            happened = happens(values, changes)
            last = np.maximum.accumulate(np.where(happened, np.arange(len(changes)), -1))
            self._events[key] = Events(np.concatenate([[-1], last[:-1]]), np.concatenate([[0], np.cumsum(happened)]), changes)
        return self._events[key]


@dataclass(frozen=True, eq=False)
class Events:
    """Events of one column. last: for each origin the last row before it that holds one (-1: none). count: how many rows before each
    origin do. changes: of every row, what the column changed by.
    """

    last: Rows
    count: Rows
    changes: Values

    def ages(self, origins: Rows, memory: int, number: int) -> tuple[list[Rows], list[npt.NDArray[np.bool_]], list[Rows]]:
        """Of the last `number` events before each origin the age in steps (`memory` where older), whether it is younger, and its row."""
        known, at = origins - 1, self.last[origins]
        ages, seen, rows = [], [], []
        for _ in range(number):
            seen.append((at >= 0) & (known - at < memory))
            rows.append(np.clip(at, 0, None))
            ages.append(np.where(seen[-1], known - at, memory))
            at = np.where(at >= 0, self.last[rows[-1]], -1)
        return ages, seen, rows


def recent_columns(history: History, origins: Rows, part: Recent, memory: int) -> Matrix:
    """The columns of one Recent, shape (origins, columns), in the order of its names."""
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
    if part.changes:
        last = history.at(part.column, origins - 1)[:, None]
        blocks.append(last - history.at(part.column, origins[:, None] - 1 - np.array(part.changes)))
    if part.event is not None:
        blocks.append(_event_columns(history, origins, part, memory))
    if part.level is not None:
        blocks.append(_switch_columns(history, origins, part, memory))
    return np.concatenate(blocks, axis=1).astype(np.float32)


def _event_columns(history: History, origins: Rows, part: Recent, memory: int) -> Matrix:
    """Of the last events the age in steps (`memory` where older) and the size (NaN beyond `memory`), and of the last the run before it."""
    events = history.events(part.column, part.event or 0.0)
    ages, seen, rows = events.ages(origins, memory, part.events + 1)
    columns: list[npt.NDArray[np.generic]] = []
    for number in range(part.events):
        columns += [ages[number], np.where(seen[number], events.changes[rows[number]], np.nan)]
    columns.append(np.where(seen[1], ages[1] - ages[0], np.nan))
    columns += [events.count[origins] - events.count[np.clip(origins - width, 0, None)] for width in part.counts]
    return np.stack(columns, axis=1).astype(np.float32)


def _switch_columns(history: History, origins: Rows, part: Recent, memory: int) -> Matrix:
    """How long the column has been on or off and the states before lasted (NaN beyond `memory`), and what the last like this one says."""
    switches = history.switches(part.column, part.level or 0.0)
    ages, seen, _ = switches.ages(origins, memory, part.runs + 1)
    runs = [np.where(after, older - newer, np.nan) for newer, older, after in zip(ages, ages[1:], seen[1:], strict=False)]
    age = ages[0]
    since = (age + 1)[:, None]
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = history.moment(part.column, 1, origins, since)[:, 0] / history.moment(part.column, 0, origins, since)[:, 0]
    # Two switches ago the state was the same: the step that followed when it was as old as now.
    then = np.clip(origins - ages[2] + age, 0, origins - 1)
    echo = np.where(seen[2], switches.changes[then], np.nan)
    return np.stack([age, *runs, runs[1] - age, mean, echo], axis=1).astype(np.float32)


def seasonal_columns(history: History, origins: Rows, targets: Instants, part: Seasonal, spec: FeatureSpec) -> Matrix:
    """Lags and means over earlier days, shape (rows, columns): NaN at leads from which a day does not reach back past the origin.

    origins, targets: of every row, as rows of the table and as instants.
    """
    table = history.table

    def lagged(instants: Instants) -> Values:
        rows = (instants - table.start_s) // table.step_s
        if not part.nearby:
            return np.where(rows < origins, history.at(part.column, rows), np.float32(np.nan))
        around = [rows + step for step in range(-part.nearby, part.nearby + 1)]
        return mean_of_measured([np.where(near < origins, history.at(part.column, near), np.float32(np.nan)) for near in around])

    days = all_days(part)
    by_day = {day: lagged(wall_clock_days_before(spec.zone, targets, day)) for day in days}
    columns = [by_day[day] for day in part.days]
    columns += [lagged(targets - hours * HOUR_S) for hours in part.hours]
    weight = {day: 0.5 ** (day / part.half_life) if part.half_life else 1.0 for day in days}
    columns += [mean_of_measured([by_day[day] for day in mean], [weight[day] for day in mean]) for mean in part.means]
    if part.kinds and len(targets):
        alike = _of_the_same_kind(targets, by_day, max(part.kinds), spec)
        spans = [range(1, longest + 1) for longest in part.kinds]
        columns += [mean_of_measured([alike[day] for day in span], [weight[day] for day in span]) for span in spans]
    elif part.kinds:
        columns += [np.empty(0, dtype=np.float32)] * len(part.kinds)
    return np.stack(columns, axis=1)


def _of_the_same_kind(targets: Instants, by_day: Mapping[int, Values], longest: int, spec: FeatureSpec) -> dict[int, Values]:
    """The value of each day before, NaN where that day is of another kind than the target's: workday, Saturday, Sunday or holiday."""
    local_day = (targets + utc_offset_s(spec.zone, targets)) // DAY_S
    first = int(local_day.min()) - longest
    days = np.arange(first, int(local_day.max()) + 1)
    weekday = (days + 3) % 7
    kinds = np.where(is_holiday(days, spec) | (weekday == 6), 2, weekday == 5)
    place = local_day - first
    return {day: np.where(kinds[place - day] == kinds[place], by_day[day], np.float32(np.nan)) for day in range(1, longest + 1)}


def is_holiday(local_days: Rows, spec: FeatureSpec) -> npt.NDArray[np.bool_]:
    """Whether each local day, counted from 1970-01-01, is one of the spec's holidays."""
    return np.isin(local_days + _EPOCH, np.asarray(spec.holidays, dtype=np.int64))


def mean_of_measured(columns: list[Values], weights: list[float] | None = None) -> Values:
    """The mean, row by row, of the columns that were measured there; NaN where none was. weights: of the columns, by default equal."""
    total, weight = np.zeros(len(columns[0])), np.zeros(len(columns[0]))
    for column, share in zip(columns, weights or [1.0] * len(columns), strict=False):
        measured = np.isfinite(column)
        total += np.where(measured, column, 0.0) * share
        weight += measured * share
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / weight, dtype=np.float32)


# The proleptic ordinal of 1970-01-01.
_EPOCH = 719_163

_Derived = tuple[tuple[str, ...], Callable[..., Values]]
DERIVED: Mapping[str, _Derived] = {
    # What the sub-meters (Wh of a minute) leave unexplained.
    "rest_kw": (("power_kw", "sub1_wh", "sub2_wh", "sub3_wh"), lambda power, *subs: power - np.float32(0.06) * sum(subs)),
    # Voltage and current are rounded otherwise than power: what they say beyond it tells where in the minute the load moved.
    "apparent_excess_kw": (("power_kw", "voltage_v", "current_a"), lambda power, volt, ampere: volt * ampere / np.float32(1000) - power),
    # The same beyond real and reactive power together.
    "apparent_rest_kva": (
        ("power_kw", "reactive_power_kvar", "voltage_v", "current_a"),
        lambda power, reactive, volt, ampere: volt * ampere / np.float32(1000) - np.hypot(power, reactive),
    ),
    # What the same loads would draw at 240 V, were they resistors.
    "conductance_kw": (("power_kw", "voltage_v"), lambda power, volt: power * np.square(np.float32(240) / volt)),
    "power_factor": (
        ("power_kw", "voltage_v", "current_a"),
        lambda power, volt, ampere: power * np.float32(1000) / (volt * np.maximum(ampere, np.float32(0.1))),
    ),
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
