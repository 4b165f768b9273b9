"""The verdict on a meter file, with its reasons and figures."""

from __future__ import annotations

import json

import numpy as np
import pytest

from wattcast.meter.cleaning import to_table
from wattcast.meter.quality import QualityReport, judge
from wattcast.meter.readers import ReadOptions, read
from wattcast.meter.table import Meter


def judged(readings) -> QualityReport:
    return judge(readings, to_table(readings))


def house(hours: int = 24 * 40) -> list[float]:
    """A plausible house by the hour, to the watt."""
    place = np.arange(hours)
    noise = np.random.default_rng(5).normal(0, 0.1, hours)
    return (0.9 + 0.4 * np.sin(place / 24 * 2 * np.pi) + noise).round(3).tolist()


def said(report: QualityReport, words: str) -> bool:
    return any(words in reason for reason in report.reasons)


@pytest.fixture
def check(load, rows):
    """check(values) -> report on hourly (or other) readings with these values; "?" where None."""

    def judge_values(values, zone="UTC", flow="consumption", **how) -> QualityReport:
        shown = ["?" if value is None else value for value in values]
        return judged(load("time,load_kw\n" + rows(shown, **how), zone=zone, flow=flow))

    return judge_values


def test_a_sound_file_is_good_and_summed_up(check):
    """One sentence says span, step, mean and share missing; the figures repeat it as numbers."""
    report = check(house())
    assert (report.verdict, len(report.reasons)) == ("good", 1)
    assert report.reasons[0].startswith("40.0 days at 1 h, 2024-01-15T00:00:00Z to 2024-02-24T00:00:00Z; mean 0.9")
    assert {"span_days": 40.0, "resolution_s": 3600, "rows": 960, "share_missing": 0.0, "clock_jumps": 0}.items() <= report.figures.items()


@pytest.mark.parametrize("step_s", [10, 60, 900])
def test_the_step_is_said_in_its_own_unit(check, step_s):
    """Seconds, minutes, hours."""
    assert f"at {'10 s' if step_s == 10 else f'{step_s // 60} min'}," in check(house(300), step_s=step_s).reasons[0]


def test_40_hours_are_refused(check):
    """Less than 14 measured days is too little, gaps not counted."""
    report = check(house(40))
    assert report.verdict == "refused"
    assert said(report, "Only 40 hours are measured")
    gappy = house(24 * 20)
    gappy[100:300] = [None] * 200
    assert said(check(gappy), "Only 11.7 days are measured")


@pytest.mark.parametrize(
    ("place", "found"),
    [
        (slice(100, 160), "6.2% of the span"),
        (slice(200, 300), "The longest gap lasts 4.2 days"),
    ],
)
def test_gaps_are_said(check, place, found):
    """A large share, and a long gap."""
    values = house()
    values[place] = [None] * (place.stop - place.start)
    report = check(values)
    assert report.verdict == "usable"
    assert said(report, found)


def test_a_file_of_gaps_is_refused(check):
    """Less than a fifth of a long span is no history."""
    values = house(24 * 100)
    values[340:2380] = [None] * 2040
    assert said(check(values), "85% of the span is not measured")
    assert said(check([0.5, 0.6, *[None] * 300, 0.6]), "Only 3 hours")


def test_zeros_for_gaps_are_caught(check):
    """Exact zeros in a house that never idles are said in hours."""
    values = house()
    values[300:342] = [0.0] * 42
    report = check(values)
    assert report.verdict == "usable"
    assert report.figures["zero_filled_hours"] == 42
    assert said(report, "42 hours of exact zeros stand where nothing was measured")


def test_a_stuck_meter_is_caught(check):
    """The same value for a day, in a meter that never repeats itself otherwise."""
    values = house()
    values[300:330] = [0.7] * 30
    report = check(values)
    assert report.verdict == "usable"
    assert (report.figures["flat_runs"], report.figures["longest_flat_hours"]) == (1, 30)
    values[330:900] = [0.7] * 570
    assert check(values).verdict == "refused"


def test_a_constant_is_refused(check):
    """One value throughout is not a measurement."""
    assert said(check([1.5] * 960), "Every reading has the same value")


def test_a_coarse_meter_at_night_is_not_stuck(check):
    """Whole steps of 0.1 kWh repeat themselves for seven hours of each night."""
    values = [0.1 if hour % 24 < 7 else round(0.3 + (hour * 7 % 13) / 10, 1) for hour in range(960)]
    assert check(values).verdict == "good"


