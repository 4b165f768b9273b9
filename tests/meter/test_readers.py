"""What is read from the files people have: formats, columns, units, and the real files."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from wattcast.errors import BadMeterFile, BadParams
from wattcast.meter.readers import ReadOptions, read, source
from wattcast.meter.readers.contract import MISSING
from wattcast.meter.table import Meter

UCI_NAMES = ["reactive_power_kvar", "voltage_v", "current_a", "sub1_wh", "sub2_wh", "sub3_wh"]
UCI_HEADER = "Date;Time;Global_active_power;Global_reactive_power;Voltage;Global_intensity;Sub_metering_1;Sub_metering_2;Sub_metering_3\n"
UCI = (
    UCI_HEADER
    + "1/2/2007;00:00:00;4.216;0.418;234.840;18.400;0.000;1.000;17.000\n1/2/2007;00:01:00;?;?;?;?;?;?;\n"
    + "1/2/2007;00:02:00;5.374;0.498;233.290;23.000;0.000;2.000;17.000\n"
)
HOUSE = ReadOptions(Meter("house"))


def zipped(**members: str) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as target:
        for name, text in members.items():
            target.writestr(name.replace("__", "."), text)
    return archive.getvalue()


@pytest.mark.parametrize("pack", [str.encode, lambda text: gzip.compress(text.encode()), lambda text: zipped(house__txt=text)])
def test_the_uci_format_is_read_plain_gzipped_and_zipped(load, pack):
    """Day first, `?` is not measured, every column under its own name, whatever the file is packed in."""
    readings = load(pack(UCI))
    assert readings.format == "UCI household text"
    assert readings.frame.columns == ["start", "power_kw", *UCI_NAMES]
    assert readings.frame["start"].to_list() == [1170288000, 1170288060, 1170288120]
    np.testing.assert_allclose(readings.frame["power_kw"].to_numpy(), [4.216, np.nan, 5.374], rtol=1e-6)
    np.testing.assert_allclose(readings.frame["sub3_wh"].to_numpy(), [17, np.nan, 17])
    assert (readings.unit, readings.step_s, readings.rows) == ("kW", 60, 3)


@pytest.mark.parametrize(
    ("header", "unit", "factor", "step_s"),
    [
        ("load_w", "W", 1e-3, 60),
        ("Power (W)", "W", 1e-3, 900),
        ("loadW", "W", 1e-3, 900),
        ("power_kw", "kW", 1, 60),
        ("Watts", "W", 1e-3, 60),
        ("Energy [kWh]", "kWh", 4, 900),
        ("consumption_kWh", "kWh", 1, 3600),
        ("energy_wh", "Wh", 2e-3, 1800),
        ("powerkW", "kW", 1, 900),
        ("Usage (kilowatt-hours)", "kWh", 4, 900),
        ("Energy (kW h)", "kWh", 4, 900),
        ("kW-h", "kWh", 1, 3600),
        ("Verbrauch Kilowattstunden", "kWh", 1, 3600),
        ("Leistung/kW", "kW", 1, 900),
        ("hp_kw", "kW", 1, 900),
    ],
)
def test_the_header_tells_the_unit(load, rows, header, unit, factor, step_s):
    """Power and energy per interval become mean kW, and the note says what the column was taken for."""
    values = [900.0, 0, 1100, 700, 800]
    readings = load(f"time,{header}\n" + rows(values, step_s=step_s))
    assert readings.unit == unit
    np.testing.assert_allclose(readings.frame["power_kw"].to_numpy(), np.array(values) * factor, rtol=1e-6)
    assert f'power column "{header}" is in {unit}' in readings.notes


def test_the_option_outranks_the_header(load, rows):
    """meters.<id>.unit is believed before the column's name."""
    readings = load("time,load_kw\n" + rows([500, 600, 700]), unit="W")
    assert readings.frame["power_kw"].to_list() == pytest.approx([0.5, 0.6, 0.7])


@pytest.mark.parametrize(("scale", "unit"), [(1, "kW"), (1000, "W")])
def test_size_decides_the_unit_only_as_a_last_resort_and_says_so(load, rows, scale, unit):
    """A power column without a unit is judged by its size, and the note says that it was."""
    readings = load("time,power\n" + rows([scale * value for value in (0.4, 3.1, 2.2, 0.5)]))
    assert readings.unit == unit
    assert "judged by its size" in readings.notes[-1]
    assert readings.frame["power_kw"].to_list() == pytest.approx([0.4, 3.1, 2.2, 0.5])


@pytest.mark.parametrize("text", ["time,power\n{}", "time,value\n{}"])
def test_an_open_unit_is_refused_and_not_guessed(load, rows, text):
    """Where neither name nor size decides, the refusal names meters.<id>.unit."""
    with pytest.raises(BadMeterFile, match="unit of column") as refusal:
        load(text.format(rows([120, 180, 90, 200])))
    assert "meters.<id>.unit" in refusal.value.hint


