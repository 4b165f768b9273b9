"""`wattcast backtest` and `wattcast card`: what forecasts would have been worth, and the card of what serves."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from small_project import Trained, in_process

WORDS = ("--family", "xgb,lgbm", "--refit-days", "5", "--test-share", "0.2")


@pytest.fixture(scope="module")
def walked(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """The folder that a backtest left, and what it said."""
    out = tmp_path_factory.mktemp("backtest")
    told = in_process(trained.folder, "backtest", trained.hours, *WORDS, "--out", out, "--json")
    assert told.returncode == 0, told.stderr
    return next(out.iterdir()), json.loads(told.stdout)


def test_every_family_and_the_blend_stand_beside_the_baselines(walked: tuple[Path, dict[str, object]]) -> None:
    """Errors by lead, hour, weekday and season, each beside every baseline on the same rows, and the skill with its interval."""
    folder, report = walked
    families = report["families"]
    assert isinstance(families, dict)
    assert set(families) == {"xgb", "lgbm", "blend"}
    assert report["fits"] == 3
    assert len({score["n"] for score in families.values()}) == 1
    for score in families.values():
        low, high = score["skill_interval"]["mae"]
        assert low <= score["skill"]["mae"] <= high
        assert set(score["by"]) == {"lead", "hour", "weekday", "season"}
        for errors in score["by"]["lead"].values():
            assert set(errors) == {"forecast", *score["baselines"]}
    assert json.loads((folder / "backtest.json").read_text()) == report
    assert len(list((folder / "plots").glob("*.png"))) == 3 * 4


def test_what_was_done_is_not_done_again(trained: Trained, walked: tuple[Path, dict[str, object]]) -> None:
    """A backtest that was cut off fits only what is missing, and ends with the same figures."""
    folder, report = walked
    kept = {path: path.stat().st_mtime_ns for path in (folder / "folds").iterdir()}
    lost = sorted(path for path in kept if path.name.startswith("1-"))
    for path in lost:
        path.unlink()
    again = in_process(trained.folder, "backtest", trained.hours, *WORDS, "--out", folder.parent, "--json")
    assert json.loads(again.stdout) == report
    assert all(path.stat().st_mtime_ns == moment for path, moment in kept.items() if path not in lost)
    assert all(path.is_file() for path in lost)


def test_another_backtest_has_a_folder_of_its_own(trained: Trained, walked: tuple[Path, dict[str, object]], tmp_path: Path) -> None:
    """Other words, other folds: nothing of an earlier backtest is taken for this one."""
    folder, _ = walked
    told = in_process(trained.folder, "backtest", trained.hours, "--family", "lgbm", "--refit-days", "20", "--out", tmp_path)
    assert told.returncode == 0, told.stderr
    assert "MAE kW" in told.stdout
    assert "winter" in told.stdout or "spring" in told.stdout
    assert next(tmp_path.iterdir()).name != folder.name


def test_a_backtest_that_cannot_be_is_refused(trained: Trained, tmp_path: Path) -> None:
    """An unknown family, and a task that the file is too coarse for, are each one sentence."""
    for words, said in (
        (("--family", "xbg"), '"xbg" is no family; did you mean "xgb"?'),
        (("--task", "next_minute"), "needs readings of 60 s"),
    ):
        told = in_process(trained.folder, "backtest", trained.hours, *words, "--out", tmp_path)
        assert told.returncode == 1
        assert said in told.stderr


def test_what_was_kept_and_is_torn_is_said(trained: Trained, walked: tuple[Path, dict[str, object]], tmp_path: Path) -> None:
    """A fold that cannot be read names the folder to delete."""
    folder = Path(shutil.copytree(walked[0], tmp_path / walked[0].name))
    next((folder / "folds").iterdir()).write_bytes(b"torn")
    told = in_process(trained.folder, "backtest", trained.hours, *WORDS, "--out", tmp_path)
    assert told.returncode == 1
    assert f"delete {folder}" in told.stderr


def test_the_card_tells_what_serves(trained: Trained, tmp_path: Path) -> None:
    """Data, span, features in words, scores beside baselines with intervals, largest errors, and what it is not for."""
    notes = tmp_path / "notes.md"
    notes.write_text("## Looked at\n\nA kettle.\n")
    written = in_process(trained.folder, "card", "--meter", "hours", "--out", tmp_path / "card.md", "--notes", notes)
    assert written.returncode == 0, written.stderr
    text = (tmp_path / "card.md").read_text()
    for words in (
        "# Model card of meter hours",
        "## Day ahead",
        "the same time 1, 2, 7 days before",
        "interval holds",
        "largest errors",
        "A kettle.",
    ):
        assert words in text
    assert "*the mean of the same time on the last 7 days*" in text
    assert "Not trained: the readings are 3600 s apart" in text
    assert text.index("## Looked at") < text.index("## What it must not be used for")


def test_a_meter_without_models_has_no_card(tmp_path: Path) -> None:
    """Nothing registered, nothing told."""
    told = in_process(tmp_path, "card")
    assert told.returncode == 1
    assert "no meter is registered yet" in told.stderr
