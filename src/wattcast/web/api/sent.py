"""Readings as they are sent, as JSON, lines of JSON or CSV, to batches of a meter. Of those sent none is lost without being counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from operator import attrgetter
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from wattcast.errors import BadMeterFile, BadRequest
from wattcast.meter.arrivals import Batch
from wattcast.meter.cleaning import UNQUESTIONED_KW, grid_of
from wattcast.meter.clock import Instants
from wattcast.meter.table import Meter, MeterTable, Values
from wattcast.web.api.answers.meters import Refused
from wattcast.web.api.asked import ForecastRequest, MeterFacts, Reading
from wattcast.web.api.moments import instant, instants
from wattcast.web.api.operations import refusal
from wattcast.web.api.words import LARGEST_KW
from wattcast.web.arriving import at_step, batch_of_file, read_file, resolution_of

NDJSON = ("application/x-ndjson", "application/jsonl", "application/ndjson")
CSV = ("text/csv", "application/csv", "application/zip", "application/gzip")

_COLUMNS = {name: attrgetter(name) for name in Reading.__struct_fields__ if name != "start"}
_REFUSALS_TOLD = 100
_CHUNK = 1 << 20
# So many readings are held as they were sent; the others as numbers.
_BLOCK = 10_000
_AGAIN = "another reading of its instant follows"
_reading = msgspec.json.Decoder(Reading)


@dataclass(frozen=True, eq=False)
class Sent:
    """Readings that came with a request. refused: how many were not taken; refusals: the first of them; notes: what was assumed."""

    batch: Batch
    refused: int = 0
    refusals: tuple[Refused, ...] = ()
    notes: tuple[str, ...] = ()


def table_of(readings: list[Reading], meter: Meter, resolution_s: int | None, step_s: int, task: str) -> tuple[MeterTable, tuple[str, ...]]:
    """Readings that came with a request as a table at the task's step, and what was assumed of them. Raises BadRequest."""
    if len(readings) == 1 and resolution_s in (None, step_s) and (table := _of_one(readings[0], meter, step_s)) is not None:
        return table, ()
    if not readings:
        raise BadRequest("readings: is empty", "give at least one reading", {"readings": "is empty"})
    read = instants([row.start for row in readings], meter.zone)
    for number, said in read.faults.items():
        field = f"readings[{number}].start"
        raise BadRequest(f"{field}: {said}", "give another time, or say its offset", {field: said})
    resolution_s = resolution_of(read.seconds, resolution_s or (step_s if len(readings) == 1 else None))
    batch = Batch.of(resolution_s, read.seconds, _columns_of(readings))
    lost = len(readings) - len(batch)
    notes = (*read.notes, _left_out(lost)) if lost else read.notes
    return at_step(grid_of(meter, batch, "readings"), step_s, task), notes


def singly(asked: ForecastRequest) -> bool:
    """Whether a forecast from its end is asked for, from a single reading of which nothing has to be assumed."""
    alone = asked.readings is not None and len(asked.readings) == 1 and asked.origin is None and asked.yearly_kwh is None
    return alone and asked.readings is not None and _plain(asked.readings[0])


def _plain(reading: Reading) -> bool:
    return reading.start.tzinfo is not None and reading.power_kw is not None and 0 < reading.power_kw <= UNQUESTIONED_KW


def of_single(requests: list[ForecastRequest], zone: str) -> tuple[Instants, dict[str, Values]]:
    """The starts and the columns of requests that ask `singly`, NaN where one has not what another has. Raises BadRequest."""
    rows = [asked.readings[0] for asked in requests if asked.readings]
    read = instants([row.start for row in rows], zone)
    if read.faults:
        raise BadRequest("readings[0].start: cannot be", "give another time")
    return read.seconds, _columns_of(rows)


def _columns_of(rows: list[Reading]) -> dict[str, Values]:
    columns: dict[str, Values] = {}
    for name, value_of in _COLUMNS.items():
        column = list(map(value_of, rows))
        if name == "power_kw" or column.count(None) < len(column):
            columns[name] = np.array(column, dtype=np.float32)
    return columns


def _of_one(reading: Reading, meter: Meter, step_s: int) -> MeterTable | None:
    """The table of a single reading that nothing has to be assumed of, which is what most requests send; None for any other."""
    if not _plain(reading):
        return None
    start_s = instant(reading.start, meter.zone, "readings[0].start")
    columns = _columns_of([reading])
    return MeterTable(meter, start_s, step_s, columns.pop("power_kw"), columns)


def readings_sent(meter: Meter, facts: MeterFacts, step_s: int | None) -> Sent:
    """The readings in the body of this request. Raises BadRequest and BadMeterFile."""
    if request.mimetype in CSV:
        return _csv(meter, facts)
    taken = _Taken()
    for line, raw in _lines() if request.mimetype in NDJSON else _listed():
        taken.take(line, raw)
    return taken.as_sent(meter.zone, facts.resolution_s or step_s)


