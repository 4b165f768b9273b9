"""The life of models over /api/v1: roles and verdicts, who changed what, and accuracy on what came."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from lived import CAME, REASONS, expected, lived, log_forecasts, send_what_came
from small_store import Browse
from test_api_keys import made
from test_api_whose import hours

from wattcast.adapters.database import Database, DatabaseKeys
from wattcast.adapters.model_store import FileModelStore
from wattcast.forecasting import succession
from wattcast.forecasting.registry import Slot


def got(client: FlaskClient, path: str, status: int = 200, headers: dict[str, str] | None = None) -> Any:
    """The JSON of an answer."""
    answer = client.get(f"/api/v1{path}", headers=headers)
    assert answer.status_code == status, answer.text
    return answer.get_json()


@pytest.fixture
def slot(store: Path) -> Slot:
    """The house's day ahead after a promotion, a verdict and a challenge."""
    return lived(store)


def roles(client: FlaskClient) -> dict[str, str]:
    """What each model of the house's day ahead is."""
    listed = got(client, "/models")["models"]
    return {each["version"]: each["role"] for each in listed if (each["meter"], each["task"]) == ("house", "day_ahead")}


def test_models_have_a_role_and_a_verdict(store: Path, slot: Slot, browse: Browse) -> None:
    """Each once, with its most important role; one that applied and waits is listed though no family names it."""
    client = browse(store)
    assert roles(client) == {slot.champion: "champion", slot.challenger: "challenger", slot.previous: "previous"}
    verdicts = {each["version"]: each["verdict"] for each in got(client, "/models")["models"]}
    said = {"promote": False, "champion": slot.champion, "reasons": list(REASONS), "days": 20, "forced": ""}
    assert {version: verdict for version, verdict in verdicts.items() if verdict} == {slot.challenger: said}
    kept = FileModelStore(store)
    kept.change(lambda manifest: succession.end_challenge(manifest, "day_ahead", "house"), at="2026-11-26T13:00:00+00:00", by="eve")
    kept.change(lambda manifest: succession.rollback(manifest, "day_ahead", "house"), at="2026-11-26T13:01:00+00:00", by="eve")
    client = browse(store)
    assert roles(client) == {slot.previous: "champion", slot.champion: "candidate", slot.challenger: "family"}
    waiting = got(client, f"/models/{slot.champion}")["model"]
    assert (waiting["role"], waiting["champion"], len(waiting["scores"])) == ("candidate", False, 1)


def test_the_history_is_told_latest_first(store: Path, slot: Slot, browse: Browse) -> None:
    """When, who, what, why, and what it did; no more of it than asked for; for a key of one meter what is about it alone."""
    client = browse(store)
    changes = got(client, "/models/history")["changes"]
    assert [(each["serial"], each["action"], each["by"]) for each in changes] == [
        (4, "challenge", "bert"),
        (3, "promote", "anna"),
        (2, "register", "tests"),
        (1, "register", "tests"),
    ]
    assert changes[1] == {
        "serial": 3,
        "action": "promote",
        "at": "2026-11-26T12:01:00+00:00",
        "by": "anna",
        "why": "a drill",
        "moves": [{"task": "day_ahead", "meter": "house", "before": slot.previous, "after": slot.champion, "reasons": ["forced: a drill"]}],
    }
    assert got(client, "/models/history?limit=1")["changes"] == changes[:1]
    for bad in ("0", "21", "x"):
        assert got(client, f"/models/history?limit={bad}", 422)["errors"][0]["field"] == "limit"


