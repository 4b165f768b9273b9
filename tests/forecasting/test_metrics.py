"""Errors as the field defines them, each beside its baselines."""

from __future__ import annotations

import math
from dataclasses import replace
from statistics import NormalDist

import numpy as np
import pytest
import scoringrules
from sklearn.metrics import mean_absolute_error, mean_pinball_loss, r2_score, root_mean_squared_error

from wattcast.errors import NothingToScore
from wattcast.forecasting.metrics import Scored, coverage, coverage_table, crps, mae, pinball, r2, rmse, score, skill
from wattcast.meter.clock import DAY_S, HOUR_S

CHANCE = np.random.default_rng(3)
ACTUAL, PREDICTED = (CHANCE.gamma(2, 0.5, 500).astype(np.float32) for _ in range(2))


def test_errors_agree_with_scikit_learn() -> None:
    """MAE, RMSE, R2 and pinball are those of a library that everybody checks against."""
    assert mae(ACTUAL, PREDICTED) == pytest.approx(mean_absolute_error(ACTUAL, PREDICTED), rel=1e-5)
    assert rmse(ACTUAL, PREDICTED) == pytest.approx(root_mean_squared_error(ACTUAL, PREDICTED), rel=1e-5)
    assert r2(ACTUAL, PREDICTED) == pytest.approx(r2_score(ACTUAL, PREDICTED), rel=1e-4)
    for level in (0.1, 0.5, 0.9):
        assert pinball(ACTUAL, PREDICTED, level) == pytest.approx(mean_pinball_loss(ACTUAL, PREDICTED, alpha=level), rel=1e-5)


def test_probabilistic_scores_agree_with_a_library_of_the_field() -> None:
    """Pinball loss and CRPS from quantiles are those of scoringrules."""
    levels = (0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95)
    quantiles = np.sort(CHANCE.gamma(2, 0.5, (500, len(levels))).astype(np.float32), axis=1)
    for column, level in enumerate(levels):
        expected = scoringrules.quantile_score(ACTUAL, quantiles[:, column], level).mean()
        assert pinball(ACTUAL, quantiles[:, column], level) == pytest.approx(float(expected), rel=1e-5)
    expected = scoringrules.crps_quantile(ACTUAL, quantiles, np.array(levels, dtype=np.float32)).mean()
    assert crps(ACTUAL, quantiles, levels) == pytest.approx(float(expected), rel=1e-5)


def test_crps_of_many_quantiles_nears_the_closed_form() -> None:
    """With 199 quantiles of a normal distribution it is within 1 % of the normal's own CRPS; of the median alone it is the MAE."""
    actual = CHANCE.normal(size=2_000).astype(np.float32)
    levels = tuple(number / 200 for number in range(1, 200))
    quantiles = np.tile([NormalDist().inv_cdf(level) for level in levels], (2_000, 1)).astype(np.float32)
    assert crps(actual, quantiles, levels) == pytest.approx(float(scoringrules.crps_normal(actual, 0.0, 1.0).mean()), rel=0.01)
    assert crps(actual, quantiles[:, [99]], (0.5,)) == pytest.approx(mae(actual, quantiles[:, 99]), rel=1e-5)


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
        levels=(0.1, 0.5, 0.9),
        actual=ACTUAL[:count],
        mean=(ACTUAL + mean_shift)[:count],
        quantiles=quantiles,
        baselines={"persistence": (ACTUAL + baseline_shift)[:count]},
        target_s=number,
        origin=number,
        lead=number,
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
    assert score(scored(0.2, 0.2)).losing_to()[0].startswith("persistence has MAE 0.20000 kW, the family 0.20000")
    assert len(score(scored(0.3, 0.2)).losing_to()) == 2


def test_nothing_is_scored_without_rows() -> None:
    """No row, no number."""
    with pytest.raises(NothingToScore):
        score(scored(0, 0, count=0))


def year_of_hours(inside: np.ndarray) -> Scored:
    """One row for every hour of 1970 in UTC+1, of which the inner interval holds those given and the outer one all."""
    target_s = np.arange(365 * 24, dtype=np.int64) * HOUR_S - HOUR_S
    actual = np.where(inside, 0.0, 2.0).astype(np.float32)
    quantiles = np.tile(np.array([-3, -1, 0, 1, 3, 4], dtype=np.float32), (len(actual), 1))
    rows = np.arange(len(actual))
    return Scored((0.05, 0.25, 0.5, 0.75, 0.95, 0.99), actual, actual, quantiles, {}, target_s, rows, rows)


def test_coverage_is_told_by_season_and_third_of_the_local_day() -> None:
    """Every central interval beside its nominal share; the level without a mirror has none."""
    hour = np.arange(365 * 24) % 24
    day = np.arange(365 * 24) // 24
    winter, morning = (day < 59) | (day >= 334), (hour >= 8) & (hour < 16)
    table = coverage_table(year_of_hours(~(winter & morning)), "+01:00")
    assert list(table) == ["0.05-0.95", "0.25-0.75"]
    assert table["0.05-0.95"] == {
        "nominal": 0.9,
        "overall": 1.0,
        "season": {"winter": 1.0, "spring": 1.0, "summer": 1.0, "autumn": 1.0},
        "third": {"00-08": 1.0, "08-16": 1.0, "16-24": 1.0},
    }
    inner = table["0.25-0.75"]
    assert inner["nominal"] == 0.5
    assert inner["overall"] == pytest.approx(1 - 90 / 365 / 3)
    assert inner["season"] == {"winter": pytest.approx(2 / 3), "spring": 1.0, "summer": 1.0, "autumn": 1.0}
    assert inner["third"] == {"00-08": 1.0, "08-16": pytest.approx(1 - 90 / 365), "16-24": 1.0}


def test_coverage_of_a_season_that_was_not_scored_is_not_told() -> None:
    """No row, no number: neither for a season nor for everything."""
    rows = scored(0.0, 0.1)
    january = replace(rows, target_s=rows.target_s * 0 + 10 * DAY_S)
    assert coverage_table(january, "UTC")["0.1-0.9"]["season"] == {"winter": 1.0}
    with pytest.raises(NothingToScore):
        coverage_table(scored(0, 0, count=0), "UTC")
