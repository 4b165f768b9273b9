"""/file over HTTP: a meter file is judged and forecast, kept when that is asked for and never else, and refused at its field."""

from __future__ import annotations

import gzip
import html
import io
import json
import re
import sqlite3
import tempfile
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import tiny
from flask.testing import FlaskClient
from small_store import Browse
from street import pooled, street
from werkzeug.datastructures import FileStorage
from werkzeug.test import TestResponse, encode_multipart

from wattcast.adapters.model_store import FileModelStore
from wattcast.forecasting.baselines import Fallback
from wattcast.forecasting.choosing import record_of, slot_of
from wattcast.forecasting.pooling import population_profile
from wattcast.forecasting.scorecard import ScoreRow
from wattcast.forecasting.star import STAR, with_star
from wattcast.meter.quality import QualityReport

JSON = {"Accept": "application/json"}
START = datetime(2010, 9, 20, tzinfo=UTC)


def house(rows: int = 24 * 40, per_day: int = 24, low: float = 0.05) -> list[float]:
    """The load of a plausible house, kW."""
    noise = np.random.default_rng(5).normal(0, 0.1, rows)
    values: list[float] = np.maximum(0.9 + 0.4 * np.sin(np.arange(rows) / per_day * 2 * np.pi) + noise, low).round(3).tolist()
    return values


def csv(values: list[float], step: timedelta = timedelta(hours=1), start: datetime = START, zone: str = "UTC") -> bytes:
    """A meter file with times on the clock of a zone, without their offsets."""
    times = (start + at * step for at in range(len(values)))
    rows = (f"{time.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M},{value}\n" for time, value in zip(times, values, strict=True))
    return ("time,load_kw\n" + "".join(rows)).encode()


def token(client: FlaskClient, **how: Any) -> str:
    """The mark of the form, as the page has it."""
    page = client.get("/file", **how)
    assert page.status_code == 200, page.text
    return re.search(r'name="csrf_token" value="([^"]+)"', page.text)[1]  # type: ignore[index]


def send(
    client: FlaskClient, data: bytes, *, name: str = "house.csv", headers: dict[str, str] | None = None, **fields: str
) -> TestResponse:
    """The answer to a file that is sent by the form."""
    mark = {"csrf_token": fields.pop("csrf_token", "") or token(client, headers=headers)}
    # Encoded here: the client's own way leaves a temporary file open.
    boundary, body = encode_multipart({**mark, **fields, "file": FileStorage(io.BytesIO(data), name)})
    return client.post("/file", data=body, content_type=f"multipart/form-data; boundary={boundary}", headers=headers)


def text_of(answer: TestResponse) -> str:
    """What the page says, without its markup."""
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<script.*?</script>|<[^>]+>", " ", answer.text, flags=re.DOTALL)))


def chart_of(answer: TestResponse) -> dict[str, Any]:
    """The data that the page hands to its chart."""
    found = re.search(r'id="chart-data">(.*?)</script>', answer.text, re.DOTALL)
    assert found, text_of(answer)
    chart: dict[str, Any] = json.loads(found[1])
    return chart