def test_a_key_of_one_meter_sees_its_own_life_alone(store: Path, slot: Slot, browse: Browse, tmp_path: Path) -> None:
    """Of another meter neither a change nor a model nor how good it was."""
    keys = DatabaseKeys(Database(f"sqlite:///{tmp_path / 'wattcast.db'}"))
    house, hourly, forecast = made(keys, "models", meter="house"), made(keys, "models", meter="hourly"), made(keys, "forecast")
    kept = FileModelStore(store)
    kept.change(lambda manifest: succession.name(manifest, "winter", slot.champion), at="2026-11-26T13:00:00+00:00", by="eve")
    client = browse(store)
    assert got(client, "/models/history", headers=hourly) == {"changes": []}
    assert [each["by"] for each in got(client, "/models/history", headers=house)["changes"]] == ["bert", "anna"]
    assert {each["meter"] for each in got(client, "/models", headers=hourly)["models"]} == {"hourly"}
    assert got(client, "/meters/hourly/accuracy", headers=hourly)["accuracy"] == []
    got(client, "/meters/house/accuracy", 404, hourly)
    got(client, f"/models/{slot.challenger}", 404, hourly)
    for path in ("/models/history", "/meters/house/accuracy"):
        got(client, path, 403, forecast)


def test_accuracy_is_told_beside_baselines_on_the_same_hours(store: Path, slot: Slot, browse: Browse, tmp_path: Path) -> None:
    """The figures are those of the readings; a model in the shadow has its own; what waits is counted."""
    client = browse(store)
    send_what_came(client)
    log_forecasts(tmp_path, slot)
    said = got(client, "/meters/house/accuracy?task=day_ahead")
    assert (said["meter"], said["zone"], said["until"]) == ("house", "Europe/Paris", "2010-11-28T10:00:00+01:00")
    whole = {(each["tier"], each["days"]): each for each in said["accuracy"] if each["leads"] == "every lead"}
    assert whole.keys() == {(tier, days) for tier in ("champion", "shadow") for days in (7, 28)}
    for tier, version, median in (("champion", slot.champion, 1.0), ("shadow", slot.challenger, 1.2)):
        figures, one = expected(median), whole[tier, 28]
        counts = [one[name] for name in ("scored", "waiting", "missing", "alone")]
        assert (one["version"], one["model"], counts) == (version, f"The {tier}", [CAME, 12, 0, 0])
        told = [one[name] for name in ("mae", "rmse", "bias_kw", "coverage", "nominal")]
        assert told == pytest.approx([figures.mae, figures.rmse, figures.bias, figures.coverage, 0.8], abs=2e-6)
        beside = {(errors["mae"], errors["rmse"]) for errors in one["baselines"].values()}
        for _, mae, rmse in figures.baselines:
            assert any(pair == pytest.approx((mae, rmse), abs=2e-6) for pair in beside)
        assert one["skill"]["mae"] == pytest.approx(1 - figures.mae / min(mae for _, mae, _ in figures.baselines), abs=1e-5)
    by_lead = [each for each in said["accuracy"] if (each["tier"], each["days"]) == ("shadow", 7) and each["leads"] != "every lead"]
    assert sum(each["scored"] for each in by_lead) == CAME
    assert {each["leads"] for each in by_lead} == {"0 to 1 h", "1 to 6 h", "6 to 12 h", "12 to 24 h"}


def test_accuracy_of_what_is_not_there(store: Path, slot: Slot, browse: Browse, tmp_path: Path) -> None:
    """Forecasts without their readings have no errors; a meter that only sends readings has been forecast too; others are 404 and 422."""
    client = browse(store)
    log_forecasts(tmp_path, slot, (0,))
    waiting = got(client, "/meters/house/accuracy")["accuracy"][0]
    assert (waiting["scored"], waiting["mae"], waiting["bias_kw"], waiting["baselines"]) == (0, None, None, {})
    assert client.put("/api/v1/meters/home/readings", json={"readings": hours(480)}).status_code == 200
    origin = "2010-10-19T00:00:00Z"
    assert got(client, f"/meters/home/forecast?origin={origin}")["tier"] == "baseline"
    client.application.extensions["wattcast"].live.written_behind.close()
    home = [each for each in got(client, "/meters/home/accuracy")["accuracy"] if each["leads"] == "every lead"]
    assert [(each["version"], each["tier"], each["scored"]) for each in home] == [("", "baseline", 24)] * 2
    got(client, "/meters/barn/accuracy", 404)
    assert got(client, "/meters/house/accuracy?task=week", 422)["errors"][0]["field"] == "task"
