"""The second file: columns known ahead are read as what was known when, and refused by line where that is not said."""

from __future__ import annotations

import gzip
import io
import random
import zipfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wattcast.errors import BadMeterFile, BadParams
from wattcast.meter.known import ALWAYS_S, KnownColumn
from wattcast.meter.readers.known_file import join_known, read_known
from wattcast.meter.table import Meter, MeterTable
from wattcast.stages import preprocess
from wattcast.stages.outputs import read_table

Write = Callable[..., Path]
Known = Callable[..., dict[str, KnownColumn]]
HOUR_S = 3_600
ISSUES = """time,available_at,temperature_c,away
2024-01-15 00:00,2024-01-14 18:00,1.5,0
2024-01-15 01:00,2024-01-14 18:00,2.5,
2024-01-15 02:00,2024-01-14 18:00,3.5,1
2024-01-15 01:00,2024-01-15 00:00,4.5,
"""


def at(*moments: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """UTC epoch seconds of these moments in UTC."""
    return np.array([int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()) for moment in moments], dtype=np.int64)


def said(column: KnownColumn, targets: list[str], origins: list[str]) -> list[float | None]:
    """What the column says, None where it says nothing."""
    return [None if np.isnan(value) else float(value) for value in column.as_of(at(*targets), at(*origins))]


@pytest.fixture
def known(write: Write) -> Known:
    """known(text, zone=..., step_s=..., and read_known's options) -> the columns of a file with that content."""

    def read_text(content: str | bytes, *, zone: str = "UTC", step_s: int = HOUR_S, **options: object) -> dict[str, KnownColumn]:
        return read_known(write(content, "ahead.csv"), zone, step_s, **options)  # type: ignore[arg-type]

    return read_text


def refused(known: Known, content: str | bytes, **options: object) -> BadMeterFile:
    """The refusal of a file: one line, with a hint, naming the file."""
    with pytest.raises(BadMeterFile) as refusal:
        known(content, **options)
    assert "\n" not in refusal.value.message + refusal.value.hint
    assert "ahead.csv" in refusal.value.message
    assert refusal.value.hint
    return refusal.value


def test_values_join_by_what_was_known(known: Known) -> None:
    """Two issues of one hour: before the second the first counts; before any there is nothing; empty values are left out."""
    columns = known(ISSUES)
    assert list(columns) == ["temperature_c", "away"]
    one = "2024-01-15 01:00"
    told = said(columns["temperature_c"], [one] * 4, ["2024-01-14 17:59", "2024-01-14 18:00", "2024-01-14 23:59", "2024-01-15 00:00"])
    assert told == [None, 2.5, 2.5, 4.5]
    hours = ["2024-01-15 00:00", one, "2024-01-15 02:00"]
    assert said(known(ISSUES.replace("01:00,2024-01-14 18:00,2.5,", "01:00,2024-01-14 18:00,2.5,7"))["away"], hours, hours) == [0, 7, 1]


@pytest.mark.parametrize("pack", ["plain", "zip", "gzip", "blank lines", "windows", "semicolons", "quotes", "short rows"])
def test_however_it_is_packed_it_says_the_same(known: Known, pack: str) -> None:
    """Archives, blank lines, line ends, delimiters and quotes change nothing."""
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("ahead.csv", ISSUES)
    content = {
        "plain": ISSUES,
        "zip": zipped.getvalue(),
        "gzip": gzip.compress(ISSUES.encode()),
        "blank lines": "\n" + ISSUES.replace("\n", "\n\n"),
        "windows": "\ufeff" + ISSUES.replace("\n", "\r\n"),
        "semicolons": ISSUES.replace(",", " ; "),
        "quotes": ISSUES.replace("2.5", '"2.5"'),
        "short rows": ISSUES.replace("4.5,", "4.5").replace("2.5,", "2.5,?"),
    }[pack]
    for name, column in known(content.encode() if isinstance(content, str) else content).items():
        plain = known(ISSUES)[name]
        assert [each.tolist() for each in (column.start_s, column.available_s, column.values)] == [
            each.tolist() for each in (plain.start_s, plain.available_s, plain.values)
        ]


