"""/api/v1/meters and /api/v1/models: readings arrive, are kept with what they replaced, and forecasts stand beside what came."""

from __future__ import annotations

import io
import json
import time
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from small_store import NOW_S, Browse

HOUR = timedelta(hours=1)
START = datetime(2010, 10, 1, tzinfo=UTC)


@pytest.fixture
def client(store: Path, browse: Browse) -> FlaskClient:
    """A client over a store of its own: what arrives is kept in it."""
    return browse(store)


def hours(first: int, count: int) -> list[dict[str, Any]]:
    """Readings of hours that follow the clock."""
    return [
        {"start": (START + number * HOUR).isoformat(), "power_kw": round(0.5 + (number % 24) / 24 + number % 7 / 10, 3)}
        for number in range(first, first + count)
    ]


def kept(client: FlaskClient, readings: list[dict[str, Any]], meter: str = "home", words: str = "") -> dict[str, Any]:
    """What the service says it did with readings."""
    response = client.put(f"/api/v1/meters/{meter}/readings{words}", json={"readings": readings})
    assert response.status_code == 200, response.get_data(as_text=True)
    said: dict[str, Any] = response.get_json()
    return said


def got(client: FlaskClient, path: str, status: int = 200) -> dict[str, Any]:
    """What is at an address."""
    response = client.get(f"/api/v1{path}")
    assert response.status_code == status, response.get_data(as_text=True)
    said: dict[str, Any] = response.get_json()
    return said


def test_sixty_days_a_forecast_the_next_day_and_what_came(client: FlaskClient) -> None:
    """The walk of a new meter: readings in, the day ahead, the day itself, forecast beside actual."""
    said = kept(client, hours(0, 60 * 24), words="?zone=Europe/Paris&holidays=FR")
    assert (said["new"], said["same"], said["corrected"], said["refused"], said["resolution_s"]) == (1440, 0, 0, 0, 3600)
    forecast = got(client, "/meters/home/forecast")
    assert (forecast["meter"], forecast["zone"], forecast["tier"], len(forecast["steps"])) == ("home", "Europe/Paris", "baseline", 24)
    assert datetime.fromisoformat(forecast["origin"]) == START + 1440 * HOUR
    came = hours(1440, 24)
    assert kept(client, came)["new"] == 24
    past = written(client, "/meters/home/forecasts?task=day_ahead")["forecasts"]
    assert len(past) == 1
    assert [step["actual"] for step in past[0]["steps"]] == [reading["power_kw"] for reading in came]
    assert [step["mean"] for step in past[0]["steps"]] == [step["mean"] for step in forecast["steps"]]
    assert datetime.fromisoformat(got(client, "/meters/home/forecast")["origin"]) == START + 1464 * HOUR


def written(client: FlaskClient, path: str) -> dict[str, Any]:
    """What is at an address that is written behind the answer, once something is."""
    for _ in range(200):
        said = got(client, path)
        if said["forecasts"]:
            return said
        time.sleep(0.02)
    raise AssertionError("nothing was written")


def test_sent_twice_and_corrected(client: FlaskClient) -> None:
    """Twice changes nothing; another value replaces the one known, which is kept beside with the moment it counted until."""
    readings = hours(0, 24)
    kept(client, readings)
    assert kept(client, readings)["same"] == 24
    readings[3]["power_kw"] = 7.25
    said = kept(client, readings)
    assert (said["new"], said["same"], said["corrected"]) == (0, 23, 1)
    page = got(client, f"/meters/home/readings?from={readings[2]['start']}&limit=2")
    assert [row["power_kw"] for row in page["readings"]] == [hours(2, 1)[0]["power_kw"], 7.25]
    (before,) = page["readings"][1]["before"]
    assert before["power_kw"] == pytest.approx(hours(3, 1)[0]["power_kw"])
    assert datetime.fromisoformat(before["until"]).timestamp() == int(NOW_S)
    assert page["readings"][0]["before"] == []


