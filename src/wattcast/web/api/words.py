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
TaskName = Annotated[str, said("Forecast task.", "day_ahead", max_length=100)]
Zone = Annotated[str, said("IANA zone, or fixed offset, of times without an offset.", "Europe/Paris", max_length=64)]
Flow = Annotated[Literal["consumption", "net"], said("net where negative load is possible.", "consumption")]
Moment = Annotated[
    datetime, said("ISO 8601. Without an offset it is read in the meter's zone, and `notes` says so.", "2010-11-26T21:00:00+01:00")
]
Power = Annotated[float, said("Mean power of the interval; null: not measured.", 1.234, "kW", ge=-LARGEST_KW, le=LARGEST_KW)]
Resolution = Annotated[int, said("Length of one interval.", 3600, "s", ge=1, le=31 * 86_400)]
Told = Annotated[str, said("ISO 8601 with the offset of the meter's zone.", "2010-11-26T21:00:00+01:00")]
Kw = Annotated[float, said("Mean power of the interval.", 1.234, "kW")]
Quantiles = Annotated[
    dict[str, float],
    said("Value by level; empty where nobody knows how far the answer is usually off.", {"0.1": 0.4, "0.5": 1.1, "0.9": 2.3}, "kW"),
]
