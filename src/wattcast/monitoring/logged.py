"""Forecasts of the log as columns: one row for each of their intervals, and what was measured in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from wattcast.forecasting.forecast import LoggedForecast
from wattcast.meter.clock import Instants
from wattcast.meter.table import MeterTable, Values

_AT_ONCE = 1_024


@dataclass(frozen=True, order=True)
class Forecaster:
    """Who made forecasts. version: the bundle's id, empty where no bundle answered; model: its title, or the baseline's."""

    version: str
    tier: str
    model: str


@dataclass(frozen=True, eq=False)
class Columns:
    """Forecasts of one forecaster, one row per interval. values: mean and quantiles of `levels`, kW, shape (rows, 1 + levels)."""

    levels: tuple[float, ...]
    origin_s: Instants
    target_s: Instants
    values: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.target_s)

    def where(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Columns:
        """Those of the rows that are marked, or have these numbers."""
        return Columns(self.levels, self.origin_s[rows], self.target_s[rows], self.values[rows])

    @property
    def median(self) -> Values:
        """The P50 forecast; the mean of a forecaster without one."""
        return self.values[:, 1 + self.levels.index(0.5)] if 0.5 in self.levels else self.values[:, 0]


def columns_of(logged: Iterable[LoggedForecast], step_s: int) -> list[tuple[Forecaster, Columns]]:
    """The forecasts at this resolution by who made them; those of one origin and version count once, the one given out last.

    Each is let go of as soon as it is read, so that a log may be longer than memory holds.
    """
    gathered: dict[tuple[Forecaster, tuple[float, ...]], _Gathered] = {}
    last: dict[tuple[int, str, str], tuple[int, int]] = {}
    for one in logged:
        if one.step_s != step_s:
            continue
        which, when = (one.origin_s, one.version, one.model if not one.version else ""), (one.last_served_s, one.key)
        if when > last.get(which, (-1, -1)):
            last[which] = when
            gathered.setdefault((Forecaster(one.version, one.tier, one.model), one.steps.levels), _Gathered()).add(one)
    kept = {key for _, key in last.values()}
    return [(who, gathered[who, levels].columns(levels, kept)) for who, levels in sorted(gathered)]


def joined(parts: list[Columns]) -> Columns:
    """The rows of all parts, which have the same levels, one after the other."""
    if not parts:
        return Columns((), np.empty(0, np.int64), np.empty(0, np.int64), np.empty((0, 1), np.float32))
    origin_s, target_s, values = (np.concatenate([getattr(part, name) for part in parts]) for name in ("origin_s", "target_s", "values"))
    return Columns(parts[0].levels, origin_s, target_s, values)


@dataclass
class _Gathered:
    """Rows as they come, joined every now and then: many small arrays take more than what they hold."""

    keys: list[int] = field(default_factory=list)
    origins: list[int] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    targets: list[Instants] = field(default_factory=list)
    values: list[npt.NDArray[np.float32]] = field(default_factory=list)

    def add(self, one: LoggedForecast) -> None:
        self.keys.append(one.key)
        self.origins.append(one.origin_s)
        self.counts.append(len(one.steps))
        self.targets.append(one.steps.starts_s)
        self.values.append(one.steps.values.astype(np.float32))
        if len(self.values) > _AT_ONCE:
            self._join()

    def _join(self) -> None:
        self.targets, self.values = [np.concatenate(self.targets)], [np.concatenate(self.values)]

    def columns(self, levels: tuple[float, ...], kept: set[int]) -> Columns:
        """The rows of the forecasts with these keys."""
        self._join()
        origin_s = np.repeat(np.array(self.origins, dtype=np.int64), self.counts)
        whole = Columns(levels, origin_s, self.targets[0], self.values[0])
        return whole.where(np.repeat([key in kept for key in self.keys], self.counts))


def measured(table: MeterTable, target_s: Instants) -> Values:
    """The reading of each interval that begins then, kW; NaN where none was measured, or none has just these bounds."""
    row, off_grid = np.divmod(target_s - table.start_s, table.step_s)
    there = (off_grid == 0) & (row >= 0) & (row < len(table))
    found = np.full(len(row), np.nan, dtype=np.float32)
    found[there] = table.power_kw[row[there]]
    return found
