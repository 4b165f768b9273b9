"""`wattcast forecast`: champions for registered meters, honest baselines for others, three formats."""

from __future__ import annotations

import csv
import json
import re
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
import tiny
from small_project import Trained, in_process, wattcast, write_csv


def test_a_registered_meter_is_answered_by_its_champion(trained: Trained) -> None:
    """JSON in a pipe: 24 hours from the end of the file, mean and quantiles, by the champion of the meter of this name."""
    told = wattcast(trained.folder, "forecast", trained.hours)
    answer = json.loads(told.stdout)
    starts = [datetime.fromisoformat(step["start"]) for step in answer["steps"]]
    listed = json.loads(in_process(trained.folder, "models", "--json").stdout)["meters"]
    champion = next(meter for meter in listed if meter["id"] == "hours")["tasks"][1]["champion"]
    assert (told.returncode, told.stderr) == (0, "")
    assert (answer["meter"], answer["tier"], answer["reason"], answer["version"]) == ("hours", "champion", "", champion)
    assert starts == [datetime.fromisoformat("2010-03-02T01:00+01:00") + timedelta(hours=lead) for lead in range(24)]
    assert all(list(step["quantiles"]) == ["0.1", "0.5", "0.9"] for step in answer["steps"])
    assert all(step["quantiles"]["0.1"] <= step["quantiles"]["0.5"] <= step["quantiles"]["0.9"] for step in answer["steps"])


def test_minutes_are_averaged_for_a_task_of_hours(trained: Trained) -> None:
    """A file of minutes answers the day ahead and the next minute."""
    for task, steps in (("day_ahead", 24), ("next_minute", 1)):
        answer = json.loads(in_process(trained.folder, "forecast", trained.minutes, "--task", task).stdout)
        assert (answer["meter"], answer["tier"], len(answer["steps"])) == ("minutes", "champion", steps)


def test_a_family_can_be_asked_for(trained: Trained) -> None:
    """--family names who answers."""
    for family, model in (("xgb", "XGBoost Regressor"), ("lgbm", "LightGBM Regressor")):
        answer = json.loads(in_process(trained.folder, "forecast", trained.hours, "--family", family).stdout)
        assert answer["model"] == model


def test_an_origin_is_on_the_meters_clock_and_hides_what_follows(trained: Trained, tmp_path: Path) -> None:
    """--origin without an offset is local; readings after it change nothing."""
    whole = tiny.hour_table(60)
    cut = write_csv(tmp_path / "hours.csv", whole.until(whole.end_s - 10 * 86_400))
    ask = ["--origin", "2010-02-20T01:00"]
    answers = [json.loads(in_process(trained.folder, "forecast", path, *ask).stdout) for path in (trained.hours, cut)]
    assert answers[0]["origin"] == "2010-02-20T01:00:00+01:00"
    assert answers[0]["steps"] == answers[1]["steps"]


def test_a_meter_never_registered_is_answered_by_a_baseline_that_says_so(trained: Trained, tmp_path: Path) -> None:
    """No model knows the meter: a baseline of its own readings, with the spread that it had on them."""
    for folder in (trained.folder, tmp_path):
        told = in_process(folder, "forecast", write_csv(tmp_path / "neighbour.csv", tiny.hour_table(30)))
        answer = json.loads(told.stdout)
        assert (answer["meter"], answer["tier"]) == ("neighbour", "baseline")
        assert 'no model was trained for day_ahead of meter "neighbour"' in answer["reason"]
        assert all(step["quantiles"]["0.1"] < step["quantiles"]["0.9"] for step in answer["steps"])


def test_a_meter_can_be_named(trained: Trained, tmp_path: Path) -> None:
    """--meter: a newer export under another name is answered by the registered meter's champion."""
    export = write_csv(tmp_path / "export-2010-03.csv", tiny.hour_table(60))
    answer = json.loads(in_process(trained.folder, "forecast", export, "--meter", "hours").stdout)
    assert (answer["meter"], answer["tier"]) == ("hours", "champion")


@pytest.mark.parametrize("suffix", ["csv", "parquet", "json"])
def test_a_curve_is_written_in_three_formats(suffix: str, trained: Trained, tmp_path: Path) -> None:
    """--out: the same 24 means in each, what stands behind them beside them, and no JSON on stdout."""
    printed = json.loads(in_process(trained.folder, "forecast", trained.hours).stdout)
    out = tmp_path / f"tomorrow.{suffix}"
    told = in_process(trained.folder, "forecast", trained.hours, "--out", out)
    rows = {"csv": read_csv, "parquet": read_parquet, "json": read_json}[suffix](out)
    assert told.returncode == 0
    assert told.stdout.startswith(f"{out}: 24 steps, by ")
    assert [row["mean_kw"] for row in rows] == [step["mean"] for step in printed["steps"]]
    assert [row["p90_kw"] for row in rows] == [step["quantiles"]["0.9"] for step in printed["steps"]]
    assert [row["start"] for row in rows] == [datetime.fromisoformat(step["start"]) for step in printed["steps"]]
    assert {(row["tier"], row["version"]) for row in rows} == {("champion", printed["version"])}


def read_csv(path: Path) -> list[dict[str, object]]:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    figures = [{name: float(row[name]) for name in ("mean_kw", "p90_kw")} for row in rows]
    return [{**row, **figure, "start": datetime.fromisoformat(row["start"])} for row, figure in zip(rows, figures, strict=True)]


