"""What a forecast is: the value that every room hands on, with what stands behind it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from wattcast.forecasting.day_totals import Total
from wattcast.meter.clock import zone_of

Covers = Literal["the next steps", "the next local day"]
Tier = Literal["champion", "family", "previous", "shared", "baseline", "profile"]

# What each tier is, in the words of the page.
TIERS: Mapping[Tier, str] = {
    "champion": "the champion",
    "family": "the family asked for",
    "previous": "the previous champion",
    "shared": "the model of all meters known",
    "baseline": "a baseline from the readings given",
    "profile": "the typical day of this meter",
}


@dataclass(frozen=True)
class Step:
    """One interval of a forecast: mean power in kW over [start_s, start_s + resolution), and quantiles by level."""

    start_s: int
    mean: float
    quantiles: Mapping[float, float]


@dataclass(frozen=True)
class Forecast:
    """A forecast and where it came from: which tier answered, why not a higher one (`reason`, empty for the best), which model.

    origin_s: the moment it was made from; data_age_s: how long ago the last reading before it ended (None: no reading at all).
    model: family title or the baseline's name; version: the bundle's id, empty where no bundle answered. totals: energy and peak of the
    day, where a bundle answered for one. covers: what the steps are.
    """

    meter: str
    zone: str
    task: str
    origin_s: int
    step_s: int
    steps: tuple[Step, ...]
    tier: Tier
    reason: str
    model: str
    version: str
    data_age_s: int | None
    totals: Mapping[str, Total] | None = None
    covers: Covers = "the next steps"

    def to_json(self) -> dict[str, Any]:
        """The forecast as people and programs read it: ISO 8601 times in the meter's zone, kW, quantiles keyed "0.1"."""
        return {
            "meter": self.meter,
            "task": self.task,
            "origin": iso(self.origin_s, self.zone),
            "resolution_s": self.step_s,
            "covers": self.covers,
            "unit": "kW",
            "zone": self.zone,
            "steps": [
                {
                    "start": iso(step.start_s, self.zone),
                    "mean": round(step.mean, 6),
                    "quantiles": {f"{level:g}": round(value, 6) for level, value in step.quantiles.items()},
                }
                for step in self.steps
            ],
            "tier": self.tier,
            "reason": self.reason,
            "model": self.model,
            "version": self.version,
            "data_age_s": self.data_age_s,
            "totals": _rounded(self.totals) if self.totals else None,
        }


@dataclass(frozen=True)
class LoggedForecast:
    """A forecast as the log keeps it. key: rises with time; served: how often it was given out, first and last at these moments."""

    key: int
    meter: str
    task: str
    origin_s: int
    step_s: int
    steps: tuple[Step, ...]
    tier: str
    reason: str
    model: str
    version: str
    first_served_s: int
    last_served_s: int
    served: int


def _rounded(totals: Mapping[str, Total]) -> dict[str, Any]:
    return {
        name: {"mean": round(total["mean"], 4), "quantiles": {level: round(value, 4) for level, value in total["quantiles"].items()}}
        for name, total in totals.items()
    }


def iso(instant_s: int, zone: str) -> str:
    """The instant as ISO 8601 in the zone, with its offset."""
    return datetime.fromtimestamp(instant_s, UTC).astimezone(zone_of(zone)).isoformat()
