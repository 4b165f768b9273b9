"""The walk of a new meter on PostgreSQL and Redis, each killed in the middle and brought back."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from running import Redis, Running, Start
from small_store import NOW_S, Browse, wait_for

from wattcast.access import new_key
from wattcast.adapters.database import Database, DatabaseKeys
from wattcast.errors import Unavailable

START = datetime(2010, 10, 1, tzinfo=UTC)
ASKED = {"task": "next_minute", "readings": [{"start": "2010-11-26T21:05:00Z", "power_kw": 1.2}]}


@pytest.fixture
def postgresql() -> Iterator[Any]:
    """A real PostgreSQL server that can be killed."""
    with tempfile.TemporaryDirectory(prefix="wattcast-pg-", dir="/tmp") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        import pgserver  # noqa: PLC0415 (starts nothing, but looks for the folder above)

        server = pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        yield server
        server.cleanup()


class Walker:
    """Asks a server as one who has its key, and keeps what was said."""

    def __init__(self, server: Running, key: str) -> None:
        self.server, self.headers = server, {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
        self.statuses: Counter[int] = Counter()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._forecasts)

    def ask(self, method: str, path: str, body: Any = None) -> tuple[int, dict[str, Any]]:
        """Status and JSON of an answer."""
        with closing(self.server.connect()) as connection:
            connection.request(method, f"/api/v1{path}", json.dumps(body).encode() if body else None, self.headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def put(self, first: int, count: int) -> int:
        """The status of sending hours."""
        rows = [
            {"start": (START + timedelta(hours=hour)).isoformat(), "power_kw": 1 + hour % 24 / 24} for hour in range(first, first + count)
        ]
        return self.ask("PUT", "/meters/home/readings", {"readings": rows})[0]

    def __enter__(self) -> Walker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _forecasts(self) -> None:
        while not self._done.is_set():
            for method, path, body in (
                ("POST", "/forecast", ASKED),
                ("GET", "/meters/house/forecast", None),
                ("GET", "/meters/home/forecast", None),
            ):
                with suppress(http.client.HTTPException):
                    self.statuses[self.ask(method, path, body)[0]] += 1


def test_a_database_that_never_answers_is_waited_for_once(trained: Path, browse: Browse) -> None:
    """Forecasts from readings given go on; who asks next does not wait anew, with a key or without."""
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        client = browse(trained, database=f"postgresql://nobody@127.0.0.1:{silent.getsockname()[1]}/wattcast")
        key = {"Authorization": f"Bearer {new_key('me', ['admin'], '', int(NOW_S))[1]}"}
        for headers in ({}, {}, key, {}):
            assert client.post("/api/v1/forecast", json=ASKED, headers=headers).status_code == 200
        assert client.get("/api/v1/meters").status_code == 503
        silent.setblocking(False)
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


def test_a_database_that_hangs_is_not_waited_for_for_ever(postgresql: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a connection from before either: Unavailable, the next time at once, until it has had its time to come back."""
    database = Database(postgresql.get_uri())
    keys = DatabaseKeys(database)
    assert keys.all() == ()
    server = postgresql.get_pid()
    frozen = [server, *map(int, Path(f"/proc/{server}/task/{server}/children").read_text().split())]
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(Unavailable, match="does not answer"):
            keys.all()
        with pytest.raises(Unavailable, match="a moment ago"):
            keys.all()
    finally:
        for pid in frozen:
            os.kill(pid, signal.SIGCONT)
    monkeypatch.setattr("wattcast.adapters.database.connection.time", SimpleNamespace(monotonic=lambda: time.monotonic() + 10))
    assert keys.all() == ()
    database.close()


def test_the_walk_goes_on_through_outages(trained: Path, start: Start, postgresql: Any, redis: Redis) -> None:
    """No forecast fails; readings are refused while the database is away, and those acknowledged are there afterwards."""
    database = Database(postgresql.get_uri())
    key, text = new_key("walker", ["admin"], "", int(NOW_S))
    DatabaseKeys(database).add(key)
    server = start(trained, database=postgresql.get_uri(), redis=redis.url, limit="100000 per minute").ready()
    walker = Walker(server, text)
    assert walker.put(0, 60 * 24) == 200
    assert walker.ask("GET", "/meters/home/forecast")[0] == 200
    with walker:
        wait_for(lambda: walker.statuses[200] > 20)
        os.kill(postgresql.get_pid(), signal.SIGKILL)
        wait_for(lambda: walker.put(60 * 24, 24) == 503)
        seen = walker.statuses[200]
        wait_for(lambda: walker.statuses[200] > seen + 20)
        redis.kill()
        seen = walker.statuses[200]
        wait_for(lambda: walker.statuses[200] > seen + 20)
        wait_for(lambda: _degraded(server) >= {"database", "redis"})
        redis.start()
        wait_for(lambda: "redis" not in _degraded(server))
        wait_for(lambda: _started(postgresql))
        wait_for(lambda: walker.put(60 * 24, 24) == 200)
    assert set(walker.statuses) == {200}
    home = walker.ask("GET", "/meters/home")[1]["meter"]
    assert home["readings"] == 61 * 24
    wait_for(lambda: walker.ask("GET", "/meters/home/forecasts")[1]["forecasts"])
    past = walker.ask("GET", "/meters/home/forecasts")[1]["forecasts"]
    assert [step["actual"] is not None for step in past[-1]["steps"]] == [True] * 24
    database.close()


def _degraded(server: Running) -> set[str]:
    """What `/readyz` says does not work, while it says that forecasts go on."""
    with closing(server.connect()) as connection:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        assert answer.status == 200
        return set(json.loads(answer.read())["degraded"])


def _started(server: Any) -> bool:
    with suppress(Exception):
        # It may take the process that was killed for one that runs.
        server.ensure_postgres_running()
        server.psql("select 1;")
        return True
    return False
