"""What every page and every operation of the API stands on: the service that answers now, what changes while it runs, and the clock."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from flask import current_app, g, has_app_context

from wattcast.adapters.wiring import Live, Services
from wattcast.errors import BadRequest, WattcastError
from wattcast.forecasting.forecast import Forecast
from wattcast.meter.table import METER_ID, Meter
from wattcast.serving import Ask, Current, ForecastService
from wattcast.web.cache import ForecastCache
from wattcast.web.explaining import Explainer
from wattcast.web.looking_back import LookingBack
from wattcast.web.security.guard import require, who
from wattcast.web.telemetry import asked_cache, count, log


@dataclass(frozen=True)
class Site:
    """What the pages stand on. now: the clock, seconds since the epoch; meter: the one shown first, empty for the latest.

    back: what became of models and their forecasts.
    """

    services: Services
    current: Current
    live: Live
    explainer: Explainer
    now: Callable[[], float]
    meter: str
    cache: ForecastCache
    back: LookingBack

    @property
    def service(self) -> ForecastService:
        """The service that answers: the same one for as long as a request takes, whatever is published meanwhile."""
        if not has_app_context():
            return self.current.service
        if "service" not in g:
            g.service = self.current.service
        taken: ForecastService = g.service
        return taken

    def known_meter(self, meter_id: str) -> Meter | None:
        """The meter called so, registered or with readings that arrived; None where there is none. Raises Unavailable."""
        if meter_id in self.service.manifest.meters:
            return self.service.manifest.meters[meter_id]
        if not re.fullmatch(METER_ID, meter_id):
            return None
        return self.live.known.meter(meter_id)

    def registered_meter(self, meter_id: str = "", scope: str = "forecast") -> Meter:
        """The registered meter called so, or the one that is shown first to who asks. Raises Forbidden, and BadRequest for an unknown one.

        For a key of one meter the others are unknown. scope: what the key has to allow.
        """
        require(scope)
        own = getattr(who(), "meter", "")
        name = meter_id or own or self.meter
        if own and name == own and name not in self.service.manifest.meters:
            hint = "the API forecasts it: GET /api/v1/meters/{id}/forecast"
            raise BadRequest(f'meter "{name}" has no model yet', hint, {"meter": "has no model yet"})
        if own and name != own:
            said = f'meter "{name}" is not known'
            raise BadRequest(said, f"this key is for meter {own} alone", {"meter": f'"{name}" is not a known meter'})
        return self.service.meter(name)

    def given_out(self, asked: Ask, *, logged: bool = True) -> Forecast:
        """The forecast that is asked for, counted, and on its way to the log unless nobody knows its meter."""
        made = self.service.forecast(asked)
        count(made)
        contested = self.service.is_contested(made)
        # What is made of readings that were sent is no part of a comparison: whoever may ask could decide it.
        if logged and not (contested and asked.readings is not None):
            self.live.written_behind.add(made, asked.now_s)
            if contested:
                key = "beside", made.meter, made.task, made.origin_s, made.version
                self.live.written_behind.again(key, partial(_beside, self.service, asked, made), asked.now_s)
        return made

    def given_again(self, key: str) -> bytes | None:
        """The answer that was kept by this key, counted and logged as any other; None where there is none."""
        now_s = int(self.now())
        again = self.cache.get(key, now_s)
        asked_cache("miss" if again is None else "hit")
        if again is None:
            return None
        count(again)
        self.live.written_behind.again(key, again.forecast, now_s)
        return again.answer


def _beside(service: ForecastService, asked: Ask, made: Forecast) -> Forecast | None:
    """What runs in the shadow of an answer. It is made where nobody waits for it, and nobody misses it."""
    try:
        return service.beside(asked, made)
    except WattcastError as error:
        log.warning("nothing in the shadow", task=made.task, meter=made.meter, message=error.message)
        return None


def site() -> Site:
    """The site of the app that answers now."""
    here: Site = current_app.extensions["wattcast"]
    return here
