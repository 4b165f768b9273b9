"""Forecasts from stored readings, kept for who asks again: in this process, or in a Redis that all workers share. As JSON, never pickled.

A key names all that a forecast follows from: the readings, the origin, what is asked, and the models that are loaded. So nothing is ever
taken back: what has changed is asked for by another key.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from cachelib.serializers import BaseSerializer
from flask import Flask
from flask_caching import Cache

from wattcast.config import Settings
from wattcast.errors import BadParams
from wattcast.forecasting.forecast import Forecast, Steps, Tier

_MOST = 1_000
_PREFIX = "wattcast:forecast:"
_REDIS_WAIT_S = 0.5
# A Redis that did not answer is left alone for so long: every answer would wait for it.
_LEFT_ALONE_S = 5.0


class _Forecast(msgspec.Struct, frozen=True, array_like=True):
    """A forecast as it is kept, for the log."""

    meter: str
    zone: str
    task: str
    origin_s: int
    step_s: int
    starts_s: list[int]
    levels: tuple[float, ...]
    values: list[list[float]]
    tier: Tier
    reason: str
    model: str
    version: str

    @classmethod
    def of(cls, made: Forecast) -> _Forecast:
        steps = made.steps
        span = made.origin_s, made.step_s, steps.starts_s.tolist(), steps.levels, steps.values.tolist()
        return cls(made.meter, made.zone, made.task, *span, made.tier, made.reason, made.model, made.version)

    def again(self) -> Forecast:
        steps = Steps(np.array(self.starts_s, dtype=np.int64), self.levels, np.array(self.values, dtype=np.float64))
        span = self.origin_s, self.step_s, steps
        return Forecast(self.meter, self.zone, self.task, *span, self.tier, self.reason, self.model, self.version, None)


class _Kept(msgspec.Struct, frozen=True):
    """What is kept. answer: as it was given out, the age of its readings last; last_s: the end of the last of them."""

    meter: str
    task: str
    tier: str
    model: str
    version: str
    last_s: int
    answer: msgspec.Raw
    forecast: msgspec.Raw


@dataclass(frozen=True)
class Again:
    """A forecast that was kept, as it is given out now. answer: JSON; forecast: makes the forecast itself."""

    meter: str
    task: str
    tier: str
    model: str
    version: str
    data_age_s: int
    answer: bytes
    forecast: Callable[[], Forecast]


class _Json(BaseSerializer):
    """JSON of what is kept here, and of nothing else. The library's own would run what it reads."""

    _decoder = msgspec.json.Decoder(_Kept)

    def dumps(self, value: _Kept, *_: object) -> bytes:
        """The bytes of a forecast."""
        return msgspec.json.encode(value)

    def loads(self, bvalue: bytes | None) -> _Kept | None:
        """The forecast in these bytes; None where they are none of ours."""
        try:
            return None if bvalue is None else self._decoder.decode(bvalue)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None


_forecasts = msgspec.json.Decoder(_Forecast)


class ForecastCache:
    """The forecasts that are kept. fault: why a Redis is not asked at the moment, else empty."""

    def __init__(self, app: Flask, settings: Settings, clock: Callable[[], float] = time.monotonic) -> None:
        config: dict[str, Any] = {
            "CACHE_TYPE": "RedisCache" if settings.redis else "SimpleCache",
            "CACHE_SERIALIZER": _Json,
            "CACHE_DEFAULT_TIMEOUT": settings.cache,
            "CACHE_THRESHOLD": _MOST,
            "CACHE_KEY_PREFIX": _PREFIX,
        }
        self._errors: tuple[type[Exception], ...] = ()
        if settings.redis:
            # Optional: whoever has no Redis needs no client for it.
            from redis import RedisError  # noqa: PLC0415

            self._errors = (RedisError,)
            config |= {"CACHE_REDIS_URL": settings.redis}
            config |= {"CACHE_OPTIONS": {"socket_connect_timeout": _REDIS_WAIT_S, "socket_timeout": _REDIS_WAIT_S}}
        self._cache = Cache()
        try:
            self._cache.init_app(app, config)
        except ValueError as cause:
            raise BadParams(f"WATTCAST_REDIS names no Redis ({cause})", "write redis://HOST or redis://HOST:PORT/NUMBER") from cause
        self.on = settings.cache > 0
        self._clock = clock
        self._again_at = 0.0
        self.fault = ""

    def get(self, key: str, now_s: int) -> Again | None:
        """The forecast kept under this key, its readings as old as they are now; None where there is none, or nobody to ask."""
        kept = self._asked(lambda: self._cache.get(key))
        if kept is None:
            return None
        age_s, answer = max(now_s - kept.last_s, 0), bytes(kept.answer)
        aged = answer[: answer.rindex(b":") + 1] + b"%d}" % age_s
        who = kept.meter, kept.task, kept.tier, kept.model, kept.version
        return Again(*who, age_s, aged, lambda: _forecasts.decode(kept.forecast).again())

    def set(self, key: str, made: Forecast, answer: bytes, now_s: int) -> None:
        """Keep a forecast and the answer that it became. One made from no reading at all follows from the clock, and is not kept."""
        if made.data_age_s is None:
            return
        who, last_s = (made.meter, made.task, made.tier, made.model, made.version), now_s - made.data_age_s
        kept = _Kept(*who, last_s, msgspec.Raw(answer), msgspec.Raw(msgspec.json.encode(_Forecast.of(made))))
        self._asked(lambda: self._cache.set(key, kept))

    def look(self) -> None:
        """Bring `fault` up to now."""
        self._asked(lambda: self._cache.get("nothing"))

    def _asked(self, question: Callable[[], Any]) -> Any:
        if not self.on or self._clock() < self._again_at:
            return None
        try:
            said = question()
        except self._errors as cause:
            self.fault = f"Redis does not answer: {cause}"
            self._again_at = self._clock() + _LEFT_ALONE_S
            return None
        self.fault = ""
        return said
