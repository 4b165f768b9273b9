"""What a row of features is made of: frozen, carried inside the bundle, unable to name a moment past the origin."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BeforeValidator, Field

from wattcast.errors import LeakingSpec
from wattcast.forecasting.layout import Layout
from wattcast.forecasting.names import known_names, recent_names, seasonal_names
from wattcast.forecasting.remembered import Remembered
from wattcast.meter.clock import DAY_S, HOUR_S

Target = Literal["level", "change", "deviation"]
CALENDAR = ("hour", "weekday", "day_of_year", "holiday")
# For linear members: a column for each weekday, and waves over the year.
WAVES = tuple(f"{wave}{number}" for number in (1, 2, 3) for wave in ("sin", "cos"))
CALENDAR_COLUMNS: Mapping[str, tuple[str, ...]] = {
    **{name: (name,) for name in CALENDAR},
    "weekdays": tuple(f"weekday_{number}" for number in range(7)),
    "year": tuple(f"year_{wave}" for wave in WAVES),
}


def _days(stated: Any) -> Any:
    """Days as a list, or in words: "1-28" is every day to 28, "7-56/7" every seventh."""
    match = re.fullmatch(r"(\d+)-(\d+)(?:/(\d+))?", stated) if isinstance(stated, str) else None
    return tuple(range(int(match[1]), int(match[2]) + 1, int(match[3] or 1))) if match else stated


Days = Annotated[tuple[int, ...], BeforeValidator(_days)]


@dataclass(frozen=True)
class Recent:
    """What is taken from one column before the origin, in steps: offset 0 is the last reading known, a window of w the last w readings.

    changes: the last reading less the one so many steps before it. event: a change between two readings by more than this (in the
    column's unit) is one; age and size of the last `events` of them count, and how long the state before the last one had lasted.
    counts: windows in which events are counted. level: the column is on above it; how long it has been on or off, how long the last
    `runs` states before that lasted, how much longer than now the last state of this kind did, the mean since the last switch, and
    what the column did the last time it had been in this state for so long.
    """

    column: str
    offsets: tuple[int, ...] = ()
    means: tuple[int, ...] = ()
    spreads: tuple[int, ...] = ()
    extremes: tuple[int, ...] = ()
    changes: tuple[int, ...] = ()
    event: float | None = None
    events: Annotated[int, Field(ge=1)] = 1
    counts: tuple[int, ...] = ()
    level: float | None = None
    runs: Annotated[int, Field(ge=2)] = 3


@dataclass(frozen=True)
class Seasonal:
    """What is taken of one column from days before the target, valid only at the leads from which the day reaches back past the origin.

    days: lags to the same wall-clock time; hours: the same in elapsed hours; means: averages over such days, of what was measured;
    kinds: averages over those of the last so many days that are of the target's kind (workday, Saturday, Sunday or holiday).
    nearby: each of them averaged over so many steps before and after it too. half_life: days after which a day weighs half in a mean.
    """

    column: str = "power_kw"
    days: Days = ()
    hours: tuple[int, ...] = ()
    means: tuple[Annotated[Days, Field(min_length=1)], ...] = ()
    kinds: tuple[int, ...] = ()
    nearby: Annotated[int, Field(ge=0)] = 0
    half_life: Annotated[float, Field(gt=0)] | None = None


# What a day is usually like, smoothed: the last seven days, and the days of the same kind of eight weeks. The mean of both is a baseline.
USUAL_DAY = (Seasonal(means=(tuple(range(1, 8)),), nearby=1, half_life=7), Seasonal(kinds=(56,), half_life=14))


@dataclass(frozen=True)
class Known:
    """What is taken of a column known ahead, as it was known at the origin: steps counted back from the target, negative ones after it."""

    column: str
    offsets: tuple[int, ...] = (0,)
    means: tuple[int, ...] = ()


@dataclass(frozen=True)
class Scale:
    """What a model of many meters divides every load by: the mean of the last `days` days, as far as they were measured.

    It is drawn toward `prior_kw` as if that had been measured for `prior_days`: all there is where nothing was.
    """

    days: Annotated[int, Field(ge=1)]
    prior_kw: Annotated[float, Field(gt=0)]
    prior_days: Annotated[float, Field(gt=0)]


@dataclass(frozen=True)
class FeatureSpec:
    """How a row of features is built.

    calendar: which of CALENDAR_COLUMNS, of the target's local time. holidays: local days as proleptic ordinals. target: "level" (kW),
    "change" since the last reading known, or "deviation" from the usual day, which needs USUAL_DAY in `seasonal`. event_memory: how many
    steps back events are looked for. gate_s: None where the leads 1 to `horizon` follow the origin; else origins lie at this second of the
    local day and the targets are the next local day. scale: None for loads in kW. Raises LeakingSpec when it would read past the origin.
    """

    step_s: int
    horizon: int
    zone: str
    recent: tuple[Recent, ...] = ()
    seasonal: tuple[Seasonal, ...] = ()
    known: tuple[Known, ...] = ()
    calendar: tuple[str, ...] = CALENDAR
    holidays: tuple[int, ...] = ()
    target: Target = "level"
    event_memory: int = 720
    gate_s: int | None = None
    scale: Scale | None = None

    def __post_init__(self) -> None:
        _refuse_leaks(self)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The name of every column of the matrix, in order."""
        leads = ("lead",) if self.last_lead > 1 else ()
        recent = tuple(name for part in self.recent for name in recent_names(part))
        seasonal = tuple(name for part in self.seasonal for name in seasonal_names(part))
        known = self.known_names
        calendar = tuple(name for part in self.calendar for name in CALENDAR_COLUMNS[part])
        return leads + recent + seasonal + known + calendar + (("measured_days",) if self.scale else ())

    @property
    def known_names(self) -> tuple[str, ...]:
        """The names of the columns that come from what is known ahead."""
        return tuple(name for part in self.known for name in known_names(part))

    @cached_property
    def layout(self) -> Layout:
        """Where the columns that look back come from and stand."""
        return Layout.of(self.recent, tuple((part, len(seasonal_names(part))) for part in self.seasonal))

    @cached_property
    def glances(self) -> bool:
        """Whether a forecast is one row that looks at single readings before its origin, and at nothing else that was measured."""
        alone = not (self.seasonal or self.known or self.scale) and self.last_lead == 1
        return alone and len(self.layout.recent.offsets) == self.layout.recent.width

    @cached_property
    def holiday_ordinals(self) -> npt.NDArray[np.int64]:
        """The holidays, rising."""
        return np.array(sorted(self.holidays), dtype=np.int64)

    @cached_property
    def calendar_width(self) -> int:
        """How many columns come from the calendar."""
        return sum(len(CALENDAR_COLUMNS[part]) for part in self.calendar)

    @cached_property
    def remembered_calendar(self) -> Remembered:
        """Columns of the calendar by their targets."""
        return Remembered()

    @cached_property
    def remembered_kinds(self) -> Remembered:
        """Which days before targets are of their kind, by the targets."""
        return Remembered()

    @cached_property
    def every_lead(self) -> npt.NDArray[np.int64]:
        """The leads 1 to the horizon."""
        return np.arange(1, self.horizon + 1, dtype=np.int64)

    @cached_property
    def every_step_s(self) -> npt.NDArray[np.int64]:
        """How long after the origin the step of each lead begins, seconds."""
        return (self.every_lead - 1) * self.step_s

    @cached_property
    def last_lead(self) -> int:
        """The furthest lead that any origin has: with a gate, the end of a next day of 25 hours."""
        return self.horizon if self.gate_s is None else (DAY_S - self.gate_s + DAY_S + HOUR_S) // self.step_s

    @cached_property
    def history_steps(self) -> int:
        """How many readings before the origin a row can depend on."""
        reach = [1]
        for part in self.recent:
            reach += [offset + 1 for offset in (*part.offsets, *part.changes)] + [*part.means, *part.spreads, *part.extremes]
            reach += [self.event_memory + 1] if part.event is not None or part.level is not None else []
            reach += [width + 1 for width in part.counts]
        for ahead in self.known:
            reach += [*ahead.offsets, *ahead.means]
        for season in self.seasonal:
            # An hour more than the lag: a wall-clock day may be 25 hours long.
            lags_s = [days * DAY_S + HOUR_S for days in all_days(season)] + [hours * HOUR_S for hours in season.hours]
            reach += [-(-lag // self.step_s) + season.nearby for lag in lags_s]
        return max(reach + ([self.scale.days * DAY_S // self.step_s] if self.scale else []))


def all_days(part: Seasonal) -> list[int]:
    """Every day that lags or means reach back to, each once."""
    spans = (range(1, days + 1) for days in part.kinds)
    return sorted({*part.days, *(day for mean in part.means for day in mean), *(day for span in spans for day in span)})


def _refuse_leaks(spec: FeatureSpec) -> None:
    """Raise LeakingSpec where the spec names a moment that is not before the origin (recent) or the target (seasonal)."""
    for part in spec.recent:
        if any(offset < 0 for offset in (*part.offsets, *part.changes)):
            first = min(*part.offsets, *part.changes, 0)
            raise LeakingSpec(f"{part.column}: offset {first} lies after the origin", "offsets count back: 0 is the last reading known")
        if any(width < 1 for width in (*part.means, *part.spreads, *part.extremes, *part.counts)):
            raise LeakingSpec(
                f"{part.column}: a window must hold at least the last reading known", "windows count back from the origin, from 1"
            )
    unknown = set(spec.calendar) - set(CALENDAR_COLUMNS)
    if unknown:
        raise LeakingSpec(f"calendar holds {min(unknown)}, which is not known of a moment ahead", f"known: {', '.join(CALENDAR_COLUMNS)}")
    if any(lag < 1 for part in spec.seasonal for lag in [*all_days(part), *part.hours, *part.kinds]):
        raise LeakingSpec(
            "a seasonal lag below 1 is the target itself or lies after it", "seasonal lags count back from the target, from 1"
        )
    if any(width < 1 for part in spec.known for width in part.means):
        raise LeakingSpec("a window of what is known ahead holds at least its target", "windows count back from the target, from 1")
    if spec.gate_s is not None and not 0 <= spec.gate_s < DAY_S:
        raise LeakingSpec(f"a gate at second {spec.gate_s} of the day is none", "give a time of day, such as 06:00")
