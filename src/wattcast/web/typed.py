"""The original's form: one reading of one minute, typed in by a person or sent by a program, validated in one place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
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
        if not _MOMENT.fullmatch(text):
            raise ValueError
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("is not a date with a time; write it like 2010-11-26T21:05") from None
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise ValueError(f"must lie between the years {_FIRST_YEAR} and {_LAST_YEAR}")
    return moment


def _model(value: object) -> str:
    if not isinstance(value, str) or value not in MODELS:
        raise ValueError(f"choose one of {', '.join(MODELS)}")
    return value


def _measured(name: str, title: str, unit: str, least: float, most: float, example: float) -> Any:  # a pydantic field is typed Any
    about = {"unit": unit}
    return Field(alias=name, title=title, ge=least, le=most, allow_inf_nan=False, examples=[example], json_schema_extra=about)


_Number = Annotated[float, BeforeValidator(_number)]
_Moment = Annotated[datetime, BeforeValidator(_moment)]


class TypedReading(BaseModel):
    """What was read off a meter in one minute, under the original's names. The attributes are the columns of a meter table."""

    model_config = ConfigDict(frozen=True)

    model_choice: Annotated[str, BeforeValidator(_model)] = Field(title="Model", json_schema_extra={"enum": list(MODELS)})
    read_at: _Moment = Field(alias="datetime", title="Date and time", examples=["2010-11-26T21:05"])
    reactive_power_kvar: _Number = _measured("Global_reactive_power", "Reactive power", "kVAr", -1_000, 1_000, 0.12)
    voltage_v: _Number = _measured("Voltage", "Voltage", "V", 50, 500, 240.8)
    current_a: _Number = _measured("Global_intensity", "Current", "A", 0, 1_000, 4.6)
    sub1_wh: _Number = _measured("Sub_metering_1", "Sub-meter 1", "Wh", 0, 100_000, 0)
    sub2_wh: _Number = _measured("Sub_metering_2", "Sub-meter 2", "Wh", 0, 100_000, 1)
    sub3_wh: _Number = _measured("Sub_metering_3", "Sub-meter 3", "Wh", 0, 100_000, 17)
    power_kw: Annotated[float, BeforeValidator(_number), Field(ge=-1_000, le=1_000, allow_inf_nan=False)] | None = Field(
        None, alias="Global_active_power", title="Active power", examples=[1.1], json_schema_extra={"unit": "kW"}
    )
    meter: Annotated[str, Field(max_length=100)] = Field("", title="Meter")
