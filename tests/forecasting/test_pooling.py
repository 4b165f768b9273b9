"""The model of many meters: learned from meters as if newly installed, judged on meters it was not fitted to."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny
from street import RECIPE, pooled, street

from wattcast.errors import BadParams, NotEnoughHistory
from wattcast.forecasting import pooling
from wattcast.forecasting.baselines import baselines, climatological_profile
from wattcast.forecasting.bundle import open_bundle
from wattcast.forecasting.features import build_features
from wattcast.forecasting.pooling import LEAST_METERS, newcomers, plan_of, population_profile, train
from wattcast.forecasting.spec import FeatureSpec
from wattcast.meter.table import Meter


@pytest.fixture
def spec() -> FeatureSpec:
    """What the model of many meters looks at."""
    return RECIPE.task.spec(plan_of(RECIPE.task, 0.8), street()[0], ())


def test_meters_are_learned_from_as_if_newly_installed(spec: FeatureSpec) -> None:
    """Nothing before its beginning is known of a newcomer; little is known of most, nothing of some, of none more than two months."""
    table, chance = street()[0], np.random.default_rng(1)
    days, hours, begun = [], set(), set()
    for young in newcomers(table, spec, 200, chance):
        features = build_features(young.table, young.origins, spec)
        known = features.matrix[:, features.names.index("measured_days")]
        assert (known <= features.origin / 24 + 1e-6).all()
        assert np.isfinite(features.targets).all()
        days += (young.origins / 24).tolist()
        begun.add(young.table.start_s)
        hours |= {(young.table.start_s // 3_600 + origin) % 24 for origin in young.origins.tolist()}
    assert len(begun) > 150
    assert min(days) == 0.0
    assert max(days) <= 60
    assert np.median(days) < 10
    assert 0.02 < np.mean(np.array(days) == 0) < 0.2
    assert hours == set(range(24))


def test_a_task_with_a_gate_is_learned_at_the_gate(spec: FeatureSpec) -> None:
    """Origins lie where the task forecasts from, however little is known there."""
    gated = replace(spec, gate_s=6 * 3_600)
    for young in newcomers(street()[1], replace(gated, zone="UTC"), 20, np.random.default_rng(1)):
        assert ((young.table.start_s // 3_600 + young.origins) % 24 == 6).all()


def test_meters_are_held_out_not_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is judged and calibrated on was not fitted to; then all meters are fitted to."""
    fitted: list[set[str]] = []
    judged: list[set[str]] = []
    fit, held_out = pooling.fit, pooling.held_out

    def fit_seen(tables, *others):
        fitted.append({table.meter.id for table in tables})
        return fit(tables, *others)

    def held_out_seen(tables, *others):
        judged.append({table.meter.id for table in tables})
        return held_out(tables, *others)

    monkeypatch.setattr(pooling, "fit", fit_seen)
    monkeypatch.setattr(pooling, "held_out", held_out_seen)
    train(street(), RECIPE, lambda _: None)
    everyone = {table.meter.id for table in street()}
    assert fitted[1] == everyone
    assert all(apart and apart.isdisjoint(fitted[0]) for apart in judged)
    assert judged[0] | fitted[0] == everyone


def test_the_same_meters_give_the_same_bytes() -> None:
    """Every draw comes from the recipe's seed."""
    assert train(street(), RECIPE, lambda _: None).data == pooled().data
    assert train(street(), replace(RECIPE, seed=2), lambda _: None).data != pooled().data


def test_the_bundle_says_what_it_learned_from() -> None:
    """Of no single meter, from all their readings; it answers without one; its score stands beside a baseline, which it beats."""
    manifest = pooled().manifest
    (facts,) = manifest.models
    assert (manifest.meter.id, manifest.meter.simulated, facts.least_readings) == ("*", False, 0)
    assert manifest.train_rows == sum(len(table) for table in street())
    assert facts.validation.baselines.keys() == {"mean_7_days"}
    assert facts.validation.skill["mae"] > 0.05
    assert pooled().golden.meter.id == "house-6"
    changed = (replace(street()[0], power_kw=street()[0].power_kw + np.float32(0.01)), *street()[1:])
    assert open_bundle(train(changed, RECIPE, lambda _: None).data).manifest.data_sha256 != manifest.data_sha256


