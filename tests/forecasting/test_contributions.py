"""What stands behind a forecast: parts in kW that sum to its mean, grouped in words by what they look at."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
import tiny
from street import pooled, street

from wattcast.errors import BadBundle, NotEnoughHistory, Unavailable
from wattcast.forecasting import contributions
from wattcast.forecasting.backtest import first_test_row
from wattcast.forecasting.baselines import baselines
from wattcast.forecasting.blending import merged, models_of
from wattcast.forecasting.bundle import Bundle, open_bundle
from wattcast.forecasting.contributions import GROUPS, explain, feature_groups, unexplained
from wattcast.forecasting.families import BLEND, learner_keys, learner_of
from wattcast.forecasting.features import build_features
from wattcast.forecasting.spec import CALENDAR, WAVES, FeatureSpec, Known, Recent, Scale, Seasonal
from wattcast.forecasting.star import for_meter
from wattcast.forecasting.training import packed, train

FAMILIES = ("xgb", "rf", "lgbm")
TOLERANCE_KW = 1e-4
SETTINGS = {"ridge": {"penalty": 1.0}, "extra": tiny.SETTINGS["lgbm"], **tiny.SETTINGS}


def opened(task: str = "day_ahead", family: str = "xgb") -> Bundle:
    """A tiny bundle with its native files."""
    return open_bundle(tiny.bundle(task, family), native=True)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("task", ["next_minute", "day_ahead"])
def test_the_parts_sum_to_the_mean_forecast(task: str, family: str) -> None:
    """Within 1e-4 kW at every step, from origins with gaps, with features not known, and early ones that a poorer model answers."""
    bundle, table = opened(task, family), tiny.table_of(task)
    unknown, models = 0, set()
    for row in (5, 49, 60, 300, 1_000, len(table)):
        model = next((model for model in bundle.models if model.can_answer(table, row)), None)
        if model is None:
            continue
        mean, _ = model.forecast(table, row)
        why = explain(bundle, table, row)
        given_out = np.maximum(mean, 0) if table.meter.flow == "consumption" else mean
        np.testing.assert_allclose(why.mean, given_out, rtol=0, atol=TOLERANCE_KW)
        unknown += int(np.isnan(build_features(table, np.array([row]), model.facts.spec).matrix).sum())
        models.add(model.facts.name)
    assert unknown > 0
    assert models == {model.facts.name for model in bundle.models}


@pytest.mark.parametrize("family", learner_keys())
def test_a_familys_parts_sum_to_its_own_mean_head(family: str) -> None:
    """Also where half of the features are not known, the random forest's trees all counted."""
    chance = np.random.default_rng(5)
    matrix = chance.normal(0, 1, (600, 7)).astype(np.float32)
    targets = (2 + matrix[:, 0] - np.abs(matrix[:, 1])).astype(np.float32)
    matrix[chance.random(matrix.shape) < 0.2] = np.nan
    learner = learner_of(family)
    fitted = learner.fit(matrix, targets, tiny.LEVELS, SETTINGS[family], threads=1, seed=3, progress=lambda _: None)
    (native,) = (data for name, data in fitted.native.items() if name.startswith("mean."))
    matrix[chance.random(matrix.shape) < 0.3] = np.nan
    parts = learner.contributions(native, matrix)
    assert parts.shape == (600, 8)
    np.testing.assert_allclose(parts.sum(axis=1), fitted.predict_native(matrix)[:, 0], rtol=0, atol=TOLERANCE_KW)
    assert np.ptp(parts[:, -1]) == 0
    np.testing.assert_allclose(parts[:, -1], targets.mean(), atol=0.35)


def test_a_change_starts_from_the_last_reading() -> None:
    """What counts from the last reading says so in a group of its own, of that reading's kW."""
    table = tiny.table_of("next_minute")
    why = explain(opened("next_minute"), table, len(table))
    assert list(why.groups) == ["the last reading", "base", "last minutes", "calendar"]
    assert why.groups["the last reading"] == pytest.approx([table.power_kw[-1]])
    assert abs(why.groups["base"][0]) < 0.1