def test_lines_that_are_no_readings_are_named_and_the_others_kept(client: FlaskClient) -> None:
    """NDJSON: the line's number and what is wrong with it; JSON: the place in the list."""
    good = [json.dumps(row).encode() for row in hours(0, 2)]
    lines = b"\n".join([good[0], b'{"start":"yesterday","power_kw":1}', b"", good[1], b"{"])
    response = client.put("/api/v1/meters/home/readings", data=lines, content_type="application/x-ndjson")
    said = response.get_json()
    assert (said["new"], said["refused"]) == (2, 2)
    assert [(each["line"], each["message"].split(":")[0]) for each in said["refusals"]] == [(2, "start"), (5, "is not JSON")]
    said = kept(client, [*hours(2, 1), {"start": 5, "power_kw": 1}, {"power": 1}])
    assert (said["new"], said["refused"], [each["line"] for each in said["refusals"]]) == (1, 2, [2, 3])


def test_a_meter_file_is_kept(client: FlaskClient) -> None:
    """CSV as any reader takes it, UCI's own text too; sent twice it changes nothing."""
    rows = "".join(f"{row['start']},{row['power_kw']}\n" for row in hours(0, 100))
    for expected in ("new", "same"):
        response = client.put("/api/v1/meters/home/readings", data=f"time,power_kw\n{rows}", content_type="text/csv")
        assert response.status_code == 200, response.get_data(as_text=True)
        assert response.get_json()[expected] == 100
    uci = "Date;Time;Global_active_power;Global_reactive_power;Voltage;Global_intensity;Sub_metering_1;Sub_metering_2;Sub_metering_3\n"
    uci += "".join(f"16/12/2006;17:{minute:02d}:00;{4 + minute / 100};0.418;234.84;18.4;0;1;17\n" for minute in range(24, 60))
    response = client.put("/api/v1/meters/uci/readings?zone=Europe/Paris", data=uci, content_type="text/csv")
    assert response.get_json()["new"] == 36
    row = got(client, "/meters/uci/readings?limit=1")["readings"][0]
    assert row["start"] == "2006-12-16T17:24:00+01:00"
    assert row["covariates"]["voltage_v"] == 234.84
    bad = client.put("/api/v1/meters/uci/readings", data=uci + "16/12/2006;18:00:00;four;;;;;;\n", content_type="text/csv")
    assert bad.status_code == 422
    assert "line 38" in bad.get_json()["detail"]


def test_a_file_that_is_refused_says_what_a_request_can_do(client: FlaskClient) -> None:
    """Hints name parameters, not params.yaml, whose other options have a way round; what unpacks to more than 250 MB is refused unread."""
    for file, hint in (
        ("time,a_kw,b_kw\n2010-01-01 00:00,1,2\n2010-01-01 01:00,1,2\n", "name one as power_column"),
        ("time,energy\n2010-01-01 00:00,1\n2010-01-01 01:00,1\n", "say it as unit: kW, W, kWh or Wh"),
        ("time,load_kw\n01/02/2010 00:00,1\n01/02/2010 01:00,1\n", "write times as 2024-01-31 13:00"),
    ):
        refused = client.put("/api/v1/meters/home/readings", data=file, content_type="text/csv")
        assert (refused.status_code, refused.get_json()["hint"]) == (422, hint)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("house.csv", "w") as text:
        for _ in range(251):
            text.write(b"2010-01-01,1\n" * 77_000)
    refused = client.put("/api/v1/meters/home/readings", data=packed.getvalue(), content_type="application/zip")
    assert refused.status_code == 422
    assert "the body: more than 0.25 GB when decompressed" in refused.get_json()["detail"]


