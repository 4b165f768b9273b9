"""Every request passes here: where keys exist it needs one that allows it. Values of the request come from `who`."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Flask, Request, current_app, g, redirect, request, session, url_for
from flask.sessions import SecureCookieSession, SecureCookieSessionInterface
from flask.typing import ResponseReturnValue

from wattcast.access import Key, opens, parts_of
from wattcast.errors import Forbidden, NotFound, Unauthorized, Unavailable
from wattcast.ports import Keys
from wattcast.web.problems import for_programs, wants_json

# How long a worker goes on by the keys it read last: so soon a revoked one counts no more.
_FRESH_S = 1.0
_LOOKED_FOR_S = 0.005
OPEN_TO_ALL = frozenset({"healthz", "readyz", "openapi", "docs", "plotly", "static"})
# Told by their paths: a session is opened before anybody knows the endpoint.
_NO_PAGES = ("/api/", "/static/", "/vendor/", "/healthz", "/readyz", "/metrics", "/openapi.json")
_ENTRY = frozenset({"login.enter", "login.leave"})
_FOREIGN = "ask for it as localhost or 127.0.0.1; behind a proxy say so (WATTCAST_PROXIES=1), which takes a key"
_HINT = "send it as Authorization: Bearer KEY; wattcast keys create makes one"


class Guard:
    """The keys as this worker knows them. open_to_all: ask for none whatever there is; loopback: only this machine reaches the service.

    Where the database does not answer, those known last count on; where none were ever read, nobody is let in but on loopback.
    clock: seconds, for how fresh they are.
    """

    def __init__(self, keys: Keys, *, open_to_all: bool, loopback: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = keys
        self.open_to_all = open_to_all
        self._loopback = loopback
        self._clock = clock
        self._known: dict[str, Key] = {}
        self._read_at: float | None = None
        self._reading = threading.Lock()

    def known(self, fresh_s: float = _FRESH_S) -> dict[str, Key]:
        """Every key by its id, at most so old. Raises Unavailable where none could ever be read."""
        now = self._clock()
        if self._read_at is None or now - self._read_at > fresh_s:
            with self._reading:
                try:
                    self._known = {key.id: key for key in self._keys.all()}
                    self._read_at = now
                except Unavailable:
                    if self._read_at is None:
                        raise
        return self._known

    def needed(self) -> bool:
        """Whether a request needs a key: always where others reach the service, else once one was ever made, a revoked one too.

        A database that is away shuts nobody out of a service that only its own machine reaches.
        """
        if self.open_to_all:
            return False
        try:
            return not self._loopback or bool(self.known())
        except Unavailable:
            return False

    def is_meant(self) -> bool:
        """Whether a request that needs no key asks this machine by a name of its own.

        Another site can have its name lead here, and its scripts would read what is here.
        """
        return self.open_to_all or _is_here(request.environ.get("HTTP_HOST", "localhost"))

    def session_secret(self) -> str:
        """What sessions are signed with."""
        return self._keys.session_secret()

    def key_in(self, text: str) -> Key | None:
        """The key that this text opens, None for none."""
        parts = parts_of(text)
        if parts is None:
            return None
        # One that was just made is looked for, but not so often that guessing would keep the database busy.
        key = self.known().get(parts[0]) or self.known(_LOOKED_FOR_S).get(parts[0])
        return key if opens(key, parts[1]) else None

    def key_of_session(self) -> Key | None:
        """The key that the page was entered with, if it still counts."""
        key = self.known().get(session.get("key", ""))
        return key if key is not None and key.revoked_s is None else None


def guard() -> Guard:
    """The guard of the app that answers now."""
    here: Guard = current_app.extensions["wattcast_guard"]
    return here


def who() -> Key | None:
    """The key of this request; None where none is needed."""
    found: Key | None = g.get("key")
    return found


def entered() -> bool:
    """Whether somebody entered the pages with a key, and can leave them; programs that send theirs have not."""
    return who() is not None and "key" in session


def may(scope: str) -> bool:
    """Whether this request is allowed something."""
    key = who()
    return key is None or key.may(scope)


def sees(meter: str) -> bool:
    """Whether a meter is there for this request."""
    key = who()
    return key is None or key.sees(meter)


def key_given() -> Key | None:
    """The key that this request was sent with, None without one that counts. Raises Unavailable where keys were never read."""
    if "given" not in g:
        kind, _, text = request.headers.get("Authorization", "").partition(" ")
        g.given = guard().key_in(text.strip()) if kind.lower() == "bearer" else None
    found: Key | None = g.given
    return found


def require(scope: str, meter: str = "") -> None:
    """Raise Forbidden where the key does not allow this, NotFound where it is for another meter: not even that it exists is told."""
    key = who()
    if key is None:
        return
    if not key.may(scope):
        raise Forbidden(f"this key does not allow {scope}", f"it allows {', '.join(key.scopes)}")
    if meter and not key.sees(meter):
        raise not_known(meter)


def not_known(meter: str) -> NotFound:
    """The refusal of a meter that is not there for this request, with a hint that its key can follow."""
    key = who()
    listed = key is None or key.may("readings:read")
    hint = "GET /api/v1/meters lists those that are known" if listed else "check its name, and which meter the key is for"
    return NotFound(f'meter "{meter}" is not known', hint)


def all_is_told() -> bool:
    """Whether whoever asks may know what is inside: without a key where none is needed, else with one that may all."""
    if not guard().needed():
        return guard().is_meant()
    key = key_given()
    return key is not None and key.may("admin") and not key.meter


def register(app: Flask, keys: Keys, *, open_to_all: bool, loopback: bool) -> None:
    """Have every request of the app pass."""
    app.extensions["wattcast_guard"] = Guard(keys, open_to_all=open_to_all, loopback=loopback)
    app.session_interface = Sessions()
    app.before_request(_pass)


@lru_cache(maxsize=256)
def _is_here(host: str) -> bool:
    """Whether a Host header's text is a name or an address that no other machine can have."""
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        return f".{name}".endswith(".localhost") or ip_address(name).is_loopback
    except ValueError:
        return False


def _pass() -> ResponseReturnValue | None:
    if request.endpoint in OPEN_TO_ALL:
        return None
    here = guard()
    if not here.needed():
        if not here.is_meant():
            raise Forbidden("this service is asked for by a name that is not this machine's", _FOREIGN)
        return None
    if request.endpoint in _ENTRY:
        return None
    header = request.headers.get("Authorization", "")
    if not header and not request.path.startswith("/api/"):
        g.key = here.key_of_session()
    else:
        g.key = key_given()
    if who() is not None:
        return None
    if request.method in ("GET", "HEAD") and not header and not wants_json() and not for_programs():
        return redirect(url_for("login.enter", next=request.full_path.rstrip("?") if request.url_rule else None), 303)
    raise Unauthorized("this key does not count" if header else "a key is needed", _HINT)


class Sessions(SecureCookieSessionInterface):
    """Sessions of pages, signed with the secret that all workers share: the key that one entered with, and the mark of one's forms.

    Programs send their key with every request, and have none.
    """

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession | None:
        """The session of a page; None for what is no page, and where the secret cannot be read: then no form is taken."""
        if request.path.startswith(_NO_PAGES):
            return None
        here: Guard = app.extensions["wattcast_guard"]
        try:
            app.secret_key = app.secret_key or here.session_secret()
        except Unavailable:
            return None
        return super().open_session(app, request)


def require_session() -> None:
    """Raise Unavailable where no session could be opened, so that no form of this page would be taken."""
    if not current_app.secret_key:
        raise Unavailable("the secret that sessions are signed with cannot be read", "check that the database answers, and try again")