def database(tmp_path: Path) -> list[str]:
    """All that the database holds, but for the log of forecasts that other tests may still write to."""
    with sqlite3.connect(tmp_path / "wattcast.db") as connection:
        return [line for line in connection.iterdump() if line.startswith("INSERT")]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where temporary files are made."""
    made = tmp_path / "temporary"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(made))
    return made


def test_a_good_file_gets_its_verdict_and_the_day_after_it(client: FlaskClient) -> None:
    """Good, how it was read, 24 hours from its end with an interval, who answers and why no model, and that nothing was kept."""
    answer = send(client, csv(house()))
    said = text_of(answer)
    assert answer.status_code == 200
    assert '<span class="verdict good">good</span>' in answer.text
    for words in (
        "house.csv is good",
        "40.0 days at 1 h, 2010-09-20T00:00:00Z to 2010-10-30T00:00:00Z",
        "Times carry no offset: read on the clock of UTC.",
        "30 Oct 2010 00:00 to 31 Oct 2010 00:00 (UTC), from the end of these readings.",
        "the mean of the same time on the last 7 days (a baseline from the readings given)",
        "this meter was never registered",
        "80 % interval",
        "kWh in all",
        "Nothing of this file was kept.",
    ):
        assert words in said, words
    steps = chart_of(answer)["steps"]
    assert (len(steps), steps[0]["start"], steps[-1]["start"]) == (24, "2010-10-30T00:00", "2010-10-30T23:00")
    week = np.array(house()[-24 * 7 :]).reshape(7, 24).mean(axis=0)
    assert [step["mean"] for step in steps] == pytest.approx(week, abs=1e-3)
    assert all(step["low"] < step["mean"] < step["high"] for step in steps)
    measured = chart_of(answer)["measured"]
    assert (measured[0], measured[-2]) == (["2010-10-28T00:00", house()[-48]], ["2010-10-29T23:00", house()[-1]])


def test_without_a_script_everything_is_there(client: FlaskClient) -> None:
    """A field for the file in a form that sends it, the same values in a table, and nothing inline for the content policy to stop."""
    form = client.get("/file").text
    assert re.search(r'<form [^>]*method="post" action="/file" enctype="multipart/form-data"', form)
    assert re.search(r'<input id="file" name="file" type="file"', form)
    assert "50 MB at most" in form
    answer = send(client, csv(house()))
    for step in chart_of(answer)["steps"]:
        assert f"{step['label']}</th><td>{step['mean']:.3f}</td><td>{step['low']:.3f} to {step['high']:.3f}</td>" in answer.text
    for page in (form, answer.text):
        assert not re.search(r"<style|\sstyle=|\son\w+=|https?://", page)
        scripts = re.findall(r"<script([^>]*)>", page)
        assert [words for words in scripts if "src=" not in words and "application/json" not in words] == []
    home = client.get("/").text
    assert home.count('href="/file"') == 2


def test_nothing_is_kept_unless_it_is_asked_for(client: FlaskClient, tmp_path: Path, folder: Path) -> None:
    """After a good file and a refused one the meters, the database and the folder of temporary files are as they were."""
    before_meters = client.get("/api/v1/meters").get_json()
    mark = token(client)
    before = database(tmp_path)
    assert send(client, csv(house(24 * 900)), csrf_token=mark).status_code == 200
    # A name alone asks for nothing.
    assert send(client, csv(house()), csrf_token=mark, meter="home").status_code == 200
    assert send(client, b"\0" * 2_000_000, csrf_token=mark).status_code == 422
    client.application.extensions["wattcast"].live.close()
    assert database(tmp_path) == before
    assert client.get("/api/v1/meters").get_json() == before_meters
    assert list(folder.iterdir()) == []


def test_what_is_asked_for_is_kept_as_the_api_keeps_it(client: FlaskClient) -> None:
    """Counted, there over the API with the facts that were given, forecast from there too; sent twice it is the same, else a correction."""
    data = csv(house(), zone="Europe/Paris")
    fields = {"keep": "y", "meter": "home", "zone": "Europe/Paris"}
    answer = send(client, data, **fields)
    assert "Kept as meter home : 960 new, 0 the same as known, 0 corrected." in text_of(answer)
    for path in ("/api/v1/meters/home", "/api/v1/meters/home/readings", "/api/v1/meters/home/forecast"):
        assert f'href="{path}"' in answer.text
        assert client.get(path).status_code == 200
    details = client.get("/api/v1/meters/home").get_json()
    assert (details["meter"]["readings"], details["meter"]["zone"], details["arrived"]["verdict"]) == (960, "Europe/Paris", "good")
    rows = client.get("/api/v1/meters/home/readings?limit=1000").get_json()["readings"]
    assert [row["power_kw"] for row in rows] == house()
    forecast = client.get("/api/v1/meters/home/forecast").get_json()
    assert [round(step["mean"], 4) for step in forecast["steps"]] == [step["mean"] for step in chart_of(answer)["steps"]]
    assert "0 new, 960 the same as known, 0 corrected" in text_of(send(client, data, keep="y", meter="home"))
    other = csv([*house()[:-1], 2.5], zone="Europe/Paris")
    again = send(client, other, keep="y", meter="home")
    assert "0 new, 959 the same as known, 1 corrected" in text_of(again)
    # What was kept once is not asked for again by itself.
    assert not re.search(r'<input id="keep"[^>]* checked', again.text)


def test_a_meter_with_a_model_is_answered_by_it(store: Path, browse: Browse) -> None:
    """Kept for a registered meter: its zone counts, and its champion answers."""
    answer = send(browse(store), csv(house()), keep="y", meter="hourly")
    assert "the champion" in text_of(answer)
    assert "30 Oct 2010 01:00 to 31 Oct 2010 01:00 (+01:00)" not in text_of(answer)
    assert "read on the clock of +01:00" in text_of(answer)


def test_the_model_of_all_meters_answers_where_there_is_one(store: Path, browse: Browse) -> None:
    """For readings of nobody's meter: by that model, with its version and with intervals for energy and peak, and why no other."""
    models, opened = FileModelStore(store), pooled()
    models.put_bundle(opened.data)
    (facts,) = opened.manifest.models
    row = ScoreRow("day_ahead", "lgbm", facts.name, opened.id, facts.validation)
    fallback = Fallback({}, population_profile(street(), tiny.LEVELS, 0.8))
    said = {"at": "2010-03-01T00:00:00+00:00", "by": "tests", "revision": ""}
    models.put_record(made := record_of(opened, {facts.name: row}, fallback, QualityReport("usable", ()), **said))
    tiny.put_manifest(models, with_star(models.manifest(), slot_of("day_ahead", tiny.TASKS["day_ahead"], STAR, tiny.LEVELS, [made], "")))
    answer = send(browse(store), csv(house()))
    assert "a model of all meters known answers: this meter has none of its own" in text_of(answer)
    assert opened.id[:12] in text_of(answer)
    assert all(step["low"] < step["high"] for step in chart_of(answer)["steps"])
    assert set(chart_of(answer)["totals"]) == {"energy_kwh", "peak_kw"}
    assert re.search(r"kWh in all \([\d.]+ to [\d.]+ kWh, 80 % interval\)", text_of(answer))
    assert re.search(r"the peak of the day [\d.]+ to [\d.]+ kW", text_of(answer))


