"""The weather around the simulated house, the heat pump that it drives, and a forecast of it that errs more the further it looks.

Its parameters are frozen, chosen before any model was tuned on them. No clock, no file.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import polars as pl

Minutes = npt.NDArray[np.float64]

DAY_MIN = 1_440
_OUTDOOR, _PUMP, _FORECAST = 1, 2, 3


@dataclass(frozen=True)
class Climate:
    """Outdoor temperature, all in °C. systems: spread and memory in minutes of what comes and goes with highs, lows and fronts."""

    mean_c: float = 10.0
    season_c: float = 8.0
    daily_c: float = 3.0
    systems: tuple[tuple[float, int], ...] = ((3.6, 2 * DAY_MIN), (1.6, DAY_MIN // 2))


@dataclass(frozen=True)
class HeatPump:
    """An inverter heat pump: heat that the house loses below `off_above_c`, divided by a COP that falls with the temperature.

    cop: at 0 °C, and how much more for each °C. Below least_kw it runs part of each cycle. defrost_min: every so often, how long it thaws
    and how long it catches up. inertia_min: how long the walls hold back a change of the weather.
    """

    off_above_c: float = 15.0
    heat_kw_per_c: float = 0.28
    cop: tuple[float, float] = (3.2, 0.07)
    least_kw: float = 0.5
    most_kw: float = 3.0
    cycle_min: int = 44
    inertia_min: int = 300
    defrost_below_c: float = 4.0
    defrost_min: tuple[int, int, int] = (85, 5, 9)
    away_share: float = 0.6


@dataclass(frozen=True)
class ForecastSkill:
    """How often a temperature forecast is issued, how far it looks, and the spread of its error in its first and its last hour."""

    every_h: int = 6
    hours: int = 72
    error_c: tuple[float, float] = (0.5, 3.0)
    memory: float = 0.97


def season(first_day: date, days: int) -> Minutes:
    """Per minute: 1 in the middle of January, -1 in the middle of July."""
    day_of_year = first_day.timetuple().tm_yday + np.arange(days * DAY_MIN) / DAY_MIN
    wave: Minutes = np.cos(2 * np.pi * (day_of_year - 16) / 365.25)
    return wave


def wander(length: int, memory: int, rng: np.random.Generator) -> Minutes:
    """Smooth noise of mean 0 and spread 1 that forgets itself within about `memory` minutes."""
    knots = length // memory + 3
    smooth = np.convolve(rng.normal(size=knots + 2), [0.5, 0.707, 0.5], mode="valid")
    noise: Minutes = np.interp(np.arange(length) / memory, np.arange(knots), smooth)
    return noise


def outdoor_c(first_day: date, days: int, seed: int, climate: Climate | None = None) -> Minutes:
    """The temperature outside, °C per minute, shape (days * 1440,). More days of the same seed begin with the same days."""
    climate = climate or Climate()
    minutes = days * DAY_MIN
    of_day = np.arange(minutes) % DAY_MIN / 60
    clear = np.clip(1 + 0.5 * wander(minutes, 2 * DAY_MIN, np.random.default_rng([seed, _OUTDOOR])), 0.1, 2)
    temperature = climate.mean_c - climate.season_c * season(first_day, days)
    temperature += climate.daily_c * clear * np.cos(2 * np.pi * (of_day - 15) / 24)
    for number, (spread_c, memory) in enumerate(climate.systems):
        temperature += spread_c * wander(minutes, memory, np.random.default_rng([seed, _OUTDOOR, number]))
    return temperature


def heat_pump_kw(outdoor: Minutes, home: npt.NDArray[np.bool_], seed: int, pump: HeatPump | None = None) -> Minutes:
    """Electric power of the heat pump, kW per minute. outdoor: °C per minute; home: per day, whether anybody is there."""
    pump = pump or HeatPump()
    rng = np.random.default_rng([seed, _PUMP])
    minute = np.arange(len(outdoor))
    of_day = minute % DAY_MIN / 60
    wanted = np.where((of_day > 5) & (of_day < 9), 1.2, np.where((of_day > 22) | (of_day < 4.5), 0.8, 1.0))
    wanted *= np.where(np.repeat(home, DAY_MIN), 1.0, pump.away_share)
    heat = pump.heat_kw_per_c * np.maximum(pump.off_above_c - _lagged(outdoor, pump.inertia_min), 0) * wanted
    cop = np.clip(pump.cop[0] + pump.cop[1] * outdoor, 1.8, 5.0)
    power = np.maximum(heat / cop * (1 + 0.08 * wander(len(outdoor), 90, rng) + 0.04 * wander(len(outdoor), 10, rng)), 0)
    begins = np.arange(0, len(outdoor), pump.cycle_min)
    duty = np.clip(power[begins] / pump.least_kw * rng.normal(1, 0.1, len(begins)), 0, 1)
    on = minute % pump.cycle_min < duty[minute // pump.cycle_min] * pump.cycle_min
    power = np.where(power >= pump.least_kw, power, np.where(on, pump.least_kw, 0.0))
    every, thaw, after = pump.defrost_min
    place = (minute + rng.integers(0, every)) % every
    thawing = (outdoor < pump.defrost_below_c) & (power > 0)
    power *= np.where(thawing & (place < thaw), 0.4, np.where(thawing & (place < thaw + after), 1.25, 1.0))
    return np.minimum(power, pump.most_kw)


def temperature_forecast(first_day: date, days: int, seed: int, skill: ForecastSkill | None = None) -> pl.DataFrame:
    """What was forecast of the temperature outside: time, available_at (both UTC, as text) and temperature_c, one row per hour and issue.

    Each issue gives hourly means from the hour it is issued in; its error keeps its sign for hours and grows with the lead.
    """
    skill = skill or ForecastSkill()
    reach = -(-skill.hours // 24) + 1
    truth = outdoor_c(first_day, days + reach, seed).reshape(-1, 60).mean(axis=1)
    issued = np.arange(0, days * 24 + 1, skill.every_h)
    shocks = np.random.default_rng([seed, _FORECAST]).normal(size=(len(issued), skill.hours))
    error = shocks.copy()
    for lead in range(1, skill.hours):
        error[:, lead] = skill.memory * error[:, lead - 1] + np.sqrt(1 - skill.memory**2) * shocks[:, lead]
    hours = issued[:, None] + np.arange(skill.hours)
    values = truth[hours] + np.linspace(*skill.error_c, skill.hours) * error
    midnight = np.datetime64(first_day, "ms")

    def stamps(since: npt.NDArray[np.int64]) -> pl.Series:
        return pl.Series(midnight + since.ravel() * np.timedelta64(3_600_000, "ms")).dt.strftime("%Y-%m-%dT%H:%MZ")

    issues = stamps(np.broadcast_to(issued[:, None], hours.shape))
    return pl.DataFrame({"time": stamps(hours), "available_at": issues, "temperature_c": values.ravel().round(1)})


def as_csv(forecast: pl.DataFrame) -> bytes:
    """The forecast as a file of columns known ahead, one decimal. The same frame, the same bytes."""
    text: str = forecast.write_csv(float_precision=1)
    return text.encode()


def _lagged(values: Minutes, minutes: int) -> Minutes:
    """The mean of the last `minutes` of each minute, of fewer at the beginning."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    stop = np.arange(1, len(values) + 1)
    start = np.maximum(stop - minutes, 0)
    means: Minutes = (sums[stop] - sums[start]) / (stop - start)
    return means
