"""Readings that arrive while a service runs: batches, what became of each reading, and how they lie over those known before. Numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from wattcast.meter.clock import Instants
from wattcast.meter.table import Meter, MeterTable, Values


@dataclass(frozen=True, eq=False)
class Batch:
    """Readings of one meter in time order, one for each instant. step_s: the resolution that they are given at.

    start_s: UTC epoch seconds, shape (n,); power_kw and covariates: same shape, NaN = not measured.
    """

    step_s: int
    start_s: Instants
    power_kw: Values
    covariates: Mapping[str, Values] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.start_s)

    @classmethod
    def of(cls, step_s: int, start_s: Instants, columns: Mapping[str, Values]) -> Batch:
        """Columns in any order of time, `power_kw` among them; of several readings of one instant the last counts.

        A covariate that was never measured is left out.
        """
        start_s = np.asarray(start_s, dtype=np.int64)
        kept = {name: np.asarray(values, dtype=np.float32) for name, values in columns.items()}
        if np.count_nonzero(start_s[1:] <= start_s[:-1]):
            _, last = np.unique(start_s[::-1], return_index=True)
            rows = len(start_s) - 1 - last
            start_s, kept = start_s[rows], {name: values[rows] for name, values in kept.items()}
        power = kept.pop("power_kw")
        # A number equals itself, NaN does not: mostly the first value says it.
        measured = {name: values for name, values in kept.items() if len(values) and (values[0] == values[0] or np.isfinite(values).any())}
        return cls(step_s, start_s, power, measured)

    def columns(self) -> dict[str, Values]:
        """`power_kw` and the covariates, by name."""
        return {"power_kw": self.power_kw, **self.covariates}

    def rows(self, which: npt.NDArray[np.bool_]) -> Batch:
        """The readings where `which` is true."""
        covariates = {name: values[which] for name, values in self.covariates.items()}
        return replace(self, start_s=self.start_s[which], power_kw=self.power_kw[which], covariates=covariates)

    def over(self, older: Batch, first_s: int, end_s: int) -> Batch:
        """These in place of all that `older` has from first_s up to end_s."""
        outside = older.rows((older.start_s < first_s) | (older.start_s >= end_s))
        columns = {}
        for name in dict.fromkeys([*outside.columns(), *self.columns()]):
            parts = [each.columns().get(name, np.full(len(each), np.nan, dtype=np.float32)) for each in (outside, self)]
            columns[name] = np.concatenate(parts)
        return Batch.of(self.step_s, np.concatenate([outside.start_s, self.start_s]), columns)


@dataclass(frozen=True)
class Counts:
    """What became of the readings of one batch: new, the same as known, or a correction of one that was known."""

    new: int = 0
    same: int = 0
    corrected: int = 0


@dataclass(frozen=True)
class StoredMeter:
    """A meter whose readings arrive here. first_s, end_s: the span of its readings, None without any.

    revision: rises with any change, from where no meter of this id ever was.
    """

    meter: Meter
    step_s: int
    revision: int
    readings: int = 0
    first_s: int | None = None
    end_s: int | None = None


@dataclass(frozen=True, eq=False)
class Changes:
    """What a meter's readings became: their revision, and all readings of the span that changed since the one that was asked about.

    span: from its first second up to its last; batch: None where nothing changed. oldest_s: the first reading there is; what was known
    of before it is gone. whole: what was known before is of no use, for the revision that was asked about is none of this meter's (it
    was deleted and made anew meanwhile), or is long past, or no reading is left.
    """

    meter: Meter
    revision: int
    span: tuple[int, int] = (0, 0)
    batch: Batch | None = None
    oldest_s: int = 0
    whole: bool = False


def overlaid(base: MeterTable, newer: MeterTable) -> MeterTable:
    """`newer` over `base`, at one resolution and on one grid: where `newer` has a value, that, else what `base` had; NaN where neither.

    Raises ValueError for tables of different steps or grids.
    """
    step_s = base.step_s
    if newer.step_s != step_s or (newer.start_s - base.start_s) % step_s:
        raise ValueError(f"tables of {step_s} s and {newer.step_s} s, or on different grids, cannot be laid over each other")
    start_s, end_s = min(base.start_s, newer.start_s), max(base.end_s, newer.end_s)
    columns: dict[str, Values] = {}
    for table in (base, newer):
        at = (table.start_s - start_s) // step_s
        for name, values in table.columns().items():
            into = columns.setdefault(name, np.full((end_s - start_s) // step_s, np.nan, dtype=np.float32))
            measured = np.isfinite(values)
            into[at : at + len(table)][measured] = values[measured]
    return MeterTable(base.meter, start_s, step_s, columns.pop("power_kw"), columns, base.known)
