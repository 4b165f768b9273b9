"""What a row of features is made of: frozen, carried inside the bundle, unable to name a moment past the origin."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Literal

from pydantic import Field

from wattcast.errors import LeakingSpec
from wattcast.meter.clock import DAY_S, HOUR_S

CALENDAR = ("hour", "weekday", "day_of_year", "holiday")


@dataclass(frozen=True)
class Recent:
    """What is taken from one column before the origin, in steps: offset 0 is the last reading known, a window of w the last w readings.

    event: a change between two readings by more than this (in the column's unit) is one; its age, its size and the run before it count.
    """

    column: str
    offsets: tuple[int, ...] = ()
    means: tuple[int, ...] = ()
    spreads: tuple[int, ...] = ()
    extremes: tuple[int, ...] = ()
    event: float | None = None


@dataclass(frozen=True)
class Seasonal:
    """What is taken of the power from days before the target, valid only at the leads from which the day reaches back past the origin.

    days: lags to the same wall-clock time; hours: the same in elapsed hours; means: averages over such days, of what was measured.
    """

    days: tuple[int, ...] = ()
    hours: tuple[int, ...] = ()
    means: tuple[Annotated[tuple[int, ...], Field(min_length=1)], ...] = ()


@dataclass(frozen=True)
class FeatureSpec:
    """How a row of features is built.

    calendar: which of CALENDAR, of the target's local time. holidays: local days as proleptic ordinals. target: "level" (kW) or
    "change" since the last reading known. event_memory: how many steps back events are looked for. Raises LeakingSpec when it would
    read past the origin.
    """

    step_s: int
    horizon: int
    zone: str
    recent: tuple[Recent, ...] = ()
    seasonal: Seasonal = field(default_factory=Seasonal)
    calendar: tuple[str, ...] = CALENDAR
    holidays: tuple[int, ...] = ()
    target: Literal["level", "change"] = "level"
    event_memory: int = 720

    def __post_init__(self) -> None:
        _refuse_leaks(self)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The name of every column of the matrix, in order."""
        leads = ("lead",) if self.horizon > 1 else ()
        recent = tuple(name for part in self.recent for name in _recent_names(part))
        return leads + recent + _seasonal_names(self.seasonal) + self.calendar

    @property
    def history_steps(self) -> int:
        """How many readings before the origin a row can depend on."""
        reach = [1]
        for part in self.recent:
            reach += [offset + 1 for offset in part.offsets] + [*part.means, *part.spreads, *part.extremes]
            reach += [self.event_memory + 1] if part.event is not None else []
        # An hour more than the lag: a wall-clock day may be 25 hours long.
        lags_s = [days * DAY_S + HOUR_S for days in all_days(self.seasonal)] + [hours * HOUR_S for hours in self.seasonal.hours]
        return max(reach + [-(-lag // self.step_s) for lag in lags_s])


def _recent_names(part: Recent) -> tuple[str, ...]:
    column = part.column
    names = [f"{column}[-{offset}]" for offset in part.offsets]
    names += [f"{column}.mean{width}" for width in part.means] + [f"{column}.spread{width}" for width in part.spreads]
    names += [f"{column}.{kind}{width}" for width in part.extremes for kind in ("min", "max")]
    return tuple(names + ([f"{column}.event_{what}" for what in ("age", "size", "run")] if part.event is not None else []))


def _seasonal_names(seasonal: Seasonal) -> tuple[str, ...]:
    names = [f"days{day}" for day in seasonal.days] + [f"hours{hours}" for hours in seasonal.hours]
    return tuple(names + [f"mean_days{mean[0]}to{mean[-1]}by{mean[1] - mean[0] if len(mean) > 1 else 1}" for mean in seasonal.means])


def all_days(seasonal: Seasonal) -> list[int]:
    """Every day that lags or means reach back to, each once."""
    return sorted({*seasonal.days, *(day for mean in seasonal.means for day in mean)})


def _refuse_leaks(spec: FeatureSpec) -> None:
    """Raise LeakingSpec where the spec names a moment that is not before the origin (recent) or the target (seasonal)."""
    for part in spec.recent:
        if any(offset < 0 for offset in part.offsets):
            raise LeakingSpec(
                f"{part.column}: offset {min(part.offsets)} lies after the origin", "offsets count back: 0 is the last reading known"
            )
        if any(width < 1 for width in (*part.means, *part.spreads, *part.extremes)):
            raise LeakingSpec(
                f"{part.column}: a window must hold at least the last reading known", "windows count back from the origin, from 1"
            )
    unknown = set(spec.calendar) - set(CALENDAR)
    if unknown:
        raise LeakingSpec(f"calendar holds {min(unknown)}, which is not known of a moment ahead", f"known: {', '.join(CALENDAR)}")
    if any(lag < 1 for lag in [*all_days(spec.seasonal), *spec.seasonal.hours]):
        raise LeakingSpec(
            "a seasonal lag below 1 is the target itself or lies after it", "seasonal lags count back from the target, from 1"
        )
