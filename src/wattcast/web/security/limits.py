"""How often one key, or one address without a key, may ask: counted over all workers where there is a Redis."""

from __future__ import annotations

import threading
import time
from functools import lru_cache
from typing import cast

from flask import Flask, Response, g, request
from limits import RateLimitItem, parse_many
from limits.errors import ConfigurationError, StorageError
from limits.storage import MemoryStorage, Storage, storage_from_string
from werkzeug.exceptions import TooManyRequests

from wattcast.config import Settings
from wattcast.errors import BadParams
from wattcast.web.security.guard import OPEN_TO_ALL, guard, key_given

_REDIS_WAIT_S = 0.5
# A Redis that did not answer is left alone for so long: every answer would wait for it.
_LEFT_ALONE_S = 5.0
_PREFIX = "wattcast"
_KEYS_REMEMBERED = 1_024


class _Counts(MemoryStorage):
    """Counts in memory. The library's own starts a thread to forget the old ones, up to a hundred times a second."""

    _EVERY = 1_000

    def __init__(self) -> None:
        super().__init__()
        self._counting, self._since = threading.Lock(), 0

    def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        """The count of this key with this much more; one that is new ends in `expiry` seconds."""
        now = time.time()
        with self._counting:
            self._since += 1
            if self._since >= self._EVERY:
                self._since = 0
                for old in [name for name, end in self.expirations.items() if end <= now]:
                    del self.expirations[old], self.storage[old]
            if self.expirations.get(key, 0.0) <= now:
                self.storage[key], self.expirations[key] = 0, now + expiry
            self.storage[key] += amount
            return self.storage[key]


class Limit:
    """So many requests in a window of time. A Redis that is away leaves every worker to count for itself."""

    def __init__(self, item: RateLimitItem, redis: str) -> None:
        self._item = item
        self._own: Storage = _Counts()
        self._shared: Storage | None = None
        self._key_of = lru_cache(maxsize=_KEYS_REMEMBERED)(lambda who: item.key_for(_PREFIX, who))
        self._again_at = 0.0
        if redis:
            waits = {"socket_connect_timeout": _REDIS_WAIT_S, "socket_timeout": _REDIS_WAIT_S}
            self._shared = cast("Storage", storage_from_string(redis, wrap_exceptions=True, **waits))

    def spent(self, who: str) -> tuple[bool, int, float]:
        """Whether one more is too many, how many are left, and when the window ends, seconds since the epoch."""
        if self._shared is not None and time.monotonic() >= self._again_at:
            try:
                return self._asked(self._shared, who)
            except StorageError:
                self._again_at = time.monotonic() + _LEFT_ALONE_S
        return self._asked(self._own, who)

    def _asked(self, counts: Storage, who: str) -> tuple[bool, int, float]:
        # The library's fixed window asks for the count once more.
        key, item = self._key_of(who), self._item
        count = counts.incr(key, item.get_expiry())
        return count > item.amount, max(item.amount - count, 0), counts.get_expiry(key)


def register(app: Flask, settings: Settings) -> None:
    """Count every request of the app but those for health, documentation and static files. Raises BadParams for a limit that is none.

    Where only this machine asks, and needs no key, nobody is counted.
    """
    if not settings.limit:
        return
    item = _item(settings.limit)
    most = str(item.amount)
    try:
        limit = Limit(item, settings.redis)
    except ConfigurationError as cause:
        raise BadParams(f"WATTCAST_REDIS names no Redis ({cause})", "write redis://HOST or redis://HOST:PORT/NUMBER") from cause

    @app.before_request
    def _count() -> None:
        if request.endpoint in OPEN_TO_ALL or (settings.loopback and not guard().needed()):
            return
        too_many, left, ends_at = limit.spent(_asking())
        g.limited = left, ends_at
        if too_many:
            raise TooManyRequests

    @app.after_request
    def _told(response: Response) -> Response:
        if "limited" in g:
            left, ends_at = g.limited
            told = [("X-RateLimit-Remaining", str(left)), ("X-RateLimit-Reset", str(int(ends_at)))]
            response.headers.extend([("X-RateLimit-Limit", most), *told])
            if response.status_code == TooManyRequests.code:
                response.headers.set("Retry-After", str(max(int(ends_at - time.time()) + 1, 1)))
        return response


def _item(text: str) -> RateLimitItem:
    """The limit that this text says. Raises BadParams where it is none, or several."""
    try:
        items = parse_many(text)
    except ValueError:
        items = []
    if len(items) != 1 or items[0].amount < 1:
        raise BadParams(f'WATTCAST_LIMIT: "{text}" is not one limit', 'write it like "600 per minute"; empty: none')
    return items[0]


def _asking() -> str:
    """The key that is asking, else the address; where no key is needed none is looked for."""
    key = key_given() if guard().needed() else None
    return f"key {key.id}" if key is not None else f"address {request.remote_addr}"
