"""What settings are worth is judged inside the training span alone, and what is tried is what would be written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tiny

from wattcast.errors import NotEnoughHistory, NothingToScore
from wattcast.forecasting import tuning
from wattcast.forecasting.backtest import first_test_row
from wattcast.forecasting.bundle import open_bundle
from wattcast.forecasting.families import learner_keys, learner_of
from wattcast.forecasting.training import train
from wattcast.forecasting.tuning import Found, Range, Search, Trial, found_by, search_of, space_of, trace_lines
from wattcast.meter.table import MeterTable

DAY_AHEAD = tiny.TASKS["day_ahead"]
STATED = {"rounds": 30, "tail_rounds": 10, "learning_rate": 0.12345, "num_leaves": 7, "max_bin": 31, "min_data_in_leaf": 10}


def search(table: MeterTable | None = None, settings: Mapping[str, Any] = STATED, family: str = "lgbm", **changes: Any) -> Search:
    """A search of a second or so a trial."""
    return search_of(table or tiny.hour_table(), tiny.recipe("day_ahead", family, settings=settings, **changes))


def with_test_span(table: MeterTable, value: float) -> MeterTable:
    """The table with every reading of the test replaced."""
    power = table.power_kw.copy()
    power[first_test_row(table, tiny.TRAIN_SHARE) :] = value
    return replace(table, power_kw=power)


def point(of: Search, **values: float) -> dict[str, float]:
    """Where the search stands, with these values in place of its own."""
    return {**of.here, **values}


@pytest.mark.parametrize("family", learner_keys())
def test_every_family_has_a_space_of_its_own_settings(family: str) -> None:
    """Each that learns can be tuned, in settings that its library knows."""
    assert set(tuning.SPACES) == set(learner_keys())
    assert {each.name for each in tuning.SPACES[family]} <= set(learner_of(family).settings)
    assert all(each.low < each.high and (each.low > 0 or not each.log) for each in tuning.SPACES[family])


@pytest.mark.parametrize("family", learner_keys())
@pytest.mark.parametrize("corner", ["low", "high"])
def test_the_corners_of_a_space_can_be_fitted(family: str, corner: str) -> None:
    """Whatever a sampler proposes, the library takes, and the heads answer."""
    whole = search(settings=tiny.SETTINGS[family], family=family)
    settings = whole.settings_at({each.name: getattr(each, corner) for each in whole.space})
    assert settings.keys() >= tiny.SETTINGS[family].keys()
    assert 0 < next(whole.errors(settings)) < 100


def test_nothing_of_the_test_span_changes_what_a_trial_is_worth() -> None:
    """With 1e9 in place of every reading after the training span, each block of a trial errs the same, and the study is the same."""
    table = tiny.hour_table()
    whole, other = search(table), search(with_test_span(table, 1e9))
    assert len(whole.known) == first_test_row(table, tiny.TRAIN_SHARE)
    assert list(whole.errors(STATED)) == list(other.errors(STATED))
    assert whole.digest == other.digest


def test_readings_that_trials_see_do_count() -> None:
    """The promise above is worth something: a change inside the training span is seen."""
    table = tiny.hour_table()
    power = table.power_kw.copy()
    power[first_test_row(table, tiny.TRAIN_SHARE) - 100 :] *= 2
    other = search(replace(table, power_kw=power))
    assert list(other.errors(STATED)) != list(search(table).errors(STATED))
    assert other.digest != search(table).digest


@pytest.mark.parametrize("task", ["day_ahead", "next_minute"])
def test_a_trial_says_what_the_validation_of_the_training_says(task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the training's own blocks the error is that of the bundle's validation, for the model that families are compared by."""
    monkeypatch.setattr(tuning, "_BLOCKS", 1)
    table, effort = tiny.table_of(task), replace(DAY_AHEAD.efforts["fast"], validation_blocks=2)
    recipe = tiny.recipe(task, "lgbm", effort=effort)
    bundle = open_bundle(train(table, first_test_row(table, tiny.TRAIN_SHARE), recipe, lambda _: None).data)
    errors = list(search_of(table, recipe).errors(recipe.settings))
    assert len(errors) == 2
    assert errors[-1] == pytest.approx(bundle.models[0].facts.validation.relative_error, rel=1e-5)


