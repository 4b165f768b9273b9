"""What the service is asked, made from the readings that its models were registered with, and whether it answers as it should."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from served.load import JSON, Request
from served.servers import Server
from wattcast.adapters.files import FileSnapshots
from wattcast.adapters.model_store import FileModelStore
from wattcast.forecasting.registry import Slot
from wattcast.meter.table import MeterTable

FAMILIES = ("xgb", "rf", "lgbm")
HOURS = 336
BATCH = 1_000
# So many requests that differ are asked in turn: no answer to a POST can be one that was kept.
_DIFFERENT = 32


@dataclass(frozen=True)
class Case:
    """One kind of request. family: who has to answer, "" for the champion; status: what every answer has to have."""

    key: str
    title: str
    requests: tuple[Request, ...]
    family: str = ""
    status: int = 200

    @property
    def plain_requests(self) -> tuple[Request, ...]:
        """The same, for bare Flask, which has a path of its own for each answer, and no use for what only ours looks at."""
        return tuple(replace(each, path=f"/{self.key}", headers=JSON if each.body else {}) for each in self.requests)

    def with_key(self, key: str) -> Case:
        """The same, with a key in every request."""
        said = {"Authorization": f"Bearer {key}"}
        return replace(self, requests=tuple(replace(each, headers={**each.headers, **said}) for each in self.requests))


@dataclass(frozen=True)
class Known:
    """A store of models, and the readings of the meter that was registered last."""

    store: Path
    meter: str
    slots: Mapping[str, Slot] = field(repr=False)
    tables: Mapping[str, MeterTable] = field(repr=False)

    @classmethod
    def of(cls, store: Path) -> Known:
        """What this store knows. Exits where it knows no meter with both tasks."""
        manifest = FileModelStore(store).manifest()
        meter = manifest.latest_meter
        slots = {slot.task: slot for slot in manifest.slots.values() if slot.meter == meter}
        tables = {task: FileSnapshots(store).latest(meter, slot.step_s) for task, slot in slots.items()}
        missing = [task for task in ("next_minute", "day_ahead") if tables.get(task) is None]
        if missing:
            sys.exit(f"error: {store} has no models and readings for {', '.join(missing)}")
        return cls(store, meter, slots, {task: table for task, table in tables.items() if table is not None})

    def single_readings(self, count: int) -> list[dict[str, Any]]:
        """The latest minutes, one by one, each with everything that was measured."""
        table = self.tables["next_minute"]
        columns = table.columns()
        whole = np.flatnonzero(np.isfinite(np.stack(list(columns.values()))).all(axis=0))[-count:]
        return [{"start": _iso(table, row), **{name: round(float(column[row]), 3) for name, column in columns.items()}} for row in whole]

    def windows(self, count: int) -> list[list[dict[str, Any]]]:
        """The latest spans of HOURS hours of power, each ending an hour later than the one before."""
        table = self.tables["day_ahead"]
        power = [None if np.isnan(value) else round(float(value), 3) for value in table.power_kw]
        rows = [{"start": _iso(table, row), "power_kw": value} for row, value in enumerate(power)]
        ends = [row + 1 for row in range(HOURS, len(rows)) if power[row] is not None][-count:]
        return [rows[end - HOURS : end] for end in ends]


def next_minute(known: Known, family: str = "") -> Case:
    """The next minute from one reading."""
    bodies = [{"task": "next_minute", "family": family, "readings": [reading]} for reading in known.single_readings(_DIFFERENT)]
    return Case(_key("next_minute", family), f"next minute, {family or 'champion'}", _posts("/api/v1/forecast", bodies), family)


def day_ahead(known: Known, family: str = "") -> Case:
    """The day ahead from 336 hourly readings."""
    bodies = [{"task": "day_ahead", "family": family, "readings": window} for window in known.windows(_DIFFERENT)]
    return Case(_key("day_ahead", family), f"day ahead, {family or 'champion'}", _posts("/api/v1/forecast", bodies), family)


def stored(known: Known) -> Case:
    """The day ahead from stored readings."""
    return Case("stored", "day ahead, stored readings", (Request("GET", f"/api/v1/meters/{known.meter}/forecast?task=day_ahead"),))


def batch(known: Known, family: str = "") -> Request:
    """A thousand next minutes in one request, each from one reading."""
    asked = [{"task": "next_minute", "family": family, "readings": [reading]} for reading in known.single_readings(BATCH)]
    return Request("POST", "/api/v1/forecast/batch", json.dumps({"requests": asked}), JSON)


def answers_of(server: Server, case: Case, known: Known) -> Any:
    """The answer to the first request, as JSON. Exits unless the one who should answers every request of the case."""
    first = None
    for request in case.requests:
        said = server.ask(request)
        if said.status != case.status:
            sys.exit(f"error: {server.name} says {said.status} to {case.title}: {said.body[:500].decode(errors='replace')}")
        answer = json.loads(said.body) if said.body else {}
        first = first or answer
        task = answer.get("task", "")
        if task:
            slot = known.slots[task]
            wanted = slot.families.get(case.family, "") if case.family else slot.champion
            if answer["version"] != wanted:
                sys.exit(f"error: {server.name} answers {case.title} by {answer['model']} ({answer['reason']}), not by {wanted[:12]}")
    return first


def _key(task: str, family: str) -> str:
    return f"{task}_{family}" if family else task


def _posts(path: str, bodies: Sequence[Mapping[str, Any]]) -> tuple[Request, ...]:
    return tuple(Request("POST", path, json.dumps(body), JSON) for body in bodies)


def _iso(table: MeterTable, row: int) -> str:
    return datetime.fromtimestamp(table.start_s + int(row) * table.step_s, UTC).isoformat()
