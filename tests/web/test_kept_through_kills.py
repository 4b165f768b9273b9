"""What was acknowledged is there, once, and what was given out is in the log, whatever ends the processes meanwhile."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import threading
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from running import Running, Start
from small_store import wait_for

from wattcast.adapters.database import Database, DatabaseForecasts, DatabaseReadings

START = datetime(2010, 10, 1, tzinfo=UTC)
BATCH, KILLS = 200, 20


def database(tmp_path: Path) -> Database:
    """The database of the servers that the test starts."""
    return Database(f"sqlite:///{tmp_path / 'wattcast.db'}")


def ask(connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """Status and body of an answer."""
    connection.request(method, f"/api/v1{path}", body, {"Content-Type": "application/json"})
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_no_forecast_given_out_is_lost_on_sigterm(store: Path, start: Start, tmp_path: Path) -> None:
    """Stopped right after the last answer, the log has all of them."""
    server = start(store).ready()
    with closing(server.connect()) as connection:
        for number in range(60):
            path = (
                "/meters/house/forecast?task=next_minute"
                if number % 2
                else f"/meters/hourly/forecast?origin=2010-11-2{number % 5}T00:00:00"
            )
            assert ask(connection, "GET", path)[0] == 200
    assert server.stop(signal.SIGTERM) == 0
    log = DatabaseForecasts(database(tmp_path))
    assert sum(each.served for each in log.latest("house", "", 200)) == 30
    assert sum(each.served for each in log.latest("hourly", "", 200)) == 30


def test_every_acknowledged_reading_survives_kills(store: Path, start: Start, tmp_path: Path) -> None:
    """`kill -9` of a worker or of the master at random moments of an ingest: what was acknowledged is there, nothing twice or torn."""
    chance = random.Random(11)
    servers = [start(store, workers="2").ready()]
    acknowledged: list[int] = []
    done = threading.Event()

    def send() -> None:
        number = 0
        while not done.is_set():
            body = json.dumps({"readings": readings(number)}).encode()
            with suppress(OSError, http.client.HTTPException), closing(servers[-1].connect()) as connection:
                if ask(connection, "PUT", "/meters/home/readings", body)[0] == 200:
                    acknowledged.append(number)
                    number += 1

    sender = threading.Thread(target=send)
    sender.start()
    for kill in range(KILLS):
        so_far = len(acknowledged)
        wait_for(lambda so_far=so_far: len(acknowledged) > so_far)  # type: ignore[misc]
        threading.Event().wait(chance.random() * 0.2)
        if kill % 2:
            os.kill(chance.choice(servers[-1].workers()), signal.SIGKILL)
        else:
            servers.append(killed_and_started(servers[-1], store, start))
    done.set()
    sender.join()
    kept = DatabaseReadings(database(tmp_path)).page("home", 0, 10**10, 10**6)
    there = [row["start_s"] for row in kept]
    assert len(set(there)) == len(there)
    assert len(there) % BATCH == 0
    expected = {int((START + timedelta(hours=hour)).timestamp()) for number in acknowledged for hour in hours(number)}
    assert expected <= set(there)
    assert len(acknowledged) >= KILLS


def killed_and_started(server: Running, store: Path, start: Start) -> Running:
    """Kill the master and its workers as a crash would, and start again."""
    server.stop(signal.SIGKILL, group=True)
    return start(store, workers="2").ready()


def hours(number: int) -> range:
    """The hours of one batch."""
    return range(number * BATCH, (number + 1) * BATCH)


def readings(number: int) -> list[dict[str, object]]:
    """One batch: hours that no other batch has."""
    return [{"start": (START + timedelta(hours=hour)).isoformat(), "power_kw": hour % 24 / 10} for hour in hours(number)]