REFUSED: list[tuple[str, bytes, dict[str, str], str, str]] = [
    ("no file", b"", {"name": ""}, "file", "choose a meter file"),
    ("binary", b"\0\1\2\3\4" * 5_000, {}, "file", "not text"),
    ("Parquet", b"PAR1" + bytes(5_000), {}, "file", "is Parquet, which is not read from a request"),
    ("empty", b"", {}, "file", "the file is empty"),
    ("no readings", b"time,load_kw\n", {}, "file", "no reading below it"),
    ("one reading", csv(house(1)), {}, "file", "no two readings"),
    ("a bad line", csv(house()) + b"2010-11-01 00:00,four\n", {}, "file", "line 962"),
    ("zone", csv(house()), {"zone": "Mars/Olympus"}, "zone", "is not known"),
    ("columns", b"time,a_kw,b_kw\n2010-01-01 00:00,1,2\n2010-01-01 01:00,1,2\n", {}, "power_column", "a_kw, b_kw"),
    ("column", csv(house()), {"power_column": "watts"}, "power_column", 'no column "watts"'),
    ("time", csv(house()), {"time_column": "when"}, "time_column", 'no column "when"'),
    ("unit", b"time,energy\n" + csv(house()).partition(b"\n")[2], {}, "unit", "unit"),
    ("unit that is none", csv(house()), {"unit": "hp"}, "unit", ""),
    ("long", csv(house()), {"zone": "x" * 65}, "zone", "more than 64 characters"),
    ("no name", csv(house()), {"keep": "y"}, "meter", "give the meter a name"),
    ("bad name", csv(house()), {"keep": "y", "meter": "My House"}, "meter", "small letters"),
    ("other zone", csv(house()), {"keep": "y", "meter": "here", "zone": "Asia/Tokyo"}, "meter", "say otherwise"),
    ("other step", csv(house(), timedelta(minutes=15)), {"keep": "y", "meter": "here"}, "file", "3600 s apart"),
]


