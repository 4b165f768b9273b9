"""`wattcast pipeline --meter`: a service's own readings train its next model, over the file that it began with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from small_project import in_process, wattcast

from wattcast.adapters.database import Database, DatabaseReadings
from wattcast.config import load_params
from wattcast.meter.arrivals import Batch
from wattcast.meter.readers.parquet import as_parquet, told_by
from wattcast.meter.table import Meter, MeterTable
from wattcast.stages.readings import read_options

HOURS = Meter("hours", "Europe/Paris")


def send(folder: Path, meter: Meter, table: MeterTable) -> None:
    """Have the readings arrive, as a service keeps them."""
    database = Database(f"sqlite:///{folder / 'store' / 'wattcast.db'}")
    DatabaseReadings(database).put(meter, Batch.of(table.step_s, table.instants(), table.columns()), 1_800_000_000)
    database.close()


def later(days: int) -> MeterTable:
    """Days of hours that follow those of the house's file."""
    longer = tiny.hour_table(60 + days)
    return longer.rows(60 * 24, len(longer))


def processed(folder: Path) -> MeterTable:
    """The table of hours that models were trained on."""
    return MeterTable.from_bytes((folder / "data/processed/3600s.npz").read_bytes())


def slot(folder: Path, meter: str) -> dict[str, str]:
    """Who answers the day ahead of a meter."""
    listing = json.loads(in_process(folder, "models", "--json").stdout)
    tasks = next(each["tasks"] for each in listing["meters"] if each["id"] == meter)
    return next(task for task in tasks if task["task"] == "day_ahead")


def test_a_meter_that_began_with_a_file_is_renewed_from_file_and_arrivals(copy: Path) -> None:
    """Old and new readings, a correction of an old one among them, under the same id: a model applies for its champion's place."""
    before, began = slot(copy, "hours"), processed(copy)
    corrected = replace(began.rows(100, 101), power_kw=np.array([7.5], dtype=np.float32), covariates={})
    send(copy, HOURS, later(10))
    send(copy, HOURS, corrected)
    ran = wattcast(copy, "pipeline", "--meter", "hours")
    assert ran.returncode == 0, ran.stderr
    words = "data/raw/hours.parquet: the readings of meter hours that have arrived, over data/raw/hours.csv; tracked by DVC"
    assert words in ran.stdout
    assert "  file: data/raw/hours.parquet   #" in (copy / "params.yaml").read_text()
    assert (copy / "data/raw/hours.parquet.dvc").exists()
    now = processed(copy)
    assert now.meter == HOURS
    assert (now.start_s, len(now)) == (began.start_s, len(began) + 240)
    assert now.power_kw[100] == 7.5
    np.testing.assert_allclose(now.power_kw[101 : len(began)], began.power_kw[101:], atol=6e-4)
    np.testing.assert_array_equal(now.power_kw[len(began) :], later(10).power_kw)
    after = slot(copy, "hours")
    # Its own model applied for the place of the one before it, and was judged beside that.
    new = after["candidate"] or after["champion"]
    assert new != before["champion"]
    assert "day_ahead: " in ran.stdout.partition("registered meter hours")[2]
    assert before["champion"] in (after["champion"], after["previous"])

    exported = (copy / "data/raw/hours.parquet").read_bytes()
    again = wattcast(copy, "pipeline", "--meter", "hours", "--json")
    assert again.returncode == 0
    assert "nothing has changed: models and scores stand" in again.stderr
    assert json.loads(again.stdout)["meter"] == "hours"
    assert (copy / "data/raw/hours.parquet").read_bytes() == exported
    # Both are one house: whoever wants to can go back to the file.
    back = wattcast(copy, "pipeline", "--data", "data/raw/hours.csv")
    assert back.returncode == 0, back.stderr
    assert slot(copy, "hours")["champion"] == before["champion"]


