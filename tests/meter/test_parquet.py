"""Parquet: what others write is read by its columns, what we export is the same bytes for the same readings, and damage is said."""

from __future__ import annotations

import io
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import tiny

import wattcast
from wattcast.errors import BadMeterFile
from wattcast.meter.cleaning import to_table
from wattcast.meter.readers import ReadOptions, read
from wattcast.meter.readers.parquet import as_parquet, options_for, told_by
from wattcast.meter.table import Meter

MOMENTS = [datetime(2024, 7, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(48)]
FIRST_S = int(MOMENTS[0].timestamp())
KW = [round(0.3 + hour % 24 / 10, 3) for hour in range(48)]
HOUSE = Meter("house", "Europe/Paris", "net", "FR", simulated=True)


def parquet(path: Path, **columns: Any) -> Path:
    pl.DataFrame(columns).write_parquet(path)
    return path


def naive(moments: list[datetime]) -> list[datetime]:
    return [moment.replace(tzinfo=None) for moment in moments]


@pytest.mark.parametrize(
    ("times", "shift_s"),
    [
        (pl.Series(MOMENTS), 0),
        (pl.Series(MOMENTS).dt.convert_time_zone("Asia/Tokyo").dt.cast_time_unit("ns"), 0),
        (pl.Series(naive(MOMENTS)), -7_200),
        (pl.Series([int(moment.timestamp()) for moment in MOMENTS]), 0),
        (pl.Series([int(moment.timestamp() * 1_000) for moment in MOMENTS]), 0),
        (pl.Series([moment.isoformat() for moment in MOMENTS]), 0),
        (pl.Series([f"{moment:%Y-%m-%d %H:%M}" for moment in MOMENTS], dtype=pl.Categorical), -7_200),
    ],
)
def test_times_are_read_as_they_are_typed(tmp_path: Path, times: pl.Series, shift_s: int) -> None:
    """With a zone they are instants, without one on the meter's clock; numbers are seconds or thousandths since 1970, texts as in a CSV."""
    file = parquet(tmp_path / "x.parquet", time=times, power_kw=KW, flags=[True] * 48, parts=[[1]] * 48)
    readings = read(file, ReadOptions(Meter("x", zone="Europe/Paris")))
    assert readings.format == "Parquet"
    assert readings.frame["start"].to_list() == [FIRST_S + shift_s + 3_600 * hour for hour in range(48)]
    np.testing.assert_array_equal(readings.frame["power_kw"].to_numpy(), np.array(KW, dtype=np.float32))
    assert readings.frame.columns == ["start", "power_kw"]


def test_units_covariates_and_gaps_are_found_as_in_a_csv(tmp_path: Path) -> None:
    """Energy per interval becomes power, other numbers are covariates, null and NaN were not measured."""
    energy = [None, float("nan"), *[0.4, 0.9, 0.6] * 15, 0.5]
    file = parquet(tmp_path / "x.parquet", timestamp=MOMENTS, **{"Energy [Wh]": pl.Series(energy) * 1_000, "Voltage, V": [230] * 48})
    readings = read(file, ReadOptions(Meter("x")))
    assert readings.unit == "Wh"
    np.testing.assert_allclose(readings.frame["power_kw"].to_numpy()[:4], [np.nan, np.nan, 0.4, 0.9], rtol=1e-6)
    assert readings.frame["voltage_v"].to_list() == [230.0] * 48


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"power_kw": KW, "when": [b"x"] * 48}, r"no column holds times \(columns: power_kw\)"),
        ({"time": MOMENTS, "power_kw": [str(value) for value in MOMENTS]}, r"no column holds power or energy \(columns: time, power_kw\)"),
        ({"time": MOMENTS, "power_a": KW, "power_b": KW}, r"several columns could be the load \(power_a, power_b\)"),
        ({"time": MOMENTS, "power_mw": KW}, r'the name of column "power_mw" tells the unit'),
        ({"time": MOMENTS, "power_kw": [float("inf"), *KW[1:]]}, r'"inf" in column "power_kw" is not a finite number'),
        ({"time": pl.Series(MOMENTS)[:0], "power_kw": pl.Series(KW)[:0]}, "there is a header and no reading below it"),
        ({"flags": [True]}, "the file is empty"),
    ],
)
def test_a_column_that_is_missing_or_unclear_is_named(tmp_path: Path, columns: dict[str, Any], words: str) -> None:
    """What a CSV is refused for, Parquet is too, with the columns that could be read."""
    with pytest.raises(BadMeterFile, match=words) as refusal:
        read(parquet(tmp_path / "x.parquet", **columns), ReadOptions(Meter("x")))
    assert refusal.value.hint