def test_watts_under_a_uci_header_are_told_by_voltage_and_current(load):
    """Voltage x current is physics: a UCI file whose power is in W is read right."""
    readings = load(UCI.replace(";4.216;", ";4216;").replace(";5.374;", ";5374;"))
    assert readings.unit == "W"
    assert readings.frame["power_kw"].to_list()[::2] == pytest.approx([4.216, 5.374])


@pytest.mark.parametrize(("value", "unit"), [("2.1", "kW"), ("2100", "W")])
def test_a_uci_file_without_voltage_is_kilowatts_unless_far_too_large(load, value, unit):
    """The format says kW; only a size in the thousands speaks for W."""
    lines = "".join(f"13/1/2007;00:0{minute}:00;{value}\n" for minute in range(4))
    readings = load("Date;Time;Global_active_power\n" + lines)
    assert readings.unit == unit
    assert readings.frame["power_kw"][0] == pytest.approx(2.1)


def test_a_european_csv_with_decimal_comma_is_read(load, rows):
    """Semicolon and decimal comma are found from the values."""
    readings = load("Zeit;Leistung (kW);Temperatur\n" + rows(["1,5;-2", "0,25;3", "?;4,5"], delimiter=";", pattern="%d.%m.%Y %H:%M"))
    np.testing.assert_allclose(readings.frame["power_kw"].to_numpy(), [1.5, 0.25, np.nan])
    assert readings.frame["temperatur"].to_list() == [-2, 3, 4.5]


def test_quoted_decimal_commas_in_a_comma_file_are_read(load, rows):
    """Quotes protect a decimal comma from being a delimiter."""
    assert load("time,power_kw\n" + rows(['"1,5"', '"0,25"'])).frame["power_kw"].to_list() == [1.5, 0.25]


@pytest.mark.parametrize("values", [["4.216", "5.374"], ["4.216", "5", "0.374"], ["5", "1.25", "1.234"]])
def test_three_decimals_are_not_thousands(load, rows, values):
    """Where all values have the mark, or one shows that it is a decimal mark, it is."""
    assert load("time,power_kw\n" + rows(values)).frame["power_kw"].to_list() == pytest.approx([float(value) for value in values])


@pytest.mark.parametrize(
    ("header", "column"),
    [
        ("load,solar_kw", 0),
        ("Irradiance (W/m2),load", 1),
        ("grid limit kw,power", 1),
        ("price EUR/kWh,usage kw", 1),
        ("heating_kw,load_kw", 1),
        ("kwh,load_kw", 1),
        ("humidity,house_kw", 1),
        ("power_kvar reactive,power_kw", 1),
    ],
)
def test_the_name_of_the_load_beats_other_names_with_a_unit(load, rows, header, column):
    """What is called load is the load; sun, limits and prices are not, whatever unit they name."""
    readings = load(f"time,{header}\n" + rows(["2.5,1.5", "2,1", "3,2"]))
    assert readings.power_column == header.split(",")[column]


@pytest.mark.parametrize("delimiter", ["\t", "|", ";", ","])
def test_each_delimiter_is_found(load, rows, delimiter):
    """Tab, bar, semicolon and comma separate columns."""
    readings = load(f"time{delimiter}power_kw\n" + rows([1.5, 2.5], delimiter=delimiter))
    assert readings.frame["power_kw"].to_list() == [1.5, 2.5]


def test_untidy_lines_are_read(load):
    """A byte order mark, Windows line ends, blank lines, blanks around values, short and over-long empty ends, accents in Latin-1."""
    text = "\ufeff\r\ntime , caf_kw,x\r\n2024-01-15 00:00, 1.5 ,1\r\n\r\n2024-01-15 01:00,2.5\r\n2024-01-15 02:00,3.5,1,,\r\n".encode()
    readings = load(text.replace(b"caf", b"caf\xe9"))
    assert readings.frame["power_kw"].to_list() == [1.5, 2.5, 3.5]
    assert readings.frame["start"].to_list() == [1705276800, 1705280400, 1705284000]


@pytest.mark.parametrize("mark", MISSING)
@pytest.mark.parametrize("place", [5, 9_999], ids=["early", "late"])
def test_every_mark_for_not_measured_is_a_gap(load, rows, mark, place):
    """What tools write where nothing was measured is NaN, wherever in the file it first turns up."""
    values = [1.5] * 10_001
    values[place] = mark
    assert np.flatnonzero(load("time,power_kw\n" + rows(values)).frame["power_kw"].is_nan()).tolist() == [place]


@pytest.mark.parametrize("state", ['"ok', 'o"k', 'ok"', '"a, b"'])
def test_stray_quotes_swallow_no_rows(load, rows, state):
    """A line is a reading, whatever its text columns hold."""
    lines = rows([f"{place},ok" for place in range(9)]).splitlines()
    lines[2] = lines[2].replace("ok", state)
    lines[6] = lines[6].replace("ok", state)
    assert load("time,power_kw,state\n" + "\n".join(lines)).frame["power_kw"].to_list() == list(range(9))


