"""Calibrated quantiles that never cross: fitted on residuals the heads were not trained on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

# Two quantile heads closer than this have no width to scale.
_LEAST_WIDTH_KW = 1e-3
_WIDEST = 20.0


@dataclass(frozen=True)
class Calibration:
    """By how much each quantile's distance from the median is stretched; levels and factors in the order of the heads."""

    levels: tuple[float, ...]
    factors: tuple[float, ...]

    def apply(self, quantiles: Array) -> Array:
        """The quantile heads' outputs (rows, levels), stretched about the median and sorted, so that they never cross."""
        median = quantiles[:, [self.levels.index(0.5)]]
        stretched = median + np.asarray(self.factors, dtype=np.float32) * _distance(quantiles, median, self.levels)
        return np.sort(stretched, axis=1)


def calibrate(actual: Array, quantiles: Array, levels: tuple[float, ...]) -> Calibration:
    """The stretch under which each quantile would have covered its share of `actual` (split conformal on the ratio of distances).

    actual: shape (rows,), no NaN; quantiles: the heads' outputs for the same rows, which the heads must not have been trained on.
    Source: conformalized quantile regression (Romano, Patterson, Candes 2019), with a factor in place of an added constant because
    the spread of a house's load differs by two orders of magnitude between a quiet minute and a switching one.
    """
    median = quantiles[:, [levels.index(0.5)]]
    distances = _distance(np.sort(quantiles, axis=1), median, levels)
    factors = []
    for column, level in enumerate(levels):
        if level == 0.5 or len(actual) == 0:
            factors.append(1.0)
            continue
        ratio = (actual - median[:, 0]) / distances[:, column]
        share = max(level, 1 - level)
        exact = min(share * (len(ratio) + 1) / len(ratio), 1.0)
        factors.append(float(np.clip(np.quantile(ratio, exact), 0.0, _WIDEST)))
    return Calibration(levels, tuple(factors))


def _distance(quantiles: Array, median: Array, levels: tuple[float, ...]) -> Array:
    """Signed distance from the median, at least the least width on the level's own side (zero for the median itself)."""
    side = np.sign(np.asarray(levels, dtype=np.float32) - np.float32(0.5))
    return np.asarray(side * np.maximum(side * (quantiles - median), np.float32(_LEAST_WIDTH_KW)), dtype=np.float32)
