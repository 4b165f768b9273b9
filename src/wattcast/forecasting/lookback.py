"""What a row of features looks back on before its origin: columns of the meter table, all of one kind read in one step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wattcast.forecasting.layout import Reads
from wattcast.forecasting.spec import FeatureSpec, Recent
from wattcast.meter.table import Values

Matrix = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Sums = npt.NDArray[np.float64]


class History:
    """Columns of a table, padded so that a row outside it reads as NaN. wanted: the names of those that are read; block: in this order.

    measured: the columns that the table has, all of one length; those derived from them are computed where they are wanted.
    """

    def __init__(self, measured: Mapping[str, Values], wanted: tuple[str, ...]) -> None:
        self.length = len(measured["power_kw"])
        self.block = np.full((len(wanted), self.length + 2), np.nan, dtype=np.float32)
        for number, name in enumerate(wanted):
            if (values := column_of(measured, name)) is not None:
                self.block[number, 1:-1] = values
        self._numbers = {name: number for number, name in enumerate(wanted)}
        self._events: dict[tuple[str, float, str], Events] = {}

    def at(self, column: int, rows: Rows) -> Values:
        """The column of this number at these rows of the table, NaN outside it."""
        values: Values = self.block[column][np.minimum(np.maximum(rows + 1, 0), self.length + 1)]
        return values

    def named(self, column: str) -> Values:
        """The column of this name between two edges of NaN."""
        values: Values = self.block[self._numbers[column]]
        return values

    def before(self, origins: Rows, reads: Reads) -> Matrix:
        """What each of `reads` was so many steps before the last reading known at each origin, shape (origins, reads)."""
        values: Matrix = self.block[reads.column, np.maximum(origins[:, None] - reads.steps, 0)]
        return values

    def sums(self, origins: Rows, windows: Rows, columns: Rows, number: Rows, powers: tuple[int, ...]) -> list[Sums]:
        """For each power, 0 to 2, the sum of value**power (0: the count) over what was measured in the last `windows` rows of each origin.

        windows: shape (origins or 1, reads); columns: the numbers of those that are read, each once; number: which of them each read is
        of. Each sum has shape (origins, reads).
        """
        first = max(int(origins.min()) - int(windows.max()), 0)
        upto = np.minimum(origins, self.length)[:, None] - first
        since = np.maximum(upto - windows, 0)
        values = self.block[columns, first + 1 : int(origins.max()) + 1].astype(np.float64)
        measured = np.isfinite(values)
        known = np.where(measured, values, 0.0)
        found = []
        for power in powers:
            running = np.zeros((len(columns), values.shape[1] + 1))
            np.cumsum(measured if power == 0 else known if power == 1 else known * known, axis=1, out=running[:, 1:])
            found.append(running[number, upto] - running[number, since])
        return found

    def mean(self, origins: Rows, windows: Rows, column: str) -> Sums:
        """The mean of what was measured of one column in the last `windows` rows before each origin, shape (origins,); NaN of nothing."""
        only = np.zeros(1, dtype=np.int64)
        total, count = self.sums(origins, windows[:, None], only + self._numbers[column], only, (1, 0))
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray((total / count)[:, 0])

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
            values = self.named(key[0])
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
            rows.append(np.maximum(at, 0))
            ages.append(np.where(seen[-1], known - at, memory))
            at = np.where(at >= 0, self.last[rows[-1]], -1)
        return ages, seen, rows


def recent_columns(history: History, origins: Rows, spec: FeatureSpec) -> Matrix:
    """The columns of every Recent of the spec, shape (origins, columns), in the order of its names."""
    layout = spec.layout.recent
    if len(layout.offsets) == layout.width:
        return history.before(origins, layout.offsets)
    out = np.empty((len(origins), layout.width), dtype=np.float32)
    if len(layout.offsets):
        out[:, layout.offsets.place] = history.before(origins, layout.offsets)
    if len(layout.changes):
        last = history.block[layout.changes.column, origins[:, None]]
        out[:, layout.changes.place] = last - history.before(origins, layout.changes)
    with np.errstate(invalid="ignore", divide="ignore"):
        if len(layout.means):
            count, total = _sums(history, origins, layout.means, (0, 1))
            out[:, layout.means.place] = total / count
        if len(layout.spreads):
            count, total, square = _sums(history, origins, layout.spreads, (0, 1, 2))
            out[:, layout.spreads.place] = np.sqrt(np.maximum(square / count - (total / count) ** 2, 0.0))
    for place, part in layout.extremes:
        window = history.named(part.column)[np.maximum(origins[:, None] - np.arange(max(part.extremes)), 0)]
        for number, width in enumerate(part.extremes):
            np.fmin.reduce(window[:, :width], axis=1, out=out[:, place + 2 * number])
            np.fmax.reduce(window[:, :width], axis=1, out=out[:, place + 2 * number + 1])
    for columns, parts in ((_event_columns, layout.events), (_switch_columns, layout.switches)):
        for place, part in parts:
            for number, values in enumerate(columns(history, origins, part, spec.event_memory), place):
                out[:, number] = values
    return out


def _sums(history: History, origins: Rows, reads: Reads, powers: tuple[int, ...]) -> list[Sums]:
    return history.sums(origins, reads.steps[None, :], reads.distinct, reads.number, powers)


def _event_columns(history: History, origins: Rows, part: Recent, memory: int) -> list[npt.NDArray[np.generic]]:
    """Of the last events the age in steps (`memory` where older) and the size (NaN beyond `memory`), and of the last the run before it."""
    events = history.events(part.column, part.event or 0.0)
    ages, seen, rows = events.ages(origins, memory, part.events + 1)
    columns: list[npt.NDArray[np.generic]] = []
    for number in range(part.events):
        columns += [ages[number], np.where(seen[number], events.changes[rows[number]], np.nan)]
    columns.append(np.where(seen[1], ages[1] - ages[0], np.nan))
    columns += [events.count[origins] - events.count[np.maximum(origins - width, 0)] for width in part.counts]
    return columns


def _switch_columns(history: History, origins: Rows, part: Recent, memory: int) -> list[npt.NDArray[np.generic]]:
    """How long the column has been on or off and the states before lasted (NaN beyond `memory`), and what the last like this one says."""
    switches = history.switches(part.column, part.level or 0.0)
    ages, seen, _ = switches.ages(origins, memory, part.runs + 1)
    runs = [np.where(after, older - newer, np.nan) for newer, older, after in zip(ages, ages[1:], seen[1:], strict=False)]
    age = ages[0]
    mean = history.mean(origins, age + 1, part.column)
    # Two switches ago the state was the same: the step that followed when it was as old as now.
    then = np.minimum(np.maximum(origins - ages[2] + age, 0), np.maximum(origins - 1, 0))
    echo = np.where(seen[2], switches.changes[then], np.nan)
    return [age, *runs, runs[1] - age, mean, echo]


_Derived = tuple[tuple[str, ...], Callable[..., Any]]
DERIVED: Mapping[str, _Derived] = {
    # What the sub-meters (Wh of a minute) leave unexplained.
    "rest_kw": (
        ("power_kw", "sub1_wh", "sub2_wh", "sub3_wh"),
        lambda power, *sub: power - np.float32(0.06) * (sub[0] + sub[1] + sub[2]),
    ),
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


def column_of(measured: Mapping[str, Values], name: str) -> Values | None:
    """A column that was measured, or one that is derived from those; None where it can be neither."""
    if name in measured:
        return measured[name]
    needs, compute = DERIVED.get(name, ((), None))
    if compute is None or any(need not in measured for need in needs):
        return None
    values: Values = compute(*(measured[need] for need in needs))
    return values


def value_at(measured: Mapping[str, Values], name: str, row: int) -> np.float32:
    """One value of a column, or of one that is derived: the same arithmetic as over whole columns. NaN where there is none."""
    if name in measured:
        value: np.float32 = measured[name][row]
        return value
    needs, compute = DERIVED.get(name, ((), None))
    if compute is None or any(need not in measured for need in needs):
        return np.float32(np.nan)
    derived: np.float32 = compute(*(measured[need][row] for need in needs))
    return derived
