"""Forecasts that are asked for again: kept as JSON, by all that they follow from, and known by their tag."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis as redis_client
import tiny
from flask.testing import FlaskClient
from running import Redis, Running, Start
from small_store import NOW_S, Browse, wait_for
from test_api_meters import got, hours, kept, written

from wattcast.adapters.model_store import FileModelStore
from wattcast.config import Settings
from wattcast.web.app import create_app

PATH = "/api/v1/meters/house/forecast?task=day_ahead"


def lookups(client: FlaskClient) -> dict[str, float]:
    """How often what was kept was asked for, by outcome; counts of a process only rise."""
    lines = [line for line in client.get("/metrics").get_data(as_text=True).splitlines() if line.startswith("wattcast_cache_lookups_total")]
    return {line.partition('"')[2].partition('"')[0]: float(line.rpartition(" ")[2]) for line in lines}


def outcomes(client: FlaskClient, ask: Callable[[], object]) -> dict[str, float]:
    """What asking adds to the lookups."""
    before = lookups(client)
    ask()
    return {name: count - before.get(name, 0) for name, count in lookups(client).items() if count > before.get(name, 0)}


def test_asked_again_the_answer_is_the_same_but_for_the_age_of_its_readings(trained: Path, tmp_path: Path) -> None:
    """The second time no model runs; the log counts both, the metrics too."""
    now = [NOW_S]
    app = create_app(Settings(store=trained, database=f"sqlite:///{tmp_path / 'own.db'}"), now=lambda: now[0])
    client = app.test_client()
    first = client.get(PATH).get_json()
    now[0] += 100
    again: dict[str, Any] = {}
    assert outcomes(client, lambda: again.update(client.get(PATH).get_json())) == {"hit": 1}
    assert again == first | {"data_age_s": first["data_age_s"] + 100}
    logged = written(client, "/meters/house/forecasts?task=day_ahead")["forecasts"]
    assert [(each["served"], each["version"]) for each in logged] == [(2, first["version"])]
    assert logged[0]["first_served"] < logged[0]["last_served"]


def test_other_readings_are_another_question(store: Path, browse: Browse) -> None:
    """A reading that arrives, or is corrected, is forecast from at once; so is a meter that was deleted and sent anew."""
    client = browse(store)
    kept(client, hours(0, 30 * 24))
    path = "/meters/home/forecast"
    assert outcomes(client, lambda: got(client, path)) == {"miss": 1}
    first = got(client, path)
    kept(client, hours(30 * 24, 1))
    second = got(client, path)
    assert second["origin"] > first["origin"]
    kept(client, [hours(30 * 24, 1)[0] | {"power_kw": 9.0}])
    third = got(client, path)
    assert third["origin"] == second["origin"]
    assert third["steps"] != second["steps"]
    client.delete("/api/v1/meters/home")
    kept(client, hours(0, 30 * 24))
    assert got(client, path)["steps"] == first["steps"]


def test_a_new_model_never_answers_from_an_old_cache(store: Path, browse: Browse, redis: Redis) -> None:
    """What another serving manifest names is asked for by another key, in a Redis that outlives the service too."""
    first = browse(store, redis=redis.url).get(PATH)
    models = FileModelStore(store)
    manifest = models.manifest()
    slot = manifest.slot("day_ahead", "house")
    assert slot is not None
    other = next(bundle for family, bundle in slot.families.items() if bundle != slot.champion and family not in slot.vetoed)
    slots = {**manifest.slots, "day_ahead/house": replace(slot, champion=other)}
    tiny.put_manifest(models, replace(manifest, slots=slots))
    second = browse(store, redis=redis.url).get(PATH)
    assert first.get_json()["version"] == slot.champion
    assert second.get_json()["version"] == other
    assert first.headers["ETag"] != second.headers["ETag"]


def test_who_has_the_answer_is_told_so(store: Path, browse: Browse) -> None:
    """If-None-Match with the tag of the answer is 304 without a body, until a reading arrives."""
    client = browse(store)
    kept(client, hours(0, 20 * 24))
    path = "/api/v1/meters/home/forecast"
    tag = client.get(path).headers["ETag"]
    assert tag.startswith('W/"')
    for sent in (tag, f'"else", {tag}', "*", tag.removeprefix("W/")):
        known = client.get(path, headers={"If-None-Match": sent})
        assert (known.status_code, known.data, known.headers["ETag"]) == (304, b"", tag), sent
        assert known.headers["X-Content-Type-Options"] == "nosniff"
    assert client.get(path, headers={"If-None-Match": '"else"'}).status_code == 200
    assert client.get(f"{path}?task=next_minute", headers={"If-None-Match": tag}).status_code != 304
    kept(client, hours(20 * 24, 1))
    changed = client.get(path, headers={"If-None-Match": tag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != tag


def test_nothing_is_kept_where_the_setting_says_so(trained: Path, browse: Browse) -> None:
    """WATTCAST_CACHE=0: every answer is made anew, and still has its tag."""
    client = browse(trained, cache=0)
    assert outcomes(client, lambda: [client.get(PATH) for _ in range(3)]) == {"miss": 3}
    assert client.get(PATH, headers={"If-None-Match": client.get(PATH).headers["ETag"]}).status_code == 304


class Planted:
    """What runs a command where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("before", [b"", b"!"], ids=["bare", "as the library marks it"])
def test_a_pickle_that_was_planted_in_redis_does_not_run(
    trained: Path, tmp_path: Path, browse: Browse, redis: Redis, before: bytes
) -> None:
    """It is no forecast of ours: the answer is made anew, and nothing is run."""
    client = browse(trained, redis=redis.url)
    answer = client.get(PATH).get_json()
    there = redis_client.Redis.from_url(redis.url)
    keys = [key for key in there.keys("*") if b"forecast" in key]
    assert len(keys) == 1
    assert there.get(keys[0]).startswith(b"{")
    there.set(keys[0], before + pickle.dumps(Planted(tmp_path / "run")))
    assert outcomes(client, lambda: client.get(PATH)) == {"miss": 1}
    assert client.get(PATH).get_json() == answer
    there.set(keys[0], b'{"meter": 1}')
    assert client.get(PATH).get_json() == answer
    assert not (tmp_path / "run").exists()


def test_servers_share_what_they_keep_through_redis(trained: Path, start: Start, redis: Redis) -> None:
    """What one server made another gives out; with Redis away answers go on and `/readyz` says so, until it is back."""
    one, other = (start(trained, redis=redis.url).ready() for _ in range(2))
    first, second = asked(one, PATH), asked(other, PATH)
    assert first == second | {"data_age_s": first["data_age_s"]}
    assert 'wattcast_cache_lookups_total{outcome="hit"} 1.0' in str(asked(other, "/metrics"))
    redis.kill()
    assert asked(one, PATH)["steps"] == first["steps"]
    wait_for(lambda: asked(one, "/readyz")["degraded"] == ["redis"])
    redis.start()
    wait_for(lambda: asked(one, "/readyz")["degraded"] == [])


def asked(server: Running, path: str) -> Any:
    """What is at an address, from JSON where it is some."""
    with closing(server.connect()) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        said = answer.read()
        assert answer.status == 200, said
        return json.loads(said) if answer.headers["Content-Type"] == "application/json" else said.decode()
