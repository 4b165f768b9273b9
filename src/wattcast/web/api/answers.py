"""What the API gives, as types: they write what is answered, and are its documentation."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from wattcast.web.api.judged import ArrivedQuality, Quality
from wattcast.web.api.words import Kw, Quantiles, Resolution, TaskName, Told, said

_Kw = Annotated[float, Meta(extra_json_schema={"x-unit": "kW"})]


class ForecastStep(Struct, frozen=True):
    """One interval of a forecast."""

    start: Told
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

    meter: str
    task: TaskName
    origin: Told
    resolution_s: Resolution
    covers: Annotated[str, Meta(description="What the steps are.", examples=["the next steps"])]
    unit: Literal["kW"]
    zone: str
    steps: list[ForecastStep]
    energy_kwh: DayEnergy | None
    peak_kw: DayPeak | None
    tier: Annotated[str, Meta(description="Who answered: champion, family, previous, shared, baseline or profile.", examples=["champion"])]
    reason: Annotated[str, Meta(description="Why no higher tier answered; empty where the best one did.", examples=[""])]
    model: Annotated[str, Meta(examples=["LightGBM Regressor"])]
    version: Annotated[str, Meta(description="Id of the model file; empty where no model answered.", examples=["9f2c" * 16])]
    notes: Annotated[list[str], Meta(description="What was assumed in reading the request.")]
    # The last, for in an answer that was kept it alone is written anew.
    data_age_s: Annotated[int, said("How long ago the last reading ended.", 3600, "s")] | None


class FieldError(Struct, frozen=True):
    """What is wrong with one field."""

    field: str
    message: str


class ProblemDetails(Struct, frozen=True, omit_defaults=True):
    """RFC 9457: what went wrong, and what to do."""

    type: Annotated[str, Meta(description="Address of this kind's description.", examples=["/docs#problem-bad-request"])]
    title: str
    status: int
    detail: str
    hint: str = ""
    errors: list[FieldError] = []


class BatchResult(Struct, frozen=True):
    """What became of one request of a batch: a forecast or a problem."""

    forecast: ForecastAnswer | None = None
    problem: ProblemDetails | None = None


class BatchAnswer(Struct, frozen=True):
    """The results, in the order of the requests."""

    results: list[BatchResult]


class Refused(Struct, frozen=True):
    """A reading that was not kept."""

    line: Annotated[int, Meta(description="Line of NDJSON, or place in the JSON list, from 1.")]
    message: str


class Kept(Struct, frozen=True):
    """What became of the readings sent."""

    meter: str
    resolution_s: Resolution
    new: Annotated[int, Meta(description="Readings of intervals that were not known.")]
    same: Annotated[int, Meta(description="Readings that were known with these values.")]
    corrected: Annotated[int, Meta(description="Readings that were known with other values, which are kept beside.")]
    refused: Annotated[int, Meta(description="Readings that were not kept.")]
    refusals: Annotated[list[Refused], Meta(description="The first hundred of them.")]
    notes: list[str]


class MeterSummary(Struct, frozen=True):
    """One meter."""

    id: str
    zone: str
    flow: str
    holidays: str
    simulated: bool
    registered: Annotated[bool, Meta(description="Whether models were trained for it.")]
    tasks: Annotated[list[str], Meta(description="Tasks that it has a model for.")]
    resolution_s: Annotated[int, said("Resolution of the readings that arrived.", 3600, "s")] | None
    readings: Annotated[int, Meta(description="How many readings have arrived.")]
    first: Told | None
    end: Told | None


class Meters(Struct, frozen=True):
    """Every meter."""

    meters: list[MeterSummary]


class MeterDetails(Struct, frozen=True):
    """One meter, with a verdict on the readings it was trained on, and one on those that arrived."""

    meter: MeterSummary
    quality: Annotated[Quality | None, Meta(description="Of the readings that its models were trained on; null where there are none.")]
    arrived: Annotated[ArrivedQuality | None, Meta(description="Of the readings that arrived; null where none did.")]


class Before(Struct, frozen=True, omit_defaults=True):
    """What stood in place of a reading before it was corrected."""

    power_kw: Kw | None
    until: Told
    covariates: dict[str, float | None] = {}


class StoredReading(Struct, frozen=True):
    """One reading as it is kept."""

    start: Told
    power_kw: Kw | None
    covariates: Annotated[dict[str, float | None], Meta(examples=[{"voltage_v": 240.8}])]
    before: Annotated[list[Before], Meta(description="What stood here before, oldest first.")]


class StoredReadings(Struct, frozen=True):
    """A page of readings, oldest first."""

    meter: str
    resolution_s: Resolution
    zone: str
    readings: list[StoredReading]
    next: Annotated[str, Meta(description="Cursor of the next page.")] | None


class PastStep(Struct, frozen=True):
    """One interval that was forecast, beside what came."""

    start: Told
    mean: Kw
    quantiles: Quantiles
    actual: Annotated[float, said("What was measured; null: not yet, or not at all.", 1.3, "kW")] | None


class PastForecast(Struct, frozen=True):
    """A forecast that was given out."""

    task: TaskName
    origin: Told
    resolution_s: Resolution
    tier: str
    reason: str
    model: str
    version: str
    first_served: Told
    last_served: Told
    served: Annotated[int, Meta(description="How often it was given out.")]
    steps: list[PastStep]


class PastForecasts(Struct, frozen=True):
    """A page of forecasts of before, the latest first."""

    meter: str
    zone: str
    forecasts: list[PastForecast]
    next: Annotated[str, Meta(description="Cursor of the next page.")] | None


class Errors(Struct, frozen=True):
    """Errors of one forecaster."""

    mae: _Kw
    rmse: _Kw


class ModelScore(Struct, frozen=True):
    """What a model was worth on readings that no choice had seen, beside its baselines on the same rows."""

    inputs: Annotated[str, Meta(description="What the model answers from.", examples=["history"])]
    rows: int
    mae: _Kw
    rmse: _Kw
    coverage: Annotated[float, Meta(description="Share of actuals inside the outermost interval.")]
    nominal: Annotated[float, Meta(description="What that share should be.")]
    skill: Annotated[
        dict[str, float | None], Meta(description="1 - error / error of the best baseline.", examples=[{"mae": 0.13, "rmse": 0.19}])
    ]
    baselines: dict[str, Errors]


class ModelSummary(Struct, frozen=True):
    """One model file that is registered."""

    version: str
    meter: str
    task: TaskName
    family: str
    champion: bool
    vetoed: Annotated[list[str], Meta(description="Why it does not answer; empty where it may.")]
    loaded: bool
    trained_at: str
    scores: list[ModelScore]


class Models(Struct, frozen=True):
    """Every registered model. serial: rises with every registration."""

    serial: int
    models: list[ModelSummary]


class ModelDetails(Struct, frozen=True):
    """One model: what it was trained on, what it looks at, and what that is worth to it."""

    model: ModelSummary
    trained_by: str
    revision: Annotated[str, Meta(description="Git revision that it was trained at.")]
    training_start: Told | None
    training_end: Told | None
    features: Annotated[dict[str, list[str]], Meta(description="Names of the features, by what the model answers from.")]
    importances: Annotated[dict[str, dict[str, float]], Meta(description="What features are worth, by what the model answers from.")]
