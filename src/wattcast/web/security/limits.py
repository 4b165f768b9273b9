"""How often one key, or one address without a key, may ask: counted by Flask-Limiter, over all workers where there is a Redis."""

from __future__ import annotations

from typing import Any

from flask import Flask, request
from flask_limiter import Limiter
from limits import parse
from limits.errors import ConfigurationError

from wattcast.config import Settings
from wattcast.errors import BadParams
from wattcast.web.security.guard import OPEN_TO_ALL, key_given

_REDIS_WAIT_S = 0.5


def register(app: Flask, settings: Settings) -> None:
    """Count every request of the app but those for health, documentation and static files. Raises BadParams for a limit that is none.

    Whoever asks from this machine without a key is not counted. A Redis that is away leaves every worker to count for itself.
    """
    if not settings.limit:
        return
    try:
        parse(settings.limit)
    except ValueError as cause:
        raise BadParams(f'WATTCAST_LIMIT: "{settings.limit}" is no limit', 'write it like "600 per minute"') from cause
    shared = bool(settings.redis)
    waits: dict[str, Any] = {"socket_connect_timeout": _REDIS_WAIT_S, "socket_timeout": _REDIS_WAIT_S} if shared else {}
    limiter = Limiter(
        _asking,
        application_limits=[settings.limit],
        strategy="fixed-window",
        headers_enabled=True,
        storage_uri=settings.redis or "memory://",
        storage_options=waits,
        in_memory_fallback_enabled=shared,
        # Of several requests that meet a Redis that is gone, the library falls back for the first alone.
        swallow_errors=shared,
        key_prefix="wattcast",
    )
    limiter.request_filter(lambda: request.endpoint in OPEN_TO_ALL or (settings.loopback and key_given() is None))
    try:
        limiter.init_app(app)
    except ConfigurationError as cause:
        raise BadParams(f"WATTCAST_REDIS names no Redis ({cause})", "write redis://HOST or redis://HOST:PORT/NUMBER") from cause


def _asking() -> str:
    """The key that is asking, else the address."""
    key = key_given()
    return f"key {key.id}" if key is not None else f"address {request.remote_addr}"
