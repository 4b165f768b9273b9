"""The real server: gunicorn in a process of its own, asked over a socket."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from running import Running, Start
from small_store import READING, SECONDS, TITLES, wait_for

from wattcast.adapters.database import Database, DatabaseReadings
from wattcast.adapters.model_store import FileModelStore
from wattcast.config import Settings
from wattcast.errors import Unavailable
from wattcast.meter.arrivals import Batch
from wattcast.meter.table import Meter
from wattcast.web.server import serve

LEARNERS = ("xgboost", "lightgbm", "polars", "pandas")
# What only the pipeline, tests or another kind of store need.
NOT_SERVED = (*LEARNERS, "dvc", "mlflow", "matplotlib", "optuna", "boto3", "onnx", "sklearn", "holidays")


def libraries(pid: int) -> str:
    """The files that a process has mapped: its compiled libraries among them."""
    return Path(f"/proc/{pid}/maps").read_text()


def predict(connection: http.client.HTTPConnection, body: str | bytes | Iterator[bytes]) -> tuple[int, str]:
    connection.request("POST", "/predict", body, {"Content-Type": "application/x-www-form-urlencoded"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_a_visitor_gets_every_page_over_one_connection(trained: Path, start: Start) -> None:
    """Page, health and the three names answer 200, all over one connection that is kept alive."""
    server = start(trained).ready()
    assert "ready: http://127.0.0.1:" in server.said()
    assert "(meter house, SIMULATED readings)" in server.said()
    connection = server.connect()
    connection.connect()
    kept = connection.sock
    for path in ("/", "/file", "/healthz", "/readyz", "/static/style.css"):
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200
    for title in TITLES.values():
        status, page = predict(connection, urllib.parse.urlencode(READING | {"model_choice": title}))
        assert status == 200
        assert f"(using {title})" in page
    assert connection.sock is kept
    connection.close()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks at the memory maps that Linux shows")
def test_neither_master_nor_worker_loads_a_learner(trained: Path, start: Start) -> None:
    """After page and prediction no process holds a learner or a frame library; the master holds no ONNX Runtime either."""
    server = start(trained).ready()
    connection = server.connect()
    connection.request("GET", "/")
    connection.getresponse().read()
    assert predict(connection, urllib.parse.urlencode(READING))[0] == 200
    connection.close()
    (worker,) = server.workers()
    assert "onnxruntime" in libraries(worker)
    assert "onnxruntime" not in libraries(server.process.pid)
    for pid in (server.process.pid, worker):
        assert [name for name in LEARNERS if name in libraries(pid)] == []


def test_the_path_of_an_answer_imports_no_learner(trained: Path) -> None:
    """sys.modules after every page and a prediction holds none of them, DVC or MLflow, nor does the master's before its workers."""
    code = f"""
import sys
from wattcast.config import Settings
from wattcast.web import server
assert not [name for name in (*{NOT_SERVED!r}, "onnxruntime", "flask") if name in sys.modules], "master"
from wattcast.web.app import create_app
client = create_app(Settings(store={str(trained)!r})).test_client()
for path in ("/", "/file", "/?meter=hourly", "/readyz", "/nothing", "/vendor/plotly.js"):
    client.get(path)
assert client.post("/predict", data={READING!r}).status_code == 200
loaded = [name for name in (*{NOT_SERVED!r}, "plotly") if name in sys.modules]
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_quietly(trained: Path, start: Start, kind: signal.Signals) -> None:
    """SIGTERM, and Ctrl-C which reaches master and workers at once, end it with exit 0, one line and no trace."""
    server = start(trained).ready()
    assert server.stop(kind, group=kind == signal.SIGINT) == 0
    lines = server.said().splitlines()
    assert len(lines) == 2, lines
    assert lines[-1] == "left"


def test_a_server_that_is_leaving_is_not_ready(trained: Path, start: Start) -> None:
    """After SIGTERM `/readyz` is 503 and names it, over connections kept from before and for a request in flight; those are answered."""
    server = start(trained).ready()
    with contextlib.ExitStack() as stack:
        polled, kept, slow = (stack.enter_context(contextlib.closing(server.connect())) for _ in range(3))
        assert [_ready(connection)[0] for connection in (polled, kept, slow)] == [200] * 3
        slow.sock.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n")
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: _leaves(polled))
        status, said = _ready(kept)
        assert (status, said["ready"], said["degraded"]) == (503, False, ["draining"])
        slow.sock.sendall(b"\r\n")
        late = _all(slow.sock)
        assert late.startswith(b"HTTP/1.1 503")
        assert b'"draining"' in late
    assert server.process.wait(SECONDS) == 0


@pytest.mark.parametrize("proxies", ["0", "1"])
def test_headers_of_a_proxy_count_where_there_is_one(trained: Path, start: Start, proxies: str) -> None:
    """X-Forwarded-Proto brings HSTS behind a proxy alone; a header named SCRIPT_NAME changes nothing."""
    server = start(trained, proxies=proxies, open="1").ready()
    with contextlib.closing(server.connect()) as connection:
        connection.request("GET", "/healthz", headers={"X-Forwarded-Proto": "https", "SCRIPT_NAME": "/healthz"})
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        assert ("Strict-Transport-Security" in answer.headers) == (proxies == "1")


def test_a_large_body_is_refused_by_the_real_server(trained: Path, start: Start) -> None:
    """10 MB, and a chunked body whose length nobody announced, are 413; the server goes on."""
    server = start(trained).ready()
    for body in (b"Voltage=" + b"1" * 10_000_000, iter([b"1" * 50_000] * 10)):
        with contextlib.closing(server.connect()) as connection:
            assert predict(connection, body)[0] == 413
    connection = server.connect()
    assert predict(connection, urllib.parse.urlencode(READING))[0] == 200
    connection.close()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="finds the worker where Linux shows it")
def test_a_worker_that_dies_is_replaced(trained: Path, start: Start) -> None:
    """After kill -9 of the worker another one answers; ready is not said again."""
    server = start(trained).ready()
    (worker,) = server.workers()
    os.kill(worker, signal.SIGKILL)
    wait_for(lambda: server.workers() not in ([], [worker]))
    connection = server.connect()
    assert predict(connection, urllib.parse.urlencode(READING))[0] == 200
    connection.close()
    assert server.said().count("ready: ") == 1


def counts_of(server: Running) -> Path:
    """The folder that its workers count in."""
    places = (Path("/dev/shm"), Path(tempfile.gettempdir()))
    (folder,) = (found for place in places for found in place.glob(f"wattcast-counts-{server.process.pid}-*"))
    return folder


def test_what_a_killed_server_counted_goes_when_another_starts(trained: Path, start: Start) -> None:
    """After kill -9 nobody tidies up: the next server does, and leaves alone what one that lives counts."""
    killed, lives = start(trained).ready(), start(trained).ready()
    left = counts_of(killed)
    killed.stop(signal.SIGKILL)
    assert left.is_dir()
    last = start(trained).ready()
    assert not left.exists()
    assert counts_of(lives).is_dir()
    assert counts_of(last).is_dir()


def test_a_store_that_cannot_be_read_is_one_clear_line(store: Path, start: Start) -> None:
    """A broken serving manifest ends the start with exit 1, the reason and the hint, and no trace."""
    (store / "serving.json").write_text("{")
    server = start(store)
    assert server.process.wait(SECONDS) == 1
    error, hint = server.said().splitlines()
    assert error.startswith("error: the serving manifest cannot be read")
    assert hint.startswith("hint: ")


def test_an_empty_store_is_served_and_said(tmp_path: Path, start: Start) -> None:
    """Without models the server starts all the same, and says what to do."""
    assert "but no meter is registered yet: make run" in start(tmp_path / "nothing").ready().said()


def test_a_meter_that_nobody_registered_ends_the_start(trained: Path, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name misspelt: one line with the known meters, not a page that is never found."""
    monkeypatch.setenv("WATTCAST_METER", "hose")
    server = start(trained)
    assert server.process.wait(SECONDS) == 1
    assert 'meter "hose" is not known' in server.said()
    assert "known meters: " in server.said()


