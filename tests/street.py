"""Meters of one kind and many sizes, and the model of all of them: trained once in each test process."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import tiny

from wattcast.forecasting.bundle import Bundle, open_bundle
from wattcast.forecasting.pooling import train
from wattcast.forecasting.tasks import Effort
from wattcast.meter.table import Meter, MeterTable

RECIPE = replace(
    tiny.recipe("day_ahead", "lgbm"),
    settings={"rounds": 25, "learning_rate": 0.2, "num_leaves": 15, "max_bin": 31, "min_data_in_leaf": 20},
    effort=Effort(max_rows=5_000, validation_blocks=1, validation_max_rows=4_000),
)


@cache
def street(count: int = 8, first: int = 0) -> tuple[MeterTable, ...]:
    """Ninety days of hours of each meter, with a size, a noise and a rhythm of its own."""
    tables = []
    for number in range(first, first + count):
        chance = np.random.default_rng([7, number])
        table = tiny.hour_table(90)
        power = np.roll(table.power_kw, int(chance.integers(-2, 3))) * np.float32(chance.lognormal(0, 0.6))
        noise = chance.lognormal(0, 0.2, len(power)).astype(np.float32)
        meter = Meter(f"house-{number}", zone=("Europe/Paris", "UTC")[number % 2], simulated=number % 3 == 0)
        tables.append(replace(table, meter=meter, power_kw=power * noise))
    return tuple(tables)


@cache
def pooled() -> Bundle:
    """The bundle of the street."""
    return open_bundle(train(street(), RECIPE, lambda _: None).data)
