"""Our service under load: as shipped and bare, beside bare Flask, and the real `wattcast serve` for readiness and memory."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from served.asked import FAMILIES, Case, Known, answers_of, day_ahead, next_minute, stored
from served.load import Request, run_load
from served.rounds import Contender, Rounds, Say, in_turn
from served.servers import Server, free_port, gunicorn, started
from served.wsgi import ANSWERS
from wattcast.access import new_key
from wattcast.adapters.database import Database, DatabaseKeys
from wattcast.config import Settings

# The setting that keeps answers to GET, and what switches it off: named here alone.
CACHE, CACHE_OFF = "cache", "0"
# A limit that is counted and refuses nobody.
_LIMIT = "1000000000 per minute"
_STORED, _CACHED, _ETAG = "stored", "cached", "etag"
_WARM_REQUESTS, _STEP_S = 10_000, 5


@dataclass(frozen=True)
class Memory:
    """Memory of the worker of `wattcast serve`, MB: after the first requests and after many more, and how many those were."""

    first_mb: float
    last_mb: float
    requests: int


def variables(known: Known, folder: Path, name: str, *, bare: bool = False, cache: bool = True) -> tuple[dict[str, str], str]:
    """The settings of one of our servers, with a database of its own, and the key that it asks for ("" where it asks for none)."""
    url = f"sqlite:///{folder / name}.db"
    found = {"STORE": str(known.store), "DATABASE": url}
    found |= {"LOGS": "quiet", "LIMIT": ""} if bare else {"LOGS": "json", "LIMIT": _LIMIT}
    if not cache and CACHE in Settings.model_fields:
        found[CACHE.upper()] = CACHE_OFF
    return {f"WATTCAST_{setting}": value for setting, value in found.items()}, "" if bare else key_in(url)


def key_in(database_url: str) -> str:
    """A new key that allows everything, kept in this database."""
    key, text = new_key("benchmark", ["admin"], "", int(time.time()))
    database = Database(database_url)
    DatabaseKeys(database).add(key)
    database.close()
    return text


def load(known: Known, folder: Path, rounds: int, seconds: int, say: Say) -> tuple[Rounds, dict[str, Case]]:
    """Every case in turn: bare Flask, ours bare, ours as shipped; and the cases by key."""
    with ExitStack() as servers:
        asked = _Ours(known, folder, servers).asked(say)
        answers = {key: answers_of(both[0].server, both[0].case, known) for key, both in asked.items() if both[0].case.status == 200}
        if _ETAG in asked:
            answers[_ETAG] = answers[_STORED]
        constants = folder / "answers.json"
        constants.write_text(json.dumps({f"/{key}": answer for key, answer in answers.items()}))
        plain = servers.enter_context(gunicorn("plain", "plain", folder, **{ANSWERS: str(constants)}))
        turns = {}
        for key, both in asked.items():
            case = both[0].case
            turns[key] = [Contender("plain", plain, replace(case, requests=case.plain_requests, status=200)), *both]
            if answers_of(plain, turns[key][0].case, known) != answers[key]:
                sys.exit(f"error: bare Flask gives another answer to {case.title} than ours")
        _refuse_others(turns, known)
        found = in_turn(turns, rounds, seconds, folder, say)
        _refuse_others(turns, known)
        return found, {key: both[0].case for key, both in asked.items()}


def _refuse_others(turns: Mapping[str, Sequence[Contender]], known: Known) -> None:
    """Exit unless every request of every contender is answered as it has to be."""
    for contenders in turns.values():
        for each in contenders:
            answers_of(each.server, each.case, known)


class _Ours:
    """Our servers behind gunicorn, each started when it is first asked."""

    def __init__(self, known: Known, folder: Path, servers: ExitStack) -> None:
        self._known, self._folder, self._servers = known, folder, servers
        self._started: dict[str, tuple[Server, str]] = {}

    def asked(self, say: Say) -> dict[str, list[Contender]]:
        """Who is asked each case: the bare one, then the one as shipped."""
        families = ("", *FAMILIES)
        cases = [make(self._known, family) for make in (next_minute, day_ahead) for family in families]
        found = {case.key: self._both(case, cache=True) for case in cases}
        case = stored(self._known)
        found[_STORED] = self._both(case, cache=False)
        kept = self._both(replace(case, key=_CACHED, title=f"{case.title}, cached"), cache=True)
        if CACHE in Settings.model_fields:
            found[_CACHED] = kept
        else:
            say(f"  not measured: cached answers (there is no setting {CACHE})")
        # What is set after the answer, the bare one may do without.
        tagged = [each for each in map(_with_etag, kept) if each.case.key == _ETAG]
        if tagged:
            found[_ETAG] = tagged
        for app in sorted({each.name for each in kept} - {each.name for each in tagged}):
            say(f"  not measured: an answer by ETag of ours {app} (it has none)")
        return found

    def _both(self, case: Case, *, cache: bool) -> list[Contender]:
        found = []
        for app in ("bare", "shipped"):
            # Without the setting there is nothing to switch off, and one server will do.
            name = app if cache or CACHE not in Settings.model_fields else f"{app}-uncached"
            if name not in self._started:
                own, key = variables(self._known, self._folder, name, bare=app == "bare", cache=cache)
                self._started[name] = (self._servers.enter_context(gunicorn(name, app, self._folder, **own)), key)
            server, key = self._started[name]
            found.append(Contender(app, server, case.with_key(key) if key else case))
        return found


def _with_etag(each: Contender) -> Contender:
    """Who sends the ETag that it was given before, and expects no answer but that nothing changed; itself where it was given none."""
    request = each.case.requests[0]
    tag = each.server.ask(request).headers.get("etag")
    if tag is None:
        return each
    again = replace(request, headers={**request.headers, "If-None-Match": tag})
    title = each.case.title.replace(_CACHED, "ETag")
    return replace(each, case=replace(each.case, key=_ETAG, title=title, requests=(again,), status=304))


@contextmanager
def real_service(known: Known, folder: Path, name: str, database: str = "") -> Iterator[tuple[Server, str]]:
    """The real `wattcast serve` with everything on, and its key. database: its URL, by default a file of its own."""
    own, key = variables(known, folder, name)
    if database:
        own["WATTCAST_DATABASE"], key = database, key_in(database)
    port = free_port()
    command = [str(Path(sys.executable).with_name("wattcast")), "serve", "--port", str(port)]
    with started(name, command, folder, port=port, **own) as server:
        yield server, key


def start_to_ready(known: Known, folder: Path, repeats: int) -> float:
    """Seconds from the start of `wattcast serve` to its first 200 of /readyz: the median. The first start, which fills caches, is none."""
    times = []
    for _ in range(repeats + 1):
        with real_service(known, folder, "ready") as (server, _key):
            times.append(server.ready_s)
    return median(times[1:])


def memory(known: Known, folder: Path, requests: int, say: Say) -> Memory:
    """Load `wattcast serve` with requests of every kind, and weigh its worker before and after `requests` of them."""
    with real_service(known, folder, "memory") as (server, key):
        cases = [*(next_minute(known, family) for family in ("", *FAMILIES)), stored(known)]
        mixed = [request for case in cases for request in case.with_key(key).requests]
        mixed += day_ahead(known).with_key(key).requests[:4]
        _loaded(server, mixed, _WARM_REQUESTS, folder)
        first_mb, _ = server.memory_mb()
        say(f"  the worker has {first_mb:.1f} MB; {requests:,} requests more")
        count = _loaded(server, mixed, requests, folder)
        return Memory(first_mb, server.memory_mb()[0], count)


def _loaded(server: Server, mixed: Sequence[Request], least: int, folder: Path) -> int:
    done = 0
    while done < least:
        done += run_load(server.url, mixed, _STEP_S, folder).requests
    return done
