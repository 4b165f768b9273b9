"""`wattcast pipeline`: what runs, what does not, and what a stop leaves behind."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

from small_project import Trained, command, environment, in_process, make_project, wattcast


def dvc(folder: Path, *words: str) -> str:
    """What DVC says to these words."""
    return subprocess.run(
        [sys.executable, "-m", "dvc", *words], cwd=folder, env=environment(), capture_output=True, text=True, check=True
    ).stdout


def models(folder: Path) -> dict[str, dict[str, dict[str, object]]]:
    """What the store serves: meter -> task -> facts."""
    listing = json.loads(in_process(folder, "models", "--json").stdout)
    return {meter["id"]: {task["task"]: task for task in meter["tasks"]} for meter in listing["meters"]}


def change(folder: Path, old: str, new: str) -> None:
    """Replace the one place in params.yaml that reads `old`."""
    text = (folder / "params.yaml").read_text()
    assert text.count(old) == 1
    (folder / "params.yaml").write_text(text.replace(old, new))


def test_the_pipeline_ends_with_every_score_beside_its_baselines(trained: Trained) -> None:
    """The scorecard is printed: families and the baselines of each task."""
    for title in ("XGBoost Regressor", "LightGBM Regressor", "the last reading repeated"):
        assert title in trained.first.stdout
    assert "## next minute, from history" in trained.first.stdout
    assert "## day ahead, from history" in trained.first.stdout


def test_what_the_pipeline_changes_is_said_with_the_way_back(trained: Trained) -> None:
    """Choosing a meter file changes one line of params.yaml; the console says which and how to undo it."""
    assert "before: data/raw/minutes.csv; make run DATA=data/raw/minutes.csv goes back" in trained.second.stdout
    assert "  file: data/raw/hours.csv   # `make run DATA=...` sets this line\n" in (trained.folder / "params.yaml").read_text()


def test_a_second_house_leaves_the_first_ones_champion(trained: Trained) -> None:
    """Two files one after the other: both meters are served, each by its own champion."""
    registered = models(trained.folder)
    champions = {meter: tasks["day_ahead"]["champion"] for meter, tasks in registered.items()}
    assert registered.keys() == {"minutes", "hours"}
    assert all(champions.values())
    assert champions["minutes"] != champions["hours"]


def test_a_task_that_the_resolution_cannot_serve_is_skipped_and_said(trained: Trained) -> None:
    """Hourly readings: no next minute, and the console, the scorecard and the registry say why."""
    why = "the readings are 3600 s apart, it needs 60 s or finer"
    assert f"next_minute is skipped: {why}" in trained.second.stdout
    assert f"next minute was skipped: {why}" in trained.second.stdout
    assert models(trained.folder)["hours"]["next_minute"]["skipped"] == why


def test_meter_files_are_tracked_and_none_is_for_git(trained: Trained) -> None:
    """Both files lie in data/raw with a .dvc file beside them; git sees the .dvc files only."""
    seen = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=all"], cwd=trained.folder, capture_output=True, text=True, check=True
    ).stdout
    assert "data/raw/minutes.csv.dvc" in seen
    assert "data/raw/hours.csv.dvc" in seen
    assert "data/raw/hours.csv\n" not in seen
    assert "store/" not in seen


def test_again_nothing_runs(trained: Trained) -> None:
    """`dvc repro` finds nothing to do after the pipeline."""
    assert "up to date" in dvc(trained.folder, "repro")


def test_after_one_lightgbm_setting_only_lightgbm_and_what_follows_run_and_a_stop_loses_nothing(copy: Path) -> None:
    """Ctrl-C after the one training that is needed: exit 130, one line, the store as it was; the next run goes on without training."""
    before = models(copy)
    change(copy, '"day_ahead": {"fast": {"rounds": 12, "learning_rate"', '"day_ahead": {"fast": {"rounds": 9, "learning_rate"')
    stopped, lines = run_until(copy, "scoring day_ahead")
    assert stopped == 130
    assert [line for line in lines if "training" in line] == ["training day_ahead, LightGBM Regressor (fast) ..."]
    assert [line for line in lines if "stopped" in line] == ["stopped: what was finished is kept, the next run goes on from there"]
    assert "Traceback" not in "".join(lines)
    assert models(copy) == before
    again = wattcast(copy, "pipeline")
    assert again.returncode == 0
    assert again.stderr == "scoring day_ahead, 3 families ...\njudging day_ahead beside the champion ...\n"
    assert "registered meter hours" in again.stdout
    assert models(copy) != before


def run_until(folder: Path, beginning: str) -> tuple[int, list[str]]:
    """The pipeline, stopped as by Ctrl-C when it prints a line that begins so: its exit status and its lines."""
    pipes: dict[str, int] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    lines = []
    # Not measured: an interrupt that meets coverage inside its own lock leaves the process waiting for ever.
    unmeasured = {name: value for name, value in environment().items() if not name.startswith("COVERAGE_")}
    with subprocess.Popen(command("pipeline"), cwd=folder, env=unmeasured, text=True, **pipes) as run:
        watchdog = threading.Timer(120, run.kill)
        watchdog.start()
        for line in run.stdout or ():
            lines.append(line.rstrip("\n"))
            if line.startswith(beginning):
                run.send_signal(signal.SIGINT)
        watchdog.cancel()
    return run.returncode, lines


def test_a_store_that_was_lost_is_filled_from_the_last_run(copy: Path) -> None:
    """Nothing has changed, but the store does not know the meter: only register runs. With --json stdout is the scorecard alone."""
    before = models(copy)["hours"]["day_ahead"]["families"]
    shutil.rmtree(copy / "store")
    again = wattcast(copy, "pipeline", "--json")
    assert again.returncode == 0
    assert "nothing has changed: models and scores stand" in again.stderr
    assert "registered meter hours" in again.stderr
    assert "training" not in again.stderr
    assert all(row["baselines"] for row in json.loads(again.stdout)["rows"])
    # When a model was trained is not when it was registered.
    assert models(copy)["hours"]["day_ahead"]["families"] == before


def test_without_a_file_a_house_is_simulated_and_said(tmp_path: Path) -> None:
    """A fresh clone: 400 days of a made-up house, SIMULATED on the console, tracked like any file."""
    folder = make_project(tmp_path / "project")
    (folder / "dvc.yaml").write_text("stages: {preprocess: {cmd: exit 1}}\n")
    told = in_process(folder, "pipeline")
    assert told.returncode == 1
    assert told.stdout.startswith("data/raw/simulated-house.txt: SIMULATED readings of a made-up house")
    assert (folder / "data/raw/simulated-house.txt").read_bytes().count(b"\n") == 400 * 1_440 + 1
    assert (folder / "data/raw/simulated-house.txt.dvc").exists()


def test_a_file_that_params_name_and_nobody_has_is_one_line(tmp_path: Path) -> None:
    """params.yaml names a meter file that is not there: the way out is said."""
    folder = make_project(tmp_path / "project")
    change(folder, "file: data/raw/simulated-house.txt", "file: data/raw/mine.csv")
    told = in_process(folder, "pipeline")
    assert told.returncode == 1
    assert told.stderr.startswith("error: data/raw/mine.csv is not there, and params.yaml names it as meter.file\nhint: make run DATA=")


def test_a_file_that_is_refused_changes_nothing(copy: Path, tmp_path: Path) -> None:
    """A file of 40 hours: one error with a hint, exit 1, params.yaml and data/raw as before."""
    params = (copy / "params.yaml").read_bytes()
    files = sorted((copy / "data" / "raw").iterdir())
    short = tmp_path / "short.csv"
    short.write_text("time,power_kw\n" + "".join(f"2024-01-{day:02}T{hour:02}:00,{hour / 10}\n" for day in (1, 2) for hour in range(20)))
    refused = in_process(copy, "pipeline", "--data", short)
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"error: {short} is refused: Only 40 hours are measured")
    assert refused.stderr.count("\n") == 2
    assert (copy / "params.yaml").read_bytes() == params
    assert sorted((copy / "data" / "raw").iterdir()) == files
