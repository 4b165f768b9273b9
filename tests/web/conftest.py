"""A store with small trained models for the web tests: trained once, copied for each test that alters it."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from running import Redis, Running, Start
from small_store import NOW_S, Browse, publish_two_meters

from wattcast.config import Settings
from wattcast.web.app import create_app


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of two meters, `house` and `hourly`. Never to be altered."""
    store = tmp_path_factory.mktemp("trained") / "store"
    publish_two_meters(store)
    return store


@pytest.fixture
def store(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained store, free to be altered."""
    shutil.copytree(trained, tmp_path / "store")
    return tmp_path / "store"


@pytest.fixture
def browse(tmp_path: Path) -> Browse:
    """A client of the app over a store, at a fixed moment, with a database of the test's own."""

    def opened(store: Path, **settings: Any) -> FlaskClient:
        own = {"store": store, "database": f"sqlite:///{tmp_path / 'wattcast.db'}"}
        return create_app(Settings(**own | settings), now=lambda: NOW_S).test_client()

    return opened


@pytest.fixture
def client(trained: Path, browse: Browse) -> FlaskClient:
    """A client over the trained store as it is."""
    return browse(trained)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts servers, and ends those that a test left."""
    started: list[Running] = []

    def begin(store: Path, port: int = 0, **settings: str) -> Running:
        started.append(Running(store, tmp_path / f"log{len(started)}", port, **settings))
        return started[-1]

    yield begin
    for server in started:
        if server.process.poll() is None:
            server.stop(signal.SIGTERM)


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    """A real Redis of the test's own."""
    server = Redis(tmp_path)
    server.start()
    yield server
    server.kill()
