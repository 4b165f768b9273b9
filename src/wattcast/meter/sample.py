"""A simulated house, minute by minute, in the columns of the UCI format: for whoever has no meter file at hand.

Its parameters are frozen in `House`, before any model was tuned on it; nothing here is fitted to a forecast. No clock, no file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

from wattcast.errors import BadParams
from wattcast.meter.weather import DAY_MIN, Minutes, heat_pump_kw, outdoor_c, season, wander


@dataclass(frozen=True)
class Appliance:
    """How often, when and how an appliance runs.

    per_day: runs on a workday and on a day of the weekend; hours: usual starting times, as (hour, spread in hours, weight); minutes: median
    duration and its log spread; phases: (share of the duration, kW) one after the other; meter: sub-meter 1 to 3, or 0.
    """

    per_day: tuple[float, float]
    hours: tuple[tuple[float, float, float], ...]
    minutes: tuple[float, float]
    phases: tuple[tuple[float, float], ...]
    meter: int = 0


@dataclass(frozen=True)
class House:
    """Everything that shapes the simulated house. Its clock is UTC, without daylight saving.

    awake_h, out_h: from and to which hour somebody is awake, and out on a workday; out_share: what is left of lights and screens then.
    """

    first_day: date = date(2024, 1, 1)
    standby_kw: float = 0.14
    fridge_kw: tuple[float, float] = (0.085, 0.11)
    fridge_on_off_min: tuple[tuple[float, float], ...] = ((14.0, 27.0), (19.0, 41.0))
    light_kw: float = 0.28
    screens_kw: float = 0.22
    awake_h: tuple[float, float] = (6.6, 23.2)
    out_h: tuple[float, float] = (8.6, 16.8)
    out_share: float = 0.25
    mean_outdoor_c: float = 11.0
    season_c: float = 8.0
    weather_c: float = 3.0
    heating_below_c: float = 15.0
    heating_kw_per_c: float = 0.075
    heater_kw: float = 1.4
    heater_cycle_min: int = 62
    absences: tuple[tuple[int, int], ...] = ((51, 4), (103, 6), (187, 3), (214, 16), (300, 4), (359, 5))
    gap_count: int = 40
    long_gaps_min: tuple[int, ...] = (372, 1_515, 2_840)
    appliances: tuple[Appliance, ...] = (
        Appliance((1.1, 1.6), ((7.1, 0.4, 2), (12.4, 0.6, 1), (19.2, 0.8, 3)), (26, 0.45), ((0.3, 2.2), (0.7, 1.1)), 1),
        Appliance((0.55, 0.7), ((20.6, 0.7, 3), (13.6, 0.7, 1)), (92, 0.1), ((0.25, 2.0), (0.35, 0.12), (0.3, 2.0), (0.1, 0.1)), 1),
        Appliance((0.4, 1.0), ((9.6, 1.3, 2), (18.4, 1.1, 2)), (78, 0.2), ((0.05, 0.2), (0.3, 2.05), (0.65, 0.28)), 2),
        Appliance((0.25, 0.6), ((11.4, 1.4, 2), (20.3, 0.9, 2)), (58, 0.25), ((0.85, 1.9), (0.15, 0.2)), 2),
        Appliance((1.0, 1.0), ((5.3, 0.35, 1),), (118, 0.3), ((1.0, 1.08),), 3),
        Appliance((0.8, 1.1), ((7.6, 0.5, 1), (21.3, 0.8, 1)), (34, 0.5), ((1.0, 1.08),), 3),
        Appliance((3.2, 4.0), ((7.0, 0.6, 2), (10.3, 1.5, 1), (16.2, 1.2, 1), (19.8, 1.2, 1)), (3, 0.3), ((1.0, 1.85),)),
        Appliance((0.7, 1.5), ((10.8, 1.6, 1), (17.6, 1.2, 1)), (17, 0.5), ((1.0, 0.95),)),
    )


def simulate(days: int = 400, seed: int = 20_240_101, house: House | None = None, *, heat_pump: bool = False) -> pl.DataFrame:
    """A house from its first day on, one row per minute, in the UCI columns and units; null in gaps. Same arguments, same house.

    heat_pump: the same house heated by a heat pump (`weather`) instead of by electric heaters.
    """
    if days < 1:
        raise BadParams(f"a house of {days} days cannot be simulated", "ask for at least one day")
    house = house or House()
    rng = np.random.default_rng(seed)
    home = _at_home(house, days)
    heat = _heating(house, days, home, rng)
    if heat_pump:
        heat = heat_pump_kw(outdoor_c(house.first_day, days, seed), home, seed)
    submeters = np.zeros((4, days * DAY_MIN))
    for appliance in house.appliances:
        submeters[appliance.meter] += _runs(appliance, house, home, rng)
    submeters[3] += heat
    motors = _fridges(house, days, rng)
    power = submeters.sum(axis=0) + motors + _presence(house, home, rng) + house.standby_kw
    power *= 1 + 0.02 * wander(len(power), 240, rng)
    power = np.maximum(power + rng.normal(0, 0.006, len(power)), 0.05)
    return _frame(house, power, motors, submeters, rng)


def as_uci_text(frame: pl.DataFrame) -> bytes:
    """The frame in the UCI text format: semicolons, d/m/yyyy, three decimals, "?" in gaps. The same frame, the same bytes."""
    text: str = frame.write_csv(separator=";", float_precision=3, null_value="?")
    return text.encode()


def _at_home(house: House, days: int) -> npt.NDArray[np.bool_]:
    """For each day, whether anybody is there. Absences come back every year."""
    home = np.ones(days, dtype=bool)
    for first, length in house.absences:
        for year in range(0, days, 365):
            home[year + first : year + first + length] = False
    return home


def _weekend(house: House, days: int) -> npt.NDArray[np.bool_]:
    return (np.arange(days) + house.first_day.weekday()) % 7 >= 5


def _runs(appliance: Appliance, house: House, home: npt.NDArray[np.bool_], rng: np.random.Generator) -> Minutes:
    """The power of all runs of one appliance, kW per minute: each phase is a step up and a step down."""
    days = len(home)
    expected = np.where(_weekend(house, days), appliance.per_day[1], appliance.per_day[0]) * home
    day = np.repeat(np.arange(days), rng.poisson(expected))
    weights = np.array([weight for _, _, weight in appliance.hours], dtype=float)
    habit = rng.choice(len(weights), size=len(day), p=weights / weights.sum())
    usual = np.array([(hour, spread) for hour, spread, _ in appliance.hours])[habit]
    late = np.where(_weekend(house, days)[day], 0.9, 0.0)
    begin = day * DAY_MIN + 60 * (rng.normal(usual[:, 0], usual[:, 1]) + late)
    duration = appliance.minutes[0] * np.exp(rng.normal(0, appliance.minutes[1], len(day)))
    power = np.zeros(days * DAY_MIN)
    for share, kw in appliance.phases:
        stop = begin + duration * share
        power += _pulses(begin, stop, kw * rng.normal(1, 0.03, len(day)), len(power))
        begin = stop
    return power


def _pulses(begin: Minutes, stop: Minutes, kw: Minutes, length: int) -> Minutes:
    """Mean power per minute of rectangles from begin to stop (in minutes): what begins within a minute counts for the rest of it."""
    steps = np.zeros(length + 2)
    for edge, step in ((begin, kw), (stop, -kw)):
        at = np.clip(edge, 0, length)
        minute = at.astype(np.int64)
        np.add.at(steps, minute, step * (minute + 1 - at))
        np.add.at(steps, minute + 1, step * (at - minute))
    power: Minutes = np.maximum(np.cumsum(steps)[:length], 0).round(9)
    return power


def _fridges(house: House, days: int, rng: np.random.Generator) -> Minutes:
    """Compressors that switch on and off around the clock."""
    power = np.zeros(days * DAY_MIN)
    for kw, (on, off) in zip(house.fridge_kw, house.fridge_on_off_min, strict=True):
        lengths = np.maximum(rng.normal([on, off], [1.5, 3.0], (int(len(power) / (on + off) * 1.2) + 10, 2)), 2)
        edges = np.cumsum(lengths.ravel()).reshape(lengths.shape)
        power += _pulses(edges[:, 0] - lengths[:, 0], edges[:, 0], np.full(len(edges), kw), len(power))
    return power


def _heating(house: House, days: int, home: npt.NDArray[np.bool_], rng: np.random.Generator) -> Minutes:
    """Electric heating: the colder it is, the longer the heater is on in each of its cycles; less at night and while nobody is there."""
    minute = np.arange(days * DAY_MIN)
    of_day = minute % DAY_MIN / 60
    outdoor = house.mean_outdoor_c - house.season_c * season(house.first_day, days) + 2.5 * np.cos(2 * np.pi * (of_day - 15) / 24)
    outdoor += house.weather_c * wander(len(minute), 2 * DAY_MIN, rng)
    wanted = np.where((of_day > 5.5) & (of_day < 9), 1.25, np.where((of_day > 16.5) & (of_day < 22.5), 1.2, 0.6))
    wanted *= np.where(np.repeat(home, DAY_MIN), 1.0, 0.35)
    duty = wanted * house.heating_kw_per_c * np.maximum(house.heating_below_c - outdoor, 0) / house.heater_kw
    cycles = np.arange(0, len(minute), house.heater_cycle_min)
    begin = cycles + rng.uniform(0, 9, len(cycles))
    return _pulses(begin, begin + np.minimum(duty[cycles], 1) * house.heater_cycle_min, np.full(len(cycles), house.heater_kw), len(minute))


def _presence(house: House, home: npt.NDArray[np.bool_], rng: np.random.Generator) -> Minutes:
    """Lights while it is dark and somebody is awake, screens in the evening and at the weekend."""
    days = len(home)
    of_day = np.tile(np.arange(DAY_MIN) / 60, days)
    winter = season(house.first_day, days)
    dark = 1 / (1 + np.exp(-3 * np.maximum(of_day - (19.2 - 2.2 * winter), (6.6 + 1.4 * winter) - of_day)))
    awake = 1 / (1 + np.exp(-4 * np.minimum(of_day - house.awake_h[0], house.awake_h[1] - of_day)))
    out = (of_day > house.out_h[0]) & (of_day < house.out_h[1]) & ~np.repeat(_weekend(house, days), DAY_MIN)
    busy = np.clip(1 + 0.6 * wander(len(of_day), 45, rng), 0, 2) * awake * np.where(out, house.out_share, 1) * np.repeat(home, DAY_MIN)
    evening = np.where(of_day > 18.5, 1.0, 0.4)
    load: Minutes = busy * (house.light_kw * dark + house.screens_kw * evening)
    return load


def _frame(house: House, power: Minutes, motors: Minutes, submeters: npt.NDArray[np.float64], rng: np.random.Generator) -> pl.DataFrame:
    """The measured channels: apparent power over a wandering mains voltage gives the current; sub-meters count whole Wh."""
    power = power.round(3)
    reactive = np.maximum(0.05 + 0.7 * motors + 0.04 * power + 0.03 * wander(len(power), 30, rng), 0).round(3)
    voltage = (241 + 2.2 * wander(len(power), 180, rng) - 0.45 * power + rng.normal(0, 0.3, len(power))).round(2)
    columns = {
        "Global_active_power": power,
        "Global_reactive_power": reactive,
        "Voltage": voltage,
        "Global_intensity": (np.hypot(power, reactive) * 1_000 / voltage * 5).round() / 5,
        **{f"Sub_metering_{meter}": np.diff(np.floor(np.cumsum(submeters[meter]) * 1_000 / 60), prepend=0.0) for meter in (1, 2, 3)},
    }
    measured = _measured(house, len(power), rng)
    moments = pl.Series(np.datetime64(house.first_day, "ms") + np.arange(len(power)) * np.timedelta64(60_000, "ms"))
    stamps = [moments.dt.strftime("%-d/%-m/%Y").alias("Date"), moments.dt.strftime("%H:%M:%S").alias("Time")]
    values = [pl.Series(name, np.where(measured, column, np.nan)).fill_nan(None) for name, column in columns.items()]
    return pl.DataFrame([*stamps, *values])


def _measured(house: House, length: int, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
    measured = np.ones(length, dtype=bool)
    short = rng.geometric(0.2, house.gap_count)
    for gap in (*short.tolist(), *(gap for gap in house.long_gaps_min if gap < length // 20)):
        begin = int(rng.integers(0, max(length - gap, 1)))
        measured[begin : begin + gap] = False
    return measured
