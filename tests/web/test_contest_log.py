"""What the log holds while a challenger contends: both forecasts of every question from stored readings, and nothing that was sent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from small_store import END_S, NOW_S, Browse, flip_one_byte

from wattcast.access import new_key
from wattcast.adapters.model_store import FileModelStore
from wattcast.forecasting.forecast import LoggedForecast, iso
from wattcast.forecasting.succession import challenge, promote

WHO = {"at": "2010-11-28T00:00:00+00:00", "by": "tests"}


def contested(store: Path, share: float = 0.0) -> tuple[str, str]:
    """Champion and challenger of the house's day ahead."""
    models = FileModelStore(store)
    slot = models.manifest().slots["day_ahead/house"]
    challenger = next(bundle for bundle in slot.answering.values() if bundle != slot.champion)
    models.change(lambda manifest: challenge(manifest, models.record(challenger), share), **WHO)
    return slot.champion, challenger


def logged(client: FlaskClient) -> list[LoggedForecast]:
    """Every forecast of the house's day ahead that is in the log."""
    live = client.application.extensions["wattcast"].live
    live.written_behind.close()
    return list(live.log.between("house", "day_ahead", 0, NOW_S + 10**7))


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_both_forecast_every_question(store: Path, browse: Browse, share: float) -> None:
    """One is given out and counted, the other stands beside it in the log, however often the same is asked."""
    champion, challenger = contested(store, share)
    client = browse(store)
    for _ in range(3):
        said = client.get("/api/v1/meters/house/forecast?task=day_ahead").get_json()
    assert said["version"] == (challenger if share else champion)
    assert said["tier"] == ("challenger" if share else "champion")
    rows = {one.version: one for one in logged(client)}
    assert set(rows) == {champion, challenger}
    other = champion if share else challenger
    assert (rows[other].tier, rows[other].served, rows[said["version"]].served) == ("shadow", 0, 3)
    assert rows[other].origin_s == rows[said["version"]].origin_s
    shown = client.get("/api/v1/meters/house/forecasts?task=day_ahead").get_json()["forecasts"]
    assert {one["version"] for one in shown} == {said["version"]}


def hours() -> list[dict[str, Any]]:
    """Two weeks of made-up hours up to the end of the stored ones."""
    return [{"start": iso(END_S - hour * 3_600, "UTC"), "power_kw": 3.0} for hour in range(1, 24 * 14)]


@pytest.mark.parametrize("how", ["alone", "in a batch"])
def test_what_is_sent_decides_nothing(store: Path, browse: Browse, how: str) -> None:
    """Forecasts from readings that come with the request are given out and not logged while two contend; before that they are."""
    asked = {"task": "day_ahead", "meter": "house", "readings": hours()}
    for contends in (False, True):
        if contends:
            contested(store)
        client = browse(store)
        path, body = ("/api/v1/forecast", asked) if how == "alone" else ("/api/v1/forecast/batch", {"requests": [asked, asked]})
        assert client.post(path, json=body).status_code == 200
        # The first client's database is the second's too.
        assert len(logged(client)) == 1


def test_what_is_held_back_is_told_to_those_who_may_know(store: Path, browse: Browse) -> None:
    """An administrator of another meter looks for models, and is told nothing of the house's."""
    client = browse(store)
    keys = client.application.extensions["wattcast"].live.keys
    sent = {}
    for meter in ("", "hourly"):
        key, text = new_key(f"admin {meter}", ["admin"], meter, NOW_S)
        keys.add(key)
        sent[meter] = {"Authorization": f"Bearer {text}"}
    models = FileModelStore(store)
    slot = models.manifest().slots["day_ahead/house"]
    other = next(bundle for bundle in slot.answering.values() if bundle != slot.champion)
    flip_one_byte(store, other)
    models.change(lambda manifest: promote(manifest, models.record(other), ()), **WHO)
    whole, part = (client.post("/api/v1/admin/refresh", headers=sent[meter]).get_json() for meter in ("", "hourly"))
    assert list(whole["held_back"]) == ["day_ahead/house"]
    assert "altered or torn" in whole["fault"]
    assert (part["held_back"], part["fault"]) == ({}, "")
