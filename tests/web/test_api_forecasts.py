"""POST /api/v1/forecast and /forecast/batch: what is answered, how bad input is refused, and that the tiers are reached."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tiny
from flask.testing import FlaskClient
from small_store import NOW_S, Browse

from wattcast.adapters.model_store import FileModelStore
from wattcast.forecasting.day_totals import Total
from wattcast.forecasting.forecast import Forecast, Step, Steps
from wattcast.web.api.answers.forecasts import DayEnergy, DayPeak, ForecastAnswer
from wattcast.web.api.forecasts import answer_of

HOUR = timedelta(hours=1)
START = datetime(2010, 11, 1, tzinfo=UTC)


def hours(count: int = 24 * 20, start: datetime = START, **columns: float) -> list[dict[str, Any]]:
    """Readings of hours that follow the clock."""
    return [
        {"start": (start + number * HOUR).isoformat(), "power_kw": round(0.5 + (number % 24) / 24 + number % 7 / 10, 3), **columns}
        for number in range(count)
    ]


def asked(client: FlaskClient, **body: Any) -> dict[str, Any]:
    """The answer, which must be a forecast that fits its own schema."""
    response = client.post("/api/v1/forecast", json=body)
    assert response.status_code == 200, response.get_data(as_text=True)
    msgspec.json.decode(response.get_data(), type=ForecastAnswer)
    answer: dict[str, Any] = response.get_json()
    return answer


def refused(client: FlaskClient, status: int, path: str = "/api/v1/forecast", **how: Any) -> dict[str, Any]:
    """The problem, which must have the one shape."""
    response = client.post(path, **how)
    assert response.status_code == status, response.get_data(as_text=True)
    assert response.mimetype == "application/problem+json"
    problem: dict[str, Any] = response.get_json()
    assert {"type", "title", "status", "detail"} <= problem.keys()
    assert problem["status"] == status
    return problem


def test_one_reading_gives_the_next_minute(client: FlaskClient) -> None:
    """By the champion, with its version; the same as every family when it is asked for."""
    reading = {"start": "2010-11-26T21:05:00+00:00", "power_kw": 1.2, "voltage_v": 240.1, "sub3_wh": 17}
    said = asked(client, task="next_minute", readings=[reading])
    assert (said["meter"], said["tier"], said["reason"], said["unit"]) == ("house", "champion", "", "kW")
    assert said["origin"] == said["steps"][0]["start"] == "2010-11-26T22:06:00+01:00"
    (step,) = said["steps"]
    assert list(step["quantiles"]) == ["0.1", "0.5", "0.9"]
    assert sorted(step["quantiles"].values()) == list(step["quantiles"].values())
    versions = {asked(client, task="next_minute", readings=[reading], family=family)["version"] for family in ("xgb", "rf", "lgbm")}
    assert len(versions) == 3
    assert said["version"] in versions


def test_the_day_ahead_comes_from_stored_readings(client: FlaskClient) -> None:
    """24 steps from the end of the last one."""
    said = asked(client, task="day_ahead")
    assert len(said["steps"]) == 24
    assert said["steps"][0]["start"] == said["origin"]


def test_energy_and_peak_of_the_day_have_quantiles_of_their_own() -> None:
    """As the model gave them, at the levels that were asked for."""
    steps = Steps.of([Step(0, 1.0, {0.1: 0.5, 0.5: 1.0, 0.9: 1.5})])
    totals: dict[str, Total] = {
        "energy_kwh": {"mean": 24.00001, "quantiles": {"0.1": 20.0, "0.5": 24.0, "0.9": 29.0}},
        "peak_kw": {"mean": 2.0, "quantiles": {"0.1": 1.5, "0.5": 2.0, "0.9": 2.6}},
    }
    made = Forecast("house", "UTC", "day_ahead", 0, 3600, steps, "champion", "", "XGBoost", "a" * 64, 0, totals)
    said = answer_of(made, (), [0.9])
    assert said.energy_kwh == DayEnergy(24.0, {"0.9": 29.0})
    assert said.peak_kw == DayPeak(2.0, {"0.9": 2.6})


def test_readings_in_the_body_count_and_not_the_stored_ones(client: FlaskClient) -> None:
    """Finer readings are averaged to the task's resolution, and the order of the rows does not matter."""
    whole = asked(client, task="day_ahead", readings=hours())
    halves = [
        {"start": (START + number * HOUR / 2).isoformat(), "power_kw": hours()[number // 2]["power_kw"]} for number in range(24 * 20 * 2)
    ]
    assert asked(client, task="day_ahead", readings=halves)["steps"] == whole["steps"]
    assert asked(client, task="day_ahead", readings=halves[::-1])["steps"] == whole["steps"]
    assert whole["steps"] != asked(client, task="day_ahead")["steps"]


def test_quantiles_can_be_chosen_of_those_there_are(client: FlaskClient) -> None:
    """Others are refused, with those that there are."""
    (step,) = asked(client, task="next_minute", readings=hours(1), quantiles=[0.9], resolution_s=60)["steps"]
    assert list(step["quantiles"]) == ["0.9"]
    problem = refused(client, 422, json={"task": "day_ahead", "quantiles": [0.25]})
    assert problem["errors"] == [{"field": "quantiles", "message": "0.25: no such level; there are 0.1, 0.5, 0.9"}]


@pytest.mark.parametrize(
    ("day", "repeated"),
    [("2010-03-28", False), ("2010-10-31", True)],
)
def test_both_clock_changes_of_a_year(day: str, repeated: bool, client: FlaskClient) -> None:
    """A day of 23 and one of 25 hours: every step lasts an hour, its offset is right, and a naive time is read on the meter's clock."""
    origin = f"{day}T00:00:00"
    start = datetime.fromisoformat(day).replace(tzinfo=UTC) - timedelta(days=15)
    said = asked(client, task="day_ahead", readings=hours(24 * 15 + 20, start), origin=origin)
    assert said["notes"] == ["times without an offset were read in the zone Europe/Paris"]
    starts = [datetime.fromisoformat(step["start"]) for step in said["steps"]]
    assert {(later - earlier).total_seconds() for earlier, later in pairwise(starts)} == {3600.0}
    assert starts[0].isoformat().startswith(origin)
    clock = [moment.isoformat()[11:16] for moment in starts[:4]]
    assert clock == (["00:00", "01:00", "02:00", "02:00"] if repeated else ["00:00", "01:00", "03:00", "04:00"])
    offsets = [moment.utcoffset() for moment in starts]
    assert (offsets[0], offsets[-1]) == ((2 * HOUR, HOUR) if repeated else (HOUR, 2 * HOUR))
    naive = hours(24, start)
    for reading in naive:
        reading["start"] = reading["start"].removesuffix("+00:00")
    assert asked(client, task="day_ahead", readings=naive)["notes"] == ["times without an offset were read in the zone Europe/Paris"]


def test_a_meter_file_is_answered_as_any_reader_takes_it(client: FlaskClient) -> None:
    """CSV, and the same zipped by gzip; what was decided in reading it is told."""
    rows = "".join(f"{row['start']};{row['power_kw']}\n" for row in hours())
    path = "/api/v1/forecast?task=day_ahead&quantiles=0.5"
    response = client.post(path, data=f"time;power_kw\n{rows}", content_type="text/csv")
    assert response.status_code == 200, response.get_data(as_text=True)
    said = response.get_json()
    assert said["meter"] == "this file"
    assert "times carry their offset from UTC" in said["notes"]
    assert [list(step["quantiles"]) for step in said["steps"]] == [["0.5"]] * 24
    problem = refused(client, 422, path, data="time;power_kw\n2010-11-01T00:00:00+00:00;1\nnonsense;2\n", content_type="text/csv")
    assert problem["detail"].startswith("the body")
    assert "/tmp" not in json.dumps(problem)
    assert refused(client, 422, "/api/v1/forecast", data=f"time;power_kw\n{rows}", content_type="text/csv")["errors"] == [
        {"field": "task", "message": "is missing"}
    ]


def one(start: str, power_kw: Any, task: str = "day_ahead") -> dict[str, Any]:
    """A body with one reading."""
    return {"task": task, "readings": [{"start": start, "power_kw": power_kw}]}


WRONG: dict[str, tuple[Any, str, str]] = {
    "an unknown field": ({"task": "day_ahead", "reading": []}, "reading", "is not known"),
    "no task": ({}, "task", "is missing"),
    "another task": ({"task": "year_ahead"}, "task", '"year_ahead" is not known'),
    "a word for a number": (
        one("2010-11-01T00:00:00Z", "a"),
        "readings[0].power_kw",
        "Exp",
    ),
    "no power": ({"task": "day_ahead", "readings": [{"start": "2010-11-01T00:00:00Z"}]}, "readings[0].power_kw", "is missing"),
    "no readings": ({"task": "day_ahead", "readings": []}, "readings", "is empty"),
    "a date alone": (one("2010-11-01", 1), "readings[0].start", "Invalid RFC3339"),
    "a year that is none": (
        one("1066-11-01T00:00:00Z", 1),
        "readings[0].start",
        "must lie",
    ),
    "half a second": (
        one("2010-11-01T00:00:00.5Z", 1),
        "readings[0].start",
        "must be a whole",
    ),
    "coarse readings": ({"task": "next_minute", "readings": hours(5)}, "readings", "are 3600 s apart, next_minute needs 60 s or finer"),
    "a power beyond any": (
        one("2010-11-01T00:00:00Z", 1e9),
        "readings[0].power_kw",
        "Exp",
    ),
    "an origin far away": ({"task": "day_ahead", "origin": "2030-01-01T00:00:00Z"}, "origin", "the origin lies before"),
    "a yearly use of nothing": ({"task": "day_ahead", "yearly_kwh": 0}, "yearly_kwh", "Expected `float` > 0"),
    "no meter id": ({"task": "day_ahead", "meter": "../../etc"}, "meter", "Exp"),
    "another meter": ({"task": "day_ahead", "meter": "barn"}, "meter", '"barn" is not known'),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_field_that_cannot_be_is_named(what: str, client: FlaskClient) -> None:
    """422 with the field and what is wrong with it."""
    body, field, message = WRONG[what]
    problem = refused(client, 422, json=body)
    ((error),) = problem["errors"]
    assert error["field"] == field
    assert error["message"].startswith(message)
    assert problem["hint"]


@pytest.mark.parametrize("body", [b"", b"{", b'{"task', b"\xff", b'{"task": 1e', b"[" * 100_000])
def test_what_is_no_json_is_said(body: bytes, client: FlaskClient) -> None:
    """400 where the body cannot be read at all."""
    problem = refused(client, 422 if body.startswith(b"[[") else 400, data=body, content_type="application/json")
    assert problem["title"] == "Bad request"


def test_other_bodies_are_refused_by_their_kind_and_size(client: FlaskClient) -> None:
    """415 and 413."""
    refused(client, 415, data="a=1", content_type="application/x-www-form-urlencoded")
    refused(client, 413, data=b" " * (5 * 1024 * 1024), content_type="application/json")


def test_parameters_are_for_files(client: FlaskClient) -> None:
    """With JSON they would be passed over: an unknown one is refused, one given twice is."""
    rows = "time,power_kw\n2010-11-01T00:00:00+00:00,1\n"
    problem = refused(client, 422, "/api/v1/forecast?task=day_ahead&tsak=1", data=rows, content_type="text/csv")
    assert problem["errors"] == [{"field": "tsak", "message": "is not known"}]
    refused(client, 422, "/api/v1/forecast?task=day_ahead&task=day_ahead", data=rows, content_type="text/csv")


def test_a_meter_never_seen_is_answered_by_its_own_readings(client: FlaskClient) -> None:
    """No model, so a baseline with the spread of these readings; of one reading there is none to tell, and the quantiles are empty."""
    said = asked(client, task="day_ahead", meter="barn", readings=hours(), zone="America/New_York")
    assert (said["tier"], said["version"], said["zone"]) == ("baseline", "", "America/New_York")
    assert said["steps"][0]["quantiles"]["0.1"] < said["steps"][0]["quantiles"]["0.9"]
    one = asked(client, task="next_minute", meter="barn", readings=hours(1), resolution_s=60)
    assert one["steps"][0]["mean"] == hours(1)[0]["power_kw"]
    assert one["steps"][0]["quantiles"] == {}


def test_every_tier_is_reached(store: Path, browse: Browse) -> None:
    """Champion, family, champion of before, baseline and typical day, each with the reason why none above answered."""

    def tier(client: FlaskClient, **body: Any) -> tuple[str, str]:
        said = asked(client, task="day_ahead", **body)
        return said["tier"], said["reason"]

    client = browse(store)
    champion = asked(client, task="day_ahead")["version"]
    assert tier(client) == ("champion", "")
    models = FileModelStore(store)
    manifest = models.manifest()
    slot = manifest.slots["day_ahead/house"]
    other = next(family for family, bundle in slot.families.items() if bundle != champion and family not in slot.vetoed)
    assert tier(client, family=other) == ("family", "")
    assert tier(client, readings=hours(30))[0] == "baseline"
    assert "needs" in tier(client, readings=hours(30))[1]
    assert tier(client, readings=hours(2))[0] == "profile"
    slots = {**manifest.slots, "day_ahead/house": replace(slot, before=replace(slot, champion=slot.families[other]))}
    tiny.put_manifest(models, replace(manifest, slots=slots))
    path = store / "bundles" / f"{champion}.wattcast"
    path.write_bytes(path.read_bytes()[:-10])
    spoiled = browse(store)
    assert tier(spoiled)[0] == "previous"
    assert "altered or torn" in tier(spoiled)[1]
    starting = browse(store)
    shutil.rmtree(store / "bundles")
    # Of a file that was there when the service started, and is gone when its models are first asked for.
    assert tier(starting)[0] == "baseline"
    assert "is not in the store" in tier(starting)[1]
    assert tier(browse(store))[0] == "baseline"


def test_a_batch_has_a_result_for_each(client: FlaskClient) -> None:
    """In the order of the requests, each as it would be alone; one that fails does not stop the others."""
    reading = {"start": "2010-11-26T21:05:00+00:00", "power_kw": 1.2}
    requests = [{"task": "next_minute", "readings": [reading | {"power_kw": power}]} for power in (0.5, 1.0, 2.0)]
    requests.insert(1, {"task": "year_ahead"})
    response = client.post("/api/v1/forecast/batch", json={"requests": requests})
    assert response.status_code == 200
    results = response.get_json()["results"]
    assert [result["forecast"] is None for result in results] == [False, True, False, False]
    assert results[1]["problem"]["errors"] == [{"field": "task", "message": '"year_ahead" is not known'}]
    for number in (0, 2, 3):
        assert results[number]["forecast"] == asked(client, **requests[number])
    assert refused(client, 422, "/api/v1/forecast/batch", json={"requests": []})["errors"][0]["field"] == "requests"
    too_many = {"requests": [{"task": "day_ahead"}] * 1_001}
    assert refused(client, 422, "/api/v1/forecast/batch", json=too_many)["errors"][0]["field"] == "requests"


def test_a_batch_of_all_kinds_is_as_each_alone(client: FlaskClient) -> None:
    """Those that are predicted together too: other meters, families, levels, zones and columns; what is wrong is said of that one."""
    chance = random.Random(5)
    fields: dict[str, list[Any]] = {
        "task": ["next_minute"] * 8 + ["day_ahead", "year_ahead"],
        "meter": ["", "", "", "house", "barn"],
        "family": ["", "", "xgb", "rf", "prophet"],
        "quantiles": [None, None, [0.1], [0.9, 0.1], [], [0.3]],
        "zone": ["", "", "", "America/New_York", "Nowhere"],
        "flow": [None, None, None, "net"],
        "resolution_s": [None, None, 60, 3600],
        "origin": [None] * 6 + ["2010-11-26T21:10:00Z"],
        "yearly_kwh": [None] * 6 + [3500],
    }
    readings: dict[str, list[Any]] = {
        "start": ["2010-11-26T21:05:00+00:00", "2010-10-31T02:59:00+02:00", "2010-11-26T21:05:30+00:00", "2010-11-26T21:05:00"],
        "power_kw": [0.2, 1.3, 4.0, 29.0, 31.0, 900.0, 0.0, -1.0, None],
        "voltage_v": [None, 240.1, 0.0],
        "sub1_wh": [None, 3.0],
        "current_a": [None, 5.1],
    }
    requests = []
    for number in range(600):
        some = [{name: chance.choice(values) for name, values in readings.items()} for _ in range(chance.choice([1, 1, 1, 1, 2, 0]))]
        requests.append({name: chance.choice(values) for name, values in fields.items()} | {"readings": some})
        if number % 3 == 0:
            requests[-1] |= {"task": "next_minute", "meter": "", "family": "", "quantiles": None, "zone": "", "flow": None}
    response = client.post("/api/v1/forecast/batch", json={"requests": requests})
    assert response.status_code == 200, response.get_data(as_text=True)
    results = response.get_json()["results"]
    kinds = Counter[str]()
    for request, result in zip(requests, results, strict=True):
        alone = client.post("/api/v1/forecast", json=request).get_json()
        assert (result["forecast"] or result["problem"]) == alone, request
        kinds[alone.get("tier") or alone["title"]] += 1
    assert kinds["champion"] > 50
    assert len(kinds) >= 5, kinds


def test_the_age_of_the_readings_is_told(client: FlaskClient) -> None:
    """Seconds from the end of the last reading to now."""
    now = datetime.fromtimestamp(NOW_S, UTC).replace(microsecond=0)
    reading = {"start": (now - timedelta(minutes=10)).isoformat(), "power_kw": 1.2}
    assert asked(client, task="next_minute", readings=[reading])["data_age_s"] == 540
