"""A forecast goes out with its times in the meter's zone and everything that stands behind it."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest

from wattcast.forecasting.forecast import TIERS, Forecast, Step, Steps, Tier, iso

FORECAST = Forecast(
    meter="house",
    zone="Europe/Paris",
    task="day_ahead",
    origin_s=1_269_737_999 + 1,
    step_s=3_600,
    steps=Steps.of(
        (
            Step(1_269_738_000, 0.12345678, {0.05: 0.1, 0.5: 0.12, 0.95: 1 / 3}),
            Step(1_269_741_600, 1, {0.05: 1, 0.5: 1, 0.95: 1}),
        )
    ),
    tier="baseline",
    reason="why not higher",
    model="the last reading repeated",
    version="",
    data_age_s=None,
)


def test_a_forecast_as_json() -> None:
    """ISO times with their offset, over a clock change too; kW to a thousandth of a watt; quantiles by their level."""
    assert FORECAST.to_json() == {
        "meter": "house",
        "task": "day_ahead",
        "origin": "2010-03-28T03:00:00+02:00",
        "covers": "the next steps",
        "resolution_s": 3_600,
        "unit": "kW",
        "zone": "Europe/Paris",
        "steps": [
            {"start": "2010-03-28T03:00:00+02:00", "mean": 0.123457, "quantiles": {"0.05": 0.1, "0.5": 0.12, "0.95": 0.333333}},
            {"start": "2010-03-28T04:00:00+02:00", "mean": 1.0, "quantiles": {"0.05": 1.0, "0.5": 1.0, "0.95": 1.0}},
        ],
        "tier": "baseline",
        "reason": "why not higher",
        "model": "the last reading repeated",
        "version": "",
        "data_age_s": None,
        "totals": None,
    }
    assert replace(FORECAST, data_age_s=60).to_json()["data_age_s"] == 60


@pytest.mark.parametrize(
    ("zone", "told"),
    [("UTC", "2010-03-28T01:00:00+00:00"), ("+05:30", "2010-03-28T06:30:00+05:30"), ("America/New_York", "2010-03-27T21:00:00-04:00")],
)
def test_times_are_those_of_the_zone(zone: str, told: str) -> None:
    """One instant, each zone's clock."""
    assert iso(1_269_738_000, zone) == told


def test_every_tier_has_words() -> None:
    """The page can name each tier."""
    assert set(TIERS) == set(get_args(Tier))
