"""Words that what the API takes and what it gives share: a type each, with its description, unit and example."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta

from wattcast.meter.table import METER_ID

LARGEST_KW = 1e6


def said(description: str, example: Any, unit: str = "", **bounds: Any) -> Meta:
    """What the documentation says of a value, and what it is held to."""
    extra = {"x-unit": unit} if unit else None
    return Meta(description=description, examples=[example], extra_json_schema=extra, **bounds)


PERHAPS_AN_ID = f"^({METER_ID.strip('^$')})?$"
A_MOMENT = "2010-11-26T21:00:00+01:00"
A_VERSION = "9f2c" * 16


def moment(what: str) -> Meta:
    """What the documentation says of a time that is sent."""
    return said(f"{what}. ISO 8601; without an offset it is read in the meter's zone, and `notes` says so.", A_MOMENT)


def told(what: str) -> Meta:
    """What the documentation says of a time that is given."""
    return said(f"{what}. ISO 8601, with the offset of the meter's zone.", A_MOMENT)


TaskName = Annotated[str, said("Forecast task.", "day_ahead", max_length=100)]
Zone = Annotated[str, said("IANA zone, or fixed offset, of times without an offset.", "Europe/Paris", max_length=64)]
Flow = Annotated[Literal["consumption", "net"], said("net where negative load is possible.", "consumption")]
Start = Annotated[datetime, moment("Start of the interval")]
Origin = Annotated[datetime, moment("Moment to forecast from; none: the end of the readings")]
Power = Annotated[float, said("Mean power of the interval; null: not measured.", 1.234, "kW", ge=-LARGEST_KW, le=LARGEST_KW)]
Resolution = Annotated[int, said("Length of one interval.", 3600, "s", ge=1, le=31 * 86_400)]
Cursor = Annotated[str, said("`next` of the page before.", "1290805200", max_length=40)]

MeterId = Annotated[str, said("Meter id.", "house")]
OfZone = Annotated[str, said("Zone of the meter: IANA, or fixed offset.", "Europe/Paris")]
Holidays = Annotated[str, said("Country, or country-subdivision, whose holidays count; empty: none do.", "FR")]
Begins = Annotated[str, told("Start of the interval")]
MadeFrom = Annotated[str, told("Moment that it was made from")]
Kw = Annotated[float, said("Mean power of the interval.", 1.234, "kW")]
Quantiles = Annotated[
    dict[str, float],
    said("Value by level; empty where nobody knows how far the answer is usually off.", {"0.1": 0.4, "0.5": 1.1, "0.9": 2.3}, "kW"),
]
Covariates = Annotated[
    dict[str, float | None], said("What was measured beside the power, units in the names.", {"voltage_v": 240.8, "sub3_wh": 17.0})
]
Tier = Annotated[str, said("Who answered: champion, challenger, family, previous, shared, baseline or profile.", "previous")]
Reason = Annotated[str, said("Why no higher tier answered; empty where the best one did.", "its model file is not loaded")]
ModelTitle = Annotated[str, said("Family of models that answered, or the baseline, in words.", "LightGBM Regressor")]
Family = Annotated[str, said("Family of models.", "xgb")]
Version = Annotated[str, said("Id of the model file; empty where no model answered.", A_VERSION)]
Reasons = Annotated[list[str], said("Why, in sentences.", ["The champion stays: no gain is shown."])]
PerhapsABundle = Annotated[str, said("Id of a model file; empty: none.", A_VERSION)]
Coverage = Annotated[float, said("Share of actuals inside the outermost interval.", 0.79)]
Nominal = Annotated[float, said("What that share should be.", 0.8)]
Skill = Annotated[dict[str, float | None], said("1 - error / error of the best baseline.", {"mae": 0.13, "rmse": 0.19})]
Notes = Annotated[list[str], said("What was assumed in reading it.", ["times without an offset were read in the zone Europe/Paris"])]
Next = Annotated[str, said("Cursor of the next page; null: this is the last.", "1290805200")]
Mae = Annotated[float, said("Mean absolute error.", 0.412, "kW")]
Rmse = Annotated[float, said("Root mean square error.", 0.618, "kW")]
