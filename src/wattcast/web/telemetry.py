"""What a service tells of itself: a JSON line for each request, and counts for Prometheus, right over several workers.

Counts of a worker live in files below PROMETHEUS_MULTIPROC_DIR, which the server sets before its workers start: prometheus_client reads it
when it is imported, so only workers import this.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import msgspec
import structlog
from flask import Flask, Response, current_app, g, request
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from wattcast.config import Settings
from wattcast.errors import Forbidden
from wattcast.forecasting.forecast import Forecast
from wattcast.serving import Current
from wattcast.web.cache import Again
from wattcast.web.security.guard import all_is_told, who

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10)
_VERSION_DIGITS = 12

REQUESTS = Counter("wattcast_requests", "Requests answered.", ["operation", "method", "status"])
SECONDS = Histogram("wattcast_request_seconds", "Time to answer.", ["operation"], buckets=_SECONDS)
FORECASTS = Counter("wattcast_forecasts", "Forecasts given out.", ["task", "model", "version", "tier"])
DATA_AGE = Gauge("wattcast_data_age_seconds", "Age of the readings last forecast from.", ["task", "meter"], multiprocess_mode="mostrecent")
CACHE = Counter("wattcast_cache_lookups", "Forecasts asked for that may have been kept.", ["outcome"])
LOADED_AT = Gauge("wattcast_models_loaded_timestamp_seconds", "When a worker loaded its models last.", multiprocess_mode="max")
SERIAL = Gauge("wattcast_manifest_serial", "Serving manifest that the worker which lags most answers from.", multiprocess_mode="livemin")
HELD_BACK = Gauge("wattcast_champions_held_back", "Published champions that some worker refused.", multiprocess_mode="livemax")
REFUSED = Gauge("wattcast_bundles_refused", "Model files that some worker refused.", multiprocess_mode="livemax")
FAULT = Gauge("wattcast_models_fault", "1 where some worker does not serve all that is published.", multiprocess_mode="livemax")
SWAPS = Counter("wattcast_swaps", "Times that a worker swapped its models.")

# To look a label up takes the library longer than to count.
_answered: Callable[..., Counter] = lru_cache(maxsize=1024)(REQUESTS.labels)
_seconds: Callable[..., Histogram] = lru_cache(maxsize=1024)(SECONDS.labels)
_given_out: Callable[..., Counter] = lru_cache(maxsize=1024)(FORECASTS.labels)
_data_age: Callable[..., Gauge] = lru_cache(maxsize=1024)(DATA_AGE.labels)

log: structlog.typing.FilteringBoundLogger = structlog.get_logger("wattcast")


def register(app: Flask, settings: Settings) -> None:
    """Have every request of the app told and counted."""
    _configure()
    app.config["LOG_REQUESTS"] = settings.logs == "json" or (settings.logs == "auto" and not sys.stderr.isatty())
    app.before_request(_begins)
    app.after_request(_ends)
    app.add_url_rule("/metrics", view_func=metrics)
    took(app.extensions["wattcast"].current, swapped=False)


def took(current: Current, *, swapped: bool) -> None:
    """Count what a worker took from the model store, or could not take."""
    SWAPS.inc(swapped)
    FAULT.set(bool(current.fault))
    if swapped or not current.fault:
        LOADED_AT.set_to_current_time()
    SERIAL.set(current.service.manifest.serial)
    HELD_BACK.set(len(current.service.held_back))
    REFUSED.set(len(current.service.refused))


def _configure() -> None:
    """Have log lines written to stderr: JSON, or on a terminal in words."""
    if sys.stderr.isatty():
        from structlog.dev import ConsoleRenderer  # noqa: PLC0415 (a service without a terminal needs none of it)

        last: list[Any] = [ConsoleRenderer()]
    else:
        last = [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(serializer=_line)]
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
            *last,
        ],
        logger_factory=lambda *_: _Stderr(),
        cache_logger_on_first_use=False,
    )


class _Stderr:
    """Writes lines to what stderr is now."""

    def msg(self, line: str) -> None:
        """One line, whole, for several threads write."""
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()

    info = warning = error = msg


def _line(values: dict[str, Any], **_: Any) -> str:
    return msgspec.json.encode(values, enc_hook=str).decode()


def request_id() -> str:
    """The id of this request: as it was sent, or made."""
    return str(g.get("request_id", ""))


def _begins() -> None:
    g.began = time.perf_counter()
    sent = request.headers.get("X-Request-ID", "")
    g.request_id = sent if _REQUEST_ID.fullmatch(sent) else os.urandom(16).hex()


def _ends(response: Response) -> Response:
    took = time.perf_counter() - g.began if "began" in g else 0.0
    operation = request.endpoint or "nothing"
    _answered(operation, request.method if request.endpoint else "ANY", response.status_code).inc()
    _seconds(operation).observe(took)
    response.headers["X-Request-ID"] = request_id()
    if current_app.config["LOG_REQUESTS"]:
        key = who()
        log.info(
            "request",
            request_id=request_id(),
            method=request.method,
            path=request.path,
            status=response.status_code,
            ms=round(took * 1000, 3),
            key=key.id if key else None,
            address=request.remote_addr,
        )
    return response


def count(forecast: Forecast | Again, times: int = 1) -> None:
    """Count a forecast that is given out, or several that are like it."""
    _given_out(forecast.task, forecast.model, forecast.version[:_VERSION_DIGITS], forecast.tier).inc(times)
    # Names that anybody can make up are no labels.
    if forecast.data_age_s is not None and forecast.version:
        _data_age(forecast.task, forecast.meter).set(forecast.data_age_s)


def asked_cache(outcome: str) -> None:
    """Count a forecast that may have been kept: hit or miss."""
    CACHE.labels(outcome).inc()


def metrics() -> Response:
    """Counts for Prometheus, over all workers. Raises Forbidden for a key that may not see every meter."""
    if not all_is_told():
        raise Forbidden("/metrics has the figures of every meter", "send a key with admin that is for all meters")
    registry: Any = REGISTRY
    if folder := os.environ.get(_FOLDER):
        registry = CollectorRegistry()
        MultiProcessCollector(registry, path=folder)  # type: ignore[no-untyped-call]
    return Response(generate_latest(registry), content_type=CONTENT_TYPE_LATEST)
