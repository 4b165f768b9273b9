"""`wattcast check`: the right verdict on real files, one clear line on bad ones."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
import tiny
from small_project import in_process, small_params, wattcast, write_csv

REAL = {
    "household_power_consumption_2007h1.zip": ("good", "282,636"),
    "household_hourly_kw.csv": ("usable", "The longest gap lasts 5.0 days."),
    "household_hourly_all_columns.csv": ("usable", "421 hours of exact zeros stand where nothing was measured: read as gaps."),
    "household_daily.csv": ("usable", "too coarse for a forecast of hours or minutes."),
}


@pytest.mark.parametrize("name", REAL)
def test_each_real_file_gets_the_right_verdict(name: str, shared_data: Path, tmp_path: Path) -> None:
    """The four real files: verdict and reason, the zero-filled one caught."""
    verdict, reason = REAL[name]
    told = in_process(tmp_path, "check", shared_data / name)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith(f"{shared_data / name}: {verdict}\n")
    assert reason in told.stdout


def bad_number(path: Path) -> None:
    lines = write_csv(path, tiny.minute_table(4)).read_text().splitlines()
    lines[4_999] = lines[4_999].split(",")[0] + ",1.2x3" + ",1" * 6
    path.write_text("\n".join(lines))


BAD = {
    "a bad number on line 5000": (bad_number, "line 5000"),
    "nothing in it": (lambda path: path.write_bytes(b""), "empty"),
    "no text": (lambda path: path.write_bytes(bytes(range(256)) * 64), "binary"),
    "UTF-16": (lambda path: path.write_text("time,power_kw\n2024-01-01T00:00,1\n", "utf-16"), "UTF-16"),
    "40 hours": (lambda path: write_csv(path, tiny.hour_table(60).rows(0, 40)), "Only 40 hours are measured"),
    "a torn archive": (lambda path: path.write_bytes(gzip.compress(b"time,power_kw\n" * 100)[:-9]), "archive is damaged"),
    "not there": (lambda _: None, "there is no such file"),
    "a folder": (lambda path: path.mkdir(), "is a folder"),
}


@pytest.mark.parametrize("what", BAD)
def test_a_bad_file_is_one_line_with_a_hint(what: str, tmp_path: Path) -> None:
    """Each kind of bad file: the error on one line, a hint on the next, exit 1, no trace."""
    make, said = BAD[what]
    path = tmp_path / "meter.csv"
    make(path)
    told = in_process(tmp_path, "check", path)
    error, hint = told.stderr.splitlines()
    assert told.returncode == 1
    assert error.startswith(f"error: {path}")
    assert said in error
    assert hint.startswith("hint: ")


def test_watts_are_read_as_watts(tmp_path: Path) -> None:
    """The same readings in W give the same mean in kW."""
    table = tiny.hour_table(60)
    in_kw = write_csv(tmp_path / "in_kw.csv", table)
    in_w = tmp_path / "in_w.csv"
    rows = [line.split(",") for line in in_kw.read_text().splitlines()[1:]]
    in_w.write_text("time,power_w\n" + "".join(f"{moment},{float(value) * 1000:.0f}\n" for moment, value in rows))
    means = [json.loads(in_process(tmp_path, "check", path, "--json").stdout)["figures"]["mean_kw"] for path in (in_kw, in_w)]
    assert means[0] == pytest.approx(means[1], abs=1e-3)


def test_a_refused_file_still_gives_its_figures(tmp_path: Path) -> None:
    """--json of a refused file: the whole report on stdout, the error on stderr, exit 1."""
    told = wattcast(tmp_path, "check", write_csv(tmp_path / "short.csv", tiny.hour_table(2)), "--json")
    report = json.loads(told.stdout)
    assert told.returncode == 1
    assert report["verdict"] == "refused"
    assert report["figures"]["resolution_s"] == 3600


def test_the_params_of_the_folder_say_how_a_file_is_to_be_read(tmp_path: Path) -> None:
    """A params.yaml that cannot be used is refused with its key, not ignored."""
    (tmp_path / "params.yaml").write_text(small_params().replace("preset", "presett") + "meter: {file: meter.csv}\n")
    told = in_process(tmp_path, "check", write_csv(tmp_path / "meter.csv", tiny.hour_table(20)))
    assert told.returncode == 1
    assert 'unknown key presett; did you mean "preset"?' in told.stderr
