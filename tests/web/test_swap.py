"""A running service takes newly published models without a restart: no request fails, and each is answered by one version."""

from __future__ import annotations

import http.client
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from running import Running
from small_store import flip_one_byte, wait_for

from wattcast.adapters.files import FileSnapshots
from wattcast.adapters.model_store import FileModelStore
from wattcast.forecasting.registry import Slot
from wattcast.forecasting.succession import promote, rollback
from wattcast.serving import Current
from wattcast.web.watch import Watch

WHEN = {"at": "2010-11-28T00:00:00+00:00", "by": "tests"}


@pytest.fixture
def server(store: Path, tmp_path: Path) -> Iterator[Running]:
    """Two workers that look twice a second."""
    running = Running(store, tmp_path / "server.log", workers="2", poll="0.5", limit="").ready()
    yield running
    running.stop(signal.SIGTERM)


def asked(connection: http.client.HTTPConnection, method: str, path: str) -> tuple[int, dict[str, object]]:
    """The status and the JSON of the answer."""
    connection.request(method, path)
    response = connection.getresponse()
    return response.status, json.loads(response.read())


def slot(store: Path) -> Slot:
    """Who answers the day ahead of the house."""
    return FileModelStore(store).manifest().slots["day_ahead/house"]


def other(store: Path) -> str:
    """A bundle that could be champion and is not."""
    there = slot(store)
    return next(bundle for bundle in there.answering.values() if bundle != there.champion)


def version(server: Running) -> str:
    """The version that answers the day ahead, of whichever worker."""
    with closing(server.connect()) as connection:
        status, said = asked(connection, "GET", "/api/v1/meters/house/forecast?task=day_ahead")
    assert status == 200
    return str(said["version"])


def serial(server: Running) -> int:
    """The serving manifest of the worker that lags most."""
    with closing(server.connect()) as connection:
        connection.request("GET", "/metrics")
        metrics = connection.getresponse().read().decode()
    return int(float(metrics.partition("\nwattcast_manifest_serial ")[2].split()[0]))


def test_promoted_and_rolled_back_while_it_runs(store: Path, server: Running) -> None:
    """Another champion is served by every worker, and the one before again after a rollback; not one request in between fails."""
    models, first, second = FileModelStore(store), slot(store).champion, other(store)
    statuses: set[int] = set()
    versions: set[str] = set()
    done = threading.Event()

    def ask_on() -> None:
        with closing(server.connect()) as connection:
            while not done.is_set():
                status, said = asked(connection, "GET", "/api/v1/meters/house/forecast?task=day_ahead")
                statuses.add(status)
                versions.add(str(said["version"]))

    asking = threading.Thread(target=ask_on)
    asking.start()
    made = models.change(lambda manifest: promote(manifest, models.record(second), ()), **WHEN)
    wait_for(lambda: serial(server) == made.serial)
    assert version(server) == second
    made = models.change(lambda manifest: rollback(manifest, "day_ahead", "house"), **WHEN)
    wait_for(lambda: serial(server) == made.serial)
    assert version(server) == first
    done.set()
    asking.join()
    assert (statuses, versions) == ({200}, {first, second})


def test_a_bad_champion_is_told_and_does_not_serve(store: Path, server: Running) -> None:
    """Health and metrics say what was held back; who answered before goes on, and ready it is all the while."""
    models, first, second = FileModelStore(store), slot(store).champion, other(store)
    flip_one_byte(store, second)
    models.change(lambda manifest: promote(manifest, models.record(second), ()), **WHEN)
    with closing(server.connect()) as connection:
        wait_for(lambda: "models" in str(asked(connection, "GET", "/readyz")[1]["degraded"]))
        status, said = asked(connection, "GET", "/readyz")
        assert status == 200
        assert "altered or torn" in str(said["held_back"])
        connection.request("GET", "/metrics")
        metrics = connection.getresponse().read().decode()
    assert "wattcast_champions_held_back 1.0" in metrics
    assert version(server) == first


def test_a_look_when_told(store: Path, tmp_path: Path) -> None:
    """A service that never looks by itself does when it is told, and says what it answers from."""
    running = Running(store, tmp_path / "server.log", poll="0").ready()
    models, first, second = FileModelStore(store), slot(store).champion, other(store)
    made = models.change(lambda manifest: promote(manifest, models.record(second), ()), **WHEN)
    assert version(running) == first
    with closing(running.connect()) as connection:
        said = asked(connection, "POST", "/api/v1/admin/refresh")
        assert said == (200, {"serial": made.serial, "swapped": True, "held_back": {}, "fault": ""})
        assert asked(connection, "POST", "/api/v1/admin/refresh")[1]["swapped"] is False
    assert version(running) == second
    running.stop(signal.SIGTERM)


class Broken:
    """A store whose manifest breaks whoever reads it, until it is mended."""

    def __init__(self, store: FileModelStore) -> None:
        self._store = store
        self.mended = False

    def version(self) -> str:
        """As the store has it."""
        return self._store.version()

    def __getattr__(self, name: str) -> object:
        if name == "manifest" and not self.mended:
            raise ZeroDivisionError(name)
        return getattr(self._store, name)


def test_nothing_stops_a_service_from_looking(store: Path) -> None:
    """Whatever comes out of a look is told, and the next one is made all the same."""
    models = FileModelStore(store)
    broken = Broken(models)
    current = Current(broken, FileSnapshots(store))
    watch = Watch(current, 0.02)
    watch.start()
    wait_for(lambda: "ZeroDivisionError" in current.fault)
    broken.mended = True
    models.change(lambda manifest: promote(manifest, models.record(other(store)), ()), **WHEN)
    wait_for(lambda: current.service.manifest.serial == models.manifest().serial and not current.fault)
    watch.close()