def read_parquet(path: Path) -> list[dict[str, object]]:
    return pl.read_parquet(path).to_dicts()


def read_json(path: Path) -> list[dict[str, object]]:
    whole = json.loads(path.read_text())
    behind = {name: whole[name] for name in ("tier", "version")}
    return [
        {"start": datetime.fromisoformat(step["start"]), "mean_kw": step["mean"], "p90_kw": step["quantiles"]["0.9"], **behind}
        for step in whole["steps"]
    ]


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--task", "day_ahed"], 1, 'did you mean "day_ahead"?'),
        (["--task", "next_minute"], 1, "next_minute needs readings of 60 s or finer, these are 3600 s apart"),
        (["--family", "xgboost"], 1, 'did you mean "xgb"?'),
        (["--meter", "nobody"], 1, "known meters: hours, minutes"),
        (["--origin", "1999-01-01"], 1, "--origin 1999-01-01 lies before the first reading"),
        (["--origin", "yesterday"], 2, "is not a moment"),
        (["--out", "tomorrow.xlsx"], 2, "must end in .csv, .parquet, .json"),
    ],
)
def test_what_cannot_be_asked_is_said(words: list[str], status: int, said: str, trained: Trained) -> None:
    """1: refused with a hint; 2: not a command. Never a trace."""
    told = in_process(trained.folder, "forecast", trained.hours, *words)
    assert told.returncode == status
    assert said in " ".join(told.stderr.replace("│", " ").split())
    assert ("hint: " in told.stderr) == (status == 1)


@pytest.mark.parametrize(("words", "groups"), [
    (["--family", "xgb"], {"base", "last hours", "yesterday", "last week", "calendar"}),
    (["--family", "lgbm"], {"base", "last hours", "yesterday", "last week", "calendar"}),
])  # fmt: skip
def test_why_takes_the_mean_apart(words: list[str], groups: set[str], trained: Trained) -> None:
    """--why --json: kW of every step in groups of words, which sum to the mean."""
    told = wattcast(trained.folder, "forecast", trained.hours, "--why", "--json", *words)
    answer = json.loads(told.stdout)
    assert (told.returncode, told.stderr) == (0, "")
    assert answer["why"]["groups"].keys() == groups
    for step, parts in zip(answer["steps"], zip(*answer["why"]["groups"].values(), strict=True), strict=True):
        assert step["mean"] == pytest.approx(sum(parts), abs=1e-4)


def test_why_is_a_table_beside_a_curve_in_a_file(trained: Trained, tmp_path: Path) -> None:
    """The mean of all steps and the highest one, a line per group and the sum; a JSON file holds the parts too."""
    out = tmp_path / "tomorrow.json"
    told = wattcast(trained.folder, "forecast", trained.hours, "--why", "--out", out)
    whole = json.loads(out.read_text())
    lines = {name: figures for name, *figures in (re.split(r"\s{2,}", line.strip()) for line in told.stdout.splitlines()[2:])}
    means = [step["mean"] for step in whole["steps"]]
    assert {"in all", "base", "yesterday", "calendar"} <= lines.keys()
    assert [float(figure) for figure in lines["in all"]] == pytest.approx([sum(means) / 24, max(means)], abs=1e-3)
    assert float(lines["yesterday"][0]) == pytest.approx(sum(whole["why"]["groups"]["yesterday"]) / 24, abs=1e-3)
    assert max(whole["steps"], key=lambda step: float(step["mean"]))["start"] in told.stdout


def test_why_of_a_change_starts_from_the_last_reading(trained: Trained) -> None:
    """One step: one column, and the last reading in a group of its own."""
    whole = json.loads(wattcast(trained.folder, "forecast", trained.minutes, "--task", "next_minute", "--why", "--json").stdout)
    (last,) = whole["why"]["groups"]["the last reading"]
    assert last == pytest.approx(float(tiny.minute_table(16).power_kw[-1]), abs=1e-3)
    assert whole["steps"][0]["mean"] == pytest.approx(sum(parts[0] for parts in whole["why"]["groups"].values()), abs=1e-4)


def test_why_of_a_baseline_says_that_there_is_nothing_to_take_apart(trained: Trained, tmp_path: Path) -> None:
    """The forecast stands, without parts and with the reason."""
    neighbour = write_csv(tmp_path / "neighbour.csv", tiny.hour_table(30))
    told = in_process(trained.folder, "forecast", neighbour, "--why")
    why = json.loads(told.stdout)["why"]
    assert (told.returncode, why["groups"]) == (0, {})
    assert "no model answered but " in why["reason"]
    assert "Why: no model answered but " in in_process(trained.folder, "forecast", neighbour, "--why", "--out", tmp_path / "x.csv").stdout


def test_why_without_the_learners_says_what_to_install(trained: Trained, tmp_path: Path) -> None:
    """Where neither learner is installed: refused with the extra that brings them; the forecast without --why needs none."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules.update(xgboost=None, lightgbm=None)\n")
    told = wattcast(trained.folder, "forecast", trained.hours, "--why", PYTHONPATH=str(tmp_path))
    assert (told.returncode, told.stdout) == (1, "")
    assert told.stderr.startswith("error: ")
    assert told.stderr.splitlines()[-1].endswith('pip install "wattcast[explain]"')
    assert wattcast(trained.folder, "forecast", trained.hours, PYTHONPATH=str(tmp_path)).returncode == 0
