"""The simulated house: deterministic, plausible, in the UCI format."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from wattcast.errors import BadParams
from wattcast.meter.cleaning import resample, to_table
from wattcast.meter.quality import judge
from wattcast.meter.sample import House, as_uci_text, simulate


@pytest.fixture(scope="module")
def frame():
    """The house as it ships: 400 days."""
    return simulate()


@pytest.fixture
def house(frame, load):
    """The same, written and read again."""
    return load(as_uci_text(frame))


def test_the_same_seed_gives_the_same_bytes():
    """Two simulations agree to the byte; another seed is another house."""
    assert as_uci_text(simulate(20)) == as_uci_text(simulate(20))
    assert as_uci_text(simulate(20)) != as_uci_text(simulate(20, seed=2))


def test_its_parameters_are_frozen():
    """Nobody tunes the house to a model."""
    with pytest.raises(FrozenInstanceError):
        House().standby_kw = 1  # type: ignore[misc]


@pytest.mark.parametrize("days", [1, 2, 800])
def test_any_number_of_days_can_be_had(days):
    """One row per minute; a house needs a day at least."""
    assert simulate(days).height == days * 1440
    with pytest.raises(BadParams, match="0 days"):
        simulate(0)


def test_it_is_read_as_a_uci_file_and_judged_good(house):
    """Format, columns, minutes and gaps are those of the real file."""
    report = judge(house, to_table(house))
    assert house.format == "UCI household text"
    assert report.verdict == "good"
    assert 0.002 < report.figures["share_missing"] < 0.02
    assert report.figures["longest_gap_hours"] > 24


def test_its_text_looks_like_the_original(frame):
    """Days and months without leading zeros, three decimals, question marks in gaps."""
    lines = as_uci_text(frame).decode().splitlines()
    assert lines[0].startswith("Date;Time;Global_active_power;Global_reactive_power;Voltage;Global_intensity;Sub_metering_1")
    assert lines[1].startswith("1/1/2024;00:00:00;")
    assert any(line.endswith(";?;?;?;?;?;?;?") for line in lines)


def test_its_channels_agree_with_each_other(house):
    """Voltage x current gives the power, and the sub-meters never exceed it by more than their counting."""
    table = to_table(house)
    apparent = table.covariates["voltage_v"] * table.covariates["current_a"] / 1000
    known = np.isfinite(table.power_kw)
    assert np.corrcoef(apparent[known], table.power_kw[known])[0, 1] > 0.99
    submeters = sum(table.covariates[f"sub{meter}_wh"] for meter in (1, 2, 3))
    assert np.nanmean(table.power_kw * 1000 / 60 - submeters) > 2
    assert 225 < np.nanmin(table.covariates["voltage_v"]) < np.nanmax(table.covariates["voltage_v"]) < 255


def test_it_lives_like_a_house(house):
    """About 1 kW on average, more in winter, less while away, lowest at night; weekends differ from workdays."""
    hours = resample(to_table(house), 3600)
    by_day = hours.power_kw[: 364 * 24].reshape(364, 24)
    assert 0.7 < np.nanmean(by_day) < 1.3
    assert np.nanmean(by_day[:60]) > 1.5 * np.nanmean(by_day[180:240])
    assert np.nanmean(by_day[215:229]) < 0.6 * np.nanmean(by_day[195:210])
    assert np.nanmean(by_day[:, 2:4]) < 0.6 * np.nanmean(by_day[:, 18:21])
    weekend = np.arange(364) % 7 >= 5
    assert np.nanmean(by_day[weekend, 9:17]) > 1.1 * np.nanmean(by_day[~weekend, 9:17])


def test_its_baselines_are_of_the_size_of_the_real_house(house):
    """The last value as forecast of the next minute errs by about 0.1 kW; for a day ahead the mean of seven days beats yesterday."""
    table = to_table(house)
    assert 0.05 < np.nanmean(np.abs(np.diff(table.power_kw))) < 0.12
    days = resample(table, 3600).power_kw.reshape(-1, 24)
    yesterday = np.nanmean(np.abs(days[8:] - days[7:-1]))
    week = np.nanmean([days[7 - back : len(days) - 1 - back] for back in range(7)], axis=0)
    assert np.nanmean(np.abs(days[8:] - week)) < yesterday
