"""What holds for every command: help with an example, exit statuses, and one line for whatever goes wrong outside."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from small_project import Trained, command, environment, in_process, wattcast, write_csv

from wattcast.cli.listing import in_words
from wattcast.config import load_params
from wattcast.forecasting.spec import FeatureSpec
from wattcast.meter.readers import ReadOptions, read
from wattcast.meter.table import Meter

COMMANDS = ("run", "pipeline", "serve", "check", "forecast", "backtest", "tune", "pool", "models", "card", "inspect", "sample", "data")


@pytest.mark.parametrize("name", COMMANDS)
def test_help_shows_an_example(name: str, tmp_path: Path) -> None:
    """Each command says what it does and how it is typed; one that needs a word shows this without it, exit 2."""
    told = in_process(tmp_path, name, "--help")
    assert told.returncode == 0
    assert f"Example: wattcast {name}" in told.stdout
    if name in ("check", "forecast", "inspect"):
        bare = in_process(tmp_path, name)
        assert bare.returncode == 2
        assert "Example: wattcast" in bare.stdout + bare.stderr


def test_the_help_of_all_names_every_command(tmp_path: Path) -> None:
    """`wattcast` and `wattcast --help` list what there is."""
    for words in ([], ["--help"]):
        told = in_process(tmp_path, *words)
        assert all(f" {name} " in told.stdout + told.stderr for name in COMMANDS)


def test_the_version_is_told(tmp_path: Path) -> None:
    """`wattcast --version`."""
    assert in_process(tmp_path, "--version").stdout == "wattcast 0.1.0\n"


def test_every_part_of_a_model_is_told_in_words() -> None:
    """No line of a model card is empty, whatever params.yaml takes from a column."""
    for task in load_params(Path(__file__).parents[2] / "params.yaml").tasks.values():
        for plan in task.models:
            for part in plan.recent:
                (told,) = [line for line in in_words(FeatureSpec(60, 1, "UTC", (part,))) if line.startswith(f"{part.column}: ")]
                said = [part.changes, part.counts, part.means, part.level is not None, part.event is not None, 0 in part.offsets]
                words = ["change over", "how many such changes", "mean of", "above or below", "age and size", "the last reading"]
                assert [bool(each) for each in said] == [word in told for word in words], told


def test_what_is_no_command_is_usage(tmp_path: Path) -> None:
    """Exit 2 for an unknown command or option."""
    assert in_process(tmp_path, "forcast").returncode == 2
    assert in_process(tmp_path, "check", "x.csv", "--jsn").returncode == 2


def test_help_and_serving_start_light() -> None:
    """The command line itself loads no reader of files, no learner, no DVC, no web server and no numpy."""
    heavy = ("numpy", "polars", "pandas", "xgboost", "lightgbm", "onnxruntime", "dvc", "flask", "pydantic_settings")
    code = f"import sys, wattcast, wattcast.cli; print([name for name in {heavy} if name in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_simulated_house_is_a_meter_file_and_says_what_it_is(tmp_path: Path) -> None:
    """`wattcast sample`: readable, SIMULATED, never over another file."""
    out = tmp_path / "house.txt"
    told = in_process(tmp_path, "sample", "--out", out, "--days", "15")
    assert "SIMULATED" in told.stdout
    assert "house: {simulated: true}" in told.stdout
    assert read(out, ReadOptions(Meter("house"))).rows == 15 * 1_440
    again = in_process(tmp_path, "sample", "--out", out)
    assert (again.returncode, again.stdout) == (1, "")
    assert again.stderr.startswith(f"error: {out} is there already\nhint: ")
    other = in_process(tmp_path, "sample", "--out", tmp_path / "other.txt", "--days", "1", "--json")
    assert json.loads(other.stdout)["simulated"] is True


def test_a_full_disk_is_one_line_and_leaves_nothing(small_disk: Path) -> None:
    """No space for the file: an error that says so, exit 1, no half file."""
    told = wattcast(small_disk, "sample", "--out", small_disk / "house.txt", "--days", "30")
    error, hint = told.stderr.splitlines()
    assert told.returncode == 1
    assert "No space left on device" in error
    assert hint.startswith("hint: free some space")
    assert list(small_disk.iterdir()) == []


def test_a_full_disk_behind_stdout_is_one_line(tmp_path: Path) -> None:
    """`wattcast ... > file` on a full disk."""
    path = write_csv(tmp_path / "meter.csv", tiny.hour_table(20))
    with Path("/dev/full").open("w") as full:
        told = subprocess.run(
            command("check", path), cwd=tmp_path, env=environment(), stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert told.returncode == 1
    assert told.stderr == "error: the output cannot be written: the disk is full\nhint: free some space and try again\n"


def test_a_reader_that_goes_away_is_one_line(trained: Trained) -> None:
    """`wattcast ... | head`: no trace."""
    pipes: dict[str, int] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(command("models"), cwd=trained.folder, env=environment(), text=True, **pipes) as run:
        assert run.stdout is not None
        assert run.stderr is not None
        run.stdout.close()
        said = run.stderr.read()
    assert run.returncode == 1
    assert said == "stopped: nobody reads the output any more\n"


def test_on_a_terminal_results_are_tables(trained: Trained) -> None:
    """What is JSON or Markdown in a pipe is drawn for a person: the curve and the scorecard."""
    curve = on_a_terminal(trained.folder, "forecast", trained.hours)
    assert "day_ahead of meter hours from 2010-03-02T01:00:00+01:00, kW" in curve
    assert "the champion" in curve
    assert curve.count("2010-03-02T") == 24
    card = on_a_terminal(trained.folder, "pipeline")
    assert "Scorecard of meter hours" in card
    assert "the same time a day before" in card
    assert "|---" not in card


def on_a_terminal(folder: Path, *words: str | Path) -> str:
    """What the command writes to a terminal of 120 columns."""
    ours, theirs = pty.openpty()
    variables = environment(COLUMNS="120", TERM="xterm", NO_COLOR="1")
    with subprocess.Popen(command(*words), cwd=folder, env=variables, stdin=theirs, stdout=theirs, stderr=theirs):
        os.close(theirs)
        written = b""
        with contextlib.suppress(OSError):  # Linux: the other end was closed
            while piece := os.read(ours, 65_536):
                written += piece
    os.close(ours)
    return written.decode()


def test_a_trace_is_shown_only_where_it_is_asked_for(tmp_path: Path) -> None:
    """--verbose, wherever it stands."""
    for words in (["--verbose", "check", "none.csv"], ["check", "none.csv", "--verbose"]):
        assert "Traceback" in wattcast(tmp_path, *words).stderr
    assert "Traceback" not in in_process(tmp_path, "check", "none.csv").stderr


def test_offline_the_download_says_so(tmp_path: Path) -> None:
    """`wattcast data` where the network is out of reach: one line, a hint, nothing half there."""
    told = wattcast(tmp_path, "data", https_proxy="http://127.0.0.1:9")
    assert told.returncode == 1
    assert told.stderr.startswith("error: archive.ics.uci.edu cannot be reached")
    assert "hint: go online and run this again" in told.stderr
