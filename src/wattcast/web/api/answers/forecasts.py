"""Forecasts as types of the API: those that are made, and those of before beside what came."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from wattcast.web.api.answers.problems import ProblemDetails
from wattcast.web.api.words import (
    Begins,
    Kw,
    MadeFrom,
    MeterId,
    ModelTitle,
    Next,
    Notes,
    OfZone,
    Quantiles,
    Reason,
    Resolution,
    TaskName,
    Tier,
    Version,
    said,
    told,
)


class ForecastStep(Struct, frozen=True):
    """One interval of a forecast."""

    start: Begins
    mean: Kw
    quantiles: Quantiles


class DayEnergy(Struct, frozen=True):
    """Energy of the first day, with quantiles of its own: those of the steps do not add up to it."""

    mean: Annotated[float, said("Mean of what is expected.", 24.1, "kWh")]
    quantiles: Annotated[dict[str, float], said("Value by level.", {"0.1": 17.0, "0.9": 33.2}, "kWh")]


class DayPeak(Struct, frozen=True):
    """Highest step of the first day, with quantiles of its own."""

    mean: Annotated[float, said("Mean of what is expected.", 3.1, "kW")]
    quantiles: Annotated[dict[str, float], said("Value by level.", {"0.1": 2.0, "0.9": 4.4}, "kW")]


class ForecastAnswer(Struct, frozen=True):
    """A forecast, and where it came from."""

    meter: Annotated[str, said("Meter id; `this file` where a file came without one.", "house")]
    task: TaskName
    origin: MadeFrom
    resolution_s: Resolution
    covers: Annotated[str, said("What the steps are.", "the next steps")]
    unit: Annotated[Literal["kW"], Meta(description="Unit of the steps.")]
    zone: OfZone
    steps: Annotated[list[ForecastStep], Meta(description="The forecast, interval by interval.")]
    energy_kwh: Annotated[DayEnergy | None, Meta(description="Energy of the first day; null where no model answered for a day.")]
    peak_kw: Annotated[DayPeak | None, Meta(description="Highest step of the first day; null where no model answered for a day.")]
    tier: Tier
    reason: Reason
    model: ModelTitle
    version: Version
    notes: Notes
    # The last, for in an answer that was kept it alone is written anew.
    data_age_s: Annotated[int, said("How long ago the last reading ended; null: there is no reading.", 3600, "s")] | None


class BatchResult(Struct, frozen=True):
    """What became of one request of a batch: a forecast or a problem."""

    forecast: Annotated[ForecastAnswer | None, Meta(description="The forecast; null where there is a problem.")] = None
    problem: Annotated[ProblemDetails | None, Meta(description="Why there is no forecast; null where there is one.")] = None


class BatchAnswer(Struct, frozen=True):
    """The results, in the order of the requests."""

    results: Annotated[list[BatchResult], Meta(description="One for each request.")]


class PastStep(Struct, frozen=True):
    """One interval that was forecast, beside what came."""

    start: Begins
    mean: Kw
    quantiles: Quantiles
    actual: Annotated[float, said("What was measured; null: not yet, or not at all.", 1.3, "kW")] | None


class PastForecast(Struct, frozen=True):
    """A forecast that was given out."""

    task: TaskName
    origin: MadeFrom
    resolution_s: Resolution
    tier: Tier
    reason: Reason
    model: ModelTitle
    version: Version
    first_served: Annotated[str, told("When it was first given out")]
    last_served: Annotated[str, told("When it was last given out")]
    served: Annotated[int, said("How often it was given out.", 3)]
    steps: Annotated[list[PastStep], Meta(description="Interval by interval.")]


class PastForecasts(Struct, frozen=True):
    """A page of forecasts of before, the latest first."""

    meter: MeterId
    zone: OfZone
    forecasts: Annotated[list[PastForecast], Meta(description="Those of this page.")]
    next: Next | None
