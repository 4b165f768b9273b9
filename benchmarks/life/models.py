"""Models that are measured: trained on the real half year by the package's own families, with settings that make them fast or large."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import tiny

import wattcast
from wattcast.forecasting.choosing import slot_of
from wattcast.forecasting.registry import Record
from wattcast.forecasting.succession import Application, Transition, register
from wattcast.meter.cleaning import resample
from wattcast.meter.table import MeterTable

# A forest with more trees, grown deeper, than any that is shipped.
LARGE = {"trees": 190, "max_depth": 18, "min_child_weight": 4}
_FALLBACK_ROWS = 20_000


@dataclass(frozen=True)
class Made:
    """A bundle, and its record."""

    data: bytes
    record: Record


@cache
def readings_of(data: Path, step_s: int) -> MeterTable:
    """The meter's readings at this step."""
    table = wattcast.read(data)
    return table if step_s == table.step_s else resample(table, step_s, 0.5)


def trained(data: Path, task: str, family: str, seed: int, settings: Mapping[str, Any] | None = None) -> Made:
    """A bundle of this family at the preset for large files; settings: over those of params.yaml."""
    params = wattcast.shipped_params()
    tasks = params.families[family]
    own = {**tasks, task: {**tasks[task], "fast": {**tasks[task]["fast"], **(settings or {})}}}
    changed = params.model_copy(update={"families": {**params.families, family: own}, "preset": "fast", "seed": seed})
    return made(wattcast.fit(readings_of(data, 60), task, family, changed).data, data, params.tasks[task].resolution_s)


def made(bundle: bytes, data: Path, step_s: int) -> Made:
    """These bytes with a record."""
    return Made(bundle, tiny.record(bundle, readings_of(data, step_s).last(_FALLBACK_ROWS), veto=()))


def like(one: Made, number: int) -> Made:
    """Another bundle with the same models: a note in it differs, and so its name."""
    data = tiny.repacked(one.data, change=lambda facts: facts["params"].update(number=number))
    return Made(data, replace(one.record, bundle=sha256(data).hexdigest()))


def registered(one: Made, data: Path) -> Transition:
    """The change that has this one answer alone."""
    params, record = wattcast.shipped_params(), one.record
    slot = slot_of(record.task, params.tasks[record.task], record.meter, params.quantiles, [record], "")
    meter = readings_of(data, params.tasks[record.task].resolution_s).meter
    return lambda now: register(now, meter, [Application(slot, "", accepted=True, reasons=())])
