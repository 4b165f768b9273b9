"""Calibrated quantiles that never cross: fitted on residuals the heads were not trained on, by season and time of day."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import cast

import numpy as np
import numpy.typing as npt

from wattcast.errors import BadBundle
from wattcast.forecasting.remembered import Remembered
from wattcast.meter.clock import SEASONS, THIRDS, Instants, season_and_third, zone_of

Array = npt.NDArray[np.float32]
Stretches = npt.NDArray[np.float64]

# Two quantile heads closer than this have no width to scale.
_LEAST_WIDTH_KW = 1e-3
_WIDEST = 20.0
# Held-out days at which a stretch is believed by half. Walking through 2008 and 2009 of the UCI house, a calibration of 14 days believed
# whole doubled the scatter of the monthly coverage (0.10 against 0.05 of the bare heads); cells believed sooner cost pinball.
_DAYS_TO_BELIEVE = 30
_DAYS_TO_BELIEVE_A_CELL = 90


@dataclass(frozen=True)
class Calibration:
    """By how much each quantile's distance from the median is stretched, at every season and third of the local day of the target.

    factors: shape (season, third, level), without unit; season 0 is December to February, third 0 the hours 0 to 8; levels in the order
    of the heads, 0.5 among them. zone: the meter's. Raises BadBundle where there is no median, or not a factor for every cell and level.
    """

    levels: tuple[float, ...]
    zone: str
    factors: tuple[tuple[tuple[float, ...], ...], ...]

    def __post_init__(self) -> None:
        zone_of(self.zone)
        each = [len(of_third) for of_season in self.factors for of_third in of_season]
        cells = [len(of_season) for of_season in self.factors]
        if cells != [len(THIRDS)] * len(SEASONS) or set(each) != {len(self.levels)} or 0.5 not in self.levels:
            found = f"a calibration has factors {cells} x {sorted(set(each))} for the levels {self.levels}"
            raise BadBundle(found, "run the pipeline again (make run), or answer from another bundle")

    def apply(self, quantiles: Array, target_s: Instants, out: Array | None = None) -> Array:
        """The quantile heads' outputs in kW, shape (rows, levels), stretched about the median and sorted, so that they never cross.

        target_s: the start of each row's target, UTC epoch seconds, shape (rows,). The median stays where it is; NaN stays NaN. out: where
        to write them, which may be where they are.
        """
        median, distance = _about_the_median(quantiles, *self._sides)
        stretched: Array = np.add(median, self._stretch(target_s) * distance, out=out)
        stretched.sort(axis=1)
        return stretched

    def _stretch(self, target_s: Instants) -> Array:
        """By how much the distance from the median counts, below it negative, shape (rows, levels)."""
        return cast(
            "Array", self._remembered.get(target_s, lambda: self._sides[1] * self._cells[season_and_third(self.zone, target_s)[1:]])
        )

    @cached_property
    def _remembered(self) -> Remembered:
        return Remembered()

    @cached_property
    def _sides(self) -> tuple[int, Array]:
        return _sides_of(self.levels)

    @cached_property
    def _cells(self) -> Array:
        return np.asarray(self.factors, dtype=np.float32)


def calibrate(actual: Array, quantiles: Array, target_s: Instants, levels: tuple[float, ...], zone: str) -> Calibration:
    """The stretch under which each quantile would have covered its share of `actual`: a pure function of held-out rows, it sees no others.

    actual: kW, shape (rows,), no NaN; quantiles: the heads' outputs for the same rows, which the heads must not have been trained on;
    target_s: the starts of their targets, UTC epoch seconds. Source: conformalized quantile regression (Romano, Patterson, Candes 2019),
    with a factor in place of an added constant: the spread of a load differs by two orders of magnitude between a quiet minute and a
    switching one, and a factor holds for a meter of any size.

    Few days prove little, and the rows of one day go together. With n held-out days the stretch of all rows counts n / (n + 30) and no
    stretch the rest; with n of them in a cell, that of its rows counts n / (n + 90) and the stretch of all rows the rest.
    """
    day, season, third = season_and_third(zone, target_s)
    middle, side = _sides_of(levels)
    median, distance = _about_the_median(quantiles, middle, side)
    ratio = side * (actual[:, None] - median) / distance
    overall = 1.0 + _belief(day, _DAYS_TO_BELIEVE) * (_stretches(ratio, levels) - 1.0)
    factors = np.tile(overall, (len(SEASONS), len(THIRDS), 1))
    for cell in np.ndindex(len(SEASONS), len(THIRDS)):
        own = (season == cell[0]) & (third == cell[1])
        factors[cell] += _belief(day[own], _DAYS_TO_BELIEVE_A_CELL) * (_stretches(ratio[own], levels) - overall)
    return Calibration(levels, zone, tuple(tuple(map(tuple, of_season)) for of_season in factors.round(5).tolist()))


def conformal_share(share: float, count: int) -> float:
    """The share of `count` held-out scores to stay below for new ones to stay below with probability `share` (split conformal)."""
    return min(share * (count + 1) / count, 1.0)


def _belief(days: Instants, half_at: int) -> float:
    """How far a stretch fitted on rows of these local days is believed, 0 to 1."""
    count = len(np.unique(days))
    return count / (count + half_at)


def _stretches(ratio: npt.NDArray[np.floating], levels: tuple[float, ...]) -> Stretches:
    """For each level the factor below which its share of the ratios lies, never so small that a quantile passes the median."""
    if len(ratio) == 0:
        return np.ones(len(levels))
    shares = [conformal_share(max(level, 1 - level), len(ratio)) for level in levels]
    found = [1.0 if level == 0.5 else np.quantile(ratio[:, column], shares[column]) for column, level in enumerate(levels)]
    return np.clip(np.array(found, dtype=np.float64), 0.0, _WIDEST)


def _sides_of(levels: tuple[float, ...]) -> tuple[int, Array]:
    """The place of the median among the levels, and each one's side of it: -1, 0 or 1."""
    return levels.index(0.5), np.sign(np.asarray(levels, dtype=np.float32) - np.float32(0.5))


def _about_the_median(quantiles: Array, middle: int, side: Array) -> tuple[Array, Array]:
    """The median, shape (rows, 1), and each level's distance to it on its side, at least the least width."""
    median = quantiles[:, middle : middle + 1]
    return median, np.maximum(side * (quantiles - median), np.float32(_LEAST_WIDTH_KW))
