"""The pages: the day-ahead curve with everything that stands behind it, and the original's form with its answer."""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
from flask import Blueprint, current_app, render_template, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from wattcast.errors import BadRequest, Unavailable, WattcastError
from wattcast.forecasting.forecast import Forecast, iso
from wattcast.meter.table import MINUTE_S, Meter, MeterTable
from wattcast.serving import Ask
from wattcast.web import views
from wattcast.web.problems import Problem, problem_of, respond, wants_json
from wattcast.web.security.guard import sees
from wattcast.web.site import site
from wattcast.web.telemetry import log, request_id
from wattcast.web.typed import COVARIATES, FIELDS, MODELS, TypedReading, read_form

pages = Blueprint("pages", __name__)

_CURVE, _FORM = "day_ahead", "next_minute"
# What people know the form by; other families are offered where the meter has them.
_ALWAYS_OFFERED = ("xgb", "rf", "lgbm")
_POWER = "Global_active_power"
_SHOWN_BEFORE_S = 2 * 86_400
_FORM_TYPES = ("application/x-www-form-urlencoded", "multipart/form-data", "")


@pages.get("/")
def home() -> ResponseReturnValue:
    """The day ahead of a meter, or what to do where there is none."""
    service = site().service
    if not service.manifest.meters:
        return render_template("empty.html"), 503
    try:
        meter = site().registered_meter(request.args.get("meter", ""))
    except BadRequest as unknown:
        return respond(Problem(404, "Meter not known", unknown.message, unknown.hint))
    slots = [slot for slot in service.manifest.slots.values() if slot.meter == meter.id]
    finest = next((table for step_s in sorted({slot.step_s for slot in slots}) if (table := _stored(meter, step_s))), None)
    return render_template(
        "index.html",
        meters=[name for name in sorted(service.manifest.meters) if sees(name)],
        tasks=[views.task_view(service, slot) for slot in slots],
        quality=next((record.quality for record in map(service.record_of, slots) if record), None),
        last=_last_reading(finest),
        **_day_ahead(meter),
        **_form(meter, _example(finest), {}),
    )


@pages.post("/predict")
def predict() -> ResponseReturnValue:
    """The next minute from one typed reading, as a page or as JSON."""
    values, service = _values(), site().service
    if not service.manifest.meters:
        raise Unavailable("no meter is registered", "train one first: make run")
    meter = site().registered_meter()
    try:
        meter = site().registered_meter(str(values.get("meter") or meter.id))
        typed = read_form(values)
        forecast = site().given_out(Ask(meter.id, _FORM, int(site().now()), typed.table(meter), family=MODELS[typed.model_choice]))
    except BadRequest as refusal:
        if wants_json():
            return respond(problem_of(refusal))
        return render_template("predict.html", refusal=refusal, answer=None, **_form(meter, values, refusal.fields)), 422
    answer = _answer(forecast, typed)
    if wants_json():
        return current_app.json.response(answer)
    return render_template("predict.html", refusal=None, answer=answer, told=views.told(forecast), **_form(meter, values, {}))


def _values() -> dict[str, object]:
    """The fields sent, as a form or as a JSON object. Raises BadRequest where the body is neither."""
    if not request.is_json and request.mimetype not in _FORM_TYPES:
        raise UnsupportedMediaType
    form: dict[str, object] = {} if request.is_json else {**request.form.to_dict()}
    body = request.get_data() if request.is_json else b""
    # Of a body sent in chunks Werkzeug keeps what the limit allows and says nothing of the rest.
    if request.content_length is None and request.environ["wsgi.input"].read(1):
        raise RequestEntityTooLarge
    return _json_object(body) if request.is_json else form


def _json_object(body: bytes) -> dict[str, object]:
    try:
        sent = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise BadRequest("the body is not JSON", "send one object whose keys are the names of the form's fields") from None
    if not isinstance(sent, dict):
        raise BadRequest("the body is JSON, but not an object", "send one object whose keys are the names of the form's fields")
    return {name: _plain(value) for name, value in sent.items()}


