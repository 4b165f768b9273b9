"""Times of a file: patterns, offsets, zones, and both clock changes of a year."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattcast.errors import BadMeterFile
from wattcast.meter.cleaning import to_table
from wattcast.meter.clock import to_utc

NOON = int(datetime(2024, 1, 31, 13, 5, tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("pattern", "shift_s"),
    [
        ("%Y-%m-%d %H:%M", 0),
        ("%Y-%m-%d %H:%M:%S", 0),
        ("%Y-%m-%dT%H:%M:%SZ", 0),
        ("%Y-%m-%dT%H:%M:%S.250Z", 0),
        ("%Y-%m-%d %H:%M:%S UTC", 0),
        ("%Y-%m-%dT%H:%M:%S+01:00", -3600),
        ("%Y-%m-%d %H:%M:%S-0530", 19_800),
        ("%Y/%m/%d %H:%M", 0),
        ("%d/%m/%Y %H:%M", 0),
        ("%d.%m.%Y %H:%M", 0),
        ("%d-%m-%Y %H:%M:%S", 0),
        ("%m/%d/%Y %H:%M", 0),
        ("%m/%d/%Y %I:%M %p", 0),
        ("%m/%d/%Y %I:%M:%S%p", 0),
        ("%s", 0),
        ("%s000", 0),
    ],
)
def test_the_pattern_is_found(load, pattern, shift_s):
    """ISO, day first, month first where a day above 12 tells, half days, epoch seconds and milliseconds; offsets are honoured."""
    moments = [datetime.fromtimestamp(NOON + 900 * place, UTC) for place in range(3)]
    stamps = [moment.strftime(pattern.replace("%s", str(int(moment.timestamp())))) for moment in moments]
    readings = load("timestamp;load_kw\n" + "".join(f"{stamp};1.5\n" for stamp in stamps))
    assert readings.frame["start"].to_list() == [NOON + 900 * place + shift_s for place in range(3)]


def test_a_date_alone_is_its_midnight(load):
    """Daily files need no time of day."""
    readings = load("day,energy_kwh\n2024-01-31,24\n2024-02-01,48\n2024-02-02,12\n")
    assert readings.frame["start"][0] == NOON - 13 * 3600 - 300
    assert readings.frame["power_kw"].to_list() == [1, 2, 0.5]


def test_offsets_that_change_with_the_season_are_honoured(load):
    """A file that writes +01:00 and +02:00 needs no rule for the clock change, and its zone is not used."""
    text = "time,load_kw\n2024-10-27T02:30:00+02:00,1\n2024-10-27T02:00:00+01:00,2\n2024-10-27T02:30:00+01:00,3\n"
    readings = load(text, zone="America/New_York")
    assert np.diff(readings.frame["start"].to_numpy()).tolist() == [1800, 1800]


def test_an_ambiguous_date_is_settled_by_the_option(load):
    """meters.<id>.time_format decides between day and month."""
    text = "time,load_kw\n01/02/2024 00:00,1\n01/02/2024 01:00,2\n"
    assert load(text, time_format="%m/%d/%Y %H:%M").frame["start"][0] == 1704153600
    assert load(text, time_format="%d/%m/%Y %H:%M").frame["start"][0] == 1706745600


@pytest.mark.parametrize(
    ("time_format", "stamp", "shift_s"),
    [
        ("%F %T", "2024-01-31 {:%H:%M:%S}", 0),
        ("%F %R", "2024-01-31 {:%H:%M}", 0),
        ("%Y-%m-%d %-I:%M %p", "2024-01-31 {:%I:%M %p}", 0),
        ("%+", "2024-01-31T{:%H:%M:%S}+01:00", -3600),
        ("%Y-%m-%dT%H:%M:%S%:z", "2024-01-31T{:%H:%M:%S}+01:00", -3600),
        ("%Y-%m-%d %H:%M %z", "2024-01-31 {:%H:%M} +0100", -3600),
        ("%s", "{:%s}", 0),
        ("%d/%m/%y", "{:%d/%m/24}", 0),
    ],
)
def test_every_way_to_write_clock_and_offset_in_a_pattern_counts(load, time_format, stamp, shift_s):
    """Short forms keep their time of day; an offset in the times is applied once, and the zone is then left alone."""
    moments = [datetime.fromtimestamp(NOON + 900 * place, UTC) for place in range(3)]
    days = [datetime(2024, 1, day, tzinfo=UTC) for day in (29, 30, 31)]
    moments = moments if "%H" in stamp or "%I" in stamp or "%s" in stamp else days
    text = "time,load_kw\n" + "".join(f"{stamp.replace('{:%s}', str(int(moment.timestamp()))).format(moment)},1\n" for moment in moments)
    zone = "Europe/Paris" if shift_s or time_format == "%s" else "UTC"
    assert load(text, time_format=time_format, zone=zone).frame["start"].to_list() == [int(m.timestamp()) + shift_s for m in moments]


def test_a_late_day_above_twelve_settles_the_order(load, rows):
    """The whole first block is looked at, not only its first lines."""
    text = "time,load_kw\n" + rows([1] * 24 * 60 * 14, start="2024-03-01", step_s=60, pattern="%m/%d/%Y %H:%M")
    assert load(text).frame["start"][0] == 1709251200


def local_hours(zone: str, first: str, hours: int, step_s: int = 3600) -> list[tuple[datetime, str]]:
    """What a local clock shows at every step from a UTC instant on."""
    begin = datetime.fromisoformat(first).replace(tzinfo=UTC)
    moments = [begin + timedelta(seconds=step_s * place) for place in range(hours * 3600 // step_s)]
    return [(moment, f"{moment.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M}") for moment in moments]


@pytest.mark.parametrize("step_s", [60, 900, 1800, 3600])
@pytest.mark.parametrize(
    ("zone", "midnight_utc", "hours"),
    [
        ("Europe/Paris", "2024-03-30 23:00", 23),
        ("Europe/Paris", "2024-10-26 22:00", 25),
        ("America/New_York", "2024-03-10 05:00", 23),
        ("America/New_York", "2024-11-03 04:00", 25),
        ("Australia/Sydney", "2024-04-06 13:00", 25),
    ],
)
def test_days_of_23_and_25_hours_come_out_without_hole_or_overlap(load, step_s, zone, midnight_utc, hours):
    """A naive file in a zone with daylight saving gives every instant of both clock changes exactly once, forwards and backwards."""
    clock = local_hours(zone, midnight_utc, hours + 4, step_s)
    lines = [f"{shown},1.5\n" for _, shown in clock]
    for ordered in (lines, lines[::-1]):
        readings = load("time,load_kw\n" + "".join(ordered), zone=zone)
        assert readings.frame["start"].to_list() == [int(moment.timestamp()) for moment, _ in clock]
        assert readings.skipped_hour_rows == 0
        assert len(to_table(readings)) == len(clock)


def test_a_skipped_hour_is_read_an_hour_on_and_counted():
    """02:30 on the last Sunday of March never was in Paris: it is read as 03:30, that is 01:30 UTC."""
    wall = np.array([int(datetime(2024, 3, 31, hour, 30, tzinfo=UTC).timestamp()) for hour in (1, 2, 3)])
    utc, skipped = to_utc(wall, "Europe/Paris")
    assert skipped.tolist() == [False, True, False]
    assert [datetime.fromtimestamp(int(instant), UTC).strftime("%H:%M") for instant in utc] == ["00:30", "01:30", "01:30"]


def test_a_repeated_hour_shown_once_is_its_first_showing():
    """Where the file holds the hour once, daylight saving time is meant."""
    wall = np.array([int(datetime(2024, 10, 27, hour, tzinfo=UTC).timestamp()) for hour in (1, 2, 3)])
    utc, _ = to_utc(wall, "Europe/Paris")
    assert [datetime.fromtimestamp(int(instant), UTC).hour for instant in utc] == [23, 0, 2]


@given(st.integers(0, 2**31), st.sampled_from(["UTC", "+05:30", "Europe/Paris", "America/St_Johns", "Australia/Lord_Howe", "Asia/Kolkata"]))
def test_any_four_days_of_half_hours_survive_the_way_through_the_local_clock(start, zone):
    """Readings in order, whatever the zone and its changes, come back as the instants they were."""
    instants = (start // 1800 * 1800) + np.arange(192) * 1800
    offset = ZoneInfo(zone) if "/" in zone else {"UTC": UTC}.get(zone)
    shift = [19_800 if offset is None else int(datetime.fromtimestamp(int(i), offset).utcoffset().total_seconds()) for i in instants]
    utc, skipped = to_utc(instants + np.array(shift), zone)
    assert not skipped.any()
    np.testing.assert_array_equal(utc, instants)


def test_a_fixed_offset_has_no_clock_changes(load):
    """The clock of "+01:00" runs through both changes."""
    text = "time,load_kw\n2024-03-31 01:30,1\n2024-03-31 02:30,2\n2024-03-31 03:30,3\n"
    readings = load(text, zone="+01:00")
    assert np.diff(readings.frame["start"].to_numpy()).tolist() == [3600, 3600]
    assert readings.skipped_hour_rows == 0


def test_only_the_first_pattern_counts(load):
    """A second pattern later in the file is an error on its line, never a guess."""
    with pytest.raises(BadMeterFile, match="line 4"):
        load("time,load_kw\n2024-01-15 00:00,1\n2024-01-15 01:00,2\n15.01.2024 02:00,3\n")