class _Taken:
    """Readings taken one after the other, each with its line, and those that could not be."""

    def __init__(self) -> None:
        self._held: list[Reading] = []
        self._moments: list[datetime] = []
        self._lines: list[int] = []
        self._blocks: list[dict[str, Values]] = []
        self._refused = 0
        self._told: list[Refused] = []

    def take(self, line: int, raw: bytes | msgspec.Raw) -> None:
        """One reading, or one refusal more."""
        try:
            reading = _reading.decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
            found = refusal(cause) if isinstance(cause, msgspec.ValidationError) else None
            self._refuse(line, found.message if found else f"is not JSON: {cause}")
            return
        self._held.append(reading)
        self._moments.append(reading.start)
        self._lines.append(line)
        if len(self._held) == _BLOCK:
            self._blocks.append(_columns_of(self._held))
            self._held = []

    def as_sent(self, zone: str, step_s: int | None) -> Sent:
        """All of them. Raises BadRequest where none could be taken, or their resolution cannot be told."""
        if self._held:
            self._blocks.append(_columns_of(self._held))
        read = instants(self._moments, zone)
        refused_now = read.faults | dict.fromkeys(np.flatnonzero(_followed(read.seconds, read.faults)).tolist(), _AGAIN)
        before, self._told = self._told, []
        for number in sorted(refused_now):
            self._refuse(self._lines[number], refused_now[number])
        told = sorted([*before, *self._told], key=lambda one: one.line)[:_REFUSALS_TOLD]
        good = np.ones(len(self._moments), dtype=bool)
        good[list(refused_now)] = False
        if not good.any():
            said = told[0].message if told else "is empty"
            raise BadRequest(f"no reading could be taken: {said}", "correct them; /docs describes a reading", {"readings": said})
        seconds = read.seconds[good]
        batch = Batch.of(resolution_of(seconds, step_s), seconds, {name: values[good] for name, values in self._columns().items()})
        return Sent(batch, self._refused, tuple(told), read.notes)

    def _refuse(self, line: int, said: str) -> None:
        self._refused += 1
        if len(self._told) < _REFUSALS_TOLD:
            self._told.append(Refused(line, said))

    def _columns(self) -> dict[str, Values]:
        names = dict.fromkeys(name for block in self._blocks for name in block)
        empty = [np.full(len(block["power_kw"]), np.nan, dtype=np.float32) for block in self._blocks]
        return {name: np.concatenate([b.get(name, nan) for b, nan in zip(self._blocks, empty, strict=True)]) for name in names}


def _left_out(count: int) -> str:
    return f"left out, for {_AGAIN}: {count}"


def _followed(seconds: Instants, faults: dict[int, str]) -> npt.NDArray[np.bool_]:
    """Which of the moments without a fault come again later on: the last counts."""
    again = np.zeros(len(seconds), dtype=bool)
    rows = np.setdiff1d(np.arange(len(seconds)), list(faults))[::-1]
    _, last = np.unique(seconds[rows], return_index=True)
    again[rows] = True
    again[rows[last]] = False
    return again


def _lines() -> Iterator[tuple[int, bytes]]:
    """The lines of the body that are not empty, with their numbers, as they arrive."""
    number, rest = 0, b""
    for piece in _pieces():
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            number += 1
            if line.strip():
                yield number, line
    if rest.strip():
        yield number + 1, rest


def _listed() -> Iterable[tuple[int, msgspec.Raw]]:
    try:
        sent = msgspec.json.decode(request.get_data(cache=False), type=_RawReadings)
    except msgspec.ValidationError as cause:
        raise refusal(cause) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as cause:
        raise BadRequest(
            f"the body is not JSON: {cause}", 'send {"readings": [..]}; NDJSON and meter files need their Content-Type, such as text/csv'
        ) from None
    return enumerate(sent.readings, 1)


class _RawReadings(msgspec.Struct, forbid_unknown_fields=True):
    readings: list[msgspec.Raw]


def _csv(meter: Meter, facts: MeterFacts) -> Sent:
    """A meter file in the body, as any reader takes it; written to a file first, piece by piece."""
    columns = {"time_column": facts.time_column, "power_column": facts.power_column}
    readings = read_file(_receive, meter, "the body", unit=facts.unit, **columns)
    largest = np.nanmax(np.abs(readings.frame["power_kw"].to_numpy()), initial=0.0)
    if largest > LARGEST_KW:
        raise BadMeterFile(f"the body: {largest:g} kW is more than any meter measures", "say the unit: kW, W, kWh or Wh")
    batch = batch_of_file(readings, facts.resolution_s)
    lost = len(readings.frame) - len(batch)
    again = (_left_out(lost),) if lost else ()
    never = (f"read an hour later, for the clock of {meter.zone} skips their time: {readings.skipped_hour_rows}",)
    return Sent(batch, lost, notes=(*readings.notes, *readings.doubts, *(never if readings.skipped_hour_rows else ()), *again))


def _receive(path: Path) -> None:
    with path.open("wb") as file:
        for piece in _pieces():
            file.write(piece)


def _pieces() -> Iterator[bytes]:
    """The body as it arrives. Raises RequestEntityTooLarge."""
    while piece := request.stream.read(_CHUNK):
        yield piece
    # Of a body sent in chunks what lies beyond the limit is cut off without a word.
    if request.content_length is None and request.environ["wsgi.input"].read(1):
        raise RequestEntityTooLarge
