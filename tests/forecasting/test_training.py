"""Training sees the training span only, gives the same bytes for the same inputs, and refuses what it cannot learn from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from wattcast.errors import BadBundle, BadParams, NotEnoughHistory
from wattcast.forecasting import training
from wattcast.forecasting.backtest import first_test_row, scored_test
from wattcast.forecasting.bundle import open_bundle
from wattcast.forecasting.families import learner_keys, learner_of
from wattcast.forecasting.metrics import score
from wattcast.forecasting.spec import Recent, Seasonal
from wattcast.forecasting.tasks import Effort, ModelPlan, Task
from wattcast.forecasting.training import Recipe, train
from wattcast.meter.table import Meter, MeterTable

SETTINGS = {
    "xgb": {"rounds": 30, "max_depth": 3, "eta": 0.2},
    "rf": {"trees": 12, "max_depth": 6, "min_child_weight": 5, "subsample": 0.6, "reg_lambda": 0},
    "lgbm": {"rounds": 30, "num_leaves": 7, "min_data_in_leaf": 10, "learning_rate": 0.2},
    "extra": {"rounds": 90, "num_leaves": 15, "min_data_in_leaf": 10, "learning_rate": 0.2},
    "ridge": {"penalty": 0.01},
}
TASK = Task(
    resolution_s=3600,
    horizon=24,
    target="level",
    models=(
        ModelPlan(
            "history",
            48,
            (Recent("power_kw", offsets=(0,), means=(24,)),),
            (Seasonal(days=(1, 2, 7), means=(tuple(range(1, 8)), tuple(range(1, 29)))),),
        ),
    ),
    baselines=("mean_7_days", "daily_naive"),
    embargo_steps=24,
    efforts={"fast": Effort(4000, 2, 1500)},
    leads_per_origin=4,
)


def days(count: int = 80, seed: int = 0) -> MeterTable:
    """Hours with a daily shape, livelier weekends and noise, some of them missing."""
    hour = np.arange(24 * count)
    power = 1 + np.sin(hour / 24 * 2 * np.pi) + 0.8 * ((hour // 24 + 4) % 7 >= 5) + np.random.default_rng(seed).normal(0, 0.4, len(hour))
    power[::31] = np.nan
    return MeterTable(Meter("house", zone="Europe/Paris", flow="net", holidays="FR"), 1_262_304_000, 3600, power.astype(np.float32))


def recipe(family: str = "lgbm", task: Task = TASK) -> Recipe:
    """A training of seconds."""
    return Recipe("day_ahead", task, learner_of(family), SETTINGS[family], task.efforts["fast"], (0.1, 0.5, 0.9), 0.8, seed=5, threads=1)


def trained(table: MeterTable, with_recipe: Recipe | None = None) -> bytes:
    """The bundle's bytes."""
    return train(table, first_test_row(table, 0.8), with_recipe or recipe(), lambda _: None).data


def test_nothing_of_the_test_span_reaches_the_bundle() -> None:
    """Selection, calibration and fitting use the training span: with other readings after it the bytes are the same."""
    table = days()
    first = first_test_row(table, 0.8)
    other = np.where(np.arange(len(table)) < first, table.power_kw, np.float32(1e9))
    assert trained(table) == trained(replace(table, power_kw=other))


@pytest.mark.parametrize("family", learner_keys())
def test_every_family_beats_its_baselines_on_days_it_never_saw(family: str) -> None:
    """On a house with a daily shape, each family has less error than the 7-day mean, and its interval holds about its share."""
    table = days(240)
    bundle = open_bundle(trained(table, recipe(family)))
    assert bundle.manifest.family == family
    rows = scored_test({family: bundle.models[0]}, table, first_test_row(table, 0.8), TASK.baselines, (0.1, 0.5, 0.9))[family]
    result = score(rows)
    assert result.n > 3000
    assert (rows.target_s >= bundle.manifest.train_end_s).all()
    assert result.losing_to() == []
    assert result.coverage == pytest.approx(0.8, abs=0.08)
    assert bundle.models[0].facts.validation.n > 0


def test_the_bundle_says_what_it_was_trained_on() -> None:
    """Span, rows, largest load, hash of the data, holidays of the country, versions and settings are in the manifest."""
    table = days()
    manifest = open_bundle(trained(table)).manifest
    first = first_test_row(table, 0.8)
    assert (manifest.train_start_s, manifest.train_end_s) == (table.start_s, table.start_s + first * 3600)
    assert manifest.train_rows == int(np.isfinite(table.power_kw[:first]).sum())
    assert manifest.largest_kw == pytest.approx(float(np.nanmax(table.power_kw[:first])))
    assert manifest.data_sha256 == table.rows(0, first).sha256()
    assert 733_773 in manifest.models[0].spec.holidays  # 2010-01-01
    assert {"numpy", "onnx", "lightgbm"} <= manifest.versions.keys()
    assert manifest.params["settings"] == SETTINGS["lgbm"]


def test_training_targets_keep_their_distance_from_what_is_scored(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embargo lies between the last training target and the block that is validated, and before the test."""
    seen: list[int] = []
    whole = training.fit

    def watched(known: MeterTable, *rest: Any) -> Any:
        seen.append(len(known))
        return whole(known, *rest)

    monkeypatch.setattr(training, "fit", watched)
    table = days()
    trained(table)
    known = first_test_row(table, 0.8)
    assert seen == [int(known * 0.8) - 24, int(known * 0.9) - 24, known - 24]


def test_too_little_history_is_refused() -> None:
    """A span from which nothing can be learned is one clear refusal."""
    with pytest.raises(NotEnoughHistory, match="day_ahead"):
        trained(days(3))


def test_heads_that_disagree_give_no_bundle(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where ONNX and the library differ by more than 1e-4 kW, there is an error with the figure instead of a bundle."""
    monkeypatch.setattr(training, "disagreement", lambda *_: 0.01)
    with pytest.raises(BadBundle, match="LightGBM Regressor: ONNX and native heads differ"):
        trained(days())


@pytest.mark.parametrize("family", sorted(SETTINGS))
def test_a_building_of_megawatts_can_be_trained_for(family: str) -> None:
    """Float32 heads of ten megawatts agree to a millionth of the load, not to a ten-thousandth of a kW."""
    table = days()
    assert trained(replace(table, power_kw=table.power_kw * 3_000), recipe(family))


def test_a_column_that_the_meter_lacks_is_left_out() -> None:
    """A plan that names voltage trains on a meter without, and says so in its feature names."""
    plan = ModelPlan("history", 1, (Recent("power_kw", offsets=(0,)), Recent("voltage_v", offsets=(0,))), calendar=("hour",))
    bundle = open_bundle(trained(days(), recipe(task=replace(TASK, models=(plan,)))))
    assert bundle.manifest.models[0].spec.names == ("lead", "power_kw[-0]", "hour")


def test_an_unknown_holiday_country_is_one_clear_refusal() -> None:
    """A country that no calendar knows is named, with what a code looks like."""
    table = days()
    with pytest.raises(BadParams, match='holidays of "Atlantis"'):
        trained(replace(table, meter=Meter("house", holidays="Atlantis")))