def test_pages_follow_each_other(client: FlaskClient) -> None:
    """By cursor, every reading once, from inclusive to exclusive."""
    readings = hours(0, 25)
    kept(client, readings)
    seen, cursor = [], ""
    while True:
        page = got(client, f"/meters/home/readings?limit=10&to={readings[24]['start']}&cursor={cursor}")
        seen += [row["start"] for row in page["readings"]]
        if page["next"] is None:
            break
        cursor = page["next"]
    assert [datetime.fromisoformat(start) for start in seen] == [datetime.fromisoformat(row["start"]) for row in readings[:24]]
    assert got(client, "/meters/home/readings?cursor=x", 422)["errors"] == [{"field": "cursor", "message": "is none"}]


def test_meters_are_listed_with_what_is_known_of_them(client: FlaskClient) -> None:
    """Registered ones and those that readings arrived of; what models were trained on has a verdict of its own."""
    kept(client, hours(0, 24), words="?flow=net")
    listed = {each["id"]: each for each in got(client, "/meters")["meters"]}
    assert list(listed) == sorted(listed) == ["home", "hourly", "house"]
    assert (listed["home"]["flow"], listed["home"]["registered"], listed["home"]["readings"]) == ("net", False, 24)
    assert (listed["house"]["registered"], listed["house"]["readings"]) == (True, 0)
    assert listed["house"]["tasks"] == ["day_ahead", "next_minute"]
    assert got(client, "/meters/house")["quality"]["verdict"] == "usable"
    home = got(client, "/meters/home")
    assert (home["meter"], home["quality"], home["arrived"]["verdict"]) == (listed["home"], None, "refused")


def test_what_arrives_for_a_registered_meter_moves_its_forecast_on(client: FlaskClient) -> None:
    """Minutes of the house: the origin follows them, and the champion still answers."""
    before = got(client, "/meters/house/forecast")
    end = datetime.fromisoformat(got(client, "/meters/house/forecast?task=next_minute")["origin"])
    minutes = [{"start": (end + timedelta(minutes=number)).isoformat(), "power_kw": 1.0} for number in range(180)]
    assert kept(client, minutes, "house")["new"] == 180
    after = got(client, "/meters/house/forecast")
    assert datetime.fromisoformat(after["origin"]) - datetime.fromisoformat(before["origin"]) == 3 * HOUR
    assert after["tier"] == before["tier"]
    assert datetime.fromisoformat(got(client, "/meters/house/forecast?task=next_minute")["origin"]) == end + 3 * HOUR


def test_a_forecast_of_then_can_be_asked_for(client: FlaskClient) -> None:
    """origin: nothing after it is looked at."""
    then = START + 20 * 24 * HOUR
    kept(client, hours(0, 20 * 24))
    before = got(client, "/meters/home/forecast")
    kept(client, hours(20 * 24, 48))
    assert got(client, f"/meters/home/forecast?origin={then.isoformat()}".replace("+", "%2B"))["steps"] == before["steps"]
    assert got(client, f"/meters/home/forecast?origin={then.isoformat()}")["steps"] == before["steps"]


def test_what_is_not_there_is_404(client: FlaskClient) -> None:
    """Meters, their readings and forecasts, models."""
    for path in ("/meters/barn", "/meters/barn/readings", "/meters/barn/forecast", "/meters/barn/forecasts", "/models/none", "/nothing"):
        assert got(client, path, 404)["title"] == "Not found"
    assert client.delete("/api/v1/meters/barn").status_code == 404


@pytest.mark.parametrize(
    ("path", "body", "field"),
    [
        ("/meters/Home/readings", {"readings": hours(0, 2)}, "meter_id"),
        ("/meters/home/readings?zone=Mars/Base", {"readings": hours(0, 2)}, ""),
        ("/meters/home/readings?flow=both", {"readings": hours(0, 2)}, "flow"),
        ("/meters/home/readings", {"readings": []}, "readings"),
        ("/meters/home/readings", {"reading": []}, "reading"),
        ("/meters/home/readings", {"readings": hours(0, 1)}, "resolution_s"),
        ("/meters/home/readings", {"readings": [{"start": "x", "power_kw": 1}]}, "readings"),
    ],
)
def test_readings_that_cannot_be_kept_are_refused_whole(path: str, body: dict[str, Any], field: str, client: FlaskClient) -> None:
    """422 with the field, and no meter is made."""
    response = client.put(f"/api/v1{path}", json=body)
    assert response.status_code == 422, response.get_data(as_text=True)
    assert [error["field"] for error in response.get_json().get("errors", [])] == ([field] if field else [])
    assert [each["id"] for each in got(client, "/meters")["meters"]] == ["hourly", "house"]