def _plain(value: object) -> object:
    """A value of JSON that a page can show again."""
    if isinstance(value, str):
        # JSON can spell half a character ("\ud800"), which no page can be encoded with.
        return value.encode("utf-8", "replace").decode()
    return "(not a single value)" if isinstance(value, list | dict) else value


def _answer(forecast: Forecast, typed: TypedReading) -> dict[str, object]:
    step = forecast.steps[0]
    quantiles = {f"{level:g}": round(value, 6) for level, value in step.quantiles.items()}
    outermost = list(quantiles)[:: max(len(quantiles) - 1, 1)]
    return {
        "sentence": f"Predicted Energy Consumption: {step.mean:.4f} kW (using {forecast.model})",
        "prediction_kw": round(step.mean, 6),
        # A baseline whose spread was never measured says one value for every level: that is no interval.
        "interval": {level: quantiles[level] for level in outermost} if len(set(quantiles.values())) > 1 else None,
        "quantiles": quantiles,
        "forecast_for": iso(step.start_s, forecast.zone),
        "resolution_s": forecast.step_s,
        "meter": forecast.meter,
        "model": forecast.model,
        "version": forecast.version,
        "tier": forecast.tier,
        "reason": forecast.reason,
        "estimated_active_power": typed.estimated,
    }


def _day_ahead(meter: Meter) -> dict[str, object]:
    """The forecast of the day ahead with what stands behind it, or the problem in its place."""
    try:
        forecast = site().given_out(Ask(meter.id, _CURVE, int(site().now())))
    except WattcastError as error:
        return {"forecast": None, "problem": problem_of(error)}
    stored = _stored(meter, forecast.step_s)
    before = stored.rows(len(stored) - _SHOWN_BEFORE_S // stored.step_s, len(stored)) if stored else None
    record = site().service.records.get(forecast.version)
    return {
        "forecast": forecast,
        "told": views.told(forecast),
        "curve": views.curve(forecast, before),
        "trained": views.trained(record, site().service.trained_on(forecast.version), meter.zone) if record else "",
    }


def _stored(meter: Meter, step_s: int) -> MeterTable | None:
    """The meter's stored readings; None also where they cannot be read, for the page has more to say than they."""
    try:
        return site().live.known.latest(meter.id, step_s)
    except WattcastError as error:
        log.warning("readings not shown", kind=error.title, message=error.message, request_id=request_id())
        return None


def _last_reading(table: MeterTable | None) -> str:
    end_s = table.last_measured_s() if table else None
    if table is None or end_s is None:
        return ""
    age = views.duration(site().now() - end_s)
    return f"The last reading is from {views.local(end_s - table.step_s, table.meter.zone)}, {age} ago."


def _example(table: MeterTable | None) -> dict[str, object]:
    """The latest stored reading of a minute as the form's first values; empty where none is stored."""
    end_s = table.last_measured_s() if table and table.step_s == MINUTE_S else None
    if table is None or end_s is None:
        return {}
    row = (end_s - table.start_s) // MINUTE_S - 1
    measured = {COVARIATES.get(name, _POWER): values[row] for name, values in table.columns().items() if name in (*COVARIATES, "power_kw")}
    typed = {name: f"{float(value):.6g}" for name, value in measured.items() if np.isfinite(value)}
    return {"datetime": views.clock_time(end_s - MINUTE_S, table.meter.zone), **typed}


def _form(meter: Meter, typed: Mapping[str, object], errors: Mapping[str, str]) -> dict[str, object]:
    """What the form's template needs. typed: what stands in its fields; errors: what is wrong with them."""
    slot = site().service.manifest.slot(_FORM, meter.id)
    skipped = slot.skipped if slot else "this task was never trained for the meter"
    offered = [title for title, key in MODELS.items() if key in _ALWAYS_OFFERED or (slot is not None and key in slot.families)]
    return {"meter": meter, "fields": FIELDS, "models": offered, "typed": typed, "errors": errors, "form_skipped": skipped}