def test_a_circuit_that_is_off_for_days_is_not_stuck(check):
    """Zero for a week is how an unused circuit looks."""
    values = [0.0 if day % 9 < 7 else value for day, value in ((place // 24, value) for place, value in enumerate(house()))]
    report = check(values)
    assert (report.verdict, report.figures["flat_runs"], report.figures["zero_filled_hours"]) == ("good", 0, 0)


def test_negative_and_impossible_readings_are_said(check):
    """How many, and what to do if they are true."""
    values = house()
    values[10:14], values[20] = [-1.0] * 4, 9_999
    report = check(values)
    assert (report.figures["negative"], report.figures["impossible"]) == (4, 1)
    assert said(report, "its flow is net")
    assert said(report, "1 readings are impossibly high")
    assert not said(check(values, flow="net"), "below zero")


def test_duplicates_and_disorder_are_counted_and_many_are_said(load, rows):
    """A few are a figure, many a reason."""
    lines = rows(house()).splitlines(keepends=True)
    few = judged(load("time,load_kw\n" + "".join([*lines, lines[40], lines[50]])))
    assert (few.verdict, few.figures["duplicates"], few.figures["out_of_order"]) == ("good", 2, 2)
    many = judged(load("time,load_kw\n" + "".join([*lines, *lines[40:80]])))
    assert many.verdict == "usable"
    assert said(many, "40 rows repeat an instant")
    assert said(many, "40 rows stand out of order")


def test_a_clock_that_shifts_for_good_is_said(load, rows):
    """From one day on every reading comes 20 minutes late."""
    text = "time,load_kw\n" + rows(house(500)) + rows(house(400), start="2024-02-05 00:20")
    report = judged(load(text))
    assert report.figures["off_grid"] == 400
    assert said(report, "400 rows lie beside the grid of 1 h")


def local_file(rows, start: str, zone_steps: tuple[int, int]) -> str:
    """Hours of a clock that skips (or repeats) the hours from the first to the second place."""
    lines = rows(house(), start=start).splitlines(keepends=True)
    first, stop = zone_steps
    return "time,load_kw\n" + "".join(lines[:first] + lines[stop:])


def test_a_clock_with_daylight_saving_in_a_zone_without_is_caught(load, rows):
    """02:00 missing on 31 March, 02:00 twice on 27 October: the zone in params.yaml is wrong."""
    spring = local_file(rows, "2024-03-15", (16 * 24 + 2, 16 * 24 + 3))
    autumn = local_file(rows, "2024-10-15", (12 * 24 + 3, 12 * 24 + 2))
    for text, day in ((spring, "2024-03-31"), (autumn, "2024-10-27")):
        report = judged(load(text))
        assert report.figures["clock_jumps"] == 1
        assert said(report, f"first {day}")
        assert said(report, "its zone (UTC)")
        assert judged(load(text, zone="Europe/Paris")).verdict == "good"


def test_an_hour_missing_on_another_day_is_only_a_gap(load, rows):
    """Clock jumps are looked for in the nights of clock changes."""
    assert judged(load(local_file(rows, "2024-03-15", (10 * 24 + 2, 10 * 24 + 3)))).verdict == "good"


def test_a_fixed_clock_in_a_zone_with_daylight_saving_is_caught(check):
    """02:00 present on 31 March, as in the real house's file: its clock is a fixed offset."""
    report = check(house(), zone="Europe/Paris", start="2024-03-15")
    assert report.figures["skipped_hour_rows"] == 1
    assert said(report, "an hour that the zone's clock skips")


def test_a_report_survives_json(check):
    """What is stored is what was found."""
    report = check(house())
    assert QualityReport.from_json(json.loads(json.dumps(report.to_json()))) == report


@pytest.mark.parametrize(
    ("name", "verdict", "reasons"),
    [
        ("household_power_consumption_2007h1.zip", "good", ["1.3% not measured"]),
        ("household_hourly_kw.csv", "usable", ["The longest gap lasts 5.0 days"]),
        ("household_hourly_all_columns.csv", "usable", ["421 hours of exact zeros", "sum of 60 minutes", "The longest gap lasts 5.0 days"]),
        ("household_daily.csv", "usable", ["sum of 1440 minutes", "too coarse"]),
    ],
)
def test_the_real_files_get_the_right_verdict(shared_data, name, verdict, reasons):
    """Each file of the shared data, with what is known to be wrong with it."""
    report = judged(read(shared_data / name, ReadOptions(Meter("house"))))
    assert report.verdict == verdict
    for reason in reasons:
        assert said(report, reason)
