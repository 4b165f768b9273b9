"""The page of a file: choose or drop a meter file, see what to think of it and the day ahead. Nothing is kept unless it is asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from flask import Blueprint, current_app, render_template, request
from flask.typing import ResponseReturnValue
from msgspec import to_builtins
from werkzeug.exceptions import RequestEntityTooLarge

from wattcast.errors import WattcastError
from wattcast.forecasting.forecast import Forecast
from wattcast.meter.arrivals import Counts
from wattcast.meter.cleaning import grid_of
from wattcast.meter.quality import QualityReport, judge
from wattcast.meter.table import Meter, MeterTable
from wattcast.serving import Ask
from wattcast.web import views
from wattcast.web.api.forecasts import answer_of
from wattcast.web.arriving import LARGEST_FILE_BYTES, NAMELESS, at_step, batch_of_file, meant, read_file
from wattcast.web.file_form import ABOUT_FILE, CHOICES, FIELDS, FileForm, as_on_page, fields_of
from wattcast.web.problems import LARGEST_BODY_BYTES, Problem, in_words, problem_of, respond, wants_json
from wattcast.web.security.guard import require, require_session, who
from wattcast.web.site import site

filed = Blueprint("filed", __name__)

_TASK = "day_ahead"
_SHOWN_BEFORE_S = 2 * 86_400
_FORM_BYTES = 512 * 1024


@dataclass(frozen=True, eq=False)
class Looked:
    """What is said of a file. kept: what became of its readings where they were kept; problem: in place of a forecast there cannot be."""

    name: str
    meter: Meter
    quality: QualityReport
    table: MeterTable
    kept: Counts | None
    forecast: Forecast | None = None
    problem: Problem | None = None


@filed.url_value_preprocessor
def _before(*_: object) -> None:
    """Let a file in before the mark of the form is looked for in the body, and nothing where no form could be taken."""
    request.max_content_length = LARGEST_FILE_BYTES + LARGEST_BODY_BYTES
    # Werkzeug counts the piece of a file that it is about to write as memory of the form, too.
    request.max_form_memory_size = _FORM_BYTES
    require_session()


@filed.get("/file")
def ask() -> ResponseReturnValue:
    """The form."""
    require("forecast")
    return _page(FileForm(), 200)


@filed.post("/file")
def look() -> ResponseReturnValue:
    """The verdict on the file that was sent, and the day ahead from its readings."""
    require("forecast")
    form = FileForm()
    try:
        form.check()
        looked = _forecast(_looked_at(form))
    except WattcastError as refusal:
        problem = problem_of(refusal)
        if problem.status >= 500:
            raise
        status = 422 if problem.status == 400 else problem.status
        return _refused(form, replace(problem, status=status, hint=as_on_page(problem.hint), errors=fields_of(refusal, form.file_name)))
    if wants_json():
        return _json(looked)
    form.again()
    return _page(form, 200, looked=looked, **_curve(looked))


@filed.errorhandler(RequestEntityTooLarge)
def too_large(_: RequestEntityTooLarge) -> ResponseReturnValue:
    """The form again, with the limit."""
    if (request.content_length or LARGEST_FILE_BYTES) < LARGEST_FILE_BYTES:
        return respond(Problem(413, "Too large", "A field of this form is longer than it may be.", "shorten what was typed in"))
    said = f"is larger than {in_words(LARGEST_FILE_BYTES)}, the most that is taken"
    hint = "send it as a zip or gz, or cut it into shorter spans"
    return _refused(FileForm(formdata=None), Problem(413, "Too large", f"the file {said}", hint, {"file": said}))


def _looked_at(form: FileForm) -> Looked:
    """The file read and judged, its readings kept where that is asked for. Raises what reading and keeping raise."""
    here, name = site(), form.file_name
    known = here.live.readings.meter(form.meter_id) if form.keeps else None
    registered = here.service.manifest.meters.get(form.meter_id) if form.keeps else None
    nameless = None if form.keeps else Meter(NAMELESS)
    meter = meant(form.meter_id, nameless or known or registered, str(form.zone.data), form.flow.data or None)
    columns = {"time_column": str(form.time_column.data), "power_column": str(form.power_column.data)}
    readings = read_file(form.file.data.save, meter, name, unit=form.unit.data, **columns)
    batch = batch_of_file(readings)
    table = grid_of(meter, batch, name)
    quality = judge(readings, table)
    kept = here.live.readings.put(meter, batch, int(here.now())) if form.keeps else None
    return Looked(name, meter, quality, table, kept)


def _forecast(looked: Looked) -> Looked:
    """With the day ahead, or the problem in its place."""
    here = site()
    try:
        table = at_step(looked.table, here.service.step_of(_TASK), _TASK)
        forecast = here.given_out(Ask(looked.meter.id, _TASK, int(here.now()), table), logged=looked.kept is not None)
    except WattcastError as error:
        return replace(looked, problem=problem_of(error))
    return replace(looked, table=table, forecast=forecast)


def _curve(looked: Looked) -> dict[str, Any]:
    if looked.forecast is None:
        return {}
    table = looked.table
    before = table.rows(len(table) - _SHOWN_BEFORE_S // table.step_s, len(table))
    return {"forecast": looked.forecast, "told": views.told(looked.forecast), "curve": views.curve(looked.forecast, before)}


def _json(looked: Looked) -> ResponseReturnValue:
    kept = looked.kept and {"meter": looked.meter.id, "new": looked.kept.new, "same": looked.kept.same, "corrected": looked.kept.corrected}
    said = {
        "quality": looked.quality.to_json(),
        "forecast": to_builtins(answer_of(looked.forecast)) if looked.forecast else None,
        "problem": looked.problem.to_json() if looked.problem else None,
        "kept": kept,
    }
    return current_app.json.response(said)


def _refused(form: FileForm, problem: Problem) -> ResponseReturnValue:
    return respond(problem) if wants_json() else _page(form, problem.status, problem=problem)


def _page(form: FileForm, status: int, **said: Any) -> ResponseReturnValue:
    key, errors = who(), said["problem"].errors if "problem" in said else ()
    about = {
        "form": form,
        "labels": FIELDS,
        "choices": CHOICES,
        "told_of_file": form.tells_of_file or bool({*ABOUT_FILE} & {*errors}),
        "largest": in_words(LARGEST_FILE_BYTES),
        "largest_bytes": LARGEST_FILE_BYTES,
        "may_keep": key is None or key.may("readings:write"),
        "own": key.meter if key else "",
        "keyed": key is not None,
    }
    return render_template("file.html", **{"looked": None, "problem": None, **about, **said}), status
