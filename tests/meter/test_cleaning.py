"""From readings to the meter table: grid, duplicates, gaps, impossible values, resampling. Nothing is ever filled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattcast.errors import BadMeterFile, BadParams
from wattcast.meter.cleaning import disbelieved, resample, to_table
from wattcast.meter.readers import ReadOptions, read
from wattcast.meter.table import Meter, MeterTable

HOUSE = Meter("house")
MIDNIGHT = 1_705_276_800
NAN = float("nan")


def table(values, start_s=MIDNIGHT, step_s=60, **covariates) -> MeterTable:
    columns = {name: np.array(column, dtype=np.float32) for name, column in covariates.items()}
    return MeterTable(HOUSE, start_s, step_s, np.array(values, dtype=np.float32), columns)


def test_gaps_stay_gaps(load):
    """A missing row and a missing value are NaN in every column, and nothing is interpolated."""
    cleaned = to_table(load("time,load_kw,temp\n2024-01-15 00:00,1,7\n2024-01-15 01:00,?,8\n2024-01-15 03:00,3,9\n2024-01-15 04:00,4,\n"))
    np.testing.assert_array_equal(cleaned.power_kw, [1, NAN, NAN, 3, 4])
    np.testing.assert_array_equal(cleaned.covariates["temp"], [7, 8, NAN, 9, NAN])
    assert (cleaned.start_s, cleaned.step_s, cleaned.end_s) == (MIDNIGHT, 3600, MIDNIGHT + 5 * 3600)


def test_disorder_is_sorted_and_the_last_of_an_instant_counts(load):
    """Rows may come in any order; a correction at the end of the file wins."""
    text = "time,load_kw\n2024-01-15 00:00,1\n2024-01-15 02:00,3\n2024-01-15 01:00,2\n2024-01-15 03:00,4\n2024-01-15 02:00,9\n"
    np.testing.assert_array_equal(to_table(load(text)).power_kw, [1, 2, 9, 4])


def test_the_grid_keeps_the_phase_that_most_rows_have(load):
    """Readings at 7 minutes past stay there; a straggler goes to the nearest row."""
    text = "time,load_kw\n" + "".join(f"2024-01-15 {hour:02}:07,1\n" for hour in range(6)) + "2024-01-15 06:09,2\n"
    cleaned = to_table(load(text))
    assert cleaned.start_s == MIDNIGHT + 7 * 60
    np.testing.assert_array_equal(cleaned.power_kw, [1, 1, 1, 1, 1, 1, 2])


def test_local_days_stay_days_over_a_clock_change(load):
    """Daily rows stamped at local midnight fall one into each row, although the instants move by an hour."""
    text = "day,energy_kwh\n" + "".join(f"2024-03-{day},{24 * (day % 3 + 1)}\n" for day in range(27, 32)) + "2024-04-01,24\n2024-04-02,48\n"
    assert np.isfinite(to_table(load(text, zone="Europe/Paris")).power_kw).all()


def test_a_single_far_time_does_not_make_an_endless_table(load, rows):
    """One wrong year is refused with the gap it makes, before memory is asked for."""
    text = "time,load_kw\n2009-01-15 00:00:00,1\n" + rows([1, 2, 3] * 50, step_s=60)
    with pytest.raises(BadMeterFile, match="2009-01-15T00:00:00 to 2024-01-15T00:00:00"):
        to_table(load(text))


def test_negative_power_is_a_gap_for_consumption_and_a_reading_for_net(load, rows):
    """flow says whether a house may feed in."""
    text = "time,load_kw\n" + rows([1, -2, 3])
    np.testing.assert_array_equal(to_table(load(text)).power_kw, [1, NAN, 3])
    np.testing.assert_array_equal(to_table(load(text, flow="net")).power_kw, [1, -2, 3])


def test_impossible_power_is_a_gap_and_a_rare_peak_is_not(load, rows):
    """The register's 6553.5 goes; an oven among low readings stays, as does a large building."""
    values = [0.2] * 300
    values[50], values[70] = 6553.5, 11.5
    power = to_table(load("time,load_kw\n" + rows(values))).power_kw
    assert np.isnan(power[50])
    assert power[70] == 11.5
    building = [4_000 + place % 7 for place in range(100)]
    assert np.isfinite(to_table(load("time,load_kw\n" + rows(building))).power_kw).all()


def test_zero_filled_gaps_are_gaps_in_every_column(load, rows):
    """Zeros in a house that never idles were not measured; its other columns weren't either."""
    values = [f"{0.4 + place * 37 % 211 / 100:.2f},230" for place in range(200)]
    values[90:100] = ["0,0"] * 10
    cleaned = to_table(load("time,load_kw,Voltage\n" + rows(values)))
    assert np.flatnonzero(np.isnan(cleaned.power_kw)).tolist() == list(range(90, 100))
    assert np.isnan(cleaned.covariates["voltage_v"][90:100]).all()


