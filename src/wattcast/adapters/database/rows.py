"""A batch of readings as the database has it, one reading a row, and back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import numpy as np
from sqlalchemy import Connection, select

from wattcast.adapters.database.schema import readings
from wattcast.meter.arrivals import Batch
from wattcast.meter.clock import Instants
from wattcast.meter.table import Values

_json = msgspec.json.Encoder()
_objects = msgspec.json.Decoder(list[dict[str, float | None]])


def read_span(connection: Connection, key: int, first_s: int, end_s: int, step_s: int) -> Batch:
    """All readings from first_s up to end_s."""
    own = (readings.c.meter_key == key) & (readings.c.start_s >= first_s) & (readings.c.start_s < end_s)
    words = select(readings.c.start_s, readings.c.power_kw, readings.c.covariates).where(own)
    rows = connection.execute(words.order_by(readings.c.start_s)).all()
    starts: Instants = np.array([row[0] for row in rows], dtype=np.int64)
    columns = {"power_kw": np.array([row[1] for row in rows], dtype=np.float32)}
    if any(row[2] for row in rows):
        # One list decodes in a tenth of the time of its parts.
        beside = _objects.decode("[" + ",".join(row[2] or "{}" for row in rows) + "]")
        names = dict.fromkeys(name for each in {tuple(each) for each in beside} for name in each)
        columns |= {name: np.array([each.get(name) for each in beside], dtype=np.float32) for name in names}
    return Batch(step_s, starts, columns.pop("power_kw"), columns)


def compared(batch: Batch, known: Batch) -> tuple[np.ndarray, np.ndarray]:
    """Which readings of the batch are not known, and which are known otherwise. A column that the batch lacks is not compared."""
    at = np.searchsorted(known.start_s, batch.start_s)
    there = np.zeros(len(batch), dtype=bool)
    inside = at < len(known)
    there[inside] = known.start_s[at[inside]] == batch.start_s[inside]
    differs = np.zeros(len(batch), dtype=bool)
    nowhere = np.full(len(known), np.nan, dtype=np.float32)
    for name, values in batch.columns().items():
        old = known.columns().get(name, nowhere)[at[there]]
        differs[there] |= ~((values[there] == old) | (np.isnan(values[there]) & np.isnan(old)))
    return ~there, differs


def rows_of(batch: Batch) -> Iterator[tuple[int, float | None, str | None]]:
    """start_s, power_kw and covariates of every reading as the database takes them."""
    power = _plain(batch.power_kw)
    if not batch.covariates:
        yield from ((start, kw, None) for start, kw in zip(batch.start_s.tolist(), power, strict=True))
        return
    columns: Mapping[str, list[float | None]] = {name: _plain(values) for name, values in batch.covariates.items()}
    names, encode = list(columns), _json.encode
    for start, kw, *values in zip(batch.start_s.tolist(), power, *columns.values(), strict=True):
        measured = {name: value for name, value in zip(names, values, strict=True) if value is not None}
        yield start, kw, encode(measured).decode() if measured else None


def _plain(values: Values) -> list[float | None]:
    """As Python's numbers, None where not measured."""
    return [None if value != value else value for value in values.tolist()]  # noqa: PLR0124 (NaN alone is not itself)


def short(value: Any) -> Any:
    """The shortest number that is the same in four bytes: 240.1, not 240.10000610351562; of an object, each of its numbers."""
    if isinstance(value, dict):
        return {name: short(each) for name, each in value.items()}
    return float(str(np.float32(value))) if isinstance(value, float) else value
