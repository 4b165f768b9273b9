"""Simulated houses that differ from each other, for models of many meters: level, appliances, habits, heating, absences, season.

What a house may be like is frozen here, before any model was tuned on it. No clock, no file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np

from wattcast.meter.cleaning import resample
from wattcast.meter.sample import Appliance, House, simulate
from wattcast.meter.table import MINUTE_S, Meter, MeterTable

# How likely a house has each appliance of the sample house, in their order: cooker, dishwasher, washer, dryer, two boilers, kettle, oven.
_OWNED = (0.9, 0.75, 0.95, 0.45, 0.45, 0.35, 0.9, 0.8)
_HEATED_ELECTRICALLY = 0.4
_HOUSE, _READINGS = 1, 2


def draw_house(seed: int) -> House:
    """A house drawn at random. The same seed, the same house.

    It may rise three hours later than the sample house or two earlier, stay at home on workdays, heat with gas, begin on any day of 2023.
    """
    rng = np.random.default_rng([seed, _HOUSE])
    sample = House()
    level = rng.lognormal(0, 0.25)
    later = float(np.clip(rng.normal(0, 1.1), -2, 3))
    at_home = rng.random() < 0.35
    owned = rng.random(len(_OWNED)) < _OWNED
    appliances = tuple(_drawn(each, later, level, rng) for each, has in zip(sample.appliances, owned, strict=True) if has)
    heated = rng.random() < _HEATED_ELECTRICALLY
    rises, sleeps = rng.normal(0, 0.4, 2)
    leaves = float(rng.normal(0, 0.5))
    return replace(
        sample,
        first_day=date(2023, 1, 1) + timedelta(days=int(rng.integers(365))),
        standby_kw=float(sample.standby_kw * rng.lognormal(0, 0.5)),
        fridge_kw=(float(sample.fridge_kw[0] * rng.lognormal(0, 0.2)), sample.fridge_kw[1] * bool(rng.random() < 0.5)),
        light_kw=float(sample.light_kw * level * rng.lognormal(0, 0.4)),
        screens_kw=float(sample.screens_kw * level * rng.lognormal(0, 0.4)),
        awake_h=(sample.awake_h[0] + later + float(rises), sample.awake_h[1] + 0.7 * later + float(sleeps)),
        out_h=(sample.out_h[0] + later + leaves, sample.out_h[1] + later + leaves),
        out_share=float(rng.uniform(0.6, 1.0) if at_home else rng.uniform(0.1, 0.4)),
        mean_outdoor_c=float(rng.normal(sample.mean_outdoor_c, 2.0)),
        heating_kw_per_c=float(sample.heating_kw_per_c * rng.lognormal(0, 0.4)) if heated else 0.0,
        absences=_absences(rng),
        gap_count=int(rng.integers(0, 30)),
        long_gaps_min=(),
        appliances=appliances,
    )


def simulated_meters(count: int, days: int, seed: int, step_s: int) -> Iterator[MeterTable]:
    """So many houses, each drawn from its own seed (`seed`, `seed` + 1, ...), at this resolution; gaps are NaN."""
    for number in range(seed, seed + count):
        house = draw_house(number)
        power_kw = simulate(days, int(np.random.default_rng([number, _READINGS]).integers(2**31)), house)["Global_active_power"]
        start_s = int(datetime(house.first_day.year, house.first_day.month, house.first_day.day, tzinfo=UTC).timestamp())
        meter = Meter(f"simulated-{number}", simulated=True)
        minutes = MeterTable(meter, start_s, MINUTE_S, power_kw.to_numpy().astype(np.float32))
        yield minutes if step_s == MINUTE_S else resample(minutes, step_s)


def _drawn(appliance: Appliance, later: float, level: float, rng: np.random.Generator) -> Appliance:
    """The appliance as another house has it: how often, at the weekend too, when, for how long, how strong."""
    often, weekend = level * rng.lognormal(0, 0.35), rng.lognormal(0, 0.3)
    workday, free = appliance.per_day
    hours = tuple(
        (hour + later + float(rng.normal(0, 0.6)), spread * float(rng.lognormal(0, 0.3)), weight * float(rng.lognormal(0, 0.6)))
        for hour, spread, weight in appliance.hours
    )
    longer, stronger = float(rng.lognormal(0, 0.2)), float(rng.lognormal(0, 0.2))
    return replace(
        appliance,
        per_day=(float(workday * often), float(free * often * weekend)),
        hours=hours,
        minutes=(appliance.minutes[0] * longer, appliance.minutes[1]),
        phases=tuple((share, kw * stronger) for share, kw in appliance.phases),
    )


def _absences(rng: np.random.Generator) -> tuple[tuple[int, int], ...]:
    """Some days away, a few times a year."""
    firsts = np.sort(rng.integers(0, 360, rng.poisson(4)))
    return tuple((int(first), int(rng.integers(2, 15))) for first in firsts)
