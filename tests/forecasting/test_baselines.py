"""Baselines are what their names say, and the typical day covers what was never measured."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.testing import assert_allclose

from wattcast.errors import NotEnoughHistory
from wattcast.forecasting.backtest import first_test_row, origins_within
from wattcast.forecasting.baselines import TITLES, baseline_names, baselines, climatological_profile, residual_spread
from wattcast.forecasting.features import build_features
from wattcast.forecasting.spec import FeatureSpec, Seasonal
from wattcast.meter.cleaning import to_table
from wattcast.meter.readers import ReadOptions, read
from wattcast.meter.table import Meter, MeterTable

MONDAY = int(datetime(2010, 3, 1, tzinfo=UTC).timestamp())


HOURS = FeatureSpec(3600, 30, "UTC")


def table(power: np.ndarray) -> MeterTable:
    """Hours from a Monday midnight on."""
    return MeterTable(Meter("house"), MONDAY, 3600, power.astype(np.float32))


def test_each_baseline_takes_what_was_known() -> None:
    """Persistence, the day before, the week before, the mean of seven days; beyond 24 hours the day before is not known yet."""
    known = baselines(table(np.arange(24 * 20)), np.array([24 * 15]), HOURS, baseline_names())
    target = np.arange(360, 390)
    beyond = np.arange(30) >= 24
    assert_allclose(known["persistence"], 359)
    assert_allclose(known["daily_naive"], target - np.where(beyond, 48, 24))
    assert_allclose(known["weekly_naive"], target - 168)
    assert_allclose(known["mean_7_days"], target - np.where(beyond, 108, 96))
    assert set(known) == set(TITLES)


def test_the_usual_day_is_the_mean_of_the_week_and_of_days_of_its_kind() -> None:
    """Two smooth means, each over what was known: of the last seven days with the hours beside, and of the days of the target's kind."""
    chance = np.random.default_rng(5)
    measured = table(chance.uniform(0, 3, 24 * 70))
    origins = np.array([24 * 63, 24 * 64 + 5])
    week, kind = Seasonal(means=(tuple(range(1, 8)),), nearby=1, half_life=7), Seasonal(kinds=(56,), half_life=14)
    rows = build_features(measured, origins, replace(HOURS, seasonal=(week, kind), calendar=()))
    expected = rows.matrix[:, 1:].astype(np.float64).mean(axis=1)
    assert_allclose(baselines(measured, origins, HOURS, ("usual_day",))["usual_day"], expected, rtol=1e-6)


def test_what_was_not_measured_is_not_guessed() -> None:
    """Without a reading where a baseline looks, it has no value; the mean takes the days it has."""
    power = np.ones(24 * 9)
    power[-24:] = np.nan
    known = baselines(table(power), np.array([24 * 9]), HOURS, baseline_names())
    assert np.isnan(known["persistence"]).all()
    assert_allclose(known["daily_naive"][:24], 1)
    assert_allclose(known["mean_7_days"][:24], 1)


def test_persistence_of_the_real_minutes_is_the_published_figure(shared_data) -> None:
    """The last value repeated has MAE 0.0924 and RMSE 0.3030 on the last 20 % of the half-year file: the protocol is reproduced."""
    minutes = to_table(read(shared_data / "household_power_consumption_2007h1.zip", ReadOptions(Meter("house"))))
    origins = origins_within(minutes, FeatureSpec(60, 1, "UTC"), first_test_row(minutes, 0.8), len(minutes))
    error = minutes.power_kw[origins] - baselines(minutes, origins, FeatureSpec(60, 1, "UTC"), ("persistence",))["persistence"]
    error = error[np.isfinite(error)]
    assert f"{np.abs(error).mean():.4f} {np.sqrt((error**2).mean(dtype=float)):.4f}" == "0.0924 0.3030"


def test_the_typical_day_knows_season_kind_of_day_and_hour() -> None:
    """Weekday nights, weekend evenings: each cell has its own mean and quantiles, and an unseen season borrows the hour's."""
    hours = np.arange(24 * 28)
    weekend = (hours // 24) % 7 >= 5
    profile = climatological_profile(table(hours % 24 + 100 * weekend), (0.1, 0.5, 0.9))
    at = MONDAY + 3600 * np.array([5, 5 * 24 + 5, 5 + 24 * 180])
    values = profile.at(at)
    assert_allclose(values[0], [5, 5, 5, 5], rtol=1e-3)
    assert_allclose(values[1], [105, 105, 105, 105], rtol=1e-3)
    assert values[2][0] == pytest.approx(5 + 100 * 8 / 28, rel=1e-3)


def test_a_meter_that_measured_nothing_has_no_typical_day() -> None:
    """An empty table is refused."""
    with pytest.raises(NotEnoughHistory):
        climatological_profile(table(np.full(48, np.nan)), (0.5,))


def test_the_spread_about_a_baseline_covers_its_share() -> None:
    """Quantiles of what actuals differed by, in kW; zero where nothing can be compared."""
    chance = np.random.default_rng(0)
    spread = residual_spread(table(1 + chance.normal(0, 0.5, 24 * 60)), HOURS, ("mean_7_days",), (0.1, 0.5, 0.9))["mean_7_days"]
    assert spread["0.5"] == pytest.approx(0, abs=0.1)
    assert spread["0.9"] == pytest.approx(-spread["0.1"], abs=0.15)
    assert spread["0.9"] > 0.4
    assert residual_spread(table(np.ones(5)), HOURS, ("mean_7_days",), (0.5,)) == {"mean_7_days": {"0.5": 0.0}}
