"""The scorecard: no score without its baselines, for programs and for people."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
import tiny

from wattcast.errors import Unavailable
from wattcast.forecasting.backtest import first_test_row
from wattcast.forecasting.bundle import open_bundle
from wattcast.forecasting.families import learner_keys
from wattcast.forecasting.metrics import Score
from wattcast.forecasting.scorecard import Scorecard, ScoreRow, score_families
from wattcast.meter.table import Meter

SCORE = Score(
    n=1_234,
    mae=0.4,
    rmse=0.6,
    r2=0.7,
    pinball=0.1,
    coverage=0.79,
    nominal=0.8,
    baselines={"persistence": {"mae": 0.5, "rmse": 0.9}},
    skill={"mae": 0.2, "rmse": 1 / 3},
)
ROWS = [
    [ScoreRow("next_minute", "xgb", "history", "a" * 64, SCORE), ScoreRow("next_minute", "rf", "history", "b" * 64, SCORE)],
    [ScoreRow("next_minute", "xgb", "one_reading", "a" * 64, replace(SCORE, mae=0.45))],
    [ScoreRow("day_ahead", "xgb", "history", "c" * 64, SCORE)],
]
CARD = Scorecard.of(Meter("house", simulated=True), ROWS, {"week_ahead": "the readings are too coarse"})


def test_rows_hold_the_richest_model_of_each_family() -> None:
    """One row for each task and family; models that answer with fewer readings stand apart."""
    assert [(row.task, row.family, row.model) for row in CARD.rows] == [
        ("next_minute", "xgb", "history"),
        ("next_minute", "rf", "history"),
        ("day_ahead", "xgb", "history"),
    ]
    assert [row.model for row in CARD.fallback_rows] == ["one_reading"]
    assert (CARD.meter, CARD.simulated) == ("house", True)


def test_the_scores_of_a_bundle_are_all_its_models() -> None:
    """What register asks for: every model of a bundle, and nothing of another's."""
    assert {name: row.score.mae for name, row in CARD.rows_of("a" * 64).items()} == {"history": 0.4, "one_reading": 0.45}
    assert CARD.rows_of("d" * 64) == {}


def test_json_has_flat_rows_with_baselines() -> None:
    """Programs find task, family, n, errors, coverage, baselines and skill in every row."""
    row = json.loads(CARD.to_json())["rows"][0]
    assert row["baselines"] == {"persistence": {"mae": 0.5, "rmse": 0.9}}
    assert {"task", "family", "n", "mae", "rmse", "r2", "coverage", "baselines", "skill"} <= row.keys()
    assert Scorecard.from_json(CARD.to_json()) == CARD


def test_a_skill_that_does_not_exist_is_valid_json() -> None:
    """NaN through JSON stays NaN, and no strict reader stumbles."""
    odd = replace(SCORE, r2=math.nan, skill={"mae": math.nan, "rmse": -math.inf})
    written = Scorecard.of(Meter("house"), [[ScoreRow("day_ahead", "rf", "history", "a" * 64, odd)]], {}).to_json()
    json.loads(written, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    read = Scorecard.from_json(written).rows[0].score
    assert math.isnan(read.r2)
    assert math.isnan(read.skill["mae"])
    assert read.skill["rmse"] == -math.inf


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"rows": 1, "fallback_rows": []}', CARD.to_json().replace('"mae":', '"mea":')])
def test_what_is_no_scorecard_is_refused(text: str) -> None:
    """Torn, empty or of another shape: one refusal that says which stage writes it anew."""
    with pytest.raises(Unavailable, match="the scorecard cannot be read") as refusal:
        Scorecard.from_json(text)
    assert "evaluate" in refusal.value.hint


def test_a_torn_scorecard_is_refused() -> None:
    """Cut anywhere, it is none."""
    text = CARD.to_json()
    for length in range(0, len(text), 41):
        with pytest.raises(Unavailable):
            Scorecard.from_json(text[:length])


def test_people_see_every_score_beside_its_baselines() -> None:
    """Each table has the families and, on the same rows, the baselines they must beat."""
    text = CARD.to_markdown()
    tables = text.split("\n## ")[1:]
    assert [table.splitlines()[0] for table in tables] == [
        "next minute, from history",
        "day ahead, from history",
        "next minute, from one reading",
    ]
    assert all("*the last reading repeated* | 0.5000 | 0.9000" in table for table in tables)
    assert "| XGBoost Regressor | 0.4000 | 0.6000 | 0.7000 | 79.0% | +20.0% / +33.3% |" in tables[0]
    assert "1,234 rows" in tables[0]
    assert "80% interval holds" in tables[0]


def test_people_are_told_what_is_simulated_and_skipped() -> None:
    """A made-up meter says so in the title; a task that was skipped says why."""
    assert CARD.to_markdown().startswith("# Scorecard of meter house (SIMULATED)\n")
    assert "week ahead was skipped: the readings are too coarse." in CARD.to_markdown()
    real = Scorecard.of(Meter("house"), ROWS, {}).to_markdown()
    assert "SIMULATED" not in real
    assert "skipped" not in real


def test_headline_figures_are_the_score_s() -> None:
    """`dvc metrics show` prints what the scorecard holds."""
    assert CARD.rows[0].figures() == {"mae": 0.4, "rmse": 0.6, "r2": 0.7, "coverage": 0.79, "skill_mae": 0.2}


@pytest.mark.parametrize("task", list(tiny.TASKS))
def test_families_are_scored_on_the_same_rows(task: str) -> None:
    """Every family of a task is judged on one set of rows of the test span, none of them trained on, each model by itself."""
    table = tiny.table_of(task)
    own = {key: open_bundle(tiny.bundle(task, key)) for key in learner_keys()}
    for (rows, scored), model in zip(score_families(own, table, first_test_row(table, 0.8)), tiny.TASKS[task].models, strict=True):
        assert [(row.family, row.model, row.bundle) for row in rows] == [(key, model.name, own[key].id) for key in own]
        assert len({row.score.n for row in rows}) == 1
        assert len({str(row.score.baselines) for row in rows}) == 1
        for key, opened in own.items():
            assert scored[key].target_s.min() >= opened.manifest.train_end_s
