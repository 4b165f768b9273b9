"""Meters: the readings that arrive, what is kept of them, and what was forecast beside what came."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from typing import Any

import msgspec
import numpy as np

from wattcast.errors import BadMeterFile, BadRequest, NotFound
from wattcast.forecasting.forecast import LoggedForecast, iso
from wattcast.meter.arrivals import StoredMeter
from wattcast.meter.table import METER_ID, METER_ID_IN_WORDS, Meter, MeterTable
from wattcast.serving import Ask
from wattcast.web.api.answers.forecasts import ForecastAnswer, PastForecast, PastForecasts, PastStep
from wattcast.web.api.answers.meters import Before, Kept, MeterDetails, Meters, MeterSummary, StoredReading, StoredReadings
from wattcast.web.api.asked import ForecastsAsked, MeterFacts, MeterForecastAsked, ReadingsAsked, ReadingsSent
from wattcast.web.api.forecasts import answer_of, stored_readings
from wattcast.web.api.judged import quality_of, verdicts
from wattcast.web.api.moments import instant, without_offset
from wattcast.web.api.operations import encoded, operation, unless_known, untagged
from wattcast.web.api.sent import CSV, NDJSON, readings_sent
from wattcast.web.arriving import LARGEST_FILE_BYTES, meant
from wattcast.web.security.guard import not_known, sees
from wattcast.web.site import site

_EVER_S = 2**53


@operation("GET", "/meters", Meters, problems=(503,), scope="readings:read")
def meters() -> Meters:
    """Every meter: those that models were trained for, and those that readings arrived of."""
    here = site()
    stored = {each.meter.id: each for each in here.live.readings.meters()}
    known = {**{name: each.meter for name, each in stored.items()}, **here.service.manifest.meters}
    return Meters([_summary(meter, stored.get(name)) for name, meter in sorted(known.items()) if sees(name)])


@operation("GET", "/meters/{meter_id}", MeterDetails, problems=(404, 503), scope="readings:read")
def meter(meter_id: str) -> MeterDetails:
    """One meter, with the verdicts on its readings.

    `quality` is about those that its models were trained on, `arrived` about those that arrived; null where there are none.
    """
    here = site()
    found = _known(meter_id)
    stored = next(iter(here.live.readings.meters(only=meter_id)), None)
    slots = [slot for slot in here.service.manifest.slots.values() if slot.meter == meter_id]
    quality = next((record.quality for record in map(here.service.record_of, slots) if record), None)
    arrived = verdicts().of(stored, here.live.readings) if stored else None
    return MeterDetails(_summary(found, stored), quality_of(quality) if quality else None, arrived)


@operation(
    "PUT",
    "/meters/{meter_id}/readings",
    Kept,
    body=ReadingsSent,
    query=MeterFacts,
    also=(*NDJSON, *CSV),
    problems=(400, 413, 415, 422, 503),
    largest_bytes=LARGEST_FILE_BYTES,
    own=True,
    scope="readings:write",
)
def put_readings(meter_id: str, query: MeterFacts) -> Kept:
    """Keep readings of a meter.

    Sent twice they change nothing; a value other than the one known replaces it, and both are kept. All of a request is kept or none of
    it; lines that are no readings are counted and named. The first request of a meter says its zone, flow and holidays.
    """
    here = site()
    if meter_id not in here.service.manifest.meters and not re.fullmatch(METER_ID, meter_id):
        raise BadRequest(f"a meter id {METER_ID_IN_WORDS}", "choose another id", {"meter_id": METER_ID_IN_WORDS})
    known = here.live.readings.meter(meter_id)
    meter = meant(meter_id, known or here.service.manifest.meters.get(meter_id), query.zone, query.flow, query.holidays)
    sent = readings_sent(meter, query, known.step_s if known else None)
    counts = here.live.readings.put(meter, sent.batch, int(here.now()))
    return Kept(
        meter=meter_id,
        resolution_s=sent.batch.step_s,
        new=counts.new,
        same=counts.same,
        corrected=counts.corrected,
        refused=sent.refused,
        refusals=list(sent.refusals),
        notes=list(sent.notes),
    )


@operation("GET", "/meters/{meter_id}/readings", StoredReadings, query=ReadingsAsked, problems=(400, 404, 422, 503), scope="readings:read")
def readings(meter_id: str, query: ReadingsAsked) -> StoredReadings:
    """Readings that arrived, page after page, oldest first.

    From `from` (inclusive) to `to` (exclusive), each with what stood in its place before it was corrected.
    """
    here, meter = site(), _known(meter_id)
    known = here.live.readings.meter(meter_id)
    if known is None:
        step_s, rows = here.service.finest_step(meter_id), []
    else:
        step_s = known.step_s
        first_s = _cursor(query.cursor) if query.cursor else _instant(query.from_, meter, "from", 0)
        rows = here.live.readings.page(meter_id, first_s, _instant(query.to, meter, "to", _EVER_S), query.limit + 1)
    more = str(rows[query.limit]["start_s"]) if len(rows) > query.limit else None
    return StoredReadings(meter_id, step_s, meter.zone, [_stored(row, meter.zone) for row in rows[: query.limit]], more)


@operation(
    "GET",
    "/meters/{meter_id}/forecast",
    ForecastAnswer,
    query=MeterForecastAsked,
    problems=(400, 404, 422, 503),
    scope="forecast",
    tagged=True,
)
def meter_forecast(meter_id: str, query: MeterForecastAsked) -> msgspec.Raw:
    """The forecast of a meter from its stored readings.

    Asked again with the ETag of the answer it is 304 for as long as neither readings nor models change.
    """
    here = site()
    meter, step_s = _known(meter_id), here.service.step_of(query.task)
    origin_s = None if query.origin is None else instant(query.origin, meter.zone, "origin")
    asked = Ask(meter.id, query.task, int(here.now()), None, origin_s, query.family)
    state, notes = here.live.known.state(meter_id, step_s), without_offset(query.origin, meter.zone)
    key = here.service.key(asked, " ".join((state, *notes))) if state else ""
    if key:
        unless_known(key)
        if again := here.given_again(key):
            return msgspec.Raw(again)
    made = here.given_out(replace(asked, readings=stored_readings(meter_id, query.task, origin_s)))
    said = encoded(answer_of(made, notes))
    if made.data_age_s is None:
        untagged()
    elif key:
        here.cache.set(key, made, said, asked.now_s)
    return msgspec.Raw(said)


@operation("GET", "/meters/{meter_id}/forecasts", PastForecasts, query=ForecastsAsked, problems=(400, 404, 422, 503), scope="forecast")
def forecasts(meter_id: str, query: ForecastsAsked) -> PastForecasts:
    """What was forecast before, beside what came, the latest first."""
    here = site()
    meter = _known(meter_id)
    kept = here.live.log.latest(meter_id, query.task, query.limit + 1, _cursor(query.cursor) if query.cursor else None)
    more = str(kept[query.limit - 1].key) if len(kept) > query.limit else None
    kept, since_s = kept[: query.limit], here.live.known.since(meter_id)
    latest = {step_s: here.live.known.latest(meter_id, step_s) for step_s in {each.step_s for each in kept}}
    came = [latest[each.step_s] if int(each.steps.starts_s[0]) >= since_s else _came(meter_id, each) for each in kept]
    past = [_past(each, table, meter.zone) for each, table in zip(kept, came, strict=True)]
    return PastForecasts(meter_id, meter.zone, past, more)


@operation("DELETE", "/meters/{meter_id}", None, problems=(404, 503), status=204, scope="readings:write")
def delete_meter(meter_id: str) -> None:
    """Forget the readings that arrived of a meter, and its forecasts.

    Models that were trained for it stay, and so do the readings that they were registered with.
    """
    live = site().live
    if not re.fullmatch(METER_ID, meter_id) or not live.written_behind.forget(meter_id, live.readings.delete):
        raise NotFound(f'no reading of meter "{meter_id}" has arrived here', "GET /api/v1/meters lists those that are known")


def _came(meter_id: str, logged: LoggedForecast) -> MeterTable | None:
    """What was measured, before memory begins, while this forecast was to come true; None where that is next to nothing."""
    starts_s = logged.steps.starts_s
    with suppress(BadMeterFile):
        return site().live.known.spanning(meter_id, logged.step_s, int(starts_s[0]), int(starts_s[-1]) + logged.step_s)
    return None


def _known(meter_id: str) -> Meter:
    found = site().known_meter(meter_id)
    if found is None:
        raise not_known(meter_id)
    return found


def _summary(meter: Meter, stored: StoredMeter | None) -> MeterSummary:
    manifest = site().service.manifest
    tasks = sorted(slot.task for slot in manifest.slots.values() if slot.meter == meter.id and slot.champion)
    first, end = (stored.first_s, stored.end_s) if stored else (None, None)
    return MeterSummary(
        id=meter.id,
        zone=meter.zone,
        flow=meter.flow,
        holidays=meter.holidays,
        simulated=meter.simulated,
        registered=meter.id in manifest.meters,
        tasks=tasks,
        resolution_s=stored.step_s if stored else None,
        readings=stored.readings if stored else 0,
        first=None if first is None else iso(first, meter.zone),
        end=None if end is None else iso(end, meter.zone),
    )


def _instant(moment: datetime | None, meter: Meter, field: str, otherwise: int) -> int:
    return otherwise if moment is None else instant(moment, meter.zone, field)


def _cursor(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise BadRequest("cursor: is none", "take `next` of the page before", {"cursor": "is none"})
    return int(text)


def _stored(row: Mapping[str, Any], zone: str) -> StoredReading:
    before = [Before(was["power_kw"], was["until"], was.get("covariates", {})) for was in row["before"]]
    return StoredReading(iso(row["start_s"], zone), row["power_kw"], row["covariates"], before)


def _past(logged: LoggedForecast, table: MeterTable | None, zone: str) -> PastForecast:
    steps = []
    for step in logged.steps:
        row = -1 if table is None else (step.start_s - table.start_s) // table.step_s
        came = float(table.power_kw[row]) if table is not None and 0 <= row < len(table) else np.nan
        levels = {f"{level:g}": value for level, value in step.quantiles.items()}
        steps.append(PastStep(iso(step.start_s, zone), step.mean, levels, None if np.isnan(came) else round(came, 6)))
    return PastForecast(
        task=logged.task,
        origin=iso(logged.origin_s, zone),
        resolution_s=logged.step_s,
        tier=logged.tier,
        reason=logged.reason,
        model=logged.model,
        version=logged.version,
        first_served=iso(logged.first_served_s, zone),
        last_served=iso(logged.last_served_s, zone),
        served=logged.served,
        steps=steps,
    )
