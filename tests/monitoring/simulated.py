"""A simulated house and two models of it, as the log of forecasts would hold them."""

from __future__ import annotations

from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from wattcast.forecasting.forecast import LoggedForecast, Steps
from wattcast.meter.table import Meter, MeterTable

START_S = 1_262_304_000  # 2010-01-01, a Friday
HOUR_S, DAY_S = 3_600, 86_400
LEVELS = (0.1, 0.5, 0.9)
CHAMPION, CHALLENGER = "a" * 64, "b" * 64
# What the champion of these houses has as its mean absolute error.
PROMISED_KW = 0.3

Floats = npt.NDArray[np.float64]
_keys = count(1)


def logged(origin_s: int, median: Floats, version: str = CHAMPION, tier: str = "champion", **changes: Any) -> LoggedForecast:
    """A forecast of the hours from its origin on, its interval a third of it to either side, and its mean a twentieth above."""
    starts = origin_s + HOUR_S * np.arange(len(median), dtype=np.int64)
    values = np.stack([median * factor for factor in (1.05, 2 / 3, 1.0, 4 / 3)], axis=1)
    who = {"tier": tier, "reason": "", "model": "LightGBM Regressor", "version": version}
    moments = {"first_served_s": origin_s, "last_served_s": origin_s, "served": 1}
    facts = {"meter": "house", "task": "day_ahead", "origin_s": origin_s, "step_s": HOUR_S, "steps": Steps(starts, LEVELS, values)}
    return LoggedForecast(**{"key": next(_keys), **facts, **who, **moments, **changes})


def _lasting(chance: np.random.Generator, many: int, share: float) -> Floats:
    """Numbers of spread 1, each of which keeps a share of the one before it."""
    values = chance.normal(size=many)
    for number in range(1, many):
        values[number] = share * values[number - 1] + np.sqrt(1 - share**2) * values[number]
    return values


def days_of_rivals(days: int, seed: int, better: float = 0.0, zone: str = "Europe/Paris") -> tuple[MeterTable, list[LoggedForecast]]:
    """The hours of so many days, and what champion and challenger said of each at midnight UTC; they answer by turns.

    Weather and habits last for days, and so do errors: some that both models make, and some of each alone, of the same size, so that they
    differ and neither is better. better: by this share the challenger's errors are smaller.
    """
    chance = np.random.default_rng(seed)
    hour = np.arange(days * 24) % 24
    shape = 0.4 + 1.1 * np.exp(-(((hour - 7.5) / 1.5) ** 2)) + 1.6 * np.exp(-(((hour - 19.5) / 2.5) ** 2))
    load = shape * np.exp(0.2 * np.repeat(_lasting(chance, days, 0.6), 24) + 0.35 * _lasting(chance, days * 24, 0.5))

    def parts_of_days() -> Floats:
        return np.repeat(np.stack([_lasting(chance, days, 0.5) for _ in range(4)], axis=1).ravel(), 6)

    usual = shape * np.exp(0.2 * parts_of_days())
    champion, challenger = (usual * np.exp(0.08 * parts_of_days() + 0.06 * chance.normal(size=days * 24)) for _ in range(2))
    challenger = load + (1 - better) * (challenger - load)
    found = []
    for day in range(days):
        own, origin_s = slice(day * 24, day * 24 + 24), START_S + day * DAY_S
        tiers = ("champion", "shadow") if day % 2 else ("shadow", "challenger")
        found += [logged(origin_s, champion[own], CHAMPION, tiers[0]), logged(origin_s, challenger[own], CHALLENGER, tiers[1])]
    return MeterTable(Meter("house", zone=zone), START_S, HOUR_S, load.astype(np.float32)), found