def test_a_refused_model_is_said_at_the_start(store: Path, start: Start) -> None:
    """A model file that is not loaded is named on the console."""
    champion = next(slot.champion for slot in FileModelStore(store).manifest().slots.values() if slot.champion)
    path = store / "bundles" / f"{champion}.wattcast"
    path.write_bytes(path.read_bytes()[:-100])
    assert f"refused: model file {path.name[:12]}: " in start(store).ready().said()


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that something listens on."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def test_a_busy_port_moves_on_unless_it_was_asked_for(trained: Path, start: Start, taken: int) -> None:
    """Not given: the next free port, and said. Given: refused with a hint."""
    said = start(trained, taken).ready().said()
    assert f"port {taken} is busy: using " in said
    with pytest.raises(Unavailable, match=f"port {taken} is busy") as refused:
        serve(Settings(store=trained, port=taken), port_given=True, say=print)
    assert "another port" in refused.value.hint


@pytest.mark.parametrize("host", ["256.1.1.1", "203.0.113.7"])
def test_an_address_that_is_not_ours_is_refused(trained: Path, host: str) -> None:
    """A host that is no address of this machine is one line that names the setting."""
    with pytest.raises(Unavailable, match="cannot listen on") as refused:
        serve(Settings(store=trained, host=host, port=5999, open=True), port_given=True, say=print)
    assert "WATTCAST_HOST" in refused.value.hint