def test_a_file_that_does_not_say_when_it_was_known_is_refused(known: Known) -> None:
    """Without available_at nothing is guessed; a plan that is known ahead for ever has to be called one."""
    plan = "time,away\n2024-01-15,1\n2024-01-16,0\n"
    refusal = refused(known, plan)
    assert 'line 1: there is no column "available_at"' in refusal.message
    assert "meters.<id>.known_always: true" in refusal.hint
    away = known(plan, always=True)["away"]
    assert set(away.available_s.tolist()) == {ALWAYS_S}
    assert said(away, ["2024-01-15 23:00", "2024-01-16 00:00"], ["1900-01-01"] * 2) == [1, 0]
    assert "take one of the two out" in refused(known, ISSUES, always=True).hint


def test_an_observation_is_known_after_its_step(known: Known) -> None:
    """available_at may lie after the end of the step: then only later origins see the value."""
    column = known("time,available_at,temperature_c\n2024-01-15 00:00,2024-01-15 01:10,3\n2024-01-15 01:00,2024-01-15 02:10,4\n")
    assert said(column["temperature_c"], ["2024-01-15 00:00"] * 2, ["2024-01-15 01:00", "2024-01-15 02:00"]) == [None, 3]


def test_a_finer_file_is_averaged_and_a_coarser_one_holds(known: Known) -> None:
    """Quarters become the mean of their hour, issue by issue, half an hour is enough; hours hold for each of their minutes."""
    quarters = "time,available_at,t\n" + "".join(
        f"2024-01-15 {hour:02}:{minute:02},2024-01-14 {issued:02}:00,{issued + minute / 15}\n"
        for issued in (6, 12)
        for hour in (1, 2)
        for minute in (0, 15, 30, 45)
        if not (hour == 2 and minute > issued * 2.5)
    )
    hourly = known(quarters)["t"]
    assert hourly.step_s == HOUR_S
    targets = ["2024-01-15 01:00", "2024-01-15 01:00", "2024-01-15 02:00", "2024-01-15 00:00"]
    assert said(hourly, targets, ["2024-01-14 06:00", "2024-01-14 12:00", "2024-01-14 06:00", "2024-01-14 12:00"]) == [7.5, 13.5, 6.5, None]
    minutes = known(ISSUES, step_s=60)["temperature_c"]
    assert said(minutes, ["2024-01-15 02:00", "2024-01-15 02:59", "2024-01-15 03:00"], ["2024-01-15"] * 3) == [3.5, 3.5, None]


def test_averages_follow_the_rows_of_the_table(known: Known) -> None:
    """Readings stamped at half past take the mean from half past to half past."""
    text = "time,available_at,t\n" + "".join(
        f"2024-01-15 0{hour}:{minute},2024-01-14,{hour + int(minute) / 60}\n" for hour in (1, 2) for minute in ("00", "30")
    )
    assert said(known(text, phase_s=1_800)["t"], ["2024-01-15 01:30"], ["2024-01-15"]) == [1.75]
    assert said(known(text)["t"], ["2024-01-15 01:00"], ["2024-01-15"]) == [1.25]


def test_naive_times_are_on_the_meter_s_clock(known: Known) -> None:
    """Both columns, unless they carry an offset: each is read as it is."""
    column = known("time,available_at,t\n2024-07-01 02:00,2024-06-30 23:00,1\n2024-07-01 03:00,2024-06-30 23:00,2\n", zone="Europe/Paris")[
        "t"
    ]
    assert column.start_s.tolist() == at("2024-07-01 00:00", "2024-07-01 01:00").tolist()
    assert column.available_s[0] == at("2024-06-30 21:00")[0]
    mixed = "time,available_at,t\n2024-07-01T02:00+02:00,2024-06-30T21:00Z,1\n2024-07-01T03:00+02:00,2024-06-30T21:00Z,2\n"
    again = known(mixed, zone="America/New_York")["t"]
    assert (again.start_s.tolist(), again.available_s.tolist()) == (column.start_s.tolist(), column.available_s.tolist())


