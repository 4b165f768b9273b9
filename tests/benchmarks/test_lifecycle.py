"""The harness of `make bench-lifecycle`: what it counts as failed, mixed, lost and flat."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from life.clients import FAILED, MIXED, RIGHT, Asked
from life.kills import _lost, _outcome
from life.swaps import Swaps
from lives import Ended

VALUES = {"old": 1.0, "new": 2.0}


def answer(version: str, values_of: str, tier: str = "champion") -> dict[str, Any]:
    """What a service would say."""
    return {"version": version, "tier": tier, "steps": [VALUES[values_of]], "energy_kwh": None, "peak_kw": None}


SAID = {
    "right": (200, answer("new", "new")),
    "torn between two": (200, answer("new", "old")),
    "of nobody": (200, answer("other", "old")),
    "of a lower tier": (200, answer("old", "old", "previous")),
    "refused": (503, {}),
    "broken off": (0, {}),
}


@pytest.fixture
def port() -> Iterator[int]:
    """A server that says all of `SAID` in turn, one after the other."""
    turns = iter(SAID.values())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status, said = next(turns, SAID["right"])
            self.close_connection = not status
            if status:
                body = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002 (the library's name)
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


def test_every_answer_is_counted_for_what_it_is(port: int) -> None:
    """Values of another version than the one that is named are mixed; no answer, and one of another tier, failed; it goes on after both."""
    expected = {version: {"steps": [value], "energy_kwh": None, "peak_kw": None} for version, value in VALUES.items()}
    asked, done = Asked(port, {"path": "/", "body": "{}", "headers": {}, "expected": expected}), threading.Event()
    client = threading.Thread(target=asked.ask_on, args=(done,))
    client.start()
    deadline = time.monotonic() + 60
    while asked.counts.total() < len(SAID) + 2 and time.monotonic() < deadline:
        client.join(0.02)
    done.set()
    client.join()
    assert (asked.counts[FAILED], asked.counts[MIXED]) == (3, 2)
    assert asked.counts[RIGHT] == asked.counts.total() - 5 >= 3
    assert len(asked.examples) == 5


def test_what_was_told_and_is_not_there_is_lost() -> None:
    """A serial that was told, or was there before, and serials that nobody asked for."""
    told = Ended(8, "finished", "after", 0.1)
    killed = Ended(0, "killed", "within", 0.0)
    assert [_lost(told, 7, 8, "publish"), _lost(killed, 7, 8, "promote"), _lost(killed, 7, 7, "rollback")] == [[], [], []]
    assert _lost(told, 7, 7, "publish") == ["serial 8 was told, 7 is there"]
    assert _lost(killed, 7, 6, "publish") == ["serial 7 became 6"]
    assert _lost(killed, 7, 8, "gc") == ["serial 7 became 8"]
    assert [_outcome(told, True), _outcome(killed, True), _outcome(killed, False)] == ["told", "untold", "within"]


def test_the_worker_that_grew_most_counts() -> None:
    """Growth is that of one worker, never of the sum."""
    swaps = Swaps(sizes_mb={100: {1: 100.0, 2: 200.0}, 200: {1: 90.0, 2: 220.0}})
    assert swaps.growth_percent(100) == pytest.approx(10.0)