@pytest.mark.parametrize("flow", ["consumption", "net"])
def test_a_mean_below_zero_is_raised_as_it_is_given_out(flow: Literal["consumption", "net"], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the meter measures consumption, a group of its own raises the steps that lie below zero to zero, and no others."""
    table, bundle = tiny.table_of("day_ahead"), opened()
    table = replace(table, meter=replace(table.meter, flow=flow))
    below = explain(bundle, table, len(table)).mean
    shift, parts = float(np.median(below)), contributions._parts
    monkeypatch.setattr(contributions, "_parts", lambda *rest: parts(*rest) - shift * (np.arange(rest[2].shape[1] + 1) == rest[2].shape[1]))
    monkeypatch.setattr(contributions, "disagreement", lambda *_: 0.0)
    why = explain(bundle, table, len(table))
    if flow == "net":
        np.testing.assert_allclose(why.mean, below - shift)
    else:
        assert list(why.groups)[-1] == "raised to zero"
        np.testing.assert_allclose(why.mean, np.maximum(below - shift, 0), atol=1e-12)
        np.testing.assert_allclose(why.groups["raised to zero"], np.maximum(shift - below, 0))


def test_a_level_starts_from_the_base() -> None:
    """Groups stand in the order in which they are read, a number per step, without the groups that the model has no feature of."""
    table = tiny.table_of("day_ahead")
    why = explain(opened(), table, len(table))
    assert list(why.groups) == ["base", "last hours", "yesterday", "last week", "calendar"]
    assert {len(parts) for parts in why.groups.values()} == {24}
    assert np.ptp(why.groups["base"]) == 0
    said = why.to_json()
    assert said["unit"] == "kW"
    np.testing.assert_allclose(np.sum(list(said["groups"].values()), axis=0), why.mean, atol=1e-5)


def test_a_deviation_starts_from_the_usual_day() -> None:
    """The first group is the usual day, in kW; with the others it sums to the mean."""
    table = tiny.table_of("day_ahead")
    task = replace(tiny.TASKS["day_ahead"], target="deviation")
    bundle = open_bundle(tiny.train_on(table, tiny.recipe("day_ahead", "lgbm", task=task)), native=True)
    why = explain(bundle, table, len(table))
    spec = bundle.models[0].facts.spec
    assert list(why.groups)[:2] == ["the usual day", "base"]
    usual = baselines(table, np.array([len(table)]), spec, ("usual_day",))["usual_day"]
    np.testing.assert_allclose(why.groups["the usual day"], usual, rtol=1e-6)
    mean, _ = bundle.models[0].forecast(table, len(table))
    np.testing.assert_allclose(why.mean, mean, rtol=0, atol=TOLERANCE_KW)


def test_a_blend_is_the_mean_of_its_members() -> None:
    """Native files in folders named by family: their parts are averaged, a linear member among them."""
    table = tiny.table_of("day_ahead")
    first = first_test_row(table, tiny.TRAIN_SHARE)
    bundles, models = {}, {}
    for key in ("xgb", "lgbm", "ridge"):
        recipe = replace(tiny.recipe("day_ahead", "xgb"), family=learner_of(key), settings=SETTINGS[key])
        trained = train(table, first, recipe, lambda _: None)
        bundles[key] = open_bundle(trained.data, native=True)
        models[key] = models_of(bundles[key], trained.held_out)[0]
    data = packed(table.rows(0, first), [merged(models)], "day_ahead", BLEND.key, ("daily_naive",), {}).data
    blend = open_bundle(data, native=True)
    why = explain(blend, table, len(table))
    np.testing.assert_allclose(why.mean, blend.models[0].forecast(table, len(table))[0], rtol=0, atol=TOLERANCE_KW)
    alone = [explain(bundle, table, len(table)) for bundle in bundles.values()]
    for name, parts in why.groups.items():
        np.testing.assert_allclose(parts, np.mean([each.groups[name] for each in alone], axis=0), atol=1e-6)


def test_a_model_of_all_meters_is_taken_apart_in_the_meters_own_kw() -> None:
    """What it says in shares of a load counts in kW, on the meter's clock, and with the yearly use that the forecast was asked for with."""
    bundle, table = open_bundle(pooled().data, native=True), street()[2]
    means = []
    for yearly_kwh in (None, 9_000.0):
        why = explain(bundle, table, 30, yearly_kwh)
        means.append(for_meter(bundle.models[0], table.meter, yearly_kwh).forecast(table, 30)[0])
        np.testing.assert_allclose(why.mean, means[-1], rtol=0, atol=TOLERANCE_KW)
    assert np.abs(means[0] - means[1]).max() > 0.05


def test_every_feature_belongs_to_a_group_in_words() -> None:
    """By what a feature looks at: how far back, the calendar, or what is known ahead."""
    spec = FeatureSpec(
        60,
        2,
        "UTC",
        recent=(
            Recent("power_kw", (0, 60, 61), (5, 1440, 1441), (30,), (15,), (120,), event=0.3, events=2, counts=(15, 360)),
            Recent("sub1_wh", level=2.5, runs=2),
        ),
        seasonal=(
            Seasonal(days=(1, 2, 7, 8), hours=(3, 24, 47, 48), means=((1,), (1, 2), (1, 7, 14)), kinds=(7, 28)),
            Seasonal("voltage_v", days=(1,)),
            Seasonal(days=(8,), means=((1, 2),), kinds=(56,), nearby=1, half_life=3.5),
        ),
        known=(Known("temperature_c", (0, -1), (24,)),),
        calendar=(*CALENDAR, "weekdays", "year"),
        scale=Scale(28, 0.5, 0.5),
    )
    assert dict(zip(spec.names, feature_groups(spec), strict=True)) == {
        "lead": "calendar",
        "power_kw[-0]": "last minutes",
        "power_kw[-60]": "last minutes",
        "power_kw[-61]": "last hours",
        "power_kw.mean5": "last minutes",
        "power_kw.mean1440": "last hours",
        "power_kw.mean1441": "yesterday",
        "power_kw.spread30": "last minutes",
        "power_kw.min15": "last minutes",
        "power_kw.max15": "last minutes",
        "power_kw.change120": "last hours",
        "power_kw.event0.3_age": "last minutes",
        "power_kw.event0.3_size": "last minutes",
        "power_kw.event0.3_1_age": "last minutes",
        "power_kw.event0.3_1_size": "last minutes",
        "power_kw.event0.3_run": "last minutes",
        "power_kw.event0.3_count15": "last minutes",
        "power_kw.event0.3_count360": "last hours",
        "sub1_wh.above2.5_age": "last minutes",
        "sub1_wh.above2.5_run1": "last minutes",
        "sub1_wh.above2.5_run2": "last minutes",
        "sub1_wh.above2.5_left": "last minutes",
        "sub1_wh.above2.5_mean": "last minutes",
        "sub1_wh.above2.5_echo": "last minutes",
        "days1": "yesterday",
        "days2": "last week",
        "days7": "last week",
        "days8": "earlier weeks",
        "hours3": "last hours",
        "hours24": "yesterday",
        "hours47": "yesterday",
        "hours48": "last week",
        "mean_days1to1by1": "yesterday",
        "mean_days1to2by1": "last week",
        "mean_days1to14by6": "earlier weeks",
        "mean_kind7": "last week",
        "mean_kind28": "earlier weeks",
        "voltage_v.days1": "yesterday",
        "days8~1/3.5": "earlier weeks",
        "mean_days1to2by1~1/3.5": "last week",
        "mean_kind56~1/3.5": "earlier weeks",
        "temperature_c[+0]": "weather and plans",
        "temperature_c[+1]": "weather and plans",
        "temperature_c.known_mean24": "weather and plans",
        "hour": "calendar",
        "weekday": "calendar",
        "day_of_year": "calendar",
        "holiday": "calendar",
        **{f"weekday_{number}": "calendar" for number in range(7)},
        **{f"year_{wave}": "calendar" for wave in WAVES},
        "measured_days": "earlier weeks",
    }


def test_readings_of_hours_have_no_last_minutes() -> None:
    """The shortest word is that of the readings; a window of a week is last week."""
    spec = FeatureSpec(3600, 1, "UTC", recent=(Recent("power_kw", (0, 24), (24, 168, 169), event=1.0),), calendar=())
    assert feature_groups(spec) == (*["last hours"] * 3, "last week", "earlier weeks", *["last hours"] * 3)


@pytest.mark.parametrize("task", tiny.TASKS)
def test_every_feature_of_a_task_has_one_group(task: str) -> None:
    """As many groups as names, each of them known."""
    for model in opened(task).manifest.models:
        groups = feature_groups(model.spec)
        assert len(groups) == len(model.spec.names)
        assert set(groups) <= set(GROUPS)


def test_an_origin_after_the_readings_is_explained() -> None:
    """The readings that are missing are not known; the parts are those of the forecast from there."""
    bundle, table = opened(), tiny.table_of("day_ahead")
    blank = np.full(5, np.nan, dtype=np.float32)
    longer = replace(table, power_kw=np.concatenate([table.power_kw, blank]))
    mean, _ = bundle.models[0].forecast(longer, len(longer))
    np.testing.assert_allclose(explain(bundle, table, len(table) + 5).mean, mean, rtol=0, atol=TOLERANCE_KW)


def test_too_few_readings_are_said() -> None:
    """Where no model of the bundle can answer, nothing is explained."""
    with pytest.raises(NotEnoughHistory, match="needs 48 measured readings"):
        explain(opened(), tiny.table_of("day_ahead"), 5)


def test_what_no_model_answered_has_no_parts() -> None:
    """A baseline is named as the one who answered."""
    said = unexplained("the last reading repeated")
    assert said["groups"] == {}
    assert "the last reading repeated" in said["reason"]


@pytest.mark.parametrize(("family", "library"), [("xgb", "xgboost"), ("rf", "xgboost"), ("lgbm", "lightgbm")])
def test_a_library_that_is_missing_is_named_with_what_to_install(family: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unavailable, with the extra that brings it."""
    bundle = opened(family=family)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(Unavailable, match=library) as refused:
        explain(bundle, tiny.table_of("day_ahead"), 300)
    assert 'pip install "wattcast[explain]"' in refused.value.hint


def test_parts_that_do_not_sum_to_the_mean_are_never_shown() -> None:
    """Another head in the place of the native mean: refused."""
    other = {"history/mean.ubj": opened().members["history/quantile_0.9.ubj"]}
    planted = tiny.repacked(tiny.bundle("day_ahead", "xgb"), other)
    with pytest.raises(BadBundle, match="miss its mean forecast by"):
        explain(open_bundle(planted, native=True), tiny.table_of("day_ahead"), 300)


@pytest.mark.parametrize(("family", "name"), [("xgb", "history/mean.ubj"), ("lgbm", "history/mean.txt")])
@pytest.mark.parametrize("native", [b"", b"{}", b"tree\nversion=v4\n", b"\xff\x00nonsense"])
def test_a_native_head_that_is_none_is_refused(family: str, name: str, native: bytes) -> None:
    """Whatever the library says of it, one BadBundle."""
    planted = tiny.repacked(tiny.bundle("day_ahead", family), {name: native})
    with pytest.raises(BadBundle):
        explain(open_bundle(planted, native=True), tiny.table_of("day_ahead"), 300)


def test_a_head_of_other_features_is_refused() -> None:
    """A native head that takes more or fewer features than the spec makes."""
    foreign = open_bundle(tiny.bundle("next_minute", "lgbm"), native=True).members["history/mean.txt"]
    planted = tiny.repacked(tiny.bundle("day_ahead", "lgbm"), {"history/mean.txt": foreign})
    with pytest.raises(BadBundle):
        explain(open_bundle(planted, native=True), tiny.table_of("day_ahead"), 300)


def test_a_family_that_nobody_knows_is_refused() -> None:
    """A member's folder that names no family, and a model without a native mean head."""
    bundle, table, name = opened(), tiny.table_of("day_ahead"), "history/oracle/mean.ubj"
    facts = bundle.manifest.models[0]
    of_oracle = replace(bundle.manifest, models=(replace(facts, native=(name,)),))
    with pytest.raises(BadBundle, match='"oracle" is no family'):
        explain(replace(bundle, manifest=of_oracle, members={**bundle.members, name: b""}), table, 300)
    without = replace(bundle.manifest, models=(replace(facts, native=()),))
    with pytest.raises(BadBundle, match="has no mean head"):
        explain(replace(bundle, manifest=without), table, 300)