def test_each_issue_has_its_own_hour_twice(known: Known) -> None:
    """In the autumn night the second 02:00 of each issue is an hour after its first, whatever other issues say."""
    clock = ("01:00", "02:00", "02:00", "03:00")
    text = "time,available_at,t\n" + "".join(
        f"2024-10-27 {hour},2024-10-{day} 12:00,{day + place / 10}\n" for day in (25, 26) for place, hour in enumerate(clock)
    )
    column = known(text, zone="Europe/Paris")["t"]
    hours = ["2024-10-26 23:00", "2024-10-27 00:00", "2024-10-27 01:00", "2024-10-27 02:00"]
    assert said(column, hours, ["2024-10-25 12:00"] * 4) == pytest.approx([25, 25.1, 25.2, 25.3])
    assert said(column, hours, ["2024-10-26 12:00"] * 4) == pytest.approx([26, 26.1, 26.2, 26.3])


@pytest.mark.parametrize(
    ("moment", "utc"),
    [
        ("2024-10-27 02:30", "2024-10-27 01:30"),
        ("2024-10-27 01:59", "2024-10-26 23:59"),
        ("2024-10-27 03:00", "2024-10-27 02:00"),
        ("2024-03-31 02:30", "2024-03-31 01:30"),
        ("2024-03-31 01:30", "2024-03-31 00:30"),
        ("2024-03-31 03:30", "2024-03-31 01:30"),
    ],
)
def test_a_moment_that_may_be_two_is_the_later_one(known: Known, moment: str, utc: str) -> None:
    """Of an hour that the clock shows twice, or skips, nothing counts as known too early."""
    column = known(f"time,available_at,t\n2024-12-01 00:00,{moment},1\n2024-12-01 01:00,{moment},2\n", zone="Europe/Paris")["t"]
    assert column.available_s.tolist() == at(utc, utc).tolist()


@pytest.mark.parametrize(("days", "length"), [((30, 31), 23), ((26, 27), 25)])
def test_a_local_day_is_as_long_as_the_clock_makes_it(known: Known, days: tuple[int, int], length: int) -> None:
    """A plan by days holds for 23 or 25 hours of the day on which the clock changes, and not for an hour of the next."""
    month = 3 if length == 23 else 10
    text = "time,away\n" + "".join(f"2024-{month:02}-{day:02},{day}\n" for day in (days[0] - 2, days[0] - 1, *days))
    column = known(text, zone="Europe/Paris", always=True)["away"]
    hours = at(f"2024-{month:02}-{days[0]} 12:00")[0] + np.arange(48) * HOUR_S
    answers = column.as_of(hours, hours)
    assert int((answers == days[1]).sum()) == length
    assert int(np.isfinite(answers).sum()) == (11 if length == 23 else 10) + length


def test_the_last_of_two_rows_counts(known: Known) -> None:
    """The same time and moment twice: corrected further down."""
    text = "time,available_at,t\n2024-01-15 00:00,2024-01-14,1\n2024-01-15 01:00,2024-01-14,1\n2024-01-15 00:00,2024-01-14,9\n"
    assert known(text)["t"].values.tolist() == [9, 1]


LONG = "time,available_at,temperature_c\n" + "".join(
    f"2024-{month:02}-{day:02} {hour:02}:00,2024-01-01 00:00,{hour}\n" for month in (2, 3) for day in range(1, 29) for hour in range(24)
)


@pytest.mark.parametrize("line", [3, 700, 1_345])
@pytest.mark.parametrize(
    ("column", "value", "what"),
    [
        (2, "oops", "a finite number"),
        (2, "inf", "a finite number"),
        (2, "1e39", "a finite number"),
        (2, "1_0", "a finite number"),
        (0, "2024-02-30 00:00", "a time of the pattern %Y-%m-%d %H:%M between 1900 and 2100"),
        (0, "", "a time of the pattern"),
        (1, "", "a time of the pattern"),
        (1, "soon", "a time of the pattern"),
        (1, "1612-01-01 00:00", "a time of the pattern"),
    ],
)
@pytest.mark.parametrize("blank", [False, True])
def test_a_bad_value_is_named_with_its_line(known: Known, line: int, column: int, value: str, what: str, *, blank: bool) -> None:
    """File, line, value, column and cure stand in one line, blank lines above it or not."""
    lines = LONG.splitlines()
    cells = lines[line - 1].split(",")
    cells[column] = value
    lines[line - 1] = ",".join(cells)
    text = "\n".join([lines[0], "", *lines[1:]] if blank else lines)
    name = ("time", "available_at", "temperature_c")[column]
    assert f'ahead.csv, line {line + blank}: "{value}" in column "{name}" is not {what}' in refused(known, text).message


