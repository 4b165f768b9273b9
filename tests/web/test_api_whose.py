"""Whose forecast it is: of a meter that is stored but not registered, of readings without a name, of long ago, and of no reading at all."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from small_store import NOW_S, Browse

from wattcast.access import new_key
from wattcast.adapters.database import Database, DatabaseForecasts, DatabaseKeys

START = datetime(2010, 10, 1, tzinfo=UTC)
FILE = {"content_type": "text/csv"}


def hours(count: int, start: datetime = START) -> list[dict[str, Any]]:
    """Readings of hours that follow the clock."""
    return [
        {"start": (start + timedelta(hours=number)).isoformat(), "power_kw": round(0.5 + (number % 24) / 24 + number % 7 / 10, 3)}
        for number in range(count)
    ]


def csv(readings: list[dict[str, Any]]) -> str:
    """The readings as a meter file."""
    return "time,power_kw\n" + "".join(f"{row['start']},{row['power_kw']}\n" for row in readings)


def logged(client: FlaskClient, tmp_path: Path, meter: str) -> int:
    """How many forecasts of a meter are in the log, once all are written that were given out."""
    client.application.extensions["wattcast"].live.written_behind.close()
    return len(DatabaseForecasts(Database(f"sqlite:///{tmp_path / 'wattcast.db'}")).latest(meter, "", 10))


@pytest.fixture
def own(store: Path, browse: Browse, tmp_path: Path) -> tuple[FlaskClient, dict[str, str]]:
    """A client, and the header of a key for the meter `home`, which is stored and was never registered."""
    keys = DatabaseKeys(Database(f"sqlite:///{tmp_path / 'wattcast.db'}"))
    key, text = new_key("home", ["admin"], "home", int(NOW_S))
    keys.add(key)
    client, header = browse(store), {"Authorization": f"Bearer {text}"}
    assert client.put("/api/v1/meters/home/readings", json={"readings": hours(480)}, headers=header).status_code == 200
    return client, header


def test_a_stored_meter_is_forecast_by_any_way_of_asking(own: tuple[FlaskClient, dict[str, str]]) -> None:
    """POST, a batch and GET say the same, of then too; nothing names another meter."""
    client, header = own
    then = (START + timedelta(days=15)).isoformat()
    for more in ({}, {"origin": then}):
        got = client.get("/api/v1/meters/home/forecast", query_string={"task": "day_ahead", **more}, headers=header)
        for meter in ("", "home"):
            asked = {"task": "day_ahead", "meter": meter, **more}
            posted = client.post("/api/v1/forecast", json=asked, headers=header)
            batch = client.post("/api/v1/forecast/batch", json={"requests": [asked]}, headers=header).get_json()
            assert posted.get_json() == got.get_json() == batch["results"][0]["forecast"]
            assert posted.get_json()["tier"] == "baseline"
    coarse = client.post("/api/v1/forecast", json={"task": "next_minute"}, headers=header)
    assert (coarse.status_code, coarse.get_json()["errors"][0]["field"]) == (422, "readings")
    page = client.get("/", headers=header | {"Accept": "application/json"})
    assert "has no model yet" in page.get_json()["detail"]
    for answer in (posted, coarse, page):
        assert "hourly" not in answer.get_data(as_text=True)
        assert "house" not in answer.get_data(as_text=True)


def test_a_key_of_one_meter_sends_files_of_that_meter(own: tuple[FlaskClient, dict[str, str]], tmp_path: Path) -> None:
    """Without a name it is meant; another name is 404."""
    client, header = own
    path = "/api/v1/forecast?task=day_ahead"
    assert client.post(path, data=csv(hours(100)), headers=header, **FILE).get_json()["meter"] == "home"  # type: ignore[arg-type]
    assert client.post(f"{path}&meter=request", data=csv(hours(100)), headers=header, **FILE).status_code == 404  # type: ignore[arg-type]
    assert logged(client, tmp_path, "home") == 1


def test_readings_without_a_name_are_nobodys(store: Path, browse: Browse, tmp_path: Path) -> None:
    """Answered with the models of the meter registered last, but not logged as its forecasts; nor is a file, whatever meters there are."""
    client = browse(store)
    minute = {"start": "2010-11-26T21:05:00Z", "power_kw": 1.2}
    asked = {"task": "next_minute", "readings": [minute]}
    assert client.post("/api/v1/forecast", json=asked).get_json()["meter"] == "house"
    together = {"requests": [asked, {**asked, "readings": [minute | {"power_kw": 2.0}]}]}
    assert client.post("/api/v1/forecast/batch", json=together).status_code == 200
    for name in ("request", "home"):
        assert client.put(f"/api/v1/meters/{name}/readings", json={"readings": hours(24)}).status_code == 200
    nameless = client.post("/api/v1/forecast?task=day_ahead", data=csv(hours(100)), **FILE)  # type: ignore[arg-type]
    assert nameless.get_json()["meter"] == "this file"
    assert [logged(client, tmp_path, name) for name in ("house", "request", "home", "this file")] == [0, 0, 0, 0]
    client = browse(store)
    named = {"requests": [each | {"meter": "house"} for each in together["requests"]]}
    assert client.post("/api/v1/forecast/batch", json=named).status_code == 200
    assert client.post("/api/v1/forecast", json={"task": "day_ahead"}).status_code == 200
    assert logged(client, tmp_path, "house") == 3


def test_long_ago_is_answered_after_a_restart_as_before(store: Path, browse: Browse) -> None:
    """Memory begins with the last readings; what lies before them is read when it is asked for, and stands beside what was forecast."""
    first = START - timedelta(days=600)
    then = (first + timedelta(days=30)).isoformat()
    path = "/api/v1/meters/home/forecast"
    running = browse(store, cache=0)
    assert running.put("/api/v1/meters/home/readings", json={"readings": hours(40 * 24, first)}).get_json()["new"] == 960
    before = running.get(path, query_string={"origin": then})
    assert before.status_code == 200
    running.put("/api/v1/meters/home/readings", json={"readings": hours(48)})
    assert running.get(path).status_code == 200
    restarted = browse(store, cache=0)
    for client in (running, restarted):
        assert client.get(path, query_string={"origin": then}).get_json() == before.get_json()
        assert client.post("/api/v1/forecast", json={"task": "day_ahead", "meter": "home", "origin": then}).get_json() == before.get_json()
        client.application.extensions["wattcast"].live.written_behind.close()
        past = restarted.get("/api/v1/meters/home/forecasts").get_json()["forecasts"]
        came = [step["actual"] for each in past if each["origin"] == before.get_json()["origin"] for step in each["steps"]]
        assert came == [row["power_kw"] for row in hours(54 * 24, first)[30 * 24 : 31 * 24]]


def test_what_follows_from_the_clock_has_no_tag(store: Path, browse: Browse) -> None:
    """The typical day of a meter whose readings are gone moves on with the clock: who asks again is never told that he has it."""
    shutil.rmtree(store / "readings")
    answer = browse(store).get("/api/v1/meters/house/forecast")
    assert answer.get_json()["tier"] == "profile"
    assert "ETag" not in answer.headers


def test_without_any_model_it_is_said_what_to_do(tmp_path: Path, browse: Browse) -> None:
    """Readings are kept; a forecast is 503 until something is registered, for nobody knows a task."""
    client = browse(tmp_path / "empty")
    assert client.put("/api/v1/meters/home/readings", json={"readings": hours(48)}).status_code == 200
    refused = client.get("/api/v1/meters/home/forecast")
    assert (refused.status_code, refused.get_json()["hint"]) == (503, "train one first: make run")
