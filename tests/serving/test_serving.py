"""Always an answer, never a silent guess: every tier can be reached, and says why no higher one answered."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from registered import COARSE, HOURS, HOUSE, MINUTES, VETO, ask, publish, serving, slot_in

from wattcast.adapters.model_store import FileModelStore
from wattcast.errors import Unavailable
from wattcast.forecasting.bundle import open_bundle
from wattcast.forecasting.families import family_of, learner_keys
from wattcast.forecasting.forecast import Forecast
from wattcast.meter.table import Meter, MeterTable


@pytest.mark.parametrize("task", list(tiny.TASKS))
def test_the_champion_answers(registered: Path, task: str) -> None:
    """The best of the validation answers from the end of the stored readings, with its name, its version and nothing to explain."""
    slot = slot_in(registered, task)
    forecast = serving(registered).forecast(ask(task))
    table = tiny.table_of(task)
    assert (forecast.tier, forecast.reason, forecast.version) == ("champion", "", slot.champion)
    assert forecast.model == family_of(slot.champion_family).title
    assert (forecast.meter, forecast.zone, forecast.task, forecast.origin_s) == ("house", "Europe/Paris", task, table.end_s)
    assert [step.start_s for step in forecast.steps] == [table.end_s + lead * table.step_s for lead in range(tiny.TASKS[task].horizon)]
    assert forecast.data_age_s == HOURS.end_s + 3_600 - table.end_s


def test_what_is_answered_is_what_the_bundle_forecasts(registered: Path) -> None:
    """Serving adds nothing to the model's own mean and quantiles."""
    slot = slot_in(registered)
    (model,) = open_bundle(FileModelStore(registered).bundle(slot.champion)).models
    mean, quantiles = model.forecast(HOURS, len(HOURS))
    forecast = serving(registered).forecast(ask())
    np.testing.assert_allclose([step.mean for step in forecast.steps], mean)
    np.testing.assert_allclose([list(step.quantiles.values()) for step in forecast.steps], quantiles)
    assert all(list(step.quantiles) == list(tiny.LEVELS) for step in forecast.steps)


@pytest.mark.parametrize("task", list(tiny.TASKS))
@pytest.mark.parametrize("family", learner_keys())
def test_the_family_asked_for_answers(registered: Path, task: str, family: str) -> None:
    """Every family of the drop-down answers; the champion's is called the champion."""
    slot = slot_in(registered, task)
    forecast = serving(registered).forecast(ask(task, family=family))
    assert (forecast.version, forecast.model, forecast.reason) == (slot.families[family], family_of(family).title, "")
    assert forecast.tier == ("champion" if family == slot.champion_family else "family")


def test_a_family_that_is_not_there_is_said(store: Path) -> None:
    """A vetoed family gives its reason, an unknown one that there is none; the champion answers."""
    publish(store, HOUSE, {"day_ahead": [tiny.bundle("day_ahead", key) for key in learner_keys()]}, vetoed=("lgbm",))
    service = serving(store)
    vetoed = service.forecast(ask(family="lgbm"))
    assert vetoed.tier == "champion"
    assert vetoed.reason == f"it lost to a baseline on the test: {VETO[0]}"
    assert service.forecast(ask(family="svm")).reason == "there is no svm model for this meter"


@pytest.mark.parametrize(
    ("count", "model"),
    [(10, "the last reading repeated"), (30, "the mean of the same time on the last 7 days")],
)
def test_too_little_history_is_answered_by_what_it_suffices_for(registered: Path, count: int, model: str) -> None:
    """Fewer readings than any model needs: the first baseline that they suffice for, and how many would be needed."""
    forecast = serving(registered).forecast(ask(readings=HOURS.rows(0, count)))
    assert (forecast.tier, forecast.model) == ("baseline", model)
    assert "needs 48 measured readings" in forecast.reason
    assert forecast.origin_s == HOURS.start_s + count * 3_600