def test_lines_are_counted_across_quoted_text_of_several_lines(known: Known) -> None:
    """A time that is torn over two lines by quotes does not shift the line that is named."""
    lines = LONG.splitlines()
    lines[5] = lines[5].replace("2024-02-01 04:00", '"2024-02-01 04:00\n"')
    lines[900] = lines[900].rpartition(",")[0] + ",oops"
    assert 'line 902: "oops"' in refused(known, "\n".join(lines)).message


@pytest.mark.parametrize(
    ("content", "said", "cure"),
    [
        ("", "the file is empty", "temperature_c"),
        ("\n \n", "the file is empty", "temperature_c"),
        ("time,available_at,t\n", "a header and no row", "params.yaml"),
        ("2024-01-15 00:00,2024-01-14,1\n", 'line 1: "2024-01-15 00:00" is no name', "begin with a line of names"),
        ("\n\ntime,available_at,Temp\n1,2,3\n", 'line 3: "Temp" is no name', "small letters"),
        ("start_of,available_at,t\n1,2,3\n", 'there is no column "time"', 'name the start of every step "time"'),
        ("time,available_at\n2024-01-15,2024-01-14\n", "no column holds values", "temperature_c"),
        ("time,available_at,t,t\n2024-01-15,2024-01-14,1,2\n", 'column "t" stands there twice', "keep one"),
        ("time,available_at,power_kw\n2024-01-15,2024-01-14,1\n", '"power_kw" is what a meter measures', "name it otherwise"),
        ("time,available_at,voltage_v\n2024-01-15,2024-01-14,1\n", '"voltage_v" is what a meter measures', "name it otherwise"),
        ("time,available_at,t\n2024-01-15,2024-01-14,3,5\n", "line 2: 4 values where the header names 3", "decimal mark"),
        ("time;available_at;t\n2024-01-15;2024-01-14;3,5\n", 'line 2: "3,5" in column "t"', "decimal mark"),
        ("time,available_at,t\n01/02/2024,2024-01-14,1\n", 'dates such as "01/02/2024" can be', "2024-01-31"),
        ("time,available_at,t\n12:00,2024-01-14,1\n", '"12:00" in column "time" is not a time', "2024-01-31"),
        ("time,available_at,t\n2024-01-15,never,1\n", '"never" in column "available_at" is not a time', "2024-01-31"),
        ("time,available_at,t\n2024-01-15,,1\n", 'column "available_at" is empty', "2024-01-31"),
        ("time,available_at,t\n2024-01-15,2024-01-14,1\n", 'column "t" has values for fewer than two steps', "a row for every step"),
        ("time,available_at,t\n2024-01-15,2024-01-14,\n2024-01-16,2024-01-14,\n", "fewer than two steps", "take the column out"),
        (
            "time,available_at,t\n" + "".join(f"2024-01-{day},2024-01-01,1\n" for day in ("02", "05", "11", "20", "22")),
            "no regular step: the most common distance of its times, 172800 s, is 25% of all",
            "once for each of them",
        ),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" * 40, "binary file", "CSV"),
        (ISSUES.encode("utf-16"), "UTF-16", "UTF-8"),
        (gzip.compress(ISSUES.encode())[:60], "the archive is damaged", "again"),
        ('time,available_at,t\n"' + "x" * 200_000 + "\n", "not a table of text", "temperature_c"),
        (ISSUES.replace("2.5", '"2.5'), "is not a finite number", "correct it"),
    ],
)
def test_what_is_no_such_file_is_refused_in_a_line(known: Known, content: str | bytes, said: str, cure: str) -> None:
    """What is wrong and what to do about it."""
    refusal = refused(known, content)
    assert said in refusal.message
    assert cure in refusal.hint


def test_missing_files_are_said(tmp_path: Path) -> None:
    """A path that leads nowhere is a refusal, no trace."""
    with pytest.raises(BadMeterFile, match="there is no such file"):
        read_known(tmp_path / "none.csv", "UTC", HOUR_S)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: (ISSUES + text).encode()))