@pytest.mark.parametrize(
    "power",
    [
        np.tile([0.0, 0.0, 2.0], 50),
        np.r_[np.linspace(0.004, 2, 100), 0.0, 0.0],
        np.r_[np.tile([1.0, 2.0, 3.0, 1.0], 40), 0.0, 0.0],
        np.r_[np.full(40, 2.0), 0.0],
        np.zeros(10),
        np.full(10, np.nan),
    ],
    ids=["often off", "near zero anyway", "coarse register", "one level", "all zero", "nothing measured"],
)
def test_zeros_that_may_be_true_are_believed(power):
    """A circuit that switches off, a low base load and a coarse meter may well read zero."""
    assert not disbelieved(power.astype(np.float32), "consumption")["zero_filled"].any()


def test_hours_are_means_of_what_was_measured():
    """Rows begin at full hours; half of a row must have been measured, the first and last included."""
    minutes = table([NAN] * 15 + [1.0] * 15 + [2.0] * 60 + [NAN] * 31 + [4.0] * 29, start_s=MIDNIGHT + 1_800, temp=[5.0] * 150)
    hours = resample(minutes, 3600)
    assert (hours.start_s, hours.step_s, len(hours)) == (MIDNIGHT, 3600, 3)
    np.testing.assert_array_equal(hours.power_kw, [NAN, 2, NAN])
    np.testing.assert_array_equal(hours.covariates["temp"], [5, 5, 5])
    np.testing.assert_array_equal(resample(minutes, 3600, min_share=0.25).power_kw, [1, 2, 4])


def test_a_table_beside_the_grid_is_resampled_by_the_start_of_its_rows():
    """Hours that begin at half past go to the two-hour row in which they begin."""
    np.testing.assert_array_equal(resample(table([1, 2, 4, 6], start_s=MIDNIGHT + 1_800, step_s=3600), 7200).power_kw, [1.5, 5])
    np.testing.assert_array_equal(resample(table([1, 2, 4], start_s=MIDNIGHT + 5_400, step_s=3600), 7200).power_kw, [1, 3])


@pytest.mark.parametrize("step_s", [30, 90, 0, -60])
def test_only_multiples_of_the_step_can_be_made(step_s):
    """No upsampling, no broken steps."""
    with pytest.raises(BadParams, match="cannot become"):
        resample(table([1, 2]), step_s)


def test_nothing_resampled_is_nothing():
    """An empty table stays empty, and its own step changes nothing."""
    assert len(resample(table([]), 3600)) == 0
    np.testing.assert_array_equal(resample(table([1, NAN]), 60).power_kw, [1, NAN])


@given(st.lists(st.floats(0, 100, width=32) | st.just(NAN), min_size=1, max_size=90), st.integers(0, 200), st.sampled_from([1, 2, 5, 15]))
def test_resampling_agrees_with_a_row_by_row_mean(values, first, factor):
    """Every row that has ended is the mean of its measured readings, wherever the table begins."""
    fine = table(values, start_s=first * 60)
    coarse = resample(fine, 60 * factor, min_share=0)
    for instant, mean in zip(coarse.instants(), coarse.power_kw, strict=True):
        within = fine.power_kw[(fine.instants() >= instant) & (fine.instants() < instant + coarse.step_s)]
        known = within[np.isfinite(within)].astype(np.float64)
        np.testing.assert_allclose(mean, known.mean() if known.size else NAN, rtol=1e-5, atol=1e-6)
    assert coarse.start_s <= fine.start_s < coarse.start_s + coarse.step_s
    assert coarse.end_s <= fine.end_s < coarse.end_s + coarse.step_s


def test_a_coarser_table_can_be_asked_for_at_once(load, rows):
    """to_table(readings, step_s) resamples; the native step is the default."""
    readings = load("time,load_kw\n" + rows([1, 3, 5, 7], step_s=1800))
    np.testing.assert_array_equal(to_table(readings, 3600).power_kw, [2, 6])
    np.testing.assert_array_equal(to_table(readings, 1800).power_kw, [1, 3, 5, 7])


def test_hours_of_the_real_file_agree_with_the_hourly_file(shared_data: Path):
    """The half-year minutes give the published hourly means wherever half of the hour was measured."""
    minutes = to_table(read(shared_data / "household_power_consumption_2007h1.zip", ReadOptions(HOUSE)))
    published = to_table(read(shared_data / "household_hourly_kw.csv", ReadOptions(HOUSE)))
    hours = resample(minutes, 3600)
    assert hours.start_s == published.start_s
    known = np.isfinite(hours.power_kw)
    assert known.sum() > 4_600
    np.testing.assert_allclose(hours.power_kw[known], published.power_kw[: len(hours)][known], rtol=2e-5)
    assert np.isnan(hours.power_kw[np.isnan(published.power_kw[: len(hours)])]).all()


def test_readings_after_an_origin_change_none_before_it():
    """What is believed of the past is the same whatever came later: huge, tiny or zero."""
    chance = np.random.default_rng(4)
    power = (1 + chance.random(400)).astype(np.float32)
    power[[30, 150]] = 100.0, 0.0
    before = disbelieved(power, "consumption")
    for later in (1e9, 0.001, 0.0):
        changed = power.copy()
        changed[200:] = later
        for kind, mask in disbelieved(changed, "consumption").items():
            np.testing.assert_array_equal(mask[:200], before[kind][:200])
    assert before["impossible"][30]
    assert before["zero_filled"][150]