def test_a_trial_tells_its_error_block_by_block() -> None:
    """Four blocks where half of the span has room for them; what the first ones say is not changed by those that follow."""
    whole = search()
    errors = list(whole.errors(STATED))
    assert whole.blocks == len(errors) == 4
    assert len(set(errors)) == 4
    assert next(whole.errors(STATED)) == errors[0]
    wide = search(task=replace(DAY_AHEAD, validation_share=0.3))
    assert wide.blocks == len(list(wide.errors(STATED))) == 1


def test_better_settings_err_less() -> None:
    """The error tells good settings from hopeless ones."""
    whole = search()
    good, hopeless = ([*whole.errors({**STATED, "learning_rate": rate})][-1] for rate in (0.2, 0.001))
    assert good < 2 < hopeless


def test_the_settings_one_starts_from_are_tried_as_they_are() -> None:
    """Not even rounded, or what is compared with is not what params.yaml states."""
    whole = search()
    assert whole.settings_at(whole.here) == STATED
    assert whole.here["feature_fraction"] == 1.0


def test_what_is_tried_can_be_written() -> None:
    """Three digits, whole numbers; what is not searched stays; outer quantiles keep their share of the rounds."""
    whole = search()
    tried = whole.settings_at(point(whole, rounds=21, learning_rate=0.0123456, num_leaves=9.0, feature_fraction=0.66666))
    assert tried == {**STATED, "rounds": 21, "tail_rounds": 7, "learning_rate": 0.0123, "num_leaves": 9, "feature_fraction": 0.667}
    assert isinstance(tried["num_leaves"], int)


def test_the_settings_of_the_first_model_are_the_ones_searched() -> None:
    """Where a model has settings of its own, they count for it alone."""
    nested = {**STATED, "history": {"num_leaves": 15}, "one_reading": {"num_leaves": 4}}
    assert search(settings=nested).recipe.settings == {**STATED, "num_leaves": 15}


def test_a_space_holds_what_is_stated() -> None:
    """It reaches to a setting outside it, evenly where a logarithm cannot; a preset's rounds are as far as it goes, or what is allowed."""
    stated = {"rounds": 40, "eta": 0.9, "min_child_weight": 0, "max_depth": "6"}
    space = {each.name: each for each in space_of("xgb", stated)}
    assert (space["eta"].low, space["eta"].high, space["eta"].log) == (0.01, 0.9, True)
    assert (space["min_child_weight"].low, space["min_child_weight"].log) == (0, False)
    assert (space["rounds"].low, space["rounds"].high) == (13, 40)
    assert {"max_depth", "median_rounds"} & space.keys() == set()
    allowed = space_of("xgb", stated, most_rounds=200)[0]
    assert (allowed.low, allowed.high) == (40, 200)
    assert space_of("xgb", {"rounds": 40, "median_rounds": 60})[1] == Range("median_rounds", 20, 60, None, whole=True, log=True)


OTHERS: dict[str, dict[str, Any]] = {
    "the seed": {"seed": 2},
    "a setting that is not searched": {"settings": {**STATED, "max_bin": 63}},
    "the embargo": {"task": replace(DAY_AHEAD, embargo_steps=30)},
    "features": {"task": replace(DAY_AHEAD, models=(replace(DAY_AHEAD.models[0], calendar=()),))},
    "rows": {"effort": replace(DAY_AHEAD.efforts["fast"], validation_max_rows=900)},
}


