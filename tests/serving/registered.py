"""A house and a barn with tiny models in a store, and how they are asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import tiny

from wattcast.adapters.files import FileSnapshots
from wattcast.adapters.model_store import FileModelStore
from wattcast.forecasting.choosing import slot_of
from wattcast.forecasting.registry import Record, Slot
from wattcast.meter.table import Meter
from wattcast.serving import Ask, ForecastService

HOUSE, BARN = tiny.minute_table().meter, Meter("barn")
MINUTES, HOURS = tiny.minute_table(), tiny.hour_table()
COARSE = "the readings are 3600 s apart, it needs 60 s or finer"
DAY_S = 86_400
VETO = ("from history, daily_naive has MAE 0.1000 kW, the family 0.2000",)


def publish(folder: Path, meter: Meter, bundles: dict[str, list[bytes]], vetoed: tuple[str, ...] = ()) -> None:
    """Register these bundles, by task, as what serves the meter; a task without one is skipped. vetoed: families that lost the test."""
    models, slots = FileModelStore(folder), []
    for name, task in tiny.TASKS.items():
        records: list[Record] = []
        for data in bundles.get(name, []):
            models.put_bundle(data)
            known = tiny.record(data, meter=meter.id)
            records.append(replace(known, veto=VETO if known.family in vetoed else ()))
            models.put_record(records[-1])
        slots.append(slot_of(name, task, meter.id, tiny.LEVELS, records, "" if records else COARSE))
    tiny.put_manifest(models, models.manifest().with_slots(meter, slots))


def serving(folder: Path) -> ForecastService:
    """The service on this store, loaded."""
    service = ForecastService(FileModelStore(folder), FileSnapshots(folder))
    service.load()
    return service


def ask(task: str = "day_ahead", **changes: Any) -> Ask:
    """A question of the house, an hour after its last hour."""
    return replace(Ask("house", task, now_s=HOURS.end_s + 3_600), **changes)


def slot_in(folder: Path, task: str = "day_ahead", meter: str = "house") -> Slot:
    """Who answers for the task."""
    return FileModelStore(folder).manifest().slots[f"{task}/{meter}"]


def bundle_path(folder: Path, bundle_id: str) -> Path:
    """The file of a bundle."""
    return folder / "bundles" / f"{bundle_id}.wattcast"


def flip(path: Path) -> None:
    """Change one bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
