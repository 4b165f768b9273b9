"""Errors as the field defines them, each beside its baselines."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, r2_score, root_mean_squared_error

from wattcast.errors import NothingToScore
from wattcast.forecasting.metrics import Scored, coverage, mae, pinball, r2, rmse, score, skill

CHANCE = np.random.default_rng(3)
ACTUAL, PREDICTED = (CHANCE.gamma(2, 0.5, 500).astype(np.float32) for _ in range(2))


def test_errors_agree_with_scikit_learn() -> None:
    """MAE, RMSE, R2 and pinball are those of a library that everybody checks against."""
    assert mae(ACTUAL, PREDICTED) == pytest.approx(mean_absolute_error(ACTUAL, PREDICTED), rel=1e-5)
    assert rmse(ACTUAL, PREDICTED) == pytest.approx(root_mean_squared_error(ACTUAL, PREDICTED), rel=1e-5)
    assert r2(ACTUAL, PREDICTED) == pytest.approx(r2_score(ACTUAL, PREDICTED), rel=1e-4)
    for level in (0.1, 0.5, 0.9):
        assert pinball(ACTUAL, PREDICTED, level) == pytest.approx(mean_pinball_loss(ACTUAL, PREDICTED, alpha=level), rel=1e-5)


def test_what_cannot_be_measured_is_nan_not_a_number() -> None:
    """R2 of a constant and skill against a perfect baseline do not exist."""
    flat = np.ones(5, dtype=np.float32)
    assert math.isnan(r2(flat, flat))
    assert math.isnan(skill(0.1, 0.0))
    assert skill(0.5, 1.0) == 0.5
    assert coverage(flat, flat, flat) == 1.0


def scored(mean_shift: float, baseline_shift: float, count: int = 500) -> Scored:
    """Forecasts and a baseline that are off by constants."""
    quantiles = np.stack([ACTUAL + mean_shift + width for width in (-0.4, 0, 0.4)], axis=1)[:count]
    number = np.arange(count)
    return Scored(
        (0.1, 0.5, 0.9),
        ACTUAL[:count],
        (ACTUAL + mean_shift)[:count],
        quantiles,
        {"persistence": (ACTUAL + baseline_shift)[:count]},
        number,
        number,
    )


def test_a_score_stands_beside_its_baselines_on_the_same_rows() -> None:
    """Skill compares with the best baseline of the same rows."""
    result = score(scored(0.1, 0.2))
    assert result.n == 500
    assert result.baselines["persistence"]["mae"] == pytest.approx(0.2, rel=1e-4)
    assert result.skill["mae"] == pytest.approx(0.5, rel=1e-3)
    assert (result.coverage, result.nominal) == (1.0, 0.8)
    assert result.losing_to() == []


def test_losing_to_a_baseline_is_said_with_both_figures() -> None:
    """A tie is a loss too: a family must be better than repeating the last value."""
    assert score(scored(0.2, 0.2)).losing_to()[0].startswith("persistence has MAE 0.2000 kW, the family 0.2000")
    assert len(score(scored(0.3, 0.2)).losing_to()) == 2


def test_nothing_is_scored_without_rows() -> None:
    """No row, no number."""
    with pytest.raises(NothingToScore):
        score(scored(0, 0, count=0))
