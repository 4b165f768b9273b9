"""GET /api/v1/meters/{id}: the verdict on the readings that arrived, beside that on those which models were trained on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from small_store import Browse

START = datetime(2010, 10, 1, tzinfo=UTC)


@pytest.fixture
def client(store: Path, browse: Browse) -> FlaskClient:
    """A client over a store of its own: what arrives is kept in it."""
    return browse(store)


def sent(client: FlaskClient, meter: str, values: list[float | None], words: str = "", first: int = 0) -> None:
    """Readings of hours from START on, kept."""
    rows = [{"start": (START + timedelta(hours=first + at)).isoformat(), "power_kw": value} for at, value in enumerate(values)]
    answer = client.put(f"/api/v1/meters/{meter}/readings{words}", json={"readings": rows})
    assert answer.status_code == 200, answer.text


def details(client: FlaskClient, meter: str) -> dict[str, Any]:
    """GET /api/v1/meters/{id}."""
    answer = client.get(f"/api/v1/meters/{meter}")
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.get_json()
    return said


def house(hours: int) -> list[float | None]:
    """Hours of a plausible house."""
    noise = np.random.default_rng(5).normal(0, 0.1, hours)
    values: list[float | None] = (0.9 + 0.4 * np.sin(np.arange(hours) / 24 * 2 * np.pi) + noise).round(3).tolist()
    return values


def test_what_arrived_is_judged_with_its_span(client: FlaskClient) -> None:
    """Forty good days are good, with their span on the meter's clock and figures; nothing was trained, so `quality` is null."""
    sent(client, "home", house(24 * 40), "?zone=Europe/Paris")
    said = details(client, "home")
    assert said["quality"] is None
    arrived = said["arrived"]
    assert arrived["verdict"] == "good"
    assert (arrived["first"], arrived["end"]) == ("2010-10-01T02:00:00+02:00", "2010-11-10T01:00:00+01:00")
    assert (arrived["figures"]["measured_days"], arrived["figures"]["resolution_s"]) == (40, 3600)
    assert "40.0 days at 1 h" in arrived["reasons"][0]


def test_what_is_wrong_is_said(client: FlaskClient) -> None:
    """Few days are refused, a long gap makes them usable, both with the sentence for a file; below zero counts by the meter's flow."""
    sent(client, "few", house(48))
    assert details(client, "few")["arrived"]["verdict"] == "refused"
    assert "too little to learn from" in " ".join(details(client, "few")["arrived"]["reasons"])
    gap: list[float | None] = [None] * 100
    sent(client, "gap", [*house(24 * 20), *gap, *house(24 * 20)])
    assert details(client, "gap")["arrived"]["verdict"] == "usable"
    assert "The longest gap lasts 4.2 days." in details(client, "gap")["arrived"]["reasons"]
    below = [-1.0 if at % 24 == 12 else value for at, value in enumerate(house(24 * 20))]
    for flow, verdict, negative in (("net", "good", 0), ("consumption", "usable", 20)):
        sent(client, flow, below, f"?flow={flow}")
        arrived = details(client, flow)["arrived"]
        assert (arrived["verdict"], arrived["figures"]["negative"]) == (verdict, negative)


def test_the_verdict_follows_what_arrives(client: FlaskClient) -> None:
    """More readings or a correction: the next answer is about them; a meter made anew is judged anew."""
    sent(client, "home", house(48))
    assert details(client, "home")["arrived"]["verdict"] == "refused"
    sent(client, "home", house(24 * 20), first=48)
    assert details(client, "home")["arrived"]["verdict"] == "good"
    sent(client, "home", [900.0], first=100)
    assert "impossibly high" in " ".join(details(client, "home")["arrived"]["reasons"])
    assert client.delete("/api/v1/meters/home").status_code == 204
    sent(client, "home", house(24))
    assert details(client, "home")["arrived"]["figures"]["rows"] == 24


def test_of_many_readings_the_last_hundred_thousand_are_judged(client: FlaskClient) -> None:
    """The answer says which span that is."""
    times = (f"{START + at * timedelta(minutes=1):%Y-%m-%dT%H:%MZ},{1 + at % 7 / 10}\n" for at in range(100_010))
    answer = client.put("/api/v1/meters/home/readings", data="time,load_kw\n" + "".join(times), content_type="text/csv")
    assert answer.status_code == 200, answer.text
    said = details(client, "home")
    assert (said["meter"]["readings"], said["arrived"]["figures"]["rows"]) == (100_010, 100_000)
    assert datetime.fromisoformat(said["arrived"]["first"]) == START + timedelta(minutes=10)
    assert said["arrived"]["end"] == said["meter"]["end"]


def test_both_verdicts_stand_beside_each_other(client: FlaskClient) -> None:
    """A registered meter: `arrived` is null until something arrives, and what models were trained on keeps its own."""
    assert details(client, "hourly")["arrived"] is None
    sent(client, "hourly", house(24 * 20))
    said = details(client, "hourly")
    assert (said["quality"]["verdict"], said["arrived"]["verdict"]) == ("usable", "good")


def test_times_too_far_apart_are_a_verdict_and_no_error(client: FlaskClient) -> None:
    """Almost all of the span one gap: refused, with the gap named."""
    far = [{"start": moment, "power_kw": 1.0} for moment in ("2000-01-01T00:00:00Z", "2000-01-01T01:00:00Z", "2010-01-01T00:00:00Z")]
    assert client.put("/api/v1/meters/far/readings?resolution_s=3600", json={"readings": far}).status_code == 200
    arrived = details(client, "far")["arrived"]
    assert arrived["verdict"] == "refused"
    assert "2000-01-01T01:00:00 to 2010-01-01T00:00:00" in arrived["reasons"][0]