def test_whatever_the_bytes_the_answer_is_columns_or_a_refusal(write: Write, content: bytes) -> None:
    """No input ends in an error of a library."""
    try:
        assert read_known(write(content), "Europe/Paris", HOUR_S)
    except BadMeterFile as refusal:
        assert refusal.hint  # noqa: PT017


def test_lines_in_any_order_say_the_same(known: Known) -> None:
    """Sorted by time, by issue, or not at all."""
    head, *lines = ISSUES.splitlines()
    for seed in range(5):
        random.Random(seed).shuffle(lines)
        shuffled = known("\n".join([head, *lines]))
        assert shuffled["temperature_c"].values.tolist() == known(ISSUES)["temperature_c"].values.tolist() == [1.5, 2.5, 4.5, 3.5]


def test_a_table_takes_them_at_its_own_step_and_phase(write: Write) -> None:
    """Joined, a table of minutes knows each minute, one stamped at half past its own hours; a measured name is refused."""
    path = write(ISSUES.replace("away", "current"), "ahead.csv")
    start = int(at("2024-01-15 00:30")[0])
    table = MeterTable(Meter("house"), start, 900, np.zeros(8, dtype=np.float32), {"current": np.zeros(8, dtype=np.float32)})
    with pytest.raises(BadMeterFile, match='"current" is a column of the meter file'):
        join_known(table, path)
    plain = join_known(MeterTable(table.meter, start, 900, table.power_kw), path)
    column = plain.known["temperature_c"]
    assert column.as_of(plain.instants(), plain.instants()).tolist() == [1.5, 1.5, 4.5, 4.5, 4.5, 4.5, 3.5, 3.5]


def project(folder: Path, facts: dict[str, object]) -> None:
    """A folder with a meter file of 20 days of hours, a forecast of the temperature, and params.yaml with these facts about the meter."""
    start = at("2024-01-01")[0]
    stamps = [f"{datetime.fromtimestamp(int(start) + hour * HOUR_S, UTC):%Y-%m-%d %H:%M}" for hour in range(24 * 21)]
    (folder / "house.csv").write_text("time,power_kw\n" + "".join(f"{stamp},{1 + place % 7}\n" for place, stamp in enumerate(stamps[:480])))
    rows = [f"{stamp},{stamps[max(place - 24, 0)]},{place / 10}\n" for place, stamp in enumerate(stamps)]
    (folder / "ahead.csv").write_text("time,available_at,temperature_c\n" + "".join(rows))
    params = yaml.safe_load((Path(__file__).resolve().parents[2] / "params.yaml").read_text("utf-8"))
    params["meter"], params["meters"] = {"file": "house.csv"}, {"house": facts}
    (folder / "params.yaml").write_text(yaml.safe_dump(params))


def test_the_pipeline_joins_the_file_that_params_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Preprocess leaves tables that know ahead, past their end too, and says how much of the time is covered; without the file, none."""
    monkeypatch.chdir(tmp_path)
    project(tmp_path, {"known": "ahead.csv"})
    preprocess.main()
    assert "temperature_c is known ahead for 100% of the time of the readings" in capsys.readouterr().out
    column = read_table(HOUR_S).known["temperature_c"]
    assert said(column, ["2024-01-21 05:00"] * 2, ["2024-01-20 04:00", "2024-01-20 05:00"]) == [None, pytest.approx(48.5)]
    project(tmp_path, {})
    preprocess.main()
    assert read_table(HOUR_S).known == {}
    assert "known ahead" not in capsys.readouterr().out


@pytest.mark.parametrize("facts", [{"known": "nowhere.csv"}, {"known": "ahead.csv", "known_always": True}, {"know": "ahead.csv"}])
def test_the_pipeline_stops_where_the_file_cannot_be_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, facts: dict[str, object]
) -> None:
    """A path that leads nowhere, an option against the file's words, a key misspelt."""
    monkeypatch.chdir(tmp_path)
    project(tmp_path, facts)
    with pytest.raises((BadMeterFile, BadParams)):
        preprocess.main()
