"""What the API takes, as types: they check what is sent, and are its documentation."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from msgspec import Meta, Struct

from wattcast.web.api.words import LARGEST_KW, PERHAPS_AN_ID, Cursor, Flow, Origin, Power, Resolution, Start, TaskName, Zone, moment, said

_LARGEST_KWH = 1e9


def _measured(description: str, example: float, unit: str) -> Meta:
    return said(description, example, unit, ge=-LARGEST_KW, le=LARGEST_KW)


class Reading(Struct, forbid_unknown_fields=True, frozen=True):
    """What a meter measured over one interval."""

    start: Start
    power_kw: Power | None
    voltage_v: Annotated[float, _measured("Mean voltage.", 240.8, "V")] | None = None
    current_a: Annotated[float, _measured("Mean current, all phases.", 4.6, "A")] | None = None
    reactive_power_kvar: Annotated[float, _measured("Mean reactive power.", 0.12, "kVAr")] | None = None
    sub1_wh: Annotated[float, _measured("Energy of sub-meter 1.", 0, "Wh")] | None = None
    sub2_wh: Annotated[float, _measured("Energy of sub-meter 2.", 1, "Wh")] | None = None
    sub3_wh: Annotated[float, _measured("Energy of sub-meter 3.", 17, "Wh")] | None = None


class ForecastRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """A forecast asked for, from readings that come with it or from stored ones."""

    task: TaskName
    meter: Annotated[str, said("Meter id; empty: the meter registered last.", "house", pattern=PERHAPS_AN_ID)] = ""
    readings: (
        Annotated[list[Reading], Meta(description="Without them the stored readings of the meter are used.", max_length=100_000)] | None
    ) = None
    zone: Zone = ""
    flow: Flow | None = None
    resolution_s: Resolution | None = None
    origin: Origin | None = None
    family: Annotated[str, said("Family of models; empty: the champion.", "xgb", max_length=20)] = ""
    quantiles: Annotated[list[float], said("Levels wanted, of those that the meter's models have.", [0.1, 0.9], max_length=99)] | None = (
        None
    )
    yearly_kwh: Annotated[float, said("What the meter uses in a year, where known.", 3_500, "kWh", gt=0, le=_LARGEST_KWH)] | None = None


class BatchRequest(Struct, forbid_unknown_fields=True, frozen=True):
    """Many forecasts asked for at once."""

    requests: Annotated[list[ForecastRequest], Meta(description="Each is answered by itself.", min_length=1, max_length=1_000)]


class ReadingsSent(Struct, forbid_unknown_fields=True, frozen=True):
    """Readings to keep."""

    readings: Annotated[list[Reading], Meta(description="All of one resolution; those that are known already change nothing.")]


class MeterFacts(Struct, frozen=True, forbid_unknown_fields=True):
    """How readings are to be taken; what is known of the meter counts where nothing is said."""

    zone: Zone = ""
    flow: Flow | None = None
    holidays: Annotated[str, said("Country, or country-subdivision, whose holidays count.", "FR", max_length=16)] | None = None
    resolution_s: Resolution | None = None
    unit: Annotated[Literal["", "kW", "W", "kWh", "Wh"], said("CSV: unit of power or energy; empty: found by itself.", "kW")] = ""
    time_column: Annotated[str, said("CSV: name of the time column; empty: found by itself.", "time", max_length=200)] = ""
    power_column: Annotated[str, said("CSV: name of the power or energy column; empty: found by itself.", "power_kw", max_length=200)] = ""


class FileForecastAsked(MeterFacts, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A forecast asked for beside a meter file in the body."""

    task: TaskName
    meter: Annotated[str, said("Meter id; empty: none that is known.", "house", pattern=PERHAPS_AN_ID)] = ""
    origin: Origin | None = None
    family: Annotated[str, said("Family of models; empty: the champion.", "xgb", max_length=20)] = ""
    quantiles: Annotated[
        str, said("Levels wanted, with commas between them; empty: all.", "0.1,0.9", pattern=r"^([0-9.]+(,[0-9.]+)*)?$")
    ] = ""


class ReadingsAsked(Struct, frozen=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Which readings are wanted."""

    from_: Annotated[datetime, moment("Readings from here on; none: from the first")] | None = None
    to: Annotated[datetime, moment("Readings before this; none: to the last")] | None = None
    cursor: Cursor = ""
    limit: Annotated[int, said("Readings of a page.", 1_000, ge=1, le=10_000)] = 1_000


class MeterForecastAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """Which forecast of a meter is wanted."""

    task: TaskName = "day_ahead"
    origin: Origin | None = None
    family: Annotated[str, said("Family of models; empty: the champion.", "xgb", max_length=20)] = ""


class ForecastsAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """Which forecasts of before are wanted."""

    task: Annotated[str, said("Forecast task; empty: every one.", "day_ahead", max_length=100, pattern=r"^[^\x00-\x1f]*$")] = ""
    cursor: Cursor = ""
    limit: Annotated[int, said("Forecasts of a page.", 20, ge=1, le=200)] = 20


class AccuracyAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """Which forecasts of a meter are to be judged."""

    task: TaskName = "day_ahead"


class ChangesAsked(Struct, frozen=True, forbid_unknown_fields=True):
    """How much of the history is wanted."""

    limit: Annotated[int, said("How many changes are looked at, the latest first.", 20, ge=1, le=20)] = 20
