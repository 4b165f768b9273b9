"""The original's form: one reading of one minute, typed in by a person or sent by a program, validated in one place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from wattcast.errors import BadRequest
from wattcast.forecasting.families import family_keys, family_of
from wattcast.meter.clock import zone_of
from wattcast.meter.table import MINUTE_S, Meter, MeterTable

# Name on the page -> family.
MODELS: Mapping[str, str] = {family_of(key).title: key for key in family_keys()}

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[+-]?(nan|inf|infinity)", re.IGNORECASE)
_MOMENT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,6})?)?(Z|[+-][0-9]{2}:?[0-9]{2})?")
_FIRST_YEAR, _LAST_YEAR = 1971, 2099


def _number(value: object) -> float:
    text = value.strip() if isinstance(value, str) else value
    if text in (None, ""):
        raise ValueError("give a value")
    if isinstance(text, str) and _NOT_FINITE.fullmatch(text):
        raise ValueError("must be a finite number")
    if isinstance(text, bool) or not (isinstance(text, int | float) or (isinstance(text, str) and _NUMBER.fullmatch(text))):
        raise ValueError("is not a number; write it like 240.1")
    try:
        return float(text)
    except OverflowError:
        return float("inf")


def _number_or_none(value: object) -> float | None:
    return None if value is None or (isinstance(value, str) and not value.strip()) else _number(value)


def _moment(value: object) -> datetime:
    text = value.strip() if isinstance(value, str) else ""
    if not text:
        raise ValueError("give a date and a time, like 2010-11-26T21:05")
    try:
        # Python alone would take a date without a time, or a week.
        moment = datetime.fromisoformat(text if _MOMENT.fullmatch(text) else "")
    except ValueError:
        raise ValueError("is not a date with a time; write it like 2010-11-26T21:05") from None
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"must lie between the years {_FIRST_YEAR} and {_LAST_YEAR}")
    return moment


def _model(value: object) -> str:
    if not isinstance(value, str) or value not in MODELS:
        raise ValueError(f"choose one of {', '.join(MODELS)}")
    return value


def _measured(name: str, title: str, unit: str, reach: tuple[float, float], example: float, says: str, default: Any = ...) -> Any:
    return Field(
        default,
        alias=name,
        title=title,
        description=says,
        ge=reach[0],
        le=reach[1],
        allow_inf_nan=False,
        examples=[example],
        json_schema_extra={"unit": unit},
    )


_Number = Annotated[float, BeforeValidator(_number)]


class TypedReading(BaseModel):
    """What was read off a meter in one minute, under the original's names. The attributes are the columns of a meter table."""

    model_config = ConfigDict(frozen=True)

    model_choice: Annotated[str, BeforeValidator(_model)] = Field(title="Model", json_schema_extra={"enum": list(MODELS)})
    read_at: Annotated[datetime, BeforeValidator(_moment)] = Field(
        alias="datetime", title="Minute of the reading", description="The forecast is for the minute after.", examples=["2010-11-26T21:05"]
    )
    reactive_power_kvar: _Number = _measured("Global_reactive_power", "Reactive power", "kVAr", (-1e3, 1e3), 0.12, "mean of that minute")
    voltage_v: _Number = _measured("Voltage", "Voltage", "V", (50, 500), 240.8, "mean of that minute")
    current_a: _Number = _measured("Global_intensity", "Current", "A", (0, 1e3), 4.6, "mean of that minute, all phases")
    sub1_wh: _Number = _measured("Sub_metering_1", "Sub-meter 1", "Wh", (0, 1e5), 0, "energy of that minute")
    sub2_wh: _Number = _measured("Sub_metering_2", "Sub-meter 2", "Wh", (0, 1e5), 1, "energy of that minute")
    sub3_wh: _Number = _measured("Sub_metering_3", "Sub-meter 3", "Wh", (0, 1e5), 17, "energy of that minute")
    power_kw: Annotated[float | None, BeforeValidator(_number_or_none)] = _measured(
        "Global_active_power", "Active power", "kW", (-1e3, 1e3), 1.1, "left empty: estimated from voltage and current", None
    )
    meter: str = Field("", title="Meter", max_length=100)

    @property
    def estimated(self) -> bool:
        """Whether the active power was not given, and is estimated from voltage and current."""
        return self.power_kw is None

    def table(self, meter: Meter) -> MeterTable:
        """The reading as a table of one minute. A time without an offset is the meter's own clock, of a repeated hour the first showing."""
        moment = self.read_at if self.read_at.tzinfo else self.read_at.replace(tzinfo=zone_of(meter.zone))
        power = self.voltage_v * self.current_a / 1_000 if self.power_kw is None else self.power_kw
        if power < 0 and meter.flow == "consumption":
            raise BadRequest("the reading has a fault", "", {"Global_active_power": "this meter cannot have a negative power"})
        measured = {name: np.array([getattr(self, name)], dtype=np.float32) for name in COVARIATES}
        start_s = int(moment.timestamp()) // MINUTE_S * MINUTE_S
        return MeterTable(meter, start_s, MINUTE_S, np.array([power], dtype=np.float32), measured)


# Column of a meter table -> the original's name, for what a form field measures beside the power.
COVARIATES: Mapping[str, str] = {
    name: str(field.alias) for name, field in TypedReading.model_fields.items() if name.endswith(("_kvar", "_v", "_a", "_wh"))
}


@dataclass(frozen=True)
class FormField:
    """One field of the form as the page draws it: facts of the same schema that validates."""

    name: str
    title: str
    unit: str
    least: float
    most: float
    example: float
    says: str
    required: bool


def _drawn() -> tuple[FormField, ...]:
    schema = TypedReading.model_json_schema()
    facts = {name: about | about.get("anyOf", [{}])[0] for name, about in schema["properties"].items() if "unit" in about}
    return tuple(
        FormField(
            name=name,
            title=of["title"],
            unit=of["unit"],
            least=of["minimum"],
            most=of["maximum"],
            example=of["examples"][0],
            says=of["description"],
            required=name in schema["required"],
        )
        for name, of in facts.items()
    )


FIELDS = _drawn()
_BY_NAME = {field.name: field for field in FIELDS}


def read_form(values: Mapping[str, object]) -> TypedReading:
    """The reading in these values of a form or a JSON object. Raises BadRequest naming every field that is at fault."""
    try:
        return TypedReading.model_validate(values)
    except ValidationError as cause:
        fields = {str(fault["loc"][0]): _sentence(fault) for fault in cause.errors(include_url=False)}
        count = "a fault" if len(fields) == 1 else f"faults in {len(fields)} fields"
        raise BadRequest(f"the reading has {count}", "correct what is named and send it again", fields) from cause


def _sentence(fault: Any) -> str:
    match fault["type"]:
        case "missing":
            return "give a value"
        case "value_error":
            return str(fault["ctx"]["error"])
        case "finite_number":
            return "must be a finite number"
        case "greater_than_equal" | "less_than_equal":
            field = _BY_NAME[fault["loc"][0]]
            return f"must lie between {field.least:g} and {field.most:,.0f} {field.unit}"
        case _:
            return str(fault["msg"])
