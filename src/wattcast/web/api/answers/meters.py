"""Meters and their readings as types of the API."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from wattcast.web.api.judged import ArrivedQuality, Quality
from wattcast.web.api.words import Begins, Covariates, Flow, Holidays, Kw, MeterId, Next, Notes, OfZone, Resolution, said, told


class Refused(Struct, frozen=True):
    """A reading that was not kept."""

    line: Annotated[int, said("Line of NDJSON, or place in the JSON list, from 1.", 7)]
    message: Annotated[str, said("What is wrong with it.", "power_kw: Expected `float | null`, got `str`")]


class Kept(Struct, frozen=True):
    """What became of the readings sent."""

    meter: MeterId
    resolution_s: Resolution
    new: Annotated[int, said("Readings of intervals that were not known.", 24)]
    same: Annotated[int, said("Readings that were known with these values.", 0)]
    corrected: Annotated[int, said("Readings that were known with other values, which are kept beside.", 1)]
    refused: Annotated[int, said("Readings that were not kept.", 0)]
    refusals: Annotated[list[Refused], Meta(description="The first hundred of them.")]
    notes: Notes


class MeterSummary(Struct, frozen=True):
    """One meter."""

    id: MeterId
    zone: OfZone
    flow: Flow
    holidays: Holidays
    simulated: Annotated[bool, said("Whether its readings were made up by a simulation.", False)]
    registered: Annotated[bool, said("Whether models were trained for it.", True)]
    tasks: Annotated[list[str], said("Tasks that it has a model for.", ["day_ahead"])]
    resolution_s: Annotated[int, said("Resolution of the readings that arrived; null: none did.", 3600, "s")] | None
    readings: Annotated[int, said("How many readings have arrived.", 1440)]
    first: Annotated[str, told("Start of the first reading that arrived; null: none did")] | None
    end: Annotated[str, told("End of the last reading that arrived; null: none did")] | None


class Meters(Struct, frozen=True):
    """Every meter."""

    meters: Annotated[list[MeterSummary], Meta(description="Those that the key may see, by their ids.")]


class MeterDetails(Struct, frozen=True):
    """One meter, with a verdict on the readings it was trained on, and one on those that arrived."""

    meter: Annotated[MeterSummary, Meta(description="The meter itself.")]
    quality: Annotated[Quality | None, Meta(description="Of the readings that its models were trained on; null where there are none.")]
    arrived: Annotated[ArrivedQuality | None, Meta(description="Of the readings that arrived; null where none did.")]


class Before(Struct, frozen=True, omit_defaults=True):
    """What stood in place of a reading before it was corrected."""

    power_kw: Kw | None
    until: Annotated[str, said("When it was corrected. ISO 8601, in UTC.", "2010-11-27T09:12:40+00:00")]
    covariates: Covariates = {}


class StoredReading(Struct, frozen=True):
    """One reading as it is kept."""

    start: Begins
    power_kw: Kw | None
    covariates: Covariates
    before: Annotated[list[Before], Meta(description="What stood here before, oldest first.")]


class StoredReadings(Struct, frozen=True):
    """A page of readings, oldest first."""

    meter: MeterId
    resolution_s: Resolution
    zone: OfZone
    readings: Annotated[list[StoredReading], Meta(description="Those of this page.")]
    next: Next | None