def test_extra_numbers_become_covariates_and_text_is_left_out(load, rows):
    """UCI names are mapped, others made plain and unique, columns of text ignored."""
    readings = load("time,power_kw,Voltage,Temp (C),temp c,start,state\n" + rows(["1,230,3,4,5,ok", "2,231,4,5,6,ok"]))
    assert readings.frame.columns == ["start", "power_kw", "voltage_v", "temp_c", "temp_c_5", "start_6"]


def test_columns_can_be_named(load, rows):
    """Options name time and power where the header leaves them open."""
    text = "begin,end,a,b\n" + "".join(f"2024-01-15 0{hour}:00,2024-01-15 0{hour + 1}:00,{hour},9\n" for hour in range(3))
    readings = load(text, time_column="end", power_column="a", unit="kW")
    assert readings.frame["start"][0] == 1705280400
    assert readings.frame.columns == ["start", "power_kw", "b"]


def test_the_start_of_an_interval_is_preferred_to_its_end(load):
    """A reading is stamped at its start."""
    text = "end time,start time,kwh\n" + "".join(f"2024-01-15 0{hour + 1}:00,2024-01-15 0{hour}:00,1\n" for hour in range(3))
    assert load(text).frame["start"][0] == 1705276800


def test_date_and_time_in_two_columns_are_joined(load):
    """A column of dates and one of times of day make one time; naming the date column keeps the pair."""
    text = "Day,Clock,load_kw\n2024-01-15,13:45,1\n2024-01-15,14:00,2\n"
    for options in ({}, {"time_column": "Day"}):
        readings = load(text, **options)
        assert readings.frame["start"].to_list() == [1705326300, 1705327200]


def test_newest_first_is_turned_round(load, rows):
    """A file that runs backwards is read forwards, and that is said."""
    lines = rows([1, 2, 3]).splitlines(keepends=True)
    readings = load("time,power_kw\n" + "".join(reversed(lines)))
    assert readings.frame["power_kw"].to_list() == [1, 2, 3]
    assert "rows run from newest to oldest: turned round" in readings.notes


def test_a_file_of_many_blocks_is_read_like_one(load, rows, monkeypatch):
    """Where the blocks end changes nothing, and a bad line is still counted from the start of the file."""
    text = "time,power_kw\n" + rows(range(2_000), step_s=60)
    whole = load(text, unit="kW").frame
    monkeypatch.setattr(source, "BLOCK_BYTES", 1_000)
    assert load(text, unit="kW").frame.equals(whole)
    with pytest.raises(BadMeterFile, match='line 1501: "x" in column "power_kw"'):
        load(text.replace(",1499\n", ",x\n"))


def test_options_that_cannot_be_used_are_refused():
    """Unit, delimiter and decimal mark are checked when the options are made."""
    for wrong in ({"unit": "MW"}, {"delimiter": ";;"}, {"decimal": "'"}):
        with pytest.raises(BadParams, match=next(iter(wrong))):
            ReadOptions(Meter("house"), **wrong)


def test_the_half_year_file_is_read_whole(shared_data):
    """282,636 minutes, 3,775 of them not measured, as its description says."""
    readings = read(shared_data / "household_power_consumption_2007h1.zip", HOUSE)
    assert (readings.rows, readings.step_s, readings.unit) == (282_636, 60, "kW")
    assert int(readings.frame["power_kw"].is_nan().sum()) == 3_775
    assert readings.frame["start"][0] == 1166289840


@pytest.mark.parametrize(("name", "minutes"), [("household_hourly_all_columns.csv", 60), ("household_daily.csv", 1440)])
def test_sums_of_minutes_are_recognised_by_their_voltage(shared_data, name, minutes):
    """Files of summed minutes are divided into means, and the doubt says so: read as they stand they would be 60 or 1440 times too high."""
    readings = read(shared_data / name, HOUSE)
    assert f"Every column is a sum of {minutes} minutes" in readings.doubts[0]
    assert 1.0 < np.nanmean(readings.frame["power_kw"].to_numpy()) < 1.2
    assert 230 < float(readings.frame["voltage_v"].median()) < 250


def test_a_high_voltage_alone_does_not_make_sums(load, rows):
    """Only the UCI columns are known to be summed; a feeder of 10 kV is left as it is."""
    readings = load("time,power_kw,voltage_v\n" + rows(["1.5,10000", "2.5,10010", "3.5,9990"]))
    assert readings.frame["power_kw"].to_list() == [1.5, 2.5, 3.5]
    assert readings.doubts == ()


def test_the_hourly_file_is_read(shared_data):
    """34,168 hours in kW."""
    readings = read(shared_data / "household_hourly_kw.csv", HOUSE)
    assert (readings.rows, readings.step_s, readings.unit, readings.doubts) == (34_168, 3600, "kW", ())


def test_the_path_of_an_answer_does_not_import_polars():
    """Table, clock, resampling and the quality report work without polars being loaded."""
    code = "import sys, wattcast.meter.cleaning, wattcast.meter.quality, wattcast.meter.clock; sys.exit('polars' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)
