"""Studies on a real SQLite file: gone on with, pruned, whole after whatever stopped them."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import tiny

from wattcast.adapters.optuna import Study
from wattcast.errors import BadParams, Unavailable
from wattcast.forecasting.tuning import Search, Trial, search_of

STATED = {"rounds": 30, "learning_rate": 0.1, "num_leaves": 7, "max_bin": 31, "min_data_in_leaf": 10}


@dataclass(frozen=True, eq=False)
class Scripted(Search):
    """A search whose trials fit nothing: `script` says what settings are worth after each block."""

    script: Callable[[Mapping[str, Any]], Iterator[float]] = lambda _: iter(())

    def errors(self, settings: Mapping[str, Any]) -> Iterator[float]:
        """What the script says."""
        return self.script(settings)


def near(settings: Mapping[str, Any]) -> Iterator[float]:
    """The nearer the learning rate is to 0.2 the better, the same after every block."""
    yield from [1 + abs(settings["learning_rate"] - 0.2)] * 4


def scripted(script: Callable[[Mapping[str, Any]], Iterator[float]] = near, **settings: Any) -> Scripted:
    """A search on the day ahead."""
    whole = search_of(tiny.hour_table(), tiny.recipe("day_ahead", "lgbm", settings={**STATED, **settings}))
    return Scripted(whole.known, whole.spec, whole.recipe, whole.space, script)


def run(path: Path, search: Search, most: int, *, name: str = "study", seed: int = 1, seconds: float = 0.0) -> list[Trial]:
    """The trials of the study after a run up to so many."""
    with Study(path, name, seed) as study:
        study.run(search, most, seconds, lambda _: None, lambda _: None)
        return study.trials()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the study is kept, in a folder that is not there yet."""
    return tmp_path / "metrics of mine" / "tuning.db"


def test_the_settings_in_place_are_tried_first(path: Path) -> None:
    """Then others, each kept with its error, its settings and its time."""
    first, *others = run(path, scripted(), 3)
    assert (first.number, first.state, first.settings, first.error) == (0, "complete", STATED, pytest.approx(1.1))
    assert [trial.number for trial in others] == [1, 2]
    assert all(trial.settings != STATED and trial.settings["max_bin"] == 31 for trial in others)
    assert all(trial.error == pytest.approx(1 + abs(trial.settings["learning_rate"] - 0.2)) for trial in others)


def test_a_study_is_gone_on_with(path: Path) -> None:
    """Trials from before count and are not tried again; the rest continues their numbers, with settings of its own."""
    tried: list[Mapping[str, Any]] = []

    def script(settings: Mapping[str, Any]) -> Iterator[float]:
        tried.append(settings)
        return near(settings)

    before = run(path, scripted(script), 3)
    after = run(path, scripted(script), 6)
    assert after[:3] == before
    assert [trial.number for trial in after] == list(range(6))
    assert [trial.settings for trial in after] == tried
    assert len({str(each) for each in tried}) == 6
    assert run(path, scripted(script), 6) == after
    assert len(tried) == 6


def test_other_names_are_other_studies(path: Path) -> None:
    """A changed file starts anew beside the study of the old one."""
    run(path, scripted(), 3)
    assert [trial.number for trial in run(path, scripted(), 2, name="another")] == [0, 1]
    assert len(run(path, scripted(), 3)) == 3


def test_settings_changed_by_hand_are_tried_though_the_study_is_full(path: Path) -> None:
    """Without them there is nothing to compare with; those of an earlier best are known already."""
    before = run(path, scripted(), 3)
    after = run(path, scripted(learning_rate=0.19), 3)
    assert [trial.settings for trial in after[3:]] == [{**STATED, "learning_rate": 0.19}]
    best = min(before[1:], key=lambda trial: trial.error or 9)
    adopted = scripted()
    adopted = replace(adopted, recipe=replace(adopted.recipe, settings=best.settings))
    assert run(path, adopted, 4) == after


def test_the_same_seed_proposes_the_same(tmp_path: Path) -> None:
    """A study can be made again; another seed makes another."""
    one, two, other = (
        [trial.settings for trial in run(tmp_path / f"{number}.db", scripted(), 4, seed=seed)] for number, seed in enumerate((1, 1, 2))
    )
    assert one == two
    assert one != other


