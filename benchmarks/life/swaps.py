"""Champions that change under load: how long until every worker answers by the new one, whether an answer fails or is mixed, and memory.

A promotion loads a model that no worker has; the rollback after it goes back to one that they kept.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from measure import environment
from served.asked import Known, day_ahead
from served.load import Request
from served.rounds import Say
from served.servers import BENCHMARKS, Server, free_port, started

from life.clients import CLIENTS, EACH_PER_S, FAILED, MIXED, values_of
from life.models import Made, like
from life.stores import changed, verifying
from wattcast.adapters.wiring import Services
from wattcast.forecasting.succession import promote, rollback

WORKERS = 4
# A look takes this long at least: what is asked meanwhile is answered too.
_PAUSE_S, _WITHIN_S = 0.01, 120.0
_LIMIT = "1000000000 per minute"
_WEIGHED_EVERY = 100


@dataclass
class Swaps:
    """What came of the swaps. promoted_s, rolled_back_s: from the change until every worker answered by it; sizes_mb: of each worker,
    proportional, after so many swaps."""

    promoted_s: list[float] = field(default_factory=list)
    rolled_back_s: list[float] = field(default_factory=list)
    swaps: int = 0
    answers: int = 0
    failed: int = 0
    mixed: int = 0
    slowest_s: float = 0.0
    versions: int = 0
    examples: list[str] = field(default_factory=list)
    sizes_mb: dict[int, dict[int, float]] = field(default_factory=dict)

    def growth_percent(self, first: int) -> float:
        """By how much the worker that grew most has grown since so many swaps."""
        last = self.sizes_mb[max(self.sizes_mb)]
        return max((last[pid] / size - 1) * 100 for pid, size in self.sizes_mb[first].items())


class Champions:
    """Two models of one slot that take turns: `there` answers, and `other`, which is promoted and rolled back again."""

    def __init__(self, services: Services, there: Made, other: Made, question: Request) -> None:
        self._services, self.there, self.other, self.question = services, there, other, question

    def put(self, one: Made) -> None:
        """Keep it, so that it can be promoted."""
        self._services.store.put_bundle(one.data)
        self._services.store.put_record(one.record)

    def promote(self, one: Made) -> str:
        """Publish it as champion; its version."""
        changed(self._services, lambda now: promote(now, one.record, ("measured",)))
        return one.record.bundle

    def roll_back(self) -> str:
        """Have who was before answer again; its version."""
        record = self.there.record
        changed(self._services, lambda now: rollback(now, record.task, record.meter))
        return record.bundle


class Workers:
    """A connection to each worker of a server, by its process id: the one that holds the other end."""

    def __init__(self, server: Server, question: Request) -> None:
        self._server, self._question = server, question
        self.connections = self._found()

    def _found(self) -> dict[int, http.client.HTTPConnection]:
        found: dict[int, http.client.HTTPConnection] = {}
        began = time.perf_counter()
        while len(found) < WORKERS:
            if time.perf_counter() - began > _WITHIN_S:
                sys.exit(f"error: only {len(found)} of {WORKERS} workers took a connection")
            some = [http.client.HTTPConnection("127.0.0.1", self._server.port, timeout=30) for _ in range(16)]
            for connection in some:
                connection.connect()
            for connection in some:
                self._ask(connection)
            owners = self._owners()
            for connection in some:
                if found.setdefault(owners[connection.sock.getsockname()[1]], connection) is not connection:
                    connection.close()
        return found

    def _owners(self) -> dict[int, int]:
        """Port of a client -> the process that holds its connection."""
        children = self._server.process.children()
        return {there.raddr.port: child.pid for child in children for there in child.net_connections("tcp") if there.raddr}

    def _ask(self, connection: http.client.HTTPConnection) -> dict[str, Any]:
        asked = self._question
        connection.request(asked.method, asked.path, asked.body, dict(asked.headers))
        response = connection.getresponse()
        body = response.read()
        if response.status != 200:
            sys.exit(f"error: a worker answers {response.status}: {body[:500]!r}")
        return dict(json.loads(body))

    def answers(self) -> list[dict[str, Any]]:
        """What each worker says now."""
        return [self._ask(connection) for connection in self.connections.values()]

    def served_within_s(self, version: str) -> float:
        """Seconds until every worker has answered by this version."""
        began, left = time.perf_counter(), list(self.connections.values())
        while left:
            left = [connection for connection in left if self._ask(connection)["version"] != version]
            if time.perf_counter() - began > _WITHIN_S:
                sys.exit(f"error: {len(left)} workers do not answer by {version[:12]} after {_WITHIN_S:.0f} s")
            if left:
                time.sleep(_PAUSE_S)
        return time.perf_counter() - began

    def sizes_mb(self) -> dict[int, float]:
        """Proportional set size of each worker."""
        return {pid: psutil.Process(pid).memory_full_info().pss / 1e6 for pid in self.connections}


@contextmanager
def served(name: str, settings: Mapping[str, str], folder: Path, **variables: str) -> Iterator[Server]:
    """`wattcast serve` with all workers."""
    port = free_port()
    own = {"WATTCAST_WORKERS": str(WORKERS), "WATTCAST_LIMIT": _LIMIT, "WATTCAST_LOGS": "json", **verifying(settings), **variables}
    own["WATTCAST_DATABASE"] = f"sqlite:///{folder / name}.db"
    command = [str(Path(sys.executable).with_name("wattcast")), "serve", "--port", str(port)]
    with started(name, command, folder, port=port, **own) as server:
        yield server


def question_of(store: Path) -> Request:
    """The day ahead from the latest hours."""
    return day_ahead(Known.of(store)).requests[0]


def measured_rounds(champions: Champions, settings: Mapping[str, str], folder: Path, rounds: int, found: Swaps, say: Say) -> None:
    """Publish and roll back under load, with workers that look as often as is the default."""
    others = [like(champions.other, number) for number in range(rounds)]
    with served("rounds", settings, folder) as server:
        workers = Workers(server, champions.question)
        expected = _expected(champions, workers)
        expected |= {one.record.bundle: expected[champions.other.record.bundle] for one in others}
        with _loaded(server, champions.question, expected, folder, found):
            for number, one in enumerate(others):
                # So that looks of workers fall anywhere.
                time.sleep(number * 0.31 % 1)
                champions.put(one)
                found.promoted_s.append(workers.served_within_s(champions.promote(one)))
                found.rolled_back_s.append(workers.served_within_s(champions.roll_back()))
                say(f"  round {number + 1}: published {found.promoted_s[-1]:.2f} s, rolled back {found.rolled_back_s[-1]:.2f} s")


def swapped(champions: Champions, settings: Mapping[str, str], folder: Path, count: int, found: Swaps, say: Say) -> None:
    """Swap so many times under load, and weigh the workers."""
    with served("swaps", settings, folder, WATTCAST_POLL="0.1") as server:
        workers = Workers(server, champions.question)
        expected = _expected(champions, workers)
        with _loaded(server, champions.question, expected, folder, found):
            turns: Sequence[Callable[[], str]] = (lambda: champions.promote(champions.other), champions.roll_back)
            for number in range(1, count + 1):
                workers.served_within_s(turns[(number - 1) % 2]())
                found.swaps += 1
                if number % min(_WEIGHED_EVERY, count // 2) == 0:
                    found.sizes_mb[number] = workers.sizes_mb()
                    said = ", ".join(f"{size:.1f}" for size in found.sizes_mb[number].values())
                    say(f"  {number} swaps: workers have {said} MB")


def _expected(champions: Champions, workers: Workers) -> dict[str, Any]:
    """What each of the two answers while nothing changes: every worker the same, and each its own."""
    expected: dict[str, Any] = {}
    version = champions.there.record.bundle
    while version not in expected:
        workers.served_within_s(version)
        said = [values_of(answer) for answer in workers.answers()]
        if any(each != said[0] for each in said):
            sys.exit(f"error: workers answer differently by {version[:12]}")
        expected[version] = said[0]
        if len(expected) == 1:
            version = champions.promote(champions.other)
    workers.served_within_s(champions.roll_back())
    if len({json.dumps(each) for each in expected.values()}) < len(expected):
        sys.exit("error: both models give the same answer: mixed ones could not be told")
    return expected


@contextmanager
def _loaded(server: Server, question: Request, expected: Mapping[str, Any], folder: Path, found: Swaps) -> Iterator[None]:
    """Ask steadily, and count every answer."""
    file = folder / f"{server.name}-question.json"
    file.write_text(json.dumps({"path": question.path, "body": question.body, "headers": dict(question.headers), "expected": expected}))
    command = [sys.executable, "-m", "life.clients", str(server.port), str(file)]
    variables = environment() | {"PYTHONPATH": str(BENCHMARKS)}
    with subprocess.Popen(command, cwd=BENCHMARKS, env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield
        finally:
            said = json.loads(process.communicate()[0])
            found.answers += sum(said["counts"].values())
            found.failed += said["counts"].get(FAILED, 0)
            found.mixed += said["counts"].get(MIXED, 0)
            found.slowest_s = max(found.slowest_s, said["slowest_s"])
            found.versions += len(said["versions"])
            found.examples += said["examples"]


LOAD = f"{CLIENTS} connections that are kept, {CLIENTS * EACH_PER_S} day-aheads a second"
