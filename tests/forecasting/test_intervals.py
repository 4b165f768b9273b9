"""Intervals hold what they say, and quantiles never cross."""

from __future__ import annotations

import numpy as np
import pytest

from wattcast.forecasting.intervals import Calibration, calibrate

LEVELS = (0.1, 0.5, 0.9)


def test_narrow_intervals_are_widened_until_they_cover() -> None:
    """Heads that are too sure are stretched to their share, on rows that calibration never saw."""
    chance = np.random.default_rng(1)
    scale = np.exp(chance.normal(size=8000)).astype(np.float32)
    actual = (scale * chance.normal(size=8000)).astype(np.float32)
    narrow = np.stack([-0.3 * scale, 0 * scale, 0.3 * scale], axis=1)
    calibration = calibrate(actual[:4000], narrow[:4000], LEVELS)
    quantiles = calibration.apply(narrow[4000:])
    assert min(calibration.factors[0], calibration.factors[2]) > 3
    for column, level in enumerate(LEVELS):
        assert float((actual[4000:] <= quantiles[:, column]).mean()) == pytest.approx(level, abs=0.02)


def test_quantiles_never_cross() -> None:
    """On 10,000 random forecasts, crossing ones among them, the calibrated quantiles rise with their level."""
    chance = np.random.default_rng(2)
    raw = chance.normal(size=(10_000, 5)).astype(np.float32)
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    calibration = calibrate(chance.normal(size=10_000).astype(np.float32), raw, levels)
    assert (np.diff(calibration.apply(raw), axis=1) >= 0).all()


def test_the_median_is_left_as_it_is_and_a_collapsed_interval_gets_a_width() -> None:
    """Where the outer heads stand on the median, the interval still has a width in the end."""
    quantiles = Calibration(LEVELS, (1.0, 1.0, 2.0)).apply(np.array([[1.0, 1.0, 1.0]], dtype=np.float32))
    assert quantiles[0] == pytest.approx([0.999, 1.0, 1.002])


def test_without_rows_nothing_is_stretched() -> None:
    """No held-out row, no change."""
    empty = np.empty((0, 3), dtype=np.float32)
    assert calibrate(empty[:, 0], empty, LEVELS).factors == (1.0, 1.0, 1.0)