@pytest.mark.parametrize(("data", "fields", "field", "words"), [each[1:] for each in REFUSED], ids=[each[0] for each in REFUSED])
def test_a_refusal_stands_at_its_field(data: bytes, fields: dict[str, str], field: str, words: str, client: FlaskClient) -> None:
    """422, the field marked and named above with what to do, no path of the server; problem+json where JSON is asked for; nothing kept."""
    assert send(client, csv(house(48)), keep="y", meter="here").status_code == 200
    page, told = send(client, data, **fields), send(client, data, headers=JSON, **fields)
    assert page.status_code == told.status_code == 422
    assert f'<a href="#{field}">' in page.text
    fault = re.search(rf'id="{field}-fault">([^<]*)<', page.text)
    assert fault, text_of(page)
    assert words in html.unescape(fault[1])
    assert re.search(rf'id="{field}"[^>]*aria-invalid="true"', page.text)
    assert "What to do: " in text_of(page)
    for answer in (page, told):
        assert tempfile.gettempdir() not in answer.text
        assert "meters.<id>" not in html.unescape(answer.text)
        assert "params.yaml" not in answer.text
    assert told.mimetype == "application/problem+json"
    assert told.get_json()["errors"][0]["field"] == field
    kept = client.get("/api/v1/meters/here").get_json()["meter"]
    assert (kept["readings"], kept["zone"]) == (48, "UTC")
    assert [each["id"] for each in client.get("/api/v1/meters").get_json()["meters"]] == ["here", "hourly", "house"]


def test_too_large_says_the_limit(client: FlaskClient, folder: Path) -> None:
    """413 on the page with the form to try again, and as a problem; packed text that unpacks to more than 250 MB is refused unread."""
    data = b"0" * (51 << 20)
    page, told = send(client, data), send(client, data, headers=JSON)
    assert page.status_code == told.status_code == 413
    assert "is larger than 50 MB" in text_of(page)
    assert 'id="file-fault"' in page.text
    assert told.get_json()["errors"] == [{"field": "file", "message": "is larger than 50 MB, the most that is taken"}]
    typed = send(client, csv(house()), zone="x" * 600_000)
    assert typed.status_code == 413
    assert "A field of this form" in text_of(typed)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("house.csv", "w") as file:
        for _ in range(251):
            file.write(b"2010-01-01,1\n" * 77_000)
    bomb = send(client, packed.getvalue(), name="house.zip")
    assert bomb.status_code == 422
    assert "more than 0.25 GB when decompressed" in text_of(bomb)
    assert list(folder.iterdir()) == []


def test_too_few_readings_are_answered_from_a_lower_tier(client: FlaskClient) -> None:
    """Thirty hours: the verdict is refused, a baseline answers and says so; one day that nobody can tell the spread of has no interval."""
    few = send(client, csv(house(30)))
    assert few.status_code == 200
    assert "house.csv is refused" in text_of(few)
    assert "too little to learn from" in text_of(few)
    assert "(a baseline from the readings given)" in text_of(few)
    day = send(client, csv(house(24)))
    assert chart_of(day)["interval"] == ""
    assert "It has no interval." in text_of(day)
    assert "80 % interval" not in day.text


def test_what_is_too_coarse_has_a_verdict_and_no_curve(client: FlaskClient) -> None:
    """Days: judged, and in place of the curve why there is none."""
    answer = send(client, csv(house(400, 7), timedelta(days=1)))
    assert answer.status_code == 200
    assert "One reading a day or less: too coarse" in text_of(answer)
    assert "There is none: readings: are 86400 s apart" in text_of(answer)
    assert "chart-data" not in answer.text