def test_a_first_key_is_made_and_asked_for(store: Path, tmp_path: Path) -> None:
    """`serve --create-key` on every address: the key is printed once, and opens what is closed without it."""
    log = tmp_path / "said"
    variables = {"WATTCAST_STORE": str(store), "WATTCAST_DATABASE": f"sqlite:///{tmp_path / 'wattcast.db'}"}
    for expected in ("admin key ", "there is a key already"):
        with log.open("w") as out:
            words = [sys.executable, "-m", "wattcast.cli", "serve", "--host", "0.0.0.0", "--port", "0", "--create-key"]
            process = subprocess.Popen(words, stdout=out, stderr=out, env=os.environ | variables)
        wait_for(lambda: "\nready: " in log.read_text())
        said = log.read_text()
        assert said.startswith(expected), said
        if expected == "admin key ":
            key = said.splitlines()[0].split()[-1]
        port = int(said.split("http://127.0.0.1:")[1].split()[0].rstrip(","))
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)) as connection:
            for headers, status in (({}, 401), ({"Authorization": f"Bearer {key}"}, 200)):
                connection.request("GET", "/api/v1/meters", headers=headers)
                answer = connection.getresponse()
                answer.read()
                assert answer.status == status
        process.terminate()
        assert process.wait(SECONDS) == 0
        assert key not in log.read_text().removeprefix(said)


def test_slow_clients_are_given_up(trained: Path, start: Start) -> None:
    """More of them than there are threads: in the middle of a body they are told so, before it cut off, and the next one is served."""
    server = start(trained, patience="1", threads="2").ready()
    head = b"POST /api/v1/forecast HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 500\r\n"
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(contextlib.closing(server.connect())) for _ in range(6)]
        for number, connection in enumerate(slow):
            connection.connect()
            connection.sock.sendall(head + (b'\r\n{"task": ' if number % 2 else b"X-More:"))
        said = [_all(connection.sock) for connection in slow]
        assert [answer[:12] for answer in said] == [b"", b"HTTP/1.1 408"] * 3
        assert b"application/problem+json" in said[1]
        assert b"send it faster" in said[1]
        with contextlib.closing(server.connect()) as connection:
            connection.request("GET", "/readyz")
            assert connection.getresponse().status == 200
    assert "Traceback" not in server.said(), server.said()


def test_a_large_request_takes_the_time_it_needs(trained: Path, start: Start) -> None:
    """A client that sends at more than 10 kB/s is heard to the end, however long that takes."""
    server = start(trained, patience="1").ready()
    body = b'{"task": "next_minute", "readings": [{"start": "2010-11-26T21:05:00Z", "power_kw": 1.2}]}' + b" " * 60_000
    with contextlib.closing(server.connect()) as connection:
        connection.putrequest("POST", "/api/v1/forecast")
        connection.putheader("Content-Type", "application/json")
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        began = time.monotonic()
        for first in range(0, len(body), 2_000):
            connection.send(body[first : first + 2_000])
            time.sleep(0.08)
        assert time.monotonic() - began > 2
        assert connection.getresponse().status == 200