def test_a_hopeless_trial_is_pruned(path: Path) -> None:
    """Once there is something to compare with, it costs one block instead of four; what params.yaml states is never pruned."""
    blocks: list[int] = []

    def script(settings: Mapping[str, Any]) -> Iterator[float]:
        hopeless = settings["learning_rate"] == 0.4 or len(blocks) >= 6
        blocks.append(0)
        for _ in range(4):
            blocks[-1] += 1
            yield 5.0 if hopeless else 1.0

    trials = run(path, scripted(script, learning_rate=0.4), 7)
    assert [trial.state for trial in trials] == ["complete"] * 6 + ["pruned"]
    assert blocks == [4] * 6 + [1]
    assert trials[6].error == 5.0
    later = run(path, scripted(script, learning_rate=0.4, num_leaves=8), 7)
    assert later[7].state == "complete"


def test_an_interrupted_study_is_whole(path: Path) -> None:
    """Ctrl-C within a trial: what was tried is there, the trial counts as failed, and the next run makes up for it."""

    def script(settings: Mapping[str, Any]) -> Iterator[float]:
        if settings != STATED:
            raise KeyboardInterrupt
        yield from near(settings)

    with pytest.raises(KeyboardInterrupt), Study(path, "study", 1) as study:
        study.run(scripted(script), 3, 0.0, lambda _: None, lambda _: None)
    with Study(path, "study", 1) as study:
        assert [trial.state for trial in study.trials()] == ["complete", "failed"]
    with sqlite3.connect(path) as database:
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
    database.close()
    after = run(path, scripted(), 3)
    assert [trial.state for trial in after] == ["complete", "failed", "complete", "complete"]


def test_what_a_trial_refuses_ends_the_run(path: Path) -> None:
    """Settings that the library refuses are one error in its own words, not forty failed trials."""

    def script(settings: Mapping[str, Any]) -> Iterator[float]:
        raise BadParams("LightGBM refuses its settings", "correct them")
        yield 1.0

    with pytest.raises(BadParams, match="refuses its settings"):
        run(path, scripted(script), 5)
    with Study(path, "study", 1) as study:
        assert [trial.state for trial in study.trials()] == ["failed"]


def test_progress_and_each_trial_are_told(path: Path) -> None:
    """The share done rises to 1, and every trial that ended is told once; of a study gone on with, only the rest."""
    shares: list[float] = []
    told: list[Trial] = []
    for most in (2, 3):
        with Study(path, "study", 1) as study:
            study.run(scripted(), most, 0.0, told.append, shares.append)
            assert told == study.trials()
        assert shares == sorted(shares)
        assert (shares[0] > 0, shares[-1]) == (True, 1.0)
        shares.clear()


def test_time_runs_out(path: Path) -> None:
    """No trial is begun after the time allowed."""
    assert run(path, scripted(), 5, seconds=1e-9) == []
    assert len(run(path, scripted(), 2, seconds=1e9)) == 2


def test_optuna_itself_says_nothing(path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """No line for a new study, an ended trial or a failed one."""
    run(path, scripted(), 3)
    with pytest.raises(KeyboardInterrupt):
        run(path, scripted(lambda _: (_ for _ in ()).throw(KeyboardInterrupt)), 5)
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_no_store_of_studies_is_left_alone(path: Path) -> None:
    """One refusal with a hint, and the file stays as it was."""
    path.parent.mkdir()
    path.write_text("time,power_kw\n")
    with pytest.raises(Unavailable, match=r"tuning.db cannot be used as a store of studies: file is not a database") as refusal:
        Study(path, "study", 1)
    assert "--study" in refusal.value.hint
    assert path.read_text() == "time,power_kw\n"


def test_without_optuna_the_extra_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to install, in one line."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(Unavailable, match="Optuna is not installed") as refusal:
        Study(path, "study", 1)
    assert refusal.value.hint == 'pip install "wattcast[tune]"'
    assert not path.parent.exists()
