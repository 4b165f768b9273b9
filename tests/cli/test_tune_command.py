"""`wattcast tune`: settings found inside the training span, kept whatever stops it, and written as the smallest change of params.yaml."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import small_project
import tiny
import yaml
from small_project import command, environment, in_process, write_csv

from wattcast.cli.tuning import _with_setting
from wattcast.config import load_params
from wattcast.errors import BadParams
from wattcast.forecasting.backtest import first_test_row

# As a person writes it: comments, a mapping over two lines. The learning rate is far too low, so that there is something to find.
LGBM = """\
  lgbm:                      # leaf by leaf
    next_minute: &same
      fast: {rounds: 8, learning_rate: 0.05, num_leaves: 7, max_bin: 31, min_data_in_leaf: 10}
      best: {rounds: 8, learning_rate: 0.05, num_leaves: 7, max_bin: 31, min_data_in_leaf: 10}
    day_ahead:
      fast: {rounds: 8, tail_rounds: 4, learning_rate: 0.05,   # slow
             num_leaves: 7, max_bin: 31, min_data_in_leaf: 10, one_reading: {num_leaves: 4}}   # quick to fit
      best: {rounds: 9, learning_rate: 0.05, num_leaves: 7, max_bin: 31, min_data_in_leaf: 10}
"""
FAST = ("families", "lgbm", "day_ahead", "fast")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with a params.yaml that names a meter file of hours, which is there."""
    folder = tmp_path / "project"
    folder.mkdir()
    stated = yaml.safe_load(small_project.small_params())
    families = {key: stated["families"].pop(key) for key in ("xgb", "rf", "ridge")}
    stated["tasks"]["day_ahead"]["models"] += [{**stated["tasks"]["day_ahead"]["models"][0], "name": "one_reading"}]
    stated["meter"] = {"file": "hours.csv"}
    stated["meters"] = {"hours": {"zone": "Europe/Paris", "simulated": True}}
    head = "".join(f"{name}: {json.dumps(value)}\n" for name, value in stated.items() if name != "families")
    others = "".join(f"  {key}: {json.dumps(value)}   # {key}\n" for key, value in families.items())
    (folder / "params.yaml").write_text(f"# Science.\n{head}\nfamilies:\n{LGBM}\n{others}# The end.")
    write_csv(folder / "hours.csv", tiny.hour_table(40))
    load_params(folder / "params.yaml")
    return folder


def tuned(project: Path, *words: str | Path) -> dict[str, Any]:
    """What `wattcast tune --json` says."""
    told = in_process(project, "tune", "--json", *words)
    assert told.returncode == 0, told.stderr
    return dict(json.loads(told.stdout))


def at(params: Any, place: tuple[str, ...]) -> Any:
    for key in place:
        params = params[key]
    return params


def test_what_is_found_is_compared_and_written(project: Path) -> None:
    """A better trial beside params.yaml; printed, then written to that one mapping: every other byte and comment stays, and it is read."""
    before = (project / "params.yaml").read_text()
    printed = in_process(project, "tune", "--trials", "8")
    assert printed.returncode == 0
    assert "day_ahead, LightGBM Regressor, fast, on meter hours (SIMULATED); 8 trials: " in printed.stdout
    assert all(words in printed.stdout for words in ("params.yaml   trial ", "error (2: as a baseline)", "% less", "--write makes it"))
    assert printed.stderr.count("trial ") == 8
    assert (project / "params.yaml").read_text() == before

    said = tuned(project, "--trials", "8", "--write")
    after = (project / "params.yaml").read_text()
    assert (said["written"], said["simulated"], len(said["trace"])) == (True, True, 8)
    assert said["now"] == {"error": said["trace"][0]["error"], "settings": said["trace"][0]["settings"]}
    assert said["best"]["error"] == min(trial["error"] for trial in said["trace"] if trial["state"] == "complete") < said["now"]["error"]
    old, new = yaml.safe_load(before), yaml.safe_load(after)
    assert at(new, FAST) == {**at(old, FAST), **said["change"]} != at(old, FAST)
    assert {**at(new, FAST), "one_reading": None} == {**said["best"]["settings"], "one_reading": None}
    at(old, FAST[:-1])["fast"] = at(new, FAST)
    assert new == old
    start, stop = before.index("fast: {rounds: 8, tail"), before.index("}}   # quick")
    assert after.startswith(before[:start])
    assert after.endswith(before[stop:])
    assert ",   # slow\n             num_leaves: " in after
    assert load_params(project / "params.yaml").families["lgbm"]["day_ahead"]["fast"] == at(new, FAST)

    adopted = tuned(project, "--trials", "8", "--write")
    assert (adopted["gain"], adopted["change"], adopted["written"], adopted["trace"]) == (0, {}, False, said["trace"])
    assert (project / "params.yaml").read_text() == after


