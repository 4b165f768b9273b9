"""Which adapter fulfils which port, by the settings."""

from __future__ import annotations

from dataclasses import dataclass

from wattcast.adapters.files import FileModelStore, FileReadingStore
from wattcast.config import Settings
from wattcast.ports import ModelStore, ReadingStore


@dataclass(frozen=True)
class Services:
    """The adapters that the settings chose."""

    store: ModelStore
    readings: ReadingStore


def connect(settings: Settings) -> Services:
    """The adapters for these settings. Opens nothing yet."""
    return Services(FileModelStore(settings.store), FileReadingStore(settings.store))