def test_minutes_become_hours(client: FlaskClient) -> None:
    """A packed file of minutes: judged by the minute, forecast by the hour from the means of its hours."""
    values = house(1_440 * 20, 1_440)
    answer = send(client, gzip.compress(csv(values, timedelta(minutes=1))), name="minutes.csv.gz")
    assert "20.0 days at 1 min" in text_of(answer)
    steps = chart_of(answer)["steps"]
    hours = np.array(values).reshape(-1, 24, 60).mean(axis=2)[-7:].mean(axis=0)
    assert [step["mean"] for step in steps] == pytest.approx(hours, abs=1e-3)


def test_net_flow_may_fall_below_zero(client: FlaskClient) -> None:
    """A house that feeds in: gaps where consumption is meant, a curve below zero where the flow is net."""
    values = [value - 1.5 if 10 <= at % 24 < 15 else value for at, value in enumerate(house(low=0.4))]
    net, consumption = send(client, csv(values), flow="net"), send(client, csv(values))
    assert min(step["mean"] for step in chart_of(net)["steps"]) < 0
    assert "below zero" not in text_of(net).partition("Day ahead")[0]
    assert "200 readings are below zero: read as gaps" in text_of(consumption)


@pytest.mark.parametrize(("start", "day"), [(datetime(2010, 10, 1, tzinfo=UTC), "31 Oct"), (datetime(2010, 3, 1, tzinfo=UTC), "28 Mar")])
def test_clock_changes_break_nothing(start: datetime, day: str, client: FlaskClient) -> None:
    """Local times without offsets over both changes: every hour is kept once, no doubt about the clock, and a curve over the change."""
    data = csv(house(), start=start, zone="Europe/Paris")
    answer = send(client, data, zone="Europe/Paris", keep="y", meter="home")
    assert "960 new" in text_of(answer)
    assert "house.csv is good" in text_of(answer)
    rows = client.get("/api/v1/meters/home/readings?limit=1000").get_json()["readings"]
    assert [datetime.fromisoformat(row["start"]) for row in rows] == [start + at * timedelta(hours=1) for at in range(960)]
    change = next(at for at in range(960) if f"{(start + at * timedelta(hours=1)):%-d %b}" == day)
    over = send(client, csv(house(change), start=start, zone="Europe/Paris"), zone="Europe/Paris")
    hours = [(start + at * timedelta(hours=1)).astimezone(ZoneInfo("Europe/Paris")) for at in range(change, change + 24)]
    assert [step["start"] for step in chart_of(over)["steps"]] == [f"{hour:%Y-%m-%dT%H:%M}" for hour in hours]


def test_programs_get_json(client: FlaskClient) -> None:
    """Verdict, forecast and what was kept, where Accept asks for JSON."""
    said = send(client, csv(house()), headers=JSON, keep="y", meter="home").get_json()
    assert (said["quality"]["verdict"], said["kept"]) == ("good", {"meter": "home", "new": 960, "same": 0, "corrected": 0})
    assert (len(said["forecast"]["steps"]), said["forecast"]["tier"], said["problem"]) == (24, "baseline", None)


def test_without_any_model_a_file_is_judged(tmp_path: Path, browse: Browse) -> None:
    """An empty store: the verdict, and in place of the curve why there is none."""
    answer = send(browse(tmp_path / "empty"), csv(house()))
    assert answer.status_code == 200
    assert "house.csv is good" in text_of(answer)
    assert "There is none: " in text_of(answer)


def test_a_database_that_is_away_refuses_the_form(store: Path, browse: Browse) -> None:
    """503 with what to do, for the form's mark could not be checked; the other pages go on."""
    client = browse(store, database=f"sqlite:///{store / 'serving.json' / 'wattcast.db'}")
    for answer in (client.get("/file"), client.post("/file", data={"file": (io.BytesIO(csv(house())), "house.csv")})):
        assert answer.status_code == 503
        assert "Check that the database answers" in answer.text
    assert client.get("/").status_code == 200
