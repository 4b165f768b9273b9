"""The accuracy protocols of docs/accuracy.md: what each reads, what it splits, and which published figures it must reproduce.

A protocol says nothing of models: those come from the product, by the settings in settings.yaml and params.yaml.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wattcast.forecasting.breakdown import Block, block_means
from wattcast.forecasting.metrics import Losses, Scored, absolute_errors, pinball_losses, squared_errors
from wattcast.meter.table import MeterTable

Rows = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Figure:
    """One figure of ours in results/accuracy.json. beat: what it must not exceed."""

    key: str
    measure: str
    beat: float


@dataclass(frozen=True)
class Check:
    """A figure of a baseline that has to be reproduced, to as many digits as it was printed with. source: own or pub."""

    baseline: str
    measure: str
    printed: str
    source: str = "own"


@dataclass(frozen=True, eq=False)
class Setup:
    """The readings of a protocol, split. table: what features come from, never filled; against: what is scored, filled as it says.

    beside: what baselines come from. first_test: the row from which on nothing may be seen before it is scored; origins: of the test;
    refits: rows at which models are fitted anew; check_origins: those on which a baseline was published, where they are others.
    """

    table: MeterTable
    against: MeterTable
    beside: MeterTable
    first_test: int
    origins: Rows
    refits: Rows
    check_origins: Rows | None = None

    @property
    def training(self) -> MeterTable:
        """All that a choice may look at."""
        return self.table.rows(0, self.first_test)

    def rehearsal(self, rows_earlier: int) -> Setup:
        """The same split so many rows earlier, of readings that end where the test begins: what choices are made on."""
        tables = {name: getattr(self, name).rows(0, self.first_test) for name in ("table", "against", "beside")}
        first = self.first_test - rows_earlier
        shifted = {name: getattr(self, name) - rows_earlier for name in ("origins", "refits")}
        origins = shifted["origins"][(shifted["origins"] >= first) & (shifted["origins"] < self.first_test)]
        return Setup(**tables, first_test=first, origins=origins, refits=shifted["refits"])


@dataclass(frozen=True)
class Protocol:
    """One protocol. settings: its name in settings.yaml; rehearse_rows: by how much earlier it is rehearsed, in whole days or weeks.

    block: what the bootstrap of its figures draws; beside: who else published what.
    """

    name: str
    title: str
    settings: str
    prepare: Callable[[Path], Setup]
    baselines: tuple[str, ...]
    figures: tuple[Figure, ...]
    checks: tuple[Check, ...]
    embargo: int
    rehearse_rows: int
    block: Block = "day"
    levels: tuple[float, ...] = (0.5,)
    calibrated: bool = False
    beside: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Measure:
    """loss: of every row; of_mean: from the mean loss and the rows to the figure."""

    loss: Callable[[Scored], Losses]
    of_mean: Callable[[Losses, Scored], Losses]


def _squares(rows: Scored) -> Losses:
    return squared_errors(rows.actual, rows.mean)


def _absolutes(rows: Scored) -> Losses:
    return absolute_errors(rows.actual, rows.median)


def _pinballs(rows: Scored) -> Losses:
    return np.mean([pinball_losses(rows.actual, own, level) for own, level in zip(rows.quantiles.T, rows.levels, strict=True)], axis=0)


def _spread(rows: Scored) -> float:
    low, high = np.quantile(rows.actual, (0.01, 0.99))
    return float(high - low)


_MEASURES: Mapping[str, _Measure] = {
    "MAE": _Measure(_absolutes, lambda mean, _: mean),
    "RMSE": _Measure(_squares, lambda mean, _: np.sqrt(mean)),
    "MSE": _Measure(_squares, lambda mean, _: mean),
    "NRMSE %": _Measure(_squares, lambda mean, rows: 100 * np.sqrt(mean) / rows.actual.mean(dtype=np.float64)),
    # The daily file holds sums over 1,440 minutes.
    "RMSE kW-minutes": _Measure(_squares, lambda mean, _: 1_440 * np.sqrt(mean)),
    "pinball": _Measure(_pinballs, lambda mean, _: mean),
    "NMAE": _Measure(_absolutes, lambda mean, rows: mean / _spread(rows)),
}


def measured(rows: Scored, measure: str) -> float:
    """One figure of a forecaster: MAE and pinball from its quantiles, the others from its mean."""
    own = _MEASURES[measure]
    return float(own.of_mean(own.loss(rows).mean(), rows))


def as_forecaster(rows: Scored, baseline: str) -> Scored:
    """A baseline on the same rows, its one value for mean and median."""
    values = rows.baselines[baseline]
    return replace(rows, levels=(0.5,), mean=values, quantiles=values[:, None])


def skill(own: Scored, baseline: Scored, zone: str, measure: str, block: Block) -> dict[str, float]:
    """1 - figure / the baseline's on the same rows, and its 95 % interval, from whole days or weeks drawn with replacement."""
    by = _MEASURES[measure]
    means = block_means(np.stack([by.loss(own), by.loss(baseline)]), own, zone, block=block)
    low, high = np.quantile(1 - by.of_mean(means[:, 0], own) / by.of_mean(means[:, 1], own), (0.025, 0.975))
    return {"value": 1 - measured(own, measure) / measured(baseline, measure), "low": float(low), "high": float(high)}


def standard_error(rows: Scored, zone: str, measure: str, block: Block) -> float:
    """The standard error of a figure, from whole days or weeks drawn with replacement."""
    own = _MEASURES[measure]
    return float(own.of_mean(block_means(own.loss(rows)[None], rows, zone, block=block)[:, 0], rows).std())
