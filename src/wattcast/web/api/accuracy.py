"""How good the forecasts of a meter were, once the readings came."""

from __future__ import annotations

import math

from wattcast.forecasting.forecast import iso
from wattcast.meter.clock import DAY_S
from wattcast.monitoring.accuracy import Accuracy
from wattcast.web.api.answers.accuracy import CameTrue, MeterAccuracy
from wattcast.web.api.asked import AccuracyAsked
from wattcast.web.api.models import baselines_of, skill_of
from wattcast.web.api.operations import operation
from wattcast.web.security.guard import not_known
from wattcast.web.site import site

_DIGITS = 6


@operation("GET", "/meters/{meter_id}/accuracy", MeterAccuracy, query=AccuracyAsked, problems=(400, 404, 422, 503), scope="models")
def meter_accuracy(meter_id: str, query: AccuracyAsked) -> MeterAccuracy:
    """How good the forecasts of a meter were on the readings that came since.

    Of the 7 and the 28 days up to the last reading, each forecaster beside every baseline on the very same intervals; models in the shadow
    too. At most a minute old.
    """
    here = site()
    meter = here.known_meter(meter_id)
    if meter is None:
        raise not_known(meter_id)
    back = here.back.accuracy(here.service, query.task, meter_id, int(here.now()))
    until = None if back.until_s is None else iso(back.until_s, meter.zone)
    return MeterAccuracy(meter_id, query.task, meter.zone, until, [_came_true(one) for one in back.found])


def _came_true(one: Accuracy) -> CameTrue:
    score = one.score
    return CameTrue(
        version=one.who.version,
        tier=one.who.tier,
        model=one.who.model,
        days=one.window_s // DAY_S,
        leads=one.leads,
        scored=score.n if score else 0,
        waiting=one.waiting,
        missing=one.missing,
        alone=one.alone,
        mae=round(score.mae, _DIGITS) if score else None,
        rmse=round(score.rmse, _DIGITS) if score else None,
        bias_kw=round(one.bias, _DIGITS) if math.isfinite(one.bias) else None,
        coverage=round(score.coverage, _DIGITS) if score else None,
        nominal=round(score.nominal, _DIGITS) if score else None,
        skill=skill_of(score) if score else {},
        baselines=baselines_of(score) if score else {},
    )
