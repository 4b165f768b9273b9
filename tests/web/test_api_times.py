"""Times as they are sent: those that the clock of a zone skips or repeats, two of one instant, and a resolution that they have not."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from small_store import Browse

START = datetime(2010, 10, 1, tzinfo=UTC)
PARIS = "/api/v1/meters/home/readings?zone=Europe/Paris"
SUMS = ("new", "same", "corrected", "refused")


@pytest.fixture
def client(store: Path, browse: Browse) -> FlaskClient:
    """A client over a store of its own."""
    return browse(store)


def rows(*clock: str) -> list[dict[str, Any]]:
    """Readings of these times, each of another power."""
    return [{"start": shown, "power_kw": 1.0 + number} for number, shown in enumerate(clock)]


def put(client: FlaskClient, path: str, readings: list[dict[str, Any]], kind: str = "json") -> dict[str, Any]:
    """What became of readings, sent as JSON, as lines of JSON or as CSV: each is counted once."""
    lines = "\n".join(json.dumps(row) for row in readings)
    table = "time,power_kw\n" + "".join(f"{row['start'].replace('T', ' ')},{row['power_kw']}\n" for row in readings)
    how = {"json": {"json": {"readings": readings}}, "ndjson": {"data": lines, "content_type": "application/x-ndjson"}}
    response = client.put(path, **(how | {"csv": {"data": table, "content_type": "text/csv"}})[kind])  # type: ignore[arg-type]
    assert response.status_code == 200, response.get_data(as_text=True)
    said: dict[str, Any] = response.get_json()
    assert sum(said[name] for name in SUMS) == len(readings)
    return said


def kept(client: FlaskClient) -> dict[str, float]:
    """The readings that are there, by their starts."""
    return {row["start"]: row["power_kw"] for row in client.get("/api/v1/meters/home/readings").get_json()["readings"]}


@pytest.mark.parametrize("kind", ["json", "ndjson", "csv"])
@pytest.mark.parametrize("backwards", [False, True])
def test_an_hour_that_the_clock_repeats_is_two_hours(kind: str, backwards: bool, client: FlaskClient) -> None:
    """In the order of the day, forwards or backwards, whatever the format."""
    day = rows(*(f"2010-10-31T{hour:02d}:00:00" for hour in (0, 1, 2, 2, 3, 4)))
    said = put(client, PARIS, day[::-1] if backwards else day, kind)
    assert (said["new"], said["refused"]) == (6, 0)
    offsets = ["+02:00"] * 3 + ["+01:00"] * 3
    hours = (0, 1, 2, 2, 3, 4)
    assert kept(client) == {
        f"2010-10-31T{hour:02d}:00:00{offset}": 1.0 + n for n, (hour, offset) in enumerate(zip(hours, offsets, strict=True))
    }


def test_a_time_that_never_was_is_refused(client: FlaskClient) -> None:
    """02:30 in the night of the change: a reading is named, a forecast is 422; a file's is read an hour later, and said so."""
    night = rows(*(f"2010-03-28T{hour:02d}:30:00" for hour in (0, 1, 2, 3, 4)))
    said = put(client, PARIS, night)
    assert (said["new"], said["refused"]) == (4, 1)
    assert said["refusals"] == [{"line": 3, "message": "was never shown by the clock of Europe/Paris, which was put forward"}]
    asked = client.post("/api/v1/forecast", json={"task": "day_ahead", "zone": "Europe/Paris", "readings": night})
    assert (asked.status_code, asked.get_json()["errors"][0]["field"]) == (422, "readings[2].start")
    for path in ("house/forecast?origin=2010-03-28T02:30:00", "house/readings?from=2010-03-28T02:30:00"):
        refused = client.get(f"/api/v1/meters/{path}")
        assert refused.status_code == 422 or path.startswith("house/readings")
    said = put(client, PARIS, night, "csv")
    assert (said["same"], said["corrected"], said["refused"]) == (4, 0, 1)
    assert "read an hour later, for the clock of Europe/Paris skips their time: 1" in said["notes"]
    assert "left out, for another reading of its instant follows: 1" in said["notes"]


@pytest.mark.parametrize("kind", ["json", "ndjson", "csv"])
def test_of_two_readings_of_one_instant_the_last_counts_and_the_other_is_counted(kind: str, client: FlaskClient) -> None:
    """It is named where it has a line, and a forecast from such readings says so."""
    sent = rows(*((START + timedelta(hours=hour)).isoformat() for hour in (0, 1, 1, 2, 3)))
    said = put(client, "/api/v1/meters/home/readings", sent, kind)
    assert (said["new"], said["refused"]) == (4, 1)
    assert [one["line"] for one in said["refusals"]] == ([2] if kind != "csv" else [])
    assert sorted(kept(client).values()) == [1.0, 3.0, 4.0, 5.0]
    asked = client.post("/api/v1/forecast", json={"task": "day_ahead", "readings": sent}).get_json()
    assert asked["notes"] == ["left out, for another reading of its instant follows: 1"]


