"""What a forecast is: the value that every room hands on, with what stands behind it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from wattcast.forecasting.day_totals import Total
from wattcast.meter.clock import Instants, utc_offset_s, zone_of

Covers = Literal["the next steps", "the next local day"]
Tier = Literal["champion", "challenger", "family", "previous", "shared", "baseline", "profile", "shadow"]
# Of a forecast that was made beside the answer, to be judged by what comes, and that nobody was given.
SHADOW: Tier = "shadow"

_CLOCK_DIGITS = len("2010-11-26T21:00:00")
# From so many on it is worth the while to write them together.
_MANY = 6

# What each tier is, in the words of the page.
TIERS: Mapping[Tier, str] = {
    "champion": "the champion",
    "challenger": "the challenger on trial",
    "family": "the family asked for",
    "previous": "the previous champion",
    "shared": "the model of all meters known",
    "baseline": "a baseline from the readings given",
    "profile": "the typical day of this meter",
    "shadow": "a model in the shadow, not given out",
}


@dataclass(frozen=True)
class Step:
    """One interval of a forecast: mean power in kW over [start_s, start_s + resolution), and quantiles by level."""

    start_s: int
    mean: float
    quantiles: Mapping[float, float]


@dataclass(frozen=True, eq=False)
class Steps(Sequence[Step]):
    """The intervals of a forecast, as arrays. starts_s: UTC epoch seconds; values: mean and quantiles in kW, shape (steps, 1 + levels)."""

    starts_s: Instants
    levels: tuple[float, ...]
    values: npt.NDArray[np.float64]

    @classmethod
    def of(cls, steps: Iterable[Step]) -> Steps:
        """Single steps, all with the same levels."""
        rows = list(steps)
        starts = np.array([step.start_s for step in rows], dtype=np.int64)
        return cls(starts, tuple(rows[0].quantiles), np.array([[step.mean, *step.quantiles.values()] for step in rows]))

    def __len__(self) -> int:
        return len(self.starts_s)

    @overload
    def __getitem__(self, which: int) -> Step: ...
    @overload
    def __getitem__(self, which: slice) -> Steps: ...
    def __getitem__(self, which: int | slice) -> Step | Steps:
        """One step, or some."""
        if isinstance(which, slice):
            return Steps(self.starts_s[which], self.levels, self.values[which])
        mean, *quantiles = self.values[which].tolist()
        return Step(int(self.starts_s[which]), mean, dict(zip(self.levels, quantiles, strict=True)))

    def __iter__(self) -> Iterator[Step]:
        for start, (mean, *quantiles) in zip(self.starts_s.tolist(), self.values.tolist(), strict=True):
            yield Step(start, mean, dict(zip(self.levels, quantiles, strict=True)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Steps) and tuple(self) == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # as of a list

    @property
    def names(self) -> tuple[str, ...]:
        """The levels as programs read them: "0.1"."""
        return _names(self.levels)

    def rounded(self, decimals: int = 6) -> list[list[float]]:
        """Mean and quantiles of every step, rounded for the reader."""
        rounded: list[list[float]] = self.values.round(decimals).tolist()
        return rounded


@lru_cache(maxsize=64)
def _names(levels: tuple[float, ...]) -> tuple[str, ...]:
    return tuple(f"{level:g}" for level in levels)


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
    steps: Steps
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
                {"start": start, "mean": mean, "quantiles": dict(zip(self.steps.names, quantiles, strict=True))}
                for start, (mean, *quantiles) in zip(iso_each(self.steps.starts_s, self.zone), self.steps.rounded(), strict=True)
            ],
            "tier": self.tier,
            "reason": self.reason,
            "model": self.model,
            "version": self.version,
            "data_age_s": self.data_age_s,
            "totals": _rounded(self.totals) if self.totals else None,
        }


@dataclass(frozen=True)
class Served:
    """A forecast that was given out so many times, first and last at these moments; one of the shadow was made then."""

    forecast: Forecast
    first_s: int
    last_s: int
    times: int = 1


@dataclass(frozen=True)
class LoggedForecast:
    """A forecast as the log keeps it. key: rises with time; served: how often it was given out, first and last at these moments.

    One of the shadow was never given out, and made at these moments.
    """

    key: int
    meter: str
    task: str
    origin_s: int
    step_s: int
    steps: Steps
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


def iso_each(instants: Instants, zone: str) -> list[str]:
    """Every instant as `iso` has it."""
    if len(instants) < _MANY:
        return [iso(instant, zone) for instant in instants.tolist()]
    offsets = utc_offset_s(zone, instants)
    clock: list[str] = np.datetime_as_string((instants + offsets).astype("datetime64[s]")).tolist()
    ends = {offset: iso(int(instants[offsets == offset][0]), zone)[_CLOCK_DIGITS:] for offset in set(offsets.tolist())}
    return [text + ends[offset] for text, offset in zip(clock, offsets.tolist(), strict=True)]


@lru_cache(maxsize=1024)
def iso(instant_s: int, zone: str) -> str:
    """The instant as ISO 8601 in the zone, with its offset."""
    return datetime.fromtimestamp(instant_s, zone_of(zone)).isoformat()
