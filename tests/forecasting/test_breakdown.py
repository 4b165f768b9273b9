"""Where a forecaster is better, and how far that could be luck."""

from __future__ import annotations

import numpy as np
import pytest

from wattcast.forecasting.breakdown import block_means, errors_by, skill_interval
from wattcast.forecasting.metrics import Scored
from wattcast.meter.clock import season_of

DAYS = 120
START_S = 1_262_304_000  # 2010-01-01, a Friday


def rows(error: float = 0.5, seed: int = 1) -> Scored:
    """Hourly forecasts that miss by a day's own error, beside a baseline that misses by twice as much."""
    chance = np.random.default_rng(seed)
    count = DAYS * 24
    actual = chance.uniform(0, 3, count).astype(np.float32)
    off = np.repeat(chance.normal(0, error, DAYS), 24).astype(np.float32)
    return Scored(
        levels=(0.5,),
        actual=actual,
        mean=actual + off,
        quantiles=(actual + off)[:, None],
        baselines={"naive": actual + 2 * off},
        target_s=START_S + np.arange(count, dtype=np.int64) * 3_600,
        origin=np.repeat(np.arange(DAYS, dtype=np.int64) * 24, 24),
        lead=np.tile(np.arange(1, 25, dtype=np.int64), DAYS),
    )


def test_errors_are_told_by_lead_hour_weekday_and_season_beside_the_baseline() -> None:
    """Each part of the rows has its own errors, and they add up to the whole."""
    own = rows()
    by_lead, by_hour = errors_by(own, "UTC", "lead"), errors_by(own, "+01:00", "hour")
    assert list(by_lead) == [str(lead) for lead in range(1, 25)]
    assert list(by_hour)[:2] == ["00:00", "01:00"]
    assert list(errors_by(own, "UTC", "weekday")) == ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
    seasons = errors_by(own, "UTC", "season")
    assert list(seasons) == ["winter", "spring"]
    for errors in seasons.values():
        assert errors["naive"]["mae"] == pytest.approx(2 * errors["forecast"]["mae"], rel=1e-4)
    total = sum(errors["forecast"]["mae"] * errors["forecast"]["n"] for errors in seasons.values())
    assert total / (DAYS * 24) == pytest.approx(float(np.abs(own.actual - own.median).mean()), rel=1e-5)


def test_friday_is_friday() -> None:
    """The first rows are a Friday's: errors planted there stand there."""
    own = rows(error=0.0)
    own.quantiles[:24] += 1
    assert errors_by(own, "UTC", "weekday")["Friday"]["forecast"]["mae"] > 0.01
    assert errors_by(own, "UTC", "weekday")["Saturday"]["forecast"]["mae"] == 0


def test_the_interval_of_a_skill_holds_it_and_days_make_it_as_wide_as_days_are() -> None:
    """Half the baseline's error is a skill of one half, surely; errors that a day shares leave the mean as unsure as days do."""
    own = rows()
    low, high = skill_interval(own, "UTC", "naive", "mae")
    assert low <= 0.5 <= high
    assert high - low < 1e-6
    losses = np.abs(own.actual - own.median).astype(np.float64)
    by_day = block_means(losses[None], own, "UTC").std()
    by_row = losses.std() / np.sqrt(len(losses))
    assert by_day == pytest.approx(np.abs(losses[::24]).std() / np.sqrt(DAYS), rel=0.1)
    assert by_day > 4 * by_row


def test_a_skill_that_is_luck_has_an_interval_around_zero() -> None:
    """Two forecasters alike: the interval holds zero; weeks give a wider or equal one for errors shared by days."""
    chance = np.random.default_rng(3)
    own = rows()
    own.baselines["naive"][:] = own.actual + np.repeat(chance.normal(0, 0.5, DAYS), 24)
    for block in ("day", "week"):
        low, high = skill_interval(own, "UTC", "naive", "rmse", block=block)  # type: ignore[arg-type]
        assert low < 0 < high


def test_seasons_begin_in_december() -> None:
    """December to February is the first season."""
    days = np.array(["2010-12-01", "2011-02-28", "2011-03-01", "2011-06-01", "2011-11-30"], dtype="datetime64[D]").astype(np.int64)
    assert season_of(days).tolist() == [0, 0, 1, 2, 3]
