"""Forecasts: from readings in the request, or the stored ones of a meter."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from wattcast.errors import BadRequest, Unavailable
from wattcast.forecasting.forecast import Forecast, iso, iso_each
from wattcast.meter.cleaning import grid_of
from wattcast.meter.table import Flow, Meter, MeterTable
from wattcast.serving import Ask
from wattcast.web.api.answers.forecasts import DayEnergy, DayPeak, ForecastAnswer, ForecastStep
from wattcast.web.api.asked import FileForecastAsked, ForecastRequest
from wattcast.web.api.moments import instant, without_offset
from wattcast.web.api.operations import operation
from wattcast.web.api.sent import CSV, readings_sent, table_of
from wattcast.web.arriving import NAMELESS, at_step
from wattcast.web.security.guard import require, who
from wattcast.web.site import site


@operation(
    "POST",
    "/forecast",
    ForecastAnswer,
    body=ForecastRequest,
    query=FileForecastAsked,
    also=CSV,
    problems=(400, 413, 415, 422, 503),
    scope="forecast",
)
def forecast(body: ForecastRequest | None, query: FileForecastAsked) -> ForecastAnswer:
    """A forecast.

    From the readings in the body, or the stored ones of the meter. A meter file as the body takes what is asked from the parameters.
    """
    return answered(body) if body is not None else _from_file(query)


class Meant(NamedTuple):
    """The meter that a request means, whether it is known, and whether a forecast is of that meter, to be logged as one."""

    meter: Meter
    known: bool
    logged: bool


def answered(asked: ForecastRequest) -> ForecastAnswer:
    """The answer to one request. Raises what is wrong with it."""
    here = site()
    meter, known, logged = meter_of(asked.meter, asked.zone, asked.flow, with_readings=asked.readings is not None)
    origin_s = instant(asked.origin, meter.zone, "origin") if asked.origin else None
    table, notes = None, tuple[str, ...]()
    if asked.readings is not None:
        table, notes = table_of(asked.readings, meter, asked.resolution_s, here.service.step_of(asked.task), asked.task)
    elif not known:
        raise BadRequest(f'meter "{meter.id}" is not known', "give readings", {"meter": f'"{meter.id}" is not known'})
    else:
        table = stored_readings(meter.id, asked.task, origin_s)
    if asked.origin is not None:
        notes = tuple(dict.fromkeys((*notes, *without_offset(asked.origin, meter.zone))))
    made = here.given_out(Ask(meter.id, asked.task, int(here.now()), table, origin_s, asked.family, asked.yearly_kwh), logged=logged)
    return answer_of(made, notes, asked.quantiles)


def _from_file(asked: FileForecastAsked) -> ForecastAnswer:
    named = asked.meter or getattr(who(), "meter", "")
    meter, _, logged = meter_of(named or NAMELESS, asked.zone, asked.flow, with_readings=True)
    step_s = site().service.step_of(asked.task)
    sent = readings_sent(meter, asked, None)
    table = at_step(grid_of(meter, sent.batch, "the body"), step_s, asked.task)
    origin_s = instant(asked.origin, meter.zone, "origin") if asked.origin else None
    try:
        wanted = [float(level) for level in asked.quantiles.split(",")] if asked.quantiles else None
    except ValueError:
        raise BadRequest("quantiles: are no numbers", "write them like 0.1,0.9", {"quantiles": "are no numbers"}) from None
    here = site()
    made = here.given_out(Ask(meter.id, asked.task, int(here.now()), table, origin_s, asked.family), logged=logged)
    return answer_of(made, (*sent.notes, *without_offset(asked.origin, meter.zone)), wanted)


def meter_of(meter_id: str, zone: str, flow: Flow | None, *, with_readings: bool) -> Meant:
    """The meter that is meant; facts that are given count over those known. Readings that come without a name are nobody's to log.

    Raises Unavailable where only the database knows and does not answer, but not for readings that come with the request.
    """
    here = site()
    meter_id = meter_id or getattr(who(), "meter", "")
    require("forecast", "" if meter_id == NAMELESS else meter_id)
    try:
        known = here.known_meter(meter_id or here.meter or here.service.manifest.latest_meter)
    except Unavailable:
        if not with_readings:
            raise
        known = None
    base = known or Meter(meter_id or NAMELESS)
    if zone or flow:
        base = replace(base, zone=zone or base.zone, flow=flow or base.flow)
    return Meant(base, known is not None, known is not None and (bool(meter_id) or not with_readings))


def stored_readings(meter_id: str, task: str, origin_s: int | None) -> MeterTable | None:
    """Stored readings to answer from, where the service itself would not find them: of a meter without models, or of long ago; else None.

    Raises BadRequest where they are too coarse for the task, Unavailable where none are known now.
    """
    here, live = site(), site().live
    step_s = here.service.step_of(task)
    table = None if origin_s is None else live.known.of_then(meter_id, step_s, origin_s)
    if table is not None or meter_id in here.service.manifest.meters:
        return table
    table = live.known.latest(meter_id, step_s)
    if table is not None:
        return table
    stored = live.readings.meter(meter_id)
    native = None if stored is None else live.known.latest(meter_id, stored.step_s)
    if native is None:
        raise Unavailable(live.known.fault or f'no reading of meter "{meter_id}" has arrived yet', "send readings first")
    return at_step(native, step_s, task)


def answer_of(made: Forecast, notes: tuple[str, ...] = (), wanted: list[float] | None = None) -> ForecastAnswer:
    """A forecast as the API gives it. wanted: levels to give, None for all. Raises BadRequest for a level that there is not."""
    levels = made.steps.levels
    missing = [level for level in wanted or () if level not in levels]
    if missing:
        said = f"{', '.join(f'{level:g}' for level in missing)}: no such level; there are {', '.join(f'{level:g}' for level in levels)}"
        raise BadRequest(f"quantiles: {said}", "ask for these, or for none to get all", {"quantiles": said})
    given = tuple(level for level in levels if wanted is None or level in wanted)
    if not made.version and bool((made.steps.values[:, 1:] == made.steps.values[:, 1:2]).all()):
        given = ()
    places = {name: place for place, (name, level) in enumerate(zip(made.steps.names, levels, strict=True), 1) if level in given}
    whole = len(places) == len(levels)
    steps = [
        ForecastStep(start, row[0], dict(zip(places, row[1:], strict=True) if whole else ((name, row[at]) for name, at in places.items())))
        for start, row in zip(iso_each(made.steps.starts_s, made.zone), made.steps.rounded(), strict=True)
    ]
    day = {
        name: (round(total["mean"], 4), {level: round(total["quantiles"][level], 4) for level in places})
        for name, total in (made.totals or {}).items()
    }
    return ForecastAnswer(
        meter=made.meter,
        task=made.task,
        origin=iso(made.origin_s, made.zone),
        resolution_s=made.step_s,
        covers=made.covers,
        unit="kW",
        zone=made.zone,
        steps=steps,
        energy_kwh=DayEnergy(*day["energy_kwh"]) if "energy_kwh" in day else None,
        peak_kw=DayPeak(*day["peak_kw"]) if "peak_kw" in day else None,
        tier=made.tier,
        reason=made.reason,
        model=made.model,
        version=made.version,
        data_age_s=made.data_age_s,
        notes=list(notes),
    )