def test_a_refused_body_is_no_next_request(trained: Path, start: Start) -> None:
    """One that nobody wanted is heard to its end: its refusal is seen, and the next request on the connection is answered."""
    server = start(trained).ready()
    with contextlib.closing(server.connect()) as connection:
        connection.connect()
        kept = connection.sock
        for path, kind, status in (("/nothing", "text/csv", 404), ("/api/v1/forecast", "image/png", 415), ("/healthz", "text/csv", 405)):
            connection.request("POST", path, b"GET / HTTP/1.1\r\n\r\n" * 100_000, {"Content-Type": kind})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status
            connection.request("GET", "/healthz")
            assert b"alive" in connection.getresponse().read()
        assert connection.sock is kept


@pytest.mark.parametrize(
    ("sent", "status", "title"),
    [
        (b"GET /healthz?" + b"a" * 9_000 + b" HTTP/1.1\r\n\r\n", 414, "Too large"),
        (b"GET /healthz HTTP/1.1\r\nX-Long: " + b"a" * 9_000 + b"\r\n\r\n", 431, "Too large"),
        (b"GET /healthz HTTP/9.9\r\n\r\n", 400, "Bad request"),
        (b"GET /healthz HTTP/1.1\r\nno header\r\n\r\n", 400, "Bad request"),
    ],
)
def test_what_cannot_be_read_is_a_problem_too(trained: Path, start: Start, sent: bytes, status: int, title: str) -> None:
    """A request that gunicorn refuses has the shape of every other refusal, and names nothing of the server."""
    server = start(trained).ready()
    with contextlib.closing(server.connect()) as connection:
        connection.connect()
        connection.sock.sendall(sent)
        head, _, body = _all(connection.sock).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"application/problem+json" in head
    assert json.loads(body)["title"] == title
    assert b"gunicorn" not in head + body


def test_chunks_that_are_none_are_the_clients_fault(trained: Path, start: Start) -> None:
    """A body whose chunks have no length, or that ends too early, is 400; many of them leave the server as it was."""
    server = start(trained).ready()
    head = b"POST /api/v1/forecast HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    for body in (b"zz\r\n{}\r\n0\r\n\r\n", b"5\r\n{"):
        for _ in range(10):
            with contextlib.closing(server.connect()) as connection:
                connection.connect()
                connection.sock.sendall(head + body)
                connection.sock.shutdown(socket.SHUT_WR)
                said = _all(connection.sock)
                assert said.startswith(b"HTTP/1.1 400"), said[:200]
                assert b"application/problem+json" in said
    with contextlib.closing(server.connect()) as connection:
        connection.request("GET", "/healthz")
        assert connection.getresponse().status == 200
    assert "Traceback" not in server.said(), server.said()


def test_what_is_too_old_is_deleted_by_itself(trained: Path, start: Start, tmp_path: Path) -> None:
    """Where a setting says how long readings are kept: when the service starts, without a request."""
    database = Database(f"sqlite:///{tmp_path / 'wattcast.db'}")
    readings = DatabaseReadings(database)
    now_s = int(time.time()) // 3_600 * 3_600
    starts = np.array([now_s - 9 * 86_400, now_s - 3_600])
    readings.put(Meter("barn"), Batch.of(3_600, starts, {"power_kw": np.ones(2)}), now_s)
    start(trained, keep_readings_days="8").ready()
    wait_for(lambda: [each.readings for each in readings.meters()] == [1])
    database.close()


def _ready(connection: http.client.HTTPConnection) -> tuple[int, dict[str, Any]]:
    """What `/readyz` says over this connection."""
    connection.request("GET", "/readyz")
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read())


def _leaves(connection: http.client.HTTPConnection) -> bool:
    """Whether the server says so over this connection, or has closed it for that."""
    try:
        return _ready(connection)[0] == 503
    except ConnectionError:
        return True


def _all(connected: socket.socket) -> bytes:
    """All that a peer sends until it closes."""
    parts = []
    with contextlib.suppress(ConnectionError):
        while part := connected.recv(65_536):
            parts.append(part)
    return b"".join(parts)
