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


@pytest.mark.parametrize("value", ["oops", "inf", "-Infinity", "1e400", "1e39", "1_000", "0x10", "1.2.3", "12 kW", "\u0661\u0662"])
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


COUNTER = [1000 + 0.4 * (place - place % 3) for place in range(400)]


@pytest.mark.parametrize(
    "values",
    [
        COUNTER,
        COUNTER[:12],
        COUNTER[:390] + [0.4 * place for place in range(10)],
        [0 if place % 50 == 30 else value for place, value in enumerate(COUNTER)],
        [place % 24 for place in range(400)],
    ],
    ids=["rises", "short", "reset", "zeros", "reset each day"],
)
def test_a_counter_is_not_energy_per_interval(load, rows, values):
    """A column that rises is refused with the cure, whether it is short, was reset, or lost readings."""
    refusal = refused(load, "time,meter_kwh\n" + rows(values))
    assert "a counter" in refusal.message
    assert "the difference from row to row" in refusal.hint


@pytest.mark.parametrize(
    "values",
    [[0.5] * 40, [0.1, *[0.1] * 30, 0.2] * 9, [0.0] * 60 + [1, 0] + [0.0] * 60, [1, 2, 1.5] * 20],
    ids=["flat", "pulses", "rare", "usual"],
)
def test_energy_that_seldom_changes_is_no_counter(load, rows, values):
    """Coarse and constant meters hardly ever fall, and hardly ever rise."""
    assert load("time,meter_kwh\n" + rows(values)).rows == len(values)


@pytest.mark.parametrize(
    ("hours", "said"), [(1800, "per 900 s from 2024-06-01T00:00:00 to"), (30, "per 3600 s from 2024-01-01T00:00:00 to 2024-01-02T05:00:00")]
)
def test_energy_over_mixed_intervals_is_refused(load, rows, hours, said):
    """One length of interval turns energy into power: a stretch of another is named, whichever comes first and however long it is."""
    text = rows([4, 5, 3] * (hours // 3), start="2024-01-01 00:00") + rows([1, 1.5, 0.5] * 400, start="2024-06-01 00:00", step_s=900)
    assert f"energy is given {said}" in refused(load, "time,load_kwh\n" + text).message
    assert load("time,load_kw\n" + text).step_s in (900, 3600)


def test_gaps_do_not_make_intervals_mixed(load, rows):
    """Lost rows of energy leave gaps between rows of one interval."""
    lines = rows([4, 5, 3] * 400).splitlines(keepends=True)
    kept = "".join(line for place, line in enumerate(lines) if place * place % 7 > 1)
    assert load("time,load_kwh\n" + kept).step_s == 3600


@pytest.mark.parametrize(
    ("header", "values", "mark"),
    [
        ("time,power_w", ["950", '"1,234"', "870"], ","),
        ("Zeit;Leistung (W)", ["950", "1.234", "870"], "."),
        ("Zeit;Leistung (W)", ["0", "1.234", "2.870"], "."),
        ("Zeit;Leistung (W);Temperatur", ["950;3,5", "1.234;4,5", "870;5"], "."),
    ],
)
def test_a_mark_that_may_stand_between_thousands_is_refused(load, rows, header, values, mark):
    """950 beside 1,234 is a thousand or one: said, never guessed; the option settles it."""
    text = f"{header}\n" + rows(values, delimiter=header[4])
    refusal = refused(load, text)
    assert "can be 1234 or 1.234" in refusal.message
    assert f'meters.<id>.decimal: "{mark}"' in refusal.hint
    if "Temp" not in header:
        assert load(text, decimal=mark).frame["power_kw"][1] == pytest.approx(0.001234)


@pytest.mark.parametrize(
    ("header", "unit"),
    [
        ("Power (MW)", "MW"),
        ("load_mwh", "mwh"),
        ("Load mW", "mW"),
        ("loadGW", "GW"),
        ("Load [VA]", "VA"),
        ("energy MJ", "MJ"),
        ("Load W/m2", "W/m2"),
        ("usage EUR/kWh", "EUR/kWh"),
        ("load %", "%"),
        ("power kW kWh", "kW and kWh"),
    ],
)
def test_a_unit_that_is_not_read_is_refused(load, rows, header, unit):
    """A unit in the header is never overruled by the size of the values, only by the option."""
    text = f"time,{header}\n" + rows([1.5, 2.5, 2])
    refusal = refused(load, text)
    assert f'"{header}" tells the unit {unit}, not one of kW, W, kWh, Wh' in refusal.message
    assert "meters.<id>.unit" in refusal.hint
    assert load(text, unit="kW").unit == "kW"


@pytest.mark.parametrize(
    "header", ["load,house_kw", "power,energy", "heating_kw,house_kw", "solar_kw,temp", "humidity,production_kw", "load (MW),x_kw"]
)
def test_the_load_is_not_guessed_among_several_columns(load, rows, header):
    """Neither a unit alone nor a lonely plain name decides against another column that could be the load."""
    refusal = refused(load, f"time,{header}\n" + rows(["1.5,2.5", "2,1", "3,2"]))
    assert f"several columns could be the load ({header.replace(',', ', ')})" in refusal.message
    assert "meters.<id>.power_column" in refusal.hint


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