def test_more_than_is_read_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    """A few kilobytes can hold a billion rows, or a long text a million times."""
    many = parquet(tmp_path / "many.parquet", time=pl.repeat(0, 3_000_000, eager=True), power_kw=pl.repeat(1.0, 3_000_000, eager=True))
    long = parquet(tmp_path / "long.parquet", time=["x" * 100_000] * 500, power_kw=[1.0] * 500)
    for file in (many, long):
        assert file.stat().st_size < 200_000
        with pytest.raises(BadMeterFile, match=r"more than 0\.02 GB"):
            read(file, ReadOptions(Meter("x"), max_bytes=20_000_000))


def test_an_export_is_the_same_bytes_and_reads_back_whole(tmp_path: Path) -> None:
    """The order of columns and the hour do not show; readings, gaps and the facts of the meter come back."""
    table = tiny.minute_table(3, HOUSE)
    turned = replace(table, covariates=dict(reversed(table.covariates.items())))
    assert as_parquet(table) == as_parquet(turned)
    file = tmp_path / "anything.parquet"
    file.write_bytes(as_parquet(table))
    assert told_by(file) == HOUSE
    back = to_table(read(file, options_for(HOUSE)))
    assert (back.meter, back.start_s, back.step_s) == (table.meter, table.start_s, table.step_s)
    for name, values in table.columns().items():
        np.testing.assert_array_equal(back.columns()[name], values)
    assert pl.read_parquet(file)["power_kw"].null_count() == 0


@pytest.mark.parametrize("said", ["{", "[]", '{"id": "../x"}', '{"id": "x", "zone": "Mars"}', '{"id": "x", "flow": "up"}', '{"no": 1}'])
def test_facts_that_cannot_be_are_refused(tmp_path: Path, said: str) -> None:
    """A file can say of itself what it likes: what is no meter is none."""
    pl.DataFrame({"start": MOMENTS, "power_kw": KW}).write_parquet(tmp_path / "x.parquet", metadata={"wattcast.meter": said})
    with pytest.raises(BadMeterFile, match="what it says of its meter cannot be"):
        told_by(tmp_path / "x.parquet")


def test_a_file_of_others_says_nothing_of_its_meter(tmp_path: Path) -> None:
    """No facts in a CSV, in Parquet from elsewhere, in what is not there."""
    (tmp_path / "x.csv").write_text("time,power_kw\n")
    for file in (parquet(tmp_path / "y.parquet", time=MOMENTS), tmp_path / "x.csv", tmp_path / "none.parquet"):
        assert told_by(file) is None


def test_a_damaged_file_is_one_error_whatever_it_is_damaged_by(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """300 damaged copies: each is refused in words, or still holds rows that can be read."""
    chance, buffer, refused = random.Random(3), io.BytesIO(), 0
    pl.DataFrame({"time": MOMENTS, "power_kw": KW}).write_parquet(buffer)
    for number in range(300):
        damaged = bytearray(buffer.getvalue())
        for _ in range(chance.choice([1, 2, 8])):
            damaged[chance.randrange(4, len(damaged))] = chance.randrange(256)
        file = tmp_path / "x.parquet"
        file.write_bytes(damaged if number % 5 else damaged[: chance.randrange(4, len(damaged))])
        try:
            read(file, ReadOptions(Meter("x")))
        except BadMeterFile:
            refused += 1
    assert refused > 100
    capfd.readouterr()


def test_the_python_api_takes_the_facts_from_an_export(tmp_path: Path) -> None:
    """`wattcast.read` knows zone and flow of an exported file; what is said to it counts over them."""
    file = tmp_path / "anything.parquet"
    file.write_bytes(as_parquet(tiny.minute_table(3, HOUSE)))
    assert wattcast.read(file).meter == HOUSE
    assert wattcast.read(file, zone="Asia/Tokyo", meter="other").meter == replace(HOUSE, zone="Asia/Tokyo", id="other")
