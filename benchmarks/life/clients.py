"""Clients that keep their connections and ask one question over again at a steady pace: `python -m life.clients PORT QUESTION`, until
its stdin ends. QUESTION: a file of JSON with the request, and what each version answers. Every answer is judged, and all are counted."""

from __future__ import annotations

import http.client
import json
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

CLIENTS, EACH_PER_S = 8, 25
RIGHT, FAILED, MIXED = "right", "failed", "mixed"
_VALUES = ("steps", "energy_kwh", "peak_kw")
_WAIT_S = 30.0
_EXAMPLES = 5


def values_of(answer: Mapping[str, Any]) -> dict[str, Any]:
    """All that a model said."""
    return {name: answer[name] for name in _VALUES}


def judged(status: int, body: bytes, expected: Mapping[str, Any]) -> tuple[str, str]:
    """Right, failed or mixed, and the version that the answer names. Mixed: its values are not those of that version."""
    if status != 200:
        return FAILED, ""
    answer = json.loads(body)
    version = answer["version"]
    if answer["tier"] != "champion":
        return FAILED, version
    return (RIGHT if expected.get(version) == values_of(answer) else MIXED), version


class Asked:
    """What all clients were answered so far."""

    def __init__(self, port: int, question: Mapping[str, Any]) -> None:
        self._port, self._question = port, question
        self._one = threading.Lock()
        self.counts: Counter[str] = Counter()
        self.versions: Counter[str] = Counter()
        self.examples: list[str] = []
        self.slowest_s = 0.0

    def ask_on(self, done: threading.Event) -> None:
        """Ask until it is done, over one connection for as long as it holds."""
        next_s = time.perf_counter()
        while not done.is_set():
            with closing(http.client.HTTPConnection("127.0.0.1", self._port, timeout=_WAIT_S)) as connection:
                try:
                    while not done.is_set():
                        self._ask(connection)
                        next_s = max(next_s + 1 / EACH_PER_S, time.perf_counter())
                        time.sleep(max(0.0, next_s - time.perf_counter()))
                except (OSError, http.client.HTTPException) as cause:
                    self._note(FAILED, "", repr(cause), 0.0)

    def _ask(self, connection: http.client.HTTPConnection) -> None:
        asked, began = self._question, time.perf_counter()
        connection.request("POST", asked["path"], asked["body"], asked["headers"])
        response = connection.getresponse()
        body = response.read()
        took_s = time.perf_counter() - began
        outcome, version = judged(response.status, body, asked["expected"])
        self._note(outcome, version, f"{response.status} {body[:500]!r}", took_s)

    def _note(self, outcome: str, version: str, said: str, took_s: float) -> None:
        with self._one:
            self.counts[outcome] += 1
            self.versions[version] += 1
            self.slowest_s = max(self.slowest_s, took_s)
            if outcome != RIGHT and len(self.examples) < _EXAMPLES:
                self.examples.append(f"{outcome}: {said}")


def main() -> None:
    """Ask until stdin ends, and print what came."""
    asked, done = Asked(int(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())), threading.Event()
    threads = [threading.Thread(target=asked.ask_on, args=(done,)) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    done.set()
    for thread in threads:
        thread.join()
    print(json.dumps({"counts": asked.counts, "versions": asked.versions, "examples": asked.examples, "slowest_s": asked.slowest_s}))


if __name__ == "__main__":
    main()
