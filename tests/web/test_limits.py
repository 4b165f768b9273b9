"""How often one may ask: each key for itself, over all workers through Redis, and without it when it is away."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from running import Redis, Running, Start
from small_store import NOW_S, Browse, wait_for

from wattcast.access import new_key
from wattcast.adapters.database import Database, DatabaseKeys
from wattcast.errors import BadParams

WORKERS, ASKED, ALLOWED = 4, 160, 100


@pytest.fixture
def headers(tmp_path: Path) -> dict[str, str]:
    """Those of an admin key of the service."""
    return made(tmp_path)


def made(tmp_path: Path) -> dict[str, str]:
    """The headers of a new key."""
    key, text = new_key("test", ["admin"], "", int(NOW_S))
    DatabaseKeys(Database(f"sqlite:///{tmp_path / 'wattcast.db'}")).add(key)
    return {"Authorization": f"Bearer {text}"}


def within_a_minute() -> None:
    """Wait for a minute that will not end soon: windows begin with minutes."""
    while time.time() % 60 > 40:
        time.sleep(0.5)


def test_a_key_that_asks_too_often_waits(trained: Path, browse: Browse, headers: dict[str, str], tmp_path: Path) -> None:
    """429 as problem+json with Retry-After; another key and what is open to all go on."""
    within_a_minute()
    client, other = browse(trained, limit="3 per minute"), made(tmp_path)
    assert [client.get("/api/v1/models", headers=headers).status_code for _ in range(5)] == [200, 200, 200, 429, 429]
    refused = client.get("/api/v1/meters", headers=headers)
    assert refused.status_code == 429
    assert refused.mimetype == "application/problem+json"
    assert refused.get_json()["title"] == "Too many requests"
    assert 0 < int(refused.headers["Retry-After"]) <= 60
    assert client.get("/api/v1/models", headers=other).status_code == 200
    assert [client.get("/healthz").status_code for _ in range(5)] == [200] * 5
    assert client.get("/api/v1/models").status_code == 401


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_guessing_keys_is_counted_by_address(trained: Path, browse: Browse, headers: dict[str, str], host: str) -> None:
    """Wherever the service listens, once there is a key; at the door of the pages too."""
    within_a_minute()
    client = browse(trained, limit="3 per minute", host=host)
    guess = {"Authorization": headers["Authorization"][:-2] + "xx"}
    assert [client.get("/api/v1/models", headers=guess).status_code for _ in range(3)] == [401, 401, 401]
    assert client.get("/api/v1/models", headers=guess).status_code == 429
    assert client.post("/login", data={"key": "wc_nonsense"}).status_code == 429
    assert client.get("/api/v1/models", headers=headers).status_code == 200


def test_this_machine_without_keys_is_not_counted(trained: Path, browse: Browse) -> None:
    """A house of one's own asks as often as it likes; so does anybody where no limit is set."""
    client = browse(trained, limit="1 per hour")
    assert [client.get("/api/v1/models").status_code for _ in range(4)] == [200] * 4


def test_no_limit_is_none(trained: Path, browse: Browse, headers: dict[str, str]) -> None:
    """WATTCAST_LIMIT= counts nothing; one that cannot be read, lets nobody in, or is several ends the start."""
    client = browse(trained, limit="")
    assert [client.get("/api/v1/models", headers=headers).status_code for _ in range(4)] == [200] * 4
    for limit in ("often", "0 per minute", "10 per second; 600 per minute"):
        with pytest.raises(BadParams, match=f'"{limit}" is not one limit') as refused:
            browse(trained, limit=limit)
        assert "600 per minute" in refused.value.hint
    with pytest.raises(BadParams, match="WATTCAST_REDIS"):
        browse(trained, redis="nonsense")


def answers(server: Running, headers: dict[str, str], count: int) -> Counter[int]:
    """How often each status came, asked by several at once."""
    found: Counter[int] = Counter()
    lock = threading.Lock()

    def ask() -> None:
        for _ in range(count // 8):
            with closing(server.connect()) as connection:
                connection.request("GET", "/api/v1/models", headers=headers)
                answer = connection.getresponse()
                answer.read()
                with lock:
                    found[answer.status] += 1

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def test_workers_share_their_counts_through_redis(trained: Path, start: Start, headers: dict[str, str], redis: Redis) -> None:
    """Of one window exactly as many get through as may; with Redis away every worker counts for itself, and nothing fails."""
    server = start(trained, workers=str(WORKERS), limit=f"{ALLOWED} per minute", redis=redis.url).ready()
    wait_for(lambda: len(server.workers()) == WORKERS)
    answers(server, {"Authorization": "Bearer none"}, 8 * WORKERS)
    within_a_minute()
    assert answers(server, headers, ASKED) == {200: ALLOWED, 429: ASKED - ALLOWED}
    redis.kill()
    away = answers(server, headers, ASKED)
    assert away[200] > 0
    assert set(away) <= {200, 429}