def test_one_reading_is_enough_for_the_next_minute(registered: Path) -> None:
    """The champion answers from a single reading, by its own model for that."""
    one = MINUTES.rows(700, 701)
    forecast = serving(registered).forecast(ask("next_minute", readings=one, now_s=one.end_s))
    model = open_bundle(FileModelStore(registered).bundle(forecast.version)).models[1]
    assert (forecast.tier, forecast.reason, forecast.data_age_s) == ("champion", "", 0)
    assert forecast.steps[0].mean == pytest.approx(float(model.forecast(one, 1)[0][0]))


def test_original_fault_1_the_last_reading_counts_and_baselines_stand_beside(registered: Path) -> None:
    """The original forecast a minute ahead without the load itself, and showed no baseline; here the load moves the forecast."""
    one, service = MINUTES.rows(700, 701), serving(registered)
    means = []
    for load in (0.3, 1.3, 2.3):
        reading = replace(one, power_kw=np.full(1, load, dtype=np.float32))
        means.append([service.forecast(ask("next_minute", readings=reading, family=key)).steps[0].mean for key in learner_keys()])
    assert (np.diff(np.array(means), axis=0) > 0.5).all()
    slot = slot_in(registered, "next_minute")
    for bundle in slot.families.values():
        for score in service.records[bundle].tests.values():
            assert {"mae", "rmse"} == score.baselines["persistence"].keys() == score.skill.keys()


def test_without_readings_the_typical_day_answers(registered: Path, store: Path) -> None:
    """No reading stored and none given: the profile answers from now on, with a reason for every tier above it."""
    shutil.rmtree(store / "readings")
    now_s = HOURS.end_s + 5_000
    forecast = serving(store).forecast(ask(now_s=now_s))
    assert (forecast.tier, forecast.model, forecast.version, forecast.data_age_s) == ("profile", "the typical day", "", None)
    assert forecast.origin_s == now_s - now_s % 3_600
    title = family_of(slot_in(registered).champion_family).title
    assert forecast.reason.startswith(f"{title} needs 48 measured readings; ")
    assert forecast.reason.endswith("too few readings for a baseline")
    assert len(forecast.steps) == 24
    assert all(step.quantiles[0.1] <= step.quantiles[0.5] <= step.quantiles[0.9] for step in forecast.steps)


def test_readings_that_measured_nothing_are_none(registered: Path) -> None:
    """Rows of gaps alone: the typical day from their end on."""
    blank = replace(HOURS.rows(0, 60), power_kw=np.full(60, np.nan, dtype=np.float32))
    forecast = serving(registered).forecast(ask(readings=blank))
    assert (forecast.tier, forecast.origin_s, forecast.data_age_s) == ("profile", blank.end_s, None)


def test_stored_readings_that_are_torn_are_said(store: Path) -> None:
    """Half a file of readings does not stop the answer."""
    path = store / "readings" / "house-3600s.npz"
    path.write_bytes(path.read_bytes()[:100])
    forecast = serving(store).forecast(ask())
    assert forecast.tier == "profile"
    assert forecast.reason.startswith("the stored readings cannot be read: these bytes are not a meter table")


def test_with_nothing_at_all_it_is_said(store: Path) -> None:
    """No model, no record, no reading: one refusal that says what to do, and only then."""
    shutil.rmtree(store / "readings")
    shutil.rmtree(store / "records")
    service = serving(store)
    assert not service.ready()
    with pytest.raises(Unavailable, match="no model and no reading can answer day_ahead") as refusal:
        service.forecast(ask())
    assert "make run" in refusal.value.hint
    assert service.forecast(ask(readings=HOURS)).tier == "baseline"


def test_a_baseline_without_a_record_has_the_spread_of_its_readings(store: Path) -> None:
    """Where no record tells how far a baseline was off, the readings do; where they are too few, the quantiles do not pretend to know."""
    shutil.rmtree(store / "records")
    step = serving(store).forecast(ask()).steps[0]
    assert step.quantiles[0.1] < step.quantiles[0.5] < step.quantiles[0.9]
    few = serving(store).forecast(ask(readings=HOURS.rows(0, 24))).steps[0]
    assert set(few.quantiles.values()) == {few.mean}


