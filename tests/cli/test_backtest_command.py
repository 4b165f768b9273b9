"""`wattcast backtest` and `wattcast card`: what forecasts would have been worth, and the card of what serves."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from small_project import Trained, command, environment, in_process

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
        (("--task", "day_ahed"), '"day_ahed" is no task; did you mean "day_ahead"?'),
    ):
        told = in_process(trained.folder, "backtest", trained.hours, *words, "--out", tmp_path)
        assert told.returncode == 1
        assert said in told.stderr


@pytest.mark.parametrize("torn", [b"", b"torn", b"PK\x03\x04 and no end"])
def test_what_was_kept_and_is_torn_is_said(torn: bytes, trained: Trained, walked: tuple[Path, dict[str, object]], tmp_path: Path) -> None:
    """A fold that cannot be read names the folder to delete."""
    folder = Path(shutil.copytree(walked[0], tmp_path / walked[0].name))
    next((folder / "folds").iterdir()).write_bytes(torn)
    told = in_process(trained.folder, "backtest", trained.hours, *WORDS, "--out", tmp_path)
    assert told.returncode == 1
    assert f"delete {folder}" in told.stderr


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_what_stops_it_leaves_folds_to_go_on_with(
    stop: signal.Signals, trained: Trained, walked: tuple[Path, dict[str, object]], tmp_path: Path
) -> None:
    """Ctrl-C is one line and exit 130; after it, and after `kill -9`, the same command fits the rest and ends with the same figures."""
    words = command("backtest", trained.hours, *WORDS, "--out", tmp_path, "--json")
    # Not measured: an interrupt that meets coverage inside its own lock leaves the process waiting for ever.
    unmeasured = {name: value for name, value in environment().items() if not name.startswith("COVERAGE_")}
    with subprocess.Popen(words, cwd=trained.folder, env=unmeasured, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        while not list(tmp_path.glob("*/folds/0-blend.npz")):
            assert run.poll() is None
            time.sleep(0.01)
        run.send_signal(stop)
        _, err = run.communicate(timeout=120)
    assert run.returncode == (130 if stop is signal.SIGINT else -signal.SIGKILL)
    assert "Traceback" not in err
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*/folds/0-*.npz")}
    again = in_process(trained.folder, "backtest", trained.hours, *WORDS, "--out", tmp_path, "--json")
    assert json.loads(again.stdout) == walked[1]
    assert {path: path.stat().st_mtime_ns for path in kept} == kept


def test_other_code_starts_anew(
    trained: Trained, walked: tuple[Path, dict[str, object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Folds that other code left are not taken for this one's."""
    monkeypatch.setattr("wattcast.adapters.provenance.code_sha256", lambda: "other")
    told = in_process(trained.folder, "backtest", trained.hours, *WORDS, "--out", tmp_path, "--json")
    assert told.returncode == 0
    assert next(tmp_path.iterdir()).name != walked[0].name


def test_what_makes_a_file_no_more_than_usable_is_said(trained: Trained, tmp_path: Path) -> None:
    """What `wattcast check` warns of stands before the figures."""
    lines = trained.hours.read_text().splitlines()
    spoiled = tmp_path / trained.hours.name
    stamp = lines[100].rpartition(",")[0]
    spoiled.write_text("\n".join([*lines[:100], f"{stamp},-5", *lines[101:]]) + "\n")
    words = ("--family", "lgbm", "--refit-days", "20", "--out", tmp_path / "out")
    checked = in_process(trained.folder, "check", spoiled, "--json")
    told = in_process(trained.folder, "backtest", spoiled, *words)
    assert told.returncode == 0, told.stderr
    assert f"{spoiled} is usable: {' '.join(json.loads(checked.stdout)['reasons'])}" in told.stderr


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