def test_a_year_that_is_none_spoils_no_other_line(client: FlaskClient) -> None:
    """It is refused with the number of its line."""
    sent = rows("2010-10-01T00:00:00Z", "1066-10-14T09:00:00Z", "2010-10-01T01:00:00Z", "2010-10-01T02:00:00.5Z")
    said = put(client, "/api/v1/meters/home/readings", sent, "ndjson")
    assert said["new"] == 2
    assert [(one["line"], one["message"]) for one in said["refusals"]] == [
        (2, "must lie between the years 1971 and 2099"),
        (4, "must be a whole second"),
    ]


def test_an_origin_on_the_clock_of_the_meter_is_said_to_be_one(client: FlaskClient) -> None:
    """In `notes`, also where the answer was kept; its seconds may be left out; with its offset nothing is assumed."""
    note = ["times without an offset were read in the zone Europe/Paris"]
    path = "/api/v1/meters/house/forecast?origin=2010-11-20T00:00"
    for asked, notes in ((":00+01:00", []), ("", note), (":00", note), ("%2B01:00", []), (" 01:00", [])):
        answer = client.get(path + asked)
        assert answer.status_code == 200, answer.get_data(as_text=True)
        assert (answer.get_json()["origin"], answer.get_json()["notes"]) == ("2010-11-20T00:00:00+01:00", notes), asked
    body = {"task": "day_ahead", "meter": "house", "origin": "2010-11-20T00:00:00"}
    assert client.post("/api/v1/forecast", json=body).get_json()["notes"] == note


@pytest.mark.parametrize("kind", ["json", "ndjson", "csv"])
def test_readings_are_not_taken_for_coarser_ones(kind: str, client: FlaskClient) -> None:
    """Minutes that are called hours would take each other's place: 422 with their distance, whether the request says so or the meter."""
    minutes = rows(*((START + timedelta(minutes=minute)).isoformat() for minute in range(120)))
    how = {"json": {"json": {"readings": minutes}}, "ndjson": {"content_type": "application/x-ndjson"}, "csv": {"content_type": "text/csv"}}
    lines = "\n".join(json.dumps(row) for row in minutes)
    table = "time,power_kw\n" + "".join(f"{row['start']},{row['power_kw']}\n" for row in minutes)
    how["ndjson"] |= {"data": lines}  # type: ignore[dict-item]
    how["csv"] |= {"data": table}  # type: ignore[dict-item]
    refused = client.put("/api/v1/meters/home/readings?resolution_s=3600", **how[kind])  # type: ignore[arg-type]
    assert refused.status_code == 422
    assert refused.get_json()["errors"] == [{"field": "readings", "message": "are 60 s apart, not 3600 s"}]
    assert client.get("/api/v1/meters/home").status_code == 404
    put(client, "/api/v1/meters/home/readings", rows(*((START + timedelta(hours=hour)).isoformat() for hour in range(3))))
    assert client.put("/api/v1/meters/home/readings", **how[kind]).status_code == 422  # type: ignore[arg-type]
    assert len(kept(client)) == 3
    if kind == "json":
        asked = client.post("/api/v1/forecast", json={"task": "day_ahead", "resolution_s": 3600, "readings": minutes})
        assert asked.get_json()["errors"] == [{"field": "readings", "message": "are 60 s apart, not 3600 s"}]


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("home/readings?holidays=XX", "time,power_kw\n2010-01-01 00:00,1\n2010-01-01 01:00,1\n", 'holidays of "XX" are not known'),
        ("home/readings", "time,power_kw\n2010-01-01 00:00,1e9\n2010-01-01 01:00,1\n", "1e+09 kW is more than any meter measures"),
        ("a%00b/readings", "time,power_kw\n2010-01-01 00:00,1\n2010-01-01 01:00,1\n", "a meter id has small letters"),
    ],
)
def test_what_no_meter_has_is_refused(path: str, body: str, said: str, client: FlaskClient) -> None:
    """422, and no meter is made."""
    refused = client.put(f"/api/v1/meters/{path}", data=body, content_type="text/csv")
    assert refused.status_code == 422
    assert said in refused.get_json()["detail"]
    assert [each["id"] for each in client.get("/api/v1/meters").get_json()["meters"]] == ["hourly", "house"]
    assert client.get("/api/v1/meters/house/forecasts?task=%00").status_code == 422
