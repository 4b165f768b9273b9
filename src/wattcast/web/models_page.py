"""The page of models: who answers for a meter, how good that was once the readings came, and how it came to this."""

from __future__ import annotations

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from wattcast.errors import BadRequest, WattcastError
from wattcast.forecasting.changes import Move
from wattcast.forecasting.registry import Record, Slot
from wattcast.meter.table import Meter
from wattcast.web import models_views, views
from wattcast.web.looking_back import roles_of
from wattcast.web.problems import Problem, problem_of, respond
from wattcast.web.security.guard import may, sees
from wattcast.web.site import site
from wattcast.web.telemetry import log, request_id

models_page = Blueprint("models", __name__)

_EVERYTHING = ""


@models_page.get("/models")
def life() -> ResponseReturnValue:
    """Roles, accuracy, verdict and history of one meter; what cannot be had is said in its place."""
    here = site()
    if not here.service.manifest.meters:
        return render_template("empty.html"), 503
    try:
        meter = here.registered_meter(request.args.get("meter", ""), "models")
    except BadRequest as unknown:
        return respond(Problem(404, "Meter not known", unknown.message, unknown.hint))
    slots = [slot for slot in here.service.manifest.slots.values() if slot.meter == meter.id]
    return render_template(
        "models.html",
        meters=[name for name in sorted(here.service.manifest.meters) if sees(name)],
        meter=meter,
        fault=here.current.fault if may("admin") and sees(_EVERYTHING) else "",
        tasks=[_task(slot, meter) for slot in slots],
        **_history(meter),
    )


def _task(slot: Slot, meter: Meter) -> dict[str, object]:
    here = site()
    records = _records(slot)
    verdict = models_views.latest_verdict(records.values())
    return {
        "title": views.task_title(slot.task),
        "skipped": slot.skipped,
        "held_back": here.service.held_back.get(slot.key, ""),
        "roles": models_views.role_lines(here.service, slot, records, meter.zone),
        "verdict": models_views.verdict_view(verdict, meter.zone) if verdict else None,
        **_came(slot, meter, records),
    }


def _records(slot: Slot) -> dict[str, Record]:
    """What is known of the bundles of a slot; the page has more to say than they."""
    here, known = site(), {}
    for bundle in roles_of(slot):
        try:
            known[bundle] = here.back.record(here.service, bundle, here.now())
        except WattcastError as error:
            log.warning("record not shown", bundle=bundle, kind=error.title, message=error.message, request_id=request_id())
    return known


def _came(slot: Slot, meter: Meter, records: models_views.Records) -> dict[str, object]:
    """How good the task's forecasts were, or the problem in its place."""
    here = site()
    try:
        back = here.back.accuracy(here.service, slot.task, meter.id, int(here.now()))
    except WattcastError as error:
        return {"came": [], "problem": problem_of(error)}
    until = "" if back.until_s is None else views.local(back.until_s, meter.zone)
    return {"came": models_views.came_tables(back, records), "until": until, "problem": None}


def _history(meter: Meter) -> dict[str, object]:
    """What changed of late for the meter, or the problem in its place."""
    here = site()

    def concerns(move: Move) -> bool:
        return move.meter == meter.id or (move.meter == _EVERYTHING and sees(_EVERYTHING))

    try:
        changes = here.back.changes(here.service, here.now())
    except WattcastError as error:
        return {"history": [], "history_problem": problem_of(error)}
    lines = models_views.history_lines(changes, concerns, meter.zone, whole=sees(_EVERYTHING))
    return {"history": lines, "history_problem": None}
