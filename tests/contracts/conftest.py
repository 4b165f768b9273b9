"""One suite of promises for every adapter of a port: an adapter joins by one line in `MODEL_STORES` or `READING_STORES`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from wattcast.adapters.files import FileModelStore, FileReadingStore
from wattcast.ports import ModelStore, ReadingStore

# Name -> what connects to an empty place of its own below a temporary folder; called twice, it connects to the same place.
MODEL_STORES: Mapping[str, Callable[[Path], ModelStore]] = {"files": lambda folder: FileModelStore(folder / "store")}
READING_STORES: Mapping[str, Callable[[Path], ReadingStore]] = {"files": lambda folder: FileReadingStore(folder / "store")}


@pytest.fixture(params=MODEL_STORES)
def connect_models(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], ModelStore]:
    """connect_models() -> a new connection to one model store, empty at first."""
    return lambda: MODEL_STORES[request.param](tmp_path)


@pytest.fixture
def models(connect_models: Callable[[], ModelStore]) -> ModelStore:
    """A connection to an empty model store."""
    return connect_models()


@pytest.fixture(params=READING_STORES)
def connect_readings(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], ReadingStore]:
    """connect_readings() -> a new connection to one reading store, empty at first."""
    return lambda: READING_STORES[request.param](tmp_path)


@pytest.fixture
def readings(connect_readings: Callable[[], ReadingStore]) -> ReadingStore:
    """A connection to an empty reading store."""
    return connect_readings()