def test_nothing_of_the_test_changes_what_is_found(project: Path) -> None:
    """With the load of the last fifth made another one, every trial errs the same, to the last digit."""
    table = tiny.hour_table(40)
    power = table.power_kw.copy()
    power[first_test_row(table, tiny.TRAIN_SHARE) :] *= 3
    one = tuned(project, "--trials", "3")
    write_csv(project / "hours.csv", replace(table, power_kw=power))
    other = tuned(project, "--trials", "3", "--study", "other.db")
    assert [(trial["settings"], trial["error"]) for trial in other["trace"]] == [(t["settings"], t["error"]) for t in one["trace"]]
    power[: len(power) // 2] *= np.float32(1.1)
    write_csv(project / "hours.csv", replace(table, power_kw=power))
    assert [trial["error"] for trial in tuned(project, "--trials", "3")["trace"]] != [trial["error"] for trial in one["trace"]]


def test_the_preset_of_the_file_is_tuned_unless_another_is_named(project: Path) -> None:
    """--preset; each has a study of its own where its settings or effort differ."""
    said = tuned(project, "--trials", "1", "--preset", "best")
    assert (said["preset"], said["now"]["settings"]["rounds"], len(said["trace"])) == ("best", 9, 1)
    assert tuned(project, "--trials", "1")["preset"] == "fast"


def test_another_file_can_be_tuned_for(project: Path, tmp_path: Path) -> None:
    """FILE; minutes are averaged, and --rounds allows more of them."""
    minutes = write_csv(tmp_path / "minutes.csv", tiny.minute_table(16))
    said = tuned(project, minutes, "--task", "next_minute", "--family", "ridge", "--trials", "2")
    assert (said["meter"], said["task"], said["family"], said["simulated"]) == ("minutes", "next_minute", "ridge", False)
    more = tuned(project, "--family", "rf", "--trials", "6", "--rounds", "40")
    assert max(trial["settings"]["trees"] for trial in more["trace"]) in range(6, 41)


def test_the_trace_is_written_where_asked(project: Path) -> None:
    """--trace: a folder, or a file by name; every trial a row, and whether the readings were made up."""
    tuned(project, "--trials", "2", "--trace", "docs/tuning")
    text = (project / "docs/tuning/day_ahead-lgbm.md").read_text()
    assert text.startswith("# Tuning of day_ahead, LightGBM Regressor, fast, on meter hours (SIMULATED)\n")
    assert [line[:5] for line in text.splitlines() if line.startswith(("| 0", "| 1"))] == ["| 0 (", "| 1 |"]
    told = in_process(project, "tune", "--trials", "2", "--trace", "here.md")
    assert "here.md: every trial" in told.stdout
    assert (project / "here.md").read_text() == text


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_what_stops_it_leaves_a_study_to_go_on_with(stop: signal.Signals, project: Path) -> None:
    """Ctrl-C says what was found so far, exit 130; after `kill -9` too the study is whole, and the count goes on."""
    words = command("tune", "--trials", "5000", "--json")
    # Not measured: an interrupt that meets coverage inside its own lock leaves the process waiting for ever.
    unmeasured = {name: value for name, value in environment().items() if not name.startswith("COVERAGE_")}
    with subprocess.Popen(words, cwd=project, env=unmeasured, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as run:
        assert run.stderr is not None
        said = [line for line, _ in zip(iter(run.stderr.readline, ""), range(4), strict=False)]
        run.send_signal(stop)
        out, err = run.communicate(timeout=120)
    assert [line.split(":")[0] for line in said[1:]] == ["trial 0", "trial 1", "trial 2"]
    if stop is signal.SIGINT:
        assert run.returncode == 130
        assert err.endswith("stopped: metrics/tuning.db keeps what was tried, the same command goes on from there\n")
        assert json.loads(out)["trials"]["complete"] >= 3
        assert "Traceback" not in err
    with sqlite3.connect(project / "metrics/tuning.db") as database:
        assert database.execute("pragma integrity_check").fetchall() == [("ok",)]
    database.close()
    before = tuned(project, "--trials", "1")
    whole = before["trials"]["complete"] + before["trials"]["pruned"]
    assert whole >= 3
    after = tuned(project, "--trials", str(whole + 1))
    assert after["trace"][: len(before["trace"])] == before["trace"]
    assert [trial["number"] for trial in after["trace"]] == list(range(len(before["trace"]) + 1))


def test_an_interrupted_search_writes_nothing(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--write counts for a search that ended."""
    before = (project / "params.yaml").read_bytes()
    tuned(project, "--trials", "6")

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("wattcast.adapters.optuna.Study.run", stopped)
    told = in_process(project, "tune", "--trials", "7", "--write")
    assert told.returncode == 130
    assert "% less" in told.stdout
    assert (project / "params.yaml").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--family", "lgm"], 'error: "lgm" is no family; did you mean "lgbm"?'),
        (["--task", "day_ahed"], 'error: "day_ahed" is no task; did you mean "day_ahead"?'),
        (["--preset", "bst"], 'error: "bst" is no preset; did you mean "best"?'),
        (["--task", "next_minute"], "error: next_minute needs readings of 60 s or finer, these are 3600 s apart"),
        (["none.csv"], "error: none.csv: there is no such file"),
        (["--study", "params.yaml"], "error: params.yaml cannot be used as a store of studies: file is not a database"),
    ],
)
def test_what_cannot_be_tuned_is_said(words: list[str], said: str, project: Path) -> None:
    """One line and a hint, exit 1, nothing tried."""
    told = in_process(project, "tune", *words)
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.splitlines()[0].startswith(said)
    assert told.stderr.splitlines()[-1].startswith("hint: ")
    assert not (project / "metrics").exists()


def test_a_family_that_has_no_settings_for_the_task_is_said(project: Path) -> None:
    """Families beside the three may leave out tasks and presets."""
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("  xgb:", "  extra: {next_minute: {}}\n  xgb:", 1))
    told = in_process(project, "tune", "--family", "extra")
    assert told.stderr.startswith("error: families.extra.day_ahead in params.yaml states no fast\nhint: ")


def test_without_a_params_yaml_nothing_can_be_written(project: Path, tmp_path: Path) -> None:
    """Said before anything is tried."""
    told = in_process(tmp_path, "tune", project / "hours.csv", "--write")
    assert told.returncode == 1
    assert told.stderr.startswith("error: params.yaml cannot be read: No such file or directory\nhint: ")
    assert not (tmp_path / "metrics").exists()


def test_without_optuna_the_extra_is_named(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An extra that most never need."""
    monkeypatch.setitem(sys.modules, "optuna", None)
    told = in_process(project, "tune")
    assert told.returncode == 1
    assert told.stderr == 'error: Optuna is not installed, and tuning needs it\nhint: pip install "wattcast[tune]"\n'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a: {b: {eta: 0.1, x: 2}}   # c\n", "a: {b: {eta: 0.25, x: 2}}   # c\n"),
        ("a: {b: {x: 2, }}\r\n# c\r\n", "a: {b: {x: 2, eta: 0.25, }}\r\n# c\r\n"),
        ('{"a": {"b": {"x": 2, "y": {"eta": 1}}}}', '{"a": {"b": {"x": 2, eta: 0.25, "y": {"eta": 1}}}}'),
        ("# é\na:\n  b:\n    x: 2   # two\n    eta: 0.1   # c\n", "# é\na:\n  b:\n    x: 2   # two\n    eta: 0.25   # c\n"),
        ("a:\n  b:\n    x: 2\nc: 1\n", "a:\n  b:\n    x: 2\n    eta: 0.25\nc: 1\n"),
        ("a: {b: {x: 2,  # two\n  y: 3  # three\n  }}\n", "a: {b: {x: 2,  # two\n  y: 3, eta: 0.25  # three\n  }}\n"),
    ],
)
def test_one_setting_is_changed_and_nothing_beside_it(before: str, after: str) -> None:
    """Comments, line ends and every other byte stay, in either style of a mapping."""
    assert _with_setting(before, ("a", "b"), "eta", "0.25") == after


@pytest.mark.parametrize("text", ["a: {b: &s {eta: 0.1}, c: *s}", "a: {b: {}}", "a: {c: {eta: 0.1}}", "a: 1", "", "a: {b: [1]}", ": ["])
def test_a_mapping_that_cannot_be_changed_alone_is_left_alone(text: str) -> None:
    """Where it stands for another place too, or is not there, a person changes it."""
    with pytest.raises(BadParams, match=r"a\.b") as refusal:
        _with_setting(text, ("a", "b"), "eta", "0.25")
    assert "by hand" in refusal.value.hint