@pytest.mark.parametrize("what", OTHERS)
def test_only_trials_that_compare_share_a_study(what: str) -> None:
    """Whatever else an error depends on gives another digest; the settings searched and those of outer quantiles do not."""
    assert search(**OTHERS[what]).digest != search().digest
    assert search(settings={**STATED, "num_leaves": 15, "tail_rounds": 20}).digest == search().digest


def test_where_nothing_can_be_better_tuning_is_refused() -> None:
    """A load that never varies, and a file too short to learn from, are one clear refusal each."""
    whole = tiny.hour_table()
    with pytest.raises(NothingToScore, match="a baseline makes no error"):
        list(search(replace(whole, power_kw=np.ones_like(whole.power_kw))).errors(STATED))
    with pytest.raises(NothingToScore, match="whole forecast of day_ahead"):
        list(search(whole.rows(0, 24 * 12)).errors(STATED))
    with pytest.raises(NotEnoughHistory, match="day_ahead"):
        list(search(replace(whole, power_kw=np.where(np.arange(len(whole)) < 600, np.float32(np.nan), whole.power_kw))).errors(STATED))


def test_a_block_without_readings_is_passed_over() -> None:
    """A meter that was off for a while can still be tuned for."""
    whole = tiny.hour_table()
    rows = np.arange(len(whole))
    off = np.where((rows > 680) & (rows < 810), np.float32(np.nan), whole.power_kw)
    assert len(list(search(replace(whole, power_kw=off)).errors(STATED))) == 3


def trial(number: int, error: float | None, state: tuning.State = "complete", **settings: Any) -> Trial:
    return Trial(number, state, error, {**STATED, **settings}, 1.0)


def test_the_best_is_the_best_whole_trial() -> None:
    """Beside the settings of params.yaml; those win a tie; what was pruned early never wins."""
    now, better, pruned = trial(0, 1.6), trial(1, 1.2, num_leaves=9), trial(2, 0.9, "pruned", num_leaves=11)
    found = found_by([now, better, pruned], STATED)
    assert (found.now, found.best, found.gain) == (now, better, pytest.approx(0.25))
    assert "trial 1 has 1.2000: 25.00% less" in found.in_words
    assert found.counts == "3 trials: 2 complete, 1 pruned"
    tied = found_by([trial(0, 1.6, num_leaves=9), trial(1, 1.6)], STATED)
    assert tied.best is tied.now is not None
    assert tied.in_words == "nothing better was found than what is in params.yaml, whose error is 1.6000"


def test_without_the_settings_of_params_yaml_there_is_no_gain() -> None:
    """A study that was stopped at once claims nothing."""
    found = found_by([trial(0, None, "failed"), trial(1, 1.2, num_leaves=9)], STATED)
    assert (found.now, found.gain) == (None, None)
    assert "no settings can be compared" in found.in_words
    assert found_by([], STATED) == Found((), None, None)
    assert found.counts == "2 trials: 1 complete, 0 pruned, 1 not finished"


def test_a_trace_names_every_trial() -> None:
    """One row of Markdown each, with its settings; a trial that was stopped before it had any has none."""
    whole = search()
    trials = [trial(0, 1.6), trial(1, 2.5, "pruned", feature_fraction=0.25), Trial(2, "unfinished", None, {}, 0.0)]
    lines = list(trace_lines(whole, found_by(trials, STATED)))
    head = next(line for line in lines if line.startswith("| trial"))
    rows = [line for line in lines if line.startswith("| ") and line != head]
    assert [each.name for each in whole.space] == head.strip("| ").split(" | ")[4:]
    assert rows[0].startswith("| 0 (params.yaml) | complete | 1.6000 | 1.0 | 30 | 0.12345 | 7 | 10 | 1 |")
    assert "| 1 | pruned | 2.5000 | 1.0 | 30 | 0.12345 | 7 | 10 | 0.25 |" in rows[1]
    assert rows[2].startswith("| 2 | unfinished |  | 0.0 |  |")
    assert {line.count("|") for line in [head, *rows]} == {head.count("|")}
