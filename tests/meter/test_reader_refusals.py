"""Every refusal of a reader: one line that names file, line, value and cure."""

from __future__ import annotations

import gzip
import random
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wattcast.errors import BadMeterFile
from wattcast.meter.readers import ReadOptions, read
from wattcast.meter.table import Meter

HOUSE = ReadOptions(Meter("house"))
OK = "time,power_kw\n2024-01-15 00:00,1.0\n2024-01-15 01:00,2.0\n"


def refused(load, content, **options):
    """The refusal of a file: one line, with a hint, naming the file."""
    with pytest.raises(BadMeterFile) as refusal:
        load(content, **options)
    assert "\n" not in refusal.value.message + refusal.value.hint
    assert "house.csv" in refusal.value.message
    assert refusal.value.hint
    return refusal.value


@pytest.mark.parametrize("value", ["oops", "inf", "-Infinity", "1e400", "1e39", "1_000", "0x10", "1.2.3", "12 kW"])
def test_a_bad_number_on_line_5000_is_named(load, rows, value):
    """File, line, value, column and cure stand in one line, however many blocks polars has read by then."""
    values = [f"{1 + place % 7}" for place in range(6_000)]
    values[4_998] = value
    refusal = refused(load, "time,power_kw\n" + rows(values, step_s=60))
    assert f'house.csv, line 5000: "{value}" in column "power_kw" is not a finite number' in refusal.message
    assert 'write "?"' in refusal.hint


def test_a_bad_covariate_is_named_too(load, rows):
    """Every column that is read is checked."""
    values = [f"1.5,{place}" for place in range(50)]
    values[30] = "1.5,broken"
    assert 'line 32: "broken" in column "temp"' in refused(load, "time,power_kw,temp\n" + rows(values)).message


def test_a_decimal_comma_against_the_rest_names_the_option(load, rows):
    """A number with the other mark says which option reads it."""
    refusal = refused(load, "time;power_kw\n" + rows(["1.5", "2,5", "3.5"] * 10, delimiter=";"))
    assert 'meters.<id>.decimal: ","' in refusal.hint


@pytest.mark.parametrize(
    "value", ["2024-01-32 00:00:00", "yesterday", "2024-01-15T07:00:00", "9999-01-01 00:00:00", "1612-01-01 00:00:00", ""]
)
def test_a_bad_date_is_named(load, rows, value):
    """A time that does not fit the pattern of the others, or lies outside 1900 to 2100, is named with its line."""
    lines = rows(range(1, 9)).splitlines()
    lines[6] = f"{value},7"
    refusal = refused(load, "time,power_kw\n" + "\n".join(lines))
    assert f'house.csv, line 8: "{value}" in column "time" is not a time' in refusal.message
    assert "meters.<id>.time_format" in refusal.hint


