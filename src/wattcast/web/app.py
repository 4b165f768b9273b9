"""The app factory: services connected, models loaded, pages, health and headers. Everything a request needs is made here, once."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from flask import Flask, Response, current_app, request, send_from_directory
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from wattcast.adapters.wiring import Live, Services, connect, connect_live
from wattcast.config import Settings
from wattcast.serving import Current
from wattcast.web import problems, telemetry
from wattcast.web.api import api, docs, document
from wattcast.web.cache import ForecastCache
from wattcast.web.explaining import Explainer
from wattcast.web.file_page import filed
from wattcast.web.looking_back import LookingBack
from wattcast.web.models_page import models_page
from wattcast.web.pages import pages
from wattcast.web.security import guard, limits
from wattcast.web.security.login import login
from wattcast.web.site import Site, site
from wattcast.web.why import explanations

_YEAR_S = 365 * 86_400
_FOR_A_YEAR = f"max-age={_YEAR_S}"
_SESSION_S = 12 * 3_600
# The one style that Plotly's script puts inline when it loads: the rules of its maps. Its other styles go through the CSSOM.
_PLOTLYS_STYLE = "sha256-ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o="
_POLICY = [
    "default-src 'none'",
    "script-src 'self'",
    f"style-src 'self' '{_PLOTLYS_STYLE}'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
]
_HEADERS = [
    (name.lower(), (name, value))
    for name, value in {
        "Content-Security-Policy": "; ".join(_POLICY),
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
        "Referrer-Policy": "same-origin",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Cache-Control": "no-cache",
        "Vary": "Accept",
    }.items()
]


def create_app(settings: Settings, services: Services | None = None, now: Callable[[], float] = time.time) -> Flask:
    """The app with its models loaded. services: those of the settings by default; now: the clock, seconds since the epoch.

    Raises RegistryConflict where the serving manifest cannot be read, BadRequest where the settings name a meter that was never
    registered; a model that is refused does not stop the others.
    """
    services = services or connect(settings)
    live = connect_live(settings, services.snapshots)
    current = Current(services.store, live.known)
    current.start()
    if settings.meter and current.service.manifest.meters:
        current.service.meter(settings.meter)
    app = Flask(__name__)
    app.config.update(MAX_CONTENT_LENGTH=problems.LARGEST_BODY_BYTES, MAX_FORM_MEMORY_SIZE=problems.LARGEST_BODY_BYTES)
    app.jinja_options = {"trim_blocks": True, "lstrip_blocks": True}
    explainer, back = Explainer(services.store), LookingBack(services.store, live)
    app.extensions["wattcast"] = Site(services, current, live, explainer, now, settings.meter, ForecastCache(app, settings), back)
    app.register_blueprint(pages)
    app.register_blueprint(filed)
    app.register_blueprint(models_page)
    app.register_blueprint(explanations)
    app.register_blueprint(api)
    app.add_url_rule("/openapi.json", view_func=openapi)
    app.add_url_rule("/docs", view_func=docs)
    app.add_url_rule("/healthz", view_func=healthz)
    app.add_url_rule("/readyz", view_func=readyz)
    app.add_url_rule("/vendor/plotly.js", view_func=plotly)
    app.jinja_env.globals["plotly_version"] = version("plotly")
    app.after_request(_guarded)
    problems.register(app)
    _secure(app, settings, live)
    return app


def _secure(app: Flask, settings: Settings, live: Live) -> None:
    """Keys where there are some, sessions for pages, and forms that nobody else can send."""
    app.config.update(
        SESSION_COOKIE_NAME="wattcast",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        # Where nobody is asked for a key the cookie marks forms alone, and there may be no TLS to send it over.
        SESSION_COOKIE_SECURE=not (settings.loopback or settings.open),
        PERMANENT_SESSION_LIFETIME=_SESSION_S,
        WTF_CSRF_TIME_LIMIT=_SESSION_S,
    )
    if settings.proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, *[settings.proxies] * 2)  # type: ignore[method-assign]
    telemetry.register(app, settings)
    limits.register(app, settings)
    guard.register(app, live.keys, open_to_all=settings.open, loopback=settings.loopback)
    app.register_blueprint(login)
    app.jinja_env.globals |= {"entered": guard.entered, "may": guard.may}
    # What changes nothing, and what asks for its key with every request, needs no mark of a form.
    csrf = CSRFProtect(app)
    for part in (api, pages, explanations):
        csrf.exempt(part)


def healthz() -> ResponseReturnValue:
    """This process is alive."""
    return {"alive": True}


def readyz() -> ResponseReturnValue:
    """Whether forecasts can be given, and what does not work as it should meanwhile; from what and why, for those who may know.

    A process that was told to end is not ready: what it is asked over connections that are open still, it answers.
    """
    service, live, cache = site().service, site().live, site().cache
    cache.look()
    faults = {"database": live.known.fault, "forecast_log": _log_fault(live), "redis": cache.fault}
    faults |= {"retention": live.retention.fault, "models": site().current.fault, "model_store": site().services.fault}
    faults = {name: fault for name, fault in faults.items() if fault}
    leaving = current_app.extensions.get("wattcast_leaving", bool)()
    if leaving:
        faults["draining"] = "this process was told to end"
    ready = service.ready() and not leaving
    told = {**service.health(), "faults": faults} if guard.all_is_told() else {}
    return {**told, "ready": ready, "degraded": list(faults)}, 200 if ready else 503


def _log_fault(live: Live) -> str:
    """Why forecasts are not in the log."""
    log, lost = live.written_behind, ""
    if log.lost:
        lost = f"{log.lost:,} forecast{'s were' if log.lost > 1 else ' was'} lost since this process started, for the log did not answer"
    return "; ".join(each for each in (log.fault, lost) if each)


def openapi() -> ResponseReturnValue:
    """The API's description, as OpenAPI 3.1."""
    return document()


def plotly() -> Response:
    """Plotly's script, from its Python package: found without importing it, which would cost half a second."""
    spec = find_spec("plotly")
    folder = Path(next(iter(spec.submodule_search_locations or [""]))) if spec else Path()
    # The page names it with its version, so a copy once fetched stays right.
    return send_from_directory(folder / "package_data", "plotly.min.js", max_age=_YEAR_S)


def _guarded(response: Response) -> Response:
    given = {name.lower() for name, _ in response.headers}
    response.headers.extend([header for name, header in _HEADERS if name not in given])
    if request.is_secure and "strict-transport-security" not in given:
        response.headers.add("Strict-Transport-Security", _FOR_A_YEAR)
    if "vary" in given:
        response.vary.add("Accept")
    return response
