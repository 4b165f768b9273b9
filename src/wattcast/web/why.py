"""GET /why: what stands behind a forecast, as JSON. Asked by the page after it is drawn, and by programs."""

from __future__ import annotations

from flask import Blueprint, Response, current_app, request
from flask.typing import ResponseReturnValue

from wattcast.errors import BadRequest, Unavailable
from wattcast.forecasting.contributions import unexplained
from wattcast.forecasting.families import family_keys
from wattcast.forecasting.forecast import iso
from wattcast.serving import Ask
from wattcast.web.site import site
from wattcast.web.typed import MODELS

explanations = Blueprint("explanations", __name__)

_TASK = "day_ahead"
_WAIT_S = 1


@explanations.get("/why")
def why() -> ResponseReturnValue:
    """What each group of features adds to the mean of every step, kW. 202 while another forecast is being taken apart: ask again.

    task, meter, model: as the page calls them, or a family's key; each may be left out. Where no model answered, `groups` is empty and
    `reason` says so.
    """
    here = site()
    if not here.service.manifest.meters:
        raise Unavailable("no meter is registered", "train one first: make run")
    meter = here.registered_meter(request.args.get("meter", ""))
    task = request.args.get("task") or _TASK
    forecast = here.service.forecast(Ask(meter.id, task, int(here.now()), family=_family(request.args.get("model", ""))))
    readings = here.live.known.latest(meter.id, forecast.step_s) if forecast.version else None
    if readings is None:
        said = unexplained(forecast.model)
    elif (found := here.explainer.explain(forecast, readings)) is None:
        return {"wait_s": _WAIT_S}, 202, {"Retry-After": str(_WAIT_S)}
    else:
        said = found
    about = {
        "meter": forecast.meter,
        "task": forecast.task,
        "origin": iso(forecast.origin_s, forecast.zone),
        "model": forecast.model,
        "version": forecast.version,
        "starts": [iso(step.start_s, forecast.zone) for step in forecast.steps],
    }
    # The order of the groups is the order to read them in.
    return Response(current_app.json.dumps(about | said, sort_keys=False), mimetype="application/json")


def _family(model: str) -> str:
    """The key of the family called so on the page or in commands, empty for the champion. Raises BadRequest."""
    key = MODELS.get(model, model)
    if key and key not in family_keys():
        hint = f"known: {', '.join(family_keys())}, or none for the champion"
        raise BadRequest(f'model "{model}" is not known', hint, {"model": f'"{model}" is not known'})
    return key