@pytest.mark.parametrize(
    ("content", "said", "cure"),
    [
        ("", "the file is empty", "readings"),
        ("\n\r\n \n", "the file is empty", "readings"),
        ("time,power_kw\n", "a header and no reading", "readings"),
        ("time,power_kw\n\n\n", "a header and no reading", "readings"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" * 40, "binary file", "CSV"),
        (random.Random(3).randbytes(4_000).replace(b"\0", b"\1"), "binary file", "CSV"),
        (OK.encode("utf-16"), "UTF-16", "save the file as UTF-8"),
        (OK.encode("utf-16-le"), "UTF-16", "save the file as UTF-8"),
        (OK.encode("utf-16-be"), "UTF-16", "save the file as UTF-8"),
        ("power_kw,b\n1,2\n3,4\n", "no column holds times", "meters.<id>.time_column"),
        ("time,state\n2024-01-15 00:00,on\n2024-01-15 01:00,off\n", "no column holds power", "meters.<id>.power_column"),
        (
            "time,a_kw,b_kw\n2024-01-15 00:00,1,2\n2024-01-15 01:00,1,2\n",
            "several columns could be the load (a_kw, b_kw)",
            "meters.<id>.power_column",
        ),
        ("2024-01-15 00:00,1\n2024-01-15 01:00,2\n", "line 1: a reading stands where the header should be", "time,power_kw"),
        (
            "time,power_kw\n2024-01-15 00:00,1\n2024-01-15 01:00,1,2,3\n",
            "line 3: 4 values where the header names 2",
            "meters.<id>.delimiter",
        ),
        ("time,power_kw\n2024-01-15 00:00,1\n2024-01-15 00:00,2\n", "no two readings", "two readings"),
        ("time,power_kw\n01/02/2024 00:00,1\n01/02/2024 01:00,2\n", 'dates such as "01/02/2024 00:00" can be', "meters.<id>.time_format"),
        (
            "time,power_kw\n01/02/24 00:00,1\n01/02/24 01:00,2\n",
            '"01/02/24 00:00" in column "time" is not a time',
            "meters.<id>.time_format",
        ),
        ("time,power_kw\n" + "x" * 200_000 + ",1\n", "not a table of text", "CSV"),
        (b"time,power_kw\n" + b"9" * (9 << 20) + b"\n2", "no end of line within", "one reading per line"),
    ],
)
def test_what_is_no_meter_file_is_refused_in_a_line(load, content, said, cure):
    """What is wrong and what to do about it."""
    refusal = refused(load, content)
    assert said in refusal.message
    assert cure in refusal.hint


def test_named_columns_must_exist(load):
    """A wrong name lists the columns there are."""
    for option in ("time_column", "power_column"):
        refusal = refused(load, OK, **{option: "nope"})
        assert 'no column "nope" (columns: time, power_kw)' in refusal.message
        assert f"meters.<id>.{option}" in refusal.hint


@pytest.mark.parametrize("options", [{"time_column": "power_kw", "power_column": "power_kw"}, {"time_format": "%Q nonsense"}])
def test_options_that_do_not_fit_the_values_are_refused(load, options):
    """A column that holds no times, and a pattern that no time follows, are said."""
    assert "time" in refused(load, OK, **options).message


def test_a_counter_is_not_energy_per_interval(load, rows):
    """A column that only rises is refused with the cure."""
    refusal = refused(load, "time,meter_kwh\n" + rows([1000 + 0.4 * place for place in range(40)]))
    assert "a counter" in refusal.message


def test_missing_files_and_folders_are_said(tmp_path):
    """No trace of the operating system's own errors."""
    with pytest.raises(BadMeterFile, match="there is no such file"):
        read(tmp_path / "none.csv", HOUSE)
    with pytest.raises(BadMeterFile, match="is a folder"):
        read(tmp_path, HOUSE)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens and cannot be read")
def test_a_file_that_cannot_be_read_is_said():
    """The system's reason is in the line."""
    with pytest.raises(BadMeterFile, match="cannot be read"):
        read(Path("/proc/self/mem"), HOUSE)


def archive(tmp_path, members):
    path = tmp_path / "house.csv.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as target:
        for name, text in members.items():
            target.writestr(name, text)
    return path


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({}, "no .csv or .txt"),
        ({"word.xml": "<x/>", "__MACOSX/a.csv": "x", ".b.csv": "x"}, "no .csv or .txt"),
        ({"a.csv": OK, "b.txt": OK}, "2 text files (a.csv, b.txt)"),
        ({"a.csv": ""}, "the file is empty"),
    ],
)
def test_a_zip_holds_one_text_file(tmp_path, members, said):
    """None or several are refused by name; the hidden copies that some systems pack do not count."""
    with pytest.raises(BadMeterFile) as refusal:
        read(archive(tmp_path, members), HOUSE)
    assert said in refusal.value.message


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path):
    """A size beyond 4 GB in the directory of the zip is enough."""
    path = archive(tmp_path, {"a.csv": OK})
    data = bytearray(path.read_bytes())
    directory = data.index(b"PK\1\2")
    data[directory + 24 : directory + 28] = struct.pack("<I", 4_100_000_000)
    path.write_bytes(data)
    with pytest.raises(BadMeterFile, match="more than 4 GB when decompressed"):
        read(path, HOUSE)


def test_a_gzip_bomb_is_refused_while_it_is_unpacked(load, rows):
    """A gzip tells no size: it is counted as it comes."""
    bomb = gzip.compress(("time,power_kw\n" + rows(range(5_000))).encode())
    assert "when decompressed" in refused(load, bomb, max_bytes=100_000).message


def test_damaged_and_encrypted_archives_are_said(tmp_path, load):
    """A torn gzip, a torn zip, a wrong checksum, a password."""
    packed = gzip.compress(OK.encode() * 200)
    assert "the archive is damaged" in refused(load, packed[: len(packed) // 2]).message
    path = archive(tmp_path, {"a.csv": OK})
    whole = path.read_bytes()
    encrypted = bytearray(whole)
    encrypted[whole.index(b"PK\1\2") + 8] |= 1
    changed = bytearray(whole)
    changed[whole.index(b"PK\1\2") + 16] ^= 1
    for data, said in ((whole[:60], "damaged"), (bytes(encrypted), "encrypted"), (bytes(changed), "damaged")):
        path.write_bytes(data)
        with pytest.raises(BadMeterFile, match=said):
            read(path, HOUSE)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300) | st.text(max_size=200).map(lambda text: ("time,power_kw\n2024-01-15 00:00,1\n" + text).encode()))
def test_whatever_the_bytes_the_answer_is_readings_or_a_refusal(write, content):
    """No input ends in an error of a library."""
    try:
        assert read(write(content), HOUSE).rows >= 2
    except BadMeterFile as refusal:
        assert refusal.hint  # noqa: PT017