def test_other_facts_of_a_known_meter_are_refused(client: FlaskClient) -> None:
    """Another resolution or zone: 422, and nothing is changed."""
    kept(client, hours(0, 24), words="?zone=Europe/Paris")
    for words in ("?zone=UTC", "?resolution_s=60"):
        response = client.put(f"/api/v1/meters/home/readings{words}", json={"readings": hours(24, 2)})
        assert response.status_code == 422
    assert got(client, "/meters/home")["meter"]["readings"] == 24
    assert kept(client, hours(24, 1))["new"] == 1


def test_a_deleted_meter_is_forgotten(client: FlaskClient) -> None:
    """Its readings and forecasts; a registered meter keeps its models and the readings it was registered with."""
    kept(client, hours(0, 200))
    got(client, "/meters/home/forecast")
    written(client, "/meters/home/forecasts")
    response = client.delete("/api/v1/meters/home")
    assert (response.status_code, response.get_data()) == (204, b"")
    got(client, "/meters/home", 404)
    assert got(client, "/meters/house/forecast")["tier"] == "champion"
    kept(client, hours(0, 200))
    got(client, "/meters/home/forecast")
    assert client.delete("/api/v1/meters/home").status_code == 204
    client.application.extensions["wattcast"].live.written_behind.close()
    kept(client, hours(0, 2))
    assert got(client, "/meters/home/forecasts")["forecasts"] == []


def test_models_are_shown_beside_their_baselines(client: FlaskClient) -> None:
    """Scores of each family, who is champion or vetoed and why; of one the training span and its features."""
    listed = got(client, "/models")
    assert listed["serial"] == 2
    champions = [each for each in listed["models"] if each["champion"]]
    assert {(each["meter"], each["task"]) for each in champions} == {
        ("house", "day_ahead"),
        ("house", "next_minute"),
        ("hourly", "day_ahead"),
    }
    for each in listed["models"]:
        for score in each["scores"]:
            assert score["baselines"]
            assert score["rows"] > 0
    one = got(client, f"/models/{champions[0]['version']}")
    assert one["model"] == champions[0]
    assert datetime.fromisoformat(one["training_start"]) < datetime.fromisoformat(one["training_end"])
    assert "lead" in next(iter(one["features"].values()))


def test_a_database_that_is_away_costs_the_latest_readings_and_no_answer(store: Path, browse: Browse) -> None:
    """Forecasts go on from readings given and those registered; `/readyz` stays 200 and says what is wrong; the rest is 503."""
    client = browse(store, database=f"sqlite:///{store / 'serving.json' / 'wattcast.db'}")
    reading = {"start": "2010-11-26T21:05:00+00:00", "power_kw": 1.2}
    given = client.post("/api/v1/forecast", json={"task": "next_minute", "readings": [reading], "meter": "barn"})
    assert given.status_code == 200, given.get_data(as_text=True)
    assert got(client, "/meters/house/forecast")["tier"] == "champion"
    assert client.get("/").status_code == 200
    assert client.put("/api/v1/meters/home/readings", json={"readings": hours(0, 2)}).status_code == 503
    problem = got(client, "/meters", 503)
    assert str(store) not in str(problem)
    deadline = time.monotonic() + 20
    while set((ready := client.get("/readyz")).get_json()["degraded"]) != {"database", "forecast_log"}:
        assert ready.status_code == 200
        assert time.monotonic() < deadline, ready.get_json()
