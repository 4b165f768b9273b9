"""What the service tells of itself: a line for each request, an id that goes along, and counts that are exact over workers."""

from __future__ import annotations

import json
import os
import re
import signal
import threading
import urllib.parse
from contextlib import closing
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families
from running import Running, Start
from small_store import NOW_S, READING, Browse, wait_for

from wattcast.access import new_key
from wattcast.adapters.database import Database, DatabaseKeys

WORKERS, REQUESTS = 8, 10_000


def counts(text: str) -> dict[tuple[str, ...], float]:
    """Every value of /metrics, by its name and labels."""
    return {
        (sample.name, *(f"{name}={value}" for name, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def asked(client: FlaskClient, name: str, **labels: str) -> float:
    """One value of /metrics, 0 where it is not there yet."""
    found = counts(client.get("/metrics").get_data(as_text=True))
    return found.get((name, *(f"{label}={value}" for label, value in sorted(labels.items()))), 0.0)


def test_every_answer_has_an_id(client: FlaskClient) -> None:
    """The one it was sent, or one of its own where that is none; refusals too."""
    assert client.get("/healthz", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"] == "abc-1"
    made = {
        client.get("/api/v1/meters/barn", headers={"X-Request-ID": bad}).headers["X-Request-ID"] for bad in ("", "a b", "x" * 65, "<b>")
    }
    assert len(made) == 4
    assert all(re.fullmatch("[0-9a-f]{32}", each) for each in made)


def test_forecasts_are_counted_by_task_model_version_and_tier(client: FlaskClient) -> None:
    """By API and page alike, with the age of what they were made from."""
    said = client.get("/api/v1/meters/house/forecast").get_json()
    labels = {"task": "day_ahead", "model": said["model"], "version": said["version"][:12], "tier": said["tier"]}
    before = asked(client, "wattcast_forecasts_total", **labels)
    client.get("/api/v1/meters/house/forecast")
    client.get("/")
    assert asked(client, "wattcast_forecasts_total", **labels) == before + 2
    assert asked(client, "wattcast_data_age_seconds", task="day_ahead", meter="house") == said["data_age_s"]
    assert asked(client, "wattcast_models_loaded_timestamp_seconds") > 0


def test_requests_are_counted_by_operation_and_status(client: FlaskClient) -> None:
    """Addresses that anybody can make up are one operation."""
    labels = {"operation": "nothing", "method": "ANY", "status": "404"}
    before = asked(client, "wattcast_requests_total", **labels)
    for path in ("/nowhere", "/else"):
        client.open(path, method="BREW")
    assert asked(client, "wattcast_requests_total", **labels) == before + 2
    assert asked(client, "wattcast_request_seconds_count", operation="metrics") > 0


def test_forecasts_that_were_lost_are_told(trained: Path, browse: Browse) -> None:
    """Those that a log which does not answer never got are a fault, with their number, for who may know."""
    client = browse(trained, database=f"sqlite:///{trained / 'serving.json' / 'wattcast.db'}")
    assert client.get("/api/v1/meters/house/forecast").status_code == 200
    client.application.extensions["wattcast"].live.written_behind.close()
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert "forecast_log" in ready.get_json()["degraded"]
    assert "; 1 forecast was lost" in ready.get_json()["faults"]["forecast_log"]


def test_counts_are_the_admins(trained: Path, browse: Browse, tmp_path: Path) -> None:
    """Where keys exist, /metrics needs one that may all, of every meter: the counts name them."""
    keys = DatabaseKeys(Database(f"sqlite:///{tmp_path / 'wattcast.db'}"))
    headers = {}
    for name, scope, meter in (("admin", "admin", ""), ("forecast", "forecast", ""), ("one meter", "admin", "hourly")):
        key, text = new_key(name, [scope], meter, int(NOW_S))
        keys.add(key)
        headers[name] = {"Authorization": f"Bearer {text}"}
    client = browse(trained)
    assert client.get("/metrics", headers=headers["admin"]).status_code == 200
    for name in ("forecast", "one meter"):
        refused = client.get("/metrics", headers=headers[name])
        assert refused.status_code == 403
        assert "house" not in refused.text
    assert client.get("/metrics", headers={"Accept": "text/plain"}).status_code == 401


def test_a_request_leaves_one_line_without_a_secret(
    trained: Path, browse: Browse, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    """JSON with id, path, status and the key's id; never the key, what was asked with it, or parameters."""
    key, text = new_key("me", ["admin"], "", int(NOW_S))
    DatabaseKeys(Database(f"sqlite:///{tmp_path / 'wattcast.db'}")).add(key)
    client = browse(trained, logs="json")
    sent = {"Authorization": f"Bearer {text}", "X-Request-ID": "abc"}
    client.get("/api/v1/meters/house/readings?limit=hush", headers=sent)
    client.get("/api/v1/meters/barn", headers=sent)
    lines = capfdbinary.readouterr().err.decode()
    assert "hush" not in lines
    assert text.split("_", 2)[2] not in lines
    first, second = (json.loads(line) for line in lines.splitlines())
    assert (first["event"], first["request_id"], first["path"], first["key"]) == ("request", "abc", "/api/v1/meters/house/readings", key.id)
    assert (first["status"], second["status"]) == (422, 404)
    assert {"at", "ms", "method", "level"} <= first.keys()


def total(server: Running) -> float:
    """All requests for /healthz that the server has counted."""
    with closing(server.connect()) as connection:
        connection.request("GET", "/metrics")
        found = counts(connection.getresponse().read().decode())
    return found.get(("wattcast_requests_total", "method=GET", "operation=healthz", "status=200"), 0.0)


def test_counts_are_exact_over_workers_that_come_and_go(trained: Path, start: Start) -> None:
    """8 workers, 10,000 requests: exactly as many; a worker that is gone loses none of its own."""
    server = start(trained, workers=str(WORKERS)).ready()
    wait_for(lambda: len(server.workers()) == WORKERS)

    def ask() -> None:
        for _ in range(10):
            with closing(server.connect()) as connection:
                for _ in range(REQUESTS // 80):
                    connection.request("GET", "/healthz")
                    assert connection.getresponse().read() == b'{"alive":true}\n'

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total(server) == REQUESTS
    victim = server.workers()[0]
    os.kill(victim, signal.SIGKILL)
    wait_for(lambda: victim not in server.workers() and len(server.workers()) == WORKERS)
    assert total(server) == REQUESTS


def test_the_counts_go_with_the_server(trained: Path, start: Start) -> None:
    """No file of them is left behind."""
    server = start(trained).ready()
    with closing(server.connect()) as connection:
        connection.request("POST", "/predict", urllib.parse.urlencode(READING), {"Content-Type": "application/x-www-form-urlencoded"})
        assert connection.getresponse().status == 200
    (folder,) = Path("/dev/shm").glob(f"wattcast-counts-{server.process.pid}-*")
    assert server.stop(signal.SIGTERM) == 0
    assert not folder.exists()
