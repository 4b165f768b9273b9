"""The real files of one house as meter tables, and the ways in which protocols fill their gaps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

import wattcast
from wattcast.meter.clock import DAY_S
from wattcast.meter.table import Meter, MeterTable

# The clock of the files shows no daylight saving: a fixed offset.
ZONE = "+01:00"
_CHANNELS = {
    "Global_active_power": "power_kw",
    "Global_reactive_power": "reactive_power_kvar",
    "Voltage": "voltage_v",
    "Global_intensity": "current_a",
    "Sub_metering_1": "sub1_wh",
    "Sub_metering_2": "sub2_wh",
    "Sub_metering_3": "sub3_wh",
}


def minutes(data: Path) -> MeterTable:
    """The half year of minutes, as measured."""
    return wattcast.read(data / "household_power_consumption_2007h1.zip", zone=ZONE, holidays="FR", meter="sceaux")


def hours(data: Path) -> MeterTable:
    """Four years of hourly means, as measured; the channels, which come as sums of minutes, as means of a minute.

    An hour that the power's own file leaves out was not measured in any channel; of an hour measured in part the sums are too low, by
    as much as the power's own sum is.
    """
    table = wattcast.read(data / "household_hourly_kw.csv", zone=ZONE, holidays="FR", meter="sceaux")
    sums = pl.read_csv(data / "household_hourly_all_columns.csv")
    start = sums[sums.columns[0]].str.to_datetime().dt.epoch("s").to_numpy() - 3_600
    row = (start - table.start_s) // table.step_s
    share = sums["Global_active_power"].to_numpy() / (60 * table.power_kw[row])
    covariates = {}
    for named, column in _CHANNELS.items():
        if column != "power_kw":
            covariates[column] = np.full(len(table), np.nan, dtype=np.float32)
            covariates[column][row] = sums[named].to_numpy() / (60 * share)
            covariates[column][~np.isfinite(table.power_kw)] = np.nan
    return replace(table, covariates=covariates)


def days(data: Path) -> MeterTable:
    """The daily file: mean power of each day in kW, the first day of the file left out."""
    sums = pl.read_csv(data / "household_daily.csv")
    power = (sums["Global_active_power"].to_numpy()[1:] / 1_440).astype(np.float32)
    first = sums[sums.columns[0]].str.to_date().dt.epoch("d").to_numpy()[1]
    return MeterTable(Meter("sceaux", holidays="FR"), int(first) * DAY_S, DAY_S, power)


def interpolated(power: np.ndarray, most: int) -> np.ndarray:
    """The first `most` readings of every gap between two readings on the straight line across it."""
    return _first_of_gaps(power, np.interp(np.arange(len(power)), np.flatnonzero(np.isfinite(power)), power[np.isfinite(power)]), most)


def carried_forward(power: np.ndarray, most: int) -> np.ndarray:
    """The first `most` readings of every gap as the reading before it."""
    known = np.isfinite(power)
    last = np.maximum.accumulate(np.where(known, np.arange(len(power)), 0))
    return _first_of_gaps(power, power[last], most)


def _first_of_gaps(power: np.ndarray, filled: np.ndarray, most: int) -> np.ndarray:
    missing = ~np.isfinite(power)
    last = np.maximum.accumulate(np.where(missing, -1, np.arange(len(power))))
    since = np.arange(len(power)) - last
    return np.where(missing & (last >= 0) & (since <= most), filled, power).astype(np.float32)


def whole_windows(measured: np.ndarray, before: int, after: int) -> np.ndarray:
    """The origins whose `before` rows before and `after` rows from them on are all there."""
    so_far = np.concatenate([[0], np.cumsum(measured)])
    rows = np.arange(before, len(measured) - after + 1)
    return rows[so_far[rows + after] - so_far[rows - before] == before + after]