def test_a_skipped_task_says_why_and_answers_all_the_same(registered: Path) -> None:
    """The barn has hours alone: the next minute is answered by the typical day or a reading typed in, never with another task's spread."""
    service = serving(registered)
    forecast = service.forecast(ask("next_minute", meter="barn"))
    assert (forecast.tier, forecast.reason) == ("profile", f"{COARSE}; too few readings for a baseline")
    typed = service.forecast(ask("next_minute", meter="barn", readings=MINUTES.rows(0, 1), family="xgb"))
    assert (typed.tier, typed.model, typed.reason) == ("baseline", "the last reading repeated", COARSE)
    assert set(typed.steps[0].quantiles.values()) == {typed.steps[0].mean}
    assert typed.meter == "barn"


def test_where_every_family_was_vetoed_a_baseline_answers(store: Path) -> None:
    """No champion and no champion before: the baseline, with the spread of the bundle that stands by."""
    publish(store, Meter("shed"), {"day_ahead": [tiny.bundle("day_ahead", "rf")]}, vetoed=("rf",))
    service = serving(store)
    assert service.ready()
    forecast = service.forecast(ask(meter="shed", readings=HOURS))
    assert (forecast.tier, forecast.reason) == ("baseline", "")
    assert forecast.steps[0].quantiles[0.1] < forecast.steps[0].mean
    assert service.forecast(ask(meter="shed", readings=HOURS, family="rf")).reason == f"it lost to a baseline on the test: {VETO[0]}"


def test_readings_without_covariates_are_answered(registered: Path) -> None:
    """A meter that measures its load alone gets an answer from the same model."""
    bare = MeterTable(Meter("typed"), MINUTES.start_s, 60, MINUTES.power_kw)
    forecast = serving(registered).forecast(ask("next_minute", readings=bare))
    assert (forecast.tier, forecast.meter, forecast.zone) == ("champion", "house", "Europe/Paris")
    padded = serving(registered).forecast(ask("next_minute", readings=MINUTES, origin_s=MINUTES.end_s + 60))
    assert padded.tier == "profile"
    assert "needs the last reading before the origin" in padded.reason


def test_health_says_what_is_loaded(registered: Path) -> None:
    """Ready, with serial, meters and how many bundles: three families and the champion before, twice; the barn shares one of them."""
    assert serving(registered).health() == {
        "ready": True,
        "serial": 3,
        "meters": ["barn", "house"],
        "loaded": 12,
        "refused": {},
        "held_back": {},
    }


def test_what_a_bundle_was_trained_on_is_known(registered: Path) -> None:
    """The page can say from when to when a model learnt; of a bundle that is not loaded nothing is said."""
    service = serving(registered)
    manifest = open_bundle(tiny.bundle("day_ahead", "rf")).manifest
    assert service.trained_on(slot_in(registered).families["rf"]) == (manifest.train_start_s, manifest.train_end_s)
    assert service.trained_on("0" * 64) is None


def test_the_path_of_an_answer_imports_no_learner(registered: Path) -> None:
    """Loading every bundle and answering needs neither xgboost, lightgbm, polars, pandas nor onnx."""
    code = (
        "import sys; from pathlib import Path; from wattcast.adapters.files import FileSnapshots\n"
        "from wattcast.adapters.model_store import FileModelStore\n"
        "from wattcast.serving import Ask, ForecastService\n"
        "folder = Path(sys.argv[1]); service = ForecastService(FileModelStore(folder), FileSnapshots(folder)); service.load()\n"
        "print(*(service.forecast(Ask('house', task, 10**10)).tier for task in ('day_ahead', 'next_minute')))\n"
        "print(*sorted({'xgboost', 'lightgbm', 'polars', 'pandas', 'onnx', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    told = subprocess.run([sys.executable, "-c", code, registered], capture_output=True, text=True, check=True).stdout
    assert told.splitlines() == ["champion champion", ""]


def test_a_forecast_is_json_as_it_stands(registered: Path) -> None:
    """What the service gives goes out as it is: every number finite, every time in the meter's zone."""
    forecast: Forecast = serving(registered).forecast(ask())
    told = forecast.to_json()
    assert told["steps"][0]["start"] == "2010-03-02T01:00:00+01:00"
    assert np.isfinite([[step["mean"], *step["quantiles"].values()] for step in told["steps"]]).all()