def test_it_is_shrunk_toward_the_mean_of_the_meter_as_days_arrive() -> None:
    """Of a meter ten times as large nothing known says so; after four weeks the forecast is ten times as large."""
    (model,) = pooled().models
    usual = street(1, first=50)[0]
    large = replace(usual, power_kw=usual.power_kw * 10)
    ratios = []
    for days in (0, 1, 28):
        first = 30 * 24
        small_kw, large_kw = (model.forecast(table.rows(first, first + days * 24), days * 24)[0] for table in (usual, large))
        assert small_kw.shape == (24,)
        ratios.append(float(large_kw.mean() / small_kw.mean()))
    assert ratios[0] == pytest.approx(1.0)
    assert ratios[1] > 3
    assert ratios[2] == pytest.approx(10, rel=0.2)


def test_a_house_never_seen_is_forecast_better_than_by_its_last_week() -> None:
    """With two weeks known, over some houses that no model has met."""
    (model,) = pooled().models
    spec, ours, weeks = model.facts.spec, [], []
    for table in street(4, first=60):
        for origin in range(20 * 24, 80 * 24, 60):
            young = table.rows(origin - 14 * 24, origin + 24)
            actual, row = young.power_kw[14 * 24 :], np.array([14 * 24])
            _, quantiles = model.forecast(young, 14 * 24)
            scale = float(np.mean(table.power_kw))
            ours.append(np.abs(actual - quantiles[:, 1]).mean() / scale)
            weeks.append(np.abs(actual - baselines(young, row, spec, ("mean_7_days",))["mean_7_days"]).mean() / scale)
    assert np.mean(ours) < 0.95 * np.mean(weeks)


def test_a_scaled_spec_has_its_baselines_in_kw(spec: FeatureSpec) -> None:
    """What a model of many meters divides by is none of the baselines' business."""
    table, rows = street()[0], np.array([400, 700])
    scaled, plain = (baselines(table, rows, each, ("mean_7_days", "persistence")) for each in (spec, replace(spec, scale=None)))
    for name, values in plain.items():
        np.testing.assert_array_equal(scaled[name], values)


def test_each_meter_is_read_on_its_own_clock() -> None:
    """What is held out is stamped with local time, for an hour of the day to mean the same everywhere."""
    spec = RECIPE.task.spec(plan_of(RECIPE.task, 0.8), street()[0], ())

    def nothing(features):
        return np.zeros(len(features.matrix), dtype=np.float32), np.zeros((len(features.matrix), 3), dtype=np.float32)

    paris = pooling.held_out([replace(street()[0], meter=Meter("a", zone="Europe/Paris"))], nothing, spec, RECIPE, ())
    utc = pooling.held_out([replace(street()[0], meter=Meter("a"))], nothing, spec, RECIPE, ())
    np.testing.assert_array_equal(paris.actual, utc.actual)
    assert set((paris.target_s - utc.target_s).tolist()) <= {3_600, 7_200}


def test_the_typical_day_of_all_is_the_mean_of_their_shapes() -> None:
    """A large meter counts as much as a small one; the level is the one asked for."""
    one, other = street()[:2]
    shapes = [np.array(climatological_profile(table, tiny.LEVELS).cells) for table in (one, other)]
    whole = population_profile([one, replace(other, power_kw=other.power_kw * 50)], tiny.LEVELS, 0.5)
    np.testing.assert_allclose(whole.cells, (shapes[0] + shapes[1]) / 2, atol=1e-4)
    assert whole.scale_kw == 0.5


def test_what_cannot_be_pooled_is_said() -> None:
    """Too few meters, a meter of gaps alone, a task of changes: each with what to do."""
    with pytest.raises(NotEnoughHistory, match=f"at least {LEAST_METERS} are needed"):
        train(street()[:4], RECIPE, lambda _: None)
    blank = replace(street()[0], meter=Meter("blank"), power_kw=np.full(500, np.nan, dtype=np.float32))
    with pytest.raises(NotEnoughHistory, match="meter blank has no reading at all"):
        train((*street(), blank), RECIPE, lambda _: None)
    with pytest.raises(BadParams, match="forecasts changes of the load"):
        plan_of(tiny.TASKS["next_minute"], 0.5)