def test_a_meter_that_only_ever_sent_readings_gets_a_model_of_its_own(copy: Path) -> None:
    """No file of it, an id that no file's name gives: its zone and flow travel in the export, and so does every gap."""
    meter, table = Meter("main_house", "America/New_York", "net"), tiny.hour_table(40, "net")
    table.power_kw[50:60] = np.nan
    send(copy, meter, table)
    ran = wattcast(copy, "pipeline", "--meter", "main_house")
    assert ran.returncode == 0, ran.stderr
    assert "data/raw/main_house.parquet: the readings of meter main_house that have arrived: data/raw held no file of it" in ran.stdout
    now = processed(copy)
    assert now.meter == meter
    np.testing.assert_array_equal(now.power_kw, table.power_kw)
    assert slot(copy, "main_house")["champion"]
    # What follows reads the file alone.
    again = wattcast(copy, "pipeline")
    assert again.returncode == 0, again.stderr
    assert "nothing has changed" in again.stdout
    assert "does not know" not in again.stdout


def test_what_params_state_of_a_meter_counts_over_what_it_sent(copy: Path) -> None:
    """The facts of params.yaml are science: the export is read with them."""
    text = (copy / "params.yaml").read_text()
    (copy / "params.yaml").write_text(text.replace('"hours": {"zone": "Europe/Paris"}', '"hours": {"zone": "+02:00", "unit": "W"}'))
    (copy / "data/raw/hours.csv").unlink()
    (copy / "data/raw/hours.csv.dvc").unlink()
    (copy / "data/raw/hours.parquet").write_bytes(as_parquet(replace(tiny.hour_table(40), meter=HOURS)))
    told = in_process(copy, "check", "data/raw/hours.parquet", "--json")
    assert told.returncode == 0, told.stderr
    assert told_by(copy / "data/raw/hours.parquet") == HOURS
    assert any("is in kW" in note for note in json.loads(told.stdout)["notes"])
    assert read_options(load_params(copy / "params.yaml"), copy / "data/raw/hours.parquet").meter.zone == "+02:00"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (
            ("--meter", "hour"),
            'error: no reading of meter "hour" has arrived; did you mean "hours"?\nhint: PUT /api/v1/meters/',
        ),
        (("--meter", "few"), "few.parquet is refused: Only "),
        (("--meter", "minutes"), "what has arrived is 3600 s apart, what was known before 60 s"),
        (("--meter", "halves"), "what has arrived stands at other seconds of the clock than what was known before"),
    ],
)
def test_what_cannot_be_renewed_is_said_and_changes_nothing(copy: Path, words: tuple[str, ...], said: str) -> None:
    """Nothing arrived, too little, coarser than the file, on another grid: one error with a hint, everything as it was."""
    send(copy, HOURS, later(2))
    send(copy, Meter("few"), tiny.hour_table(1))
    send(copy, Meter("minutes", "Europe/Paris"), later(2))
    send(copy, Meter("halves"), replace(later(2), start_s=later(2).start_s + 1_800))
    (copy / "data/raw/halves.csv").write_bytes((copy / "data/raw/hours.csv").read_bytes())
    before = (copy / "params.yaml").read_bytes(), sorted((copy / "data/raw").iterdir())
    refused = in_process(copy, "pipeline", *words)
    assert refused.returncode == 1
    assert said in refused.stderr
    assert "\nhint: " in refused.stderr
    assert ((copy / "params.yaml").read_bytes(), sorted((copy / "data/raw").iterdir())) == before


def test_a_file_that_was_not_fetched_is_not_left_out(copy: Path) -> None:
    """Of the house's file only the .dvc is here: training on the arrivals alone would forget years unasked."""
    send(copy, HOURS, later(20))
    (copy / "data/raw/hours.csv").unlink()
    refused = in_process(copy, "pipeline", "--meter", "hours")
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: data/raw/hours.csv is not there, only data/raw/hours.csv.dvc\nhint: dvc pull fetches it")


def test_a_file_and_a_meter_are_not_both_named(copy: Path) -> None:
    """Which one is meant cannot be told."""
    assert in_process(copy, "pipeline", "--meter", "hours", "--data", "hours.csv").returncode == 2
