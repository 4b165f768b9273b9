"""Readings as they are sent, as JSON, lines of JSON or CSV, to batches of a meter."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import attrgetter
from pathlib import Path

import msgspec
import numpy as np
from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from wattcast.errors import BadRequest
from wattcast.meter.arrivals import Batch
from wattcast.meter.cleaning import UNQUESTIONED_KW, grid_of, native_step_s
from wattcast.meter.clock import Instants, zone_of
from wattcast.meter.table import Meter, MeterTable, Values
from wattcast.web.api.answers.meters import Refused
from wattcast.web.api.asked import ForecastRequest, MeterFacts, Reading
from wattcast.web.api.operations import refusal
from wattcast.web.arriving import at_step, batch_of_file, read_file

NDJSON = ("application/x-ndjson", "application/jsonl", "application/ndjson")
CSV = ("text/csv", "application/csv", "application/zip", "application/gzip")

_COLUMNS = tuple(name for name in Reading.__struct_fields__ if name != "start")
_values = attrgetter(*_COLUMNS)
_FIRST_YEAR, _LAST_YEAR = 1971, 2099
# A day within these years wherever the clock stands.
_EARLIEST_S, _LATEST_S = (
    int(datetime(year, month, day, tzinfo=UTC).timestamp()) for year, month, day in ((_FIRST_YEAR, 1, 2), (_LAST_YEAR, 12, 30))
)
_REFUSALS_TOLD = 100
_CHUNK = 1 << 20
_reading = msgspec.json.Decoder(Reading)


@dataclass(frozen=True, eq=False)
class Sent:
    """Readings that came with a request. refused: how many were not taken; refusals: the first of them; notes: what was assumed."""

    batch: Batch
    refused: int = 0
    refusals: tuple[Refused, ...] = ()
    notes: tuple[str, ...] = ()


def instant(moment: datetime, zone: str, field: str) -> int:
    """UTC epoch seconds of a moment; without an offset it is on the clock of the zone, of a repeated hour the first showing."""
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        said = f"must lie between the years {_FIRST_YEAR} and {_LAST_YEAR}"
        raise BadRequest(f"{field}: {said}", "give another time", {field: said})
    if moment.microsecond:
        raise BadRequest(f"{field}: must be a whole second", "leave out the fraction", {field: "must be a whole second"})
    return int((moment if moment.tzinfo else moment.replace(tzinfo=zone_of(zone))).timestamp())


def _instants(moments: list[datetime]) -> Instants | None:
    """UTC epoch seconds of moments with offsets, all at once; None where one of them has to be looked at."""
    stamps = np.array([moment.timestamp() for moment in moments])
    seconds = stamps.astype(np.int64)
    plain = (seconds == stamps) & (seconds > _EARLIEST_S) & (seconds < _LATEST_S)
    return seconds if np.count_nonzero(plain) == len(plain) else None


def batch_of(readings: Iterable[Reading], zone: str, step_s: int | None, *, field: str = "readings") -> tuple[Batch, tuple[str, ...]]:
    """Readings as a batch, and what was assumed of them. step_s: their resolution; None: told by their distances. Raises BadRequest."""
    rows = list(readings)
    if not rows:
        raise BadRequest(f"{field}: is empty", "give at least one reading", {field: "is empty"})
    moments = [row.start for row in rows]
    naive = None in [moment.tzinfo for moment in moments]
    starts = _instants(moments) if not naive and len(moments) > 1 else None
    if starts is None:
        starts = np.array([instant(moment, zone, f"{field}[{number}].start") for number, moment in enumerate(moments)], dtype=np.int64)
    step_s = step_s or native_step_s(starts)
    if step_s is None:
        said = "cannot be told from one reading"
        raise BadRequest(f"resolution_s: {said}", "say it, such as resolution_s=3600", {"resolution_s": said})
    return Batch.of(step_s, starts, _columns_of(rows)), ((f"times without an offset were read in the zone {zone}",) if naive else ())


def table_of(readings: list[Reading], meter: Meter, resolution_s: int | None, step_s: int, task: str) -> tuple[MeterTable, tuple[str, ...]]:
    """Readings that came with a request as a table at the task's step, and what was assumed of them. Raises BadRequest."""
    if len(readings) == 1 and resolution_s in (None, step_s) and (table := _of_one(readings[0], meter, step_s)) is not None:
        return table, ()
    batch, notes = batch_of(readings, meter.zone, resolution_s or (step_s if len(readings) == 1 else None))
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
    return np.array([instant(row.start, zone, "readings[0].start") for row in rows], dtype=np.int64), _columns_of(rows)


def _columns_of(rows: list[Reading]) -> dict[str, Values]:
    columns: dict[str, Values] = {}
    for name, column in zip(_COLUMNS, zip(*map(_values, rows), strict=True), strict=True):
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
    lines = _lines() if request.mimetype in NDJSON else _listed()
    taken, refusals, refused = [], [], 0
    for number, raw in lines:
        try:
            taken.append(_reading.decode(raw))
        except (msgspec.DecodeError, UnicodeDecodeError) as cause:
            refused += 1
            if refused <= _REFUSALS_TOLD:
                found = refusal(cause) if isinstance(cause, msgspec.ValidationError) else None
                refusals.append(Refused(number, found.message if found else f"is not JSON: {cause}"))
    if not taken:
        said = refusals[0].message if refusals else "is empty"
        raise BadRequest(f"no reading could be taken: {said}", "correct them; /docs describes a reading", {"readings": said})
    batch, notes = batch_of(taken, meter.zone, facts.resolution_s or step_s)
    return Sent(batch, refused, tuple(refusals), notes)


def _lines() -> Iterable[tuple[int, bytes]]:
    for number, line in enumerate(request.get_data(cache=False).split(b"\n"), 1):
        if line.strip():
            yield number, line


def _listed() -> Iterable[tuple[int, msgspec.Raw]]:
    try:
        sent = msgspec.json.decode(request.get_data(cache=False), type=_RawReadings)
    except msgspec.ValidationError as cause:
        raise refusal(cause) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as cause:
        raise BadRequest(f"the body is not JSON: {cause}", 'send {"readings": [..]}, or one reading a line as NDJSON') from None
    return enumerate(sent.readings, 1)


class _RawReadings(msgspec.Struct, forbid_unknown_fields=True):
    readings: list[msgspec.Raw]


def _csv(meter: Meter, facts: MeterFacts) -> Sent:
    """A meter file in the body, as any reader takes it; written to a file first, piece by piece."""
    columns = {"time_column": facts.time_column, "power_column": facts.power_column}
    readings = read_file(_receive, meter, "the body", unit=facts.unit, **columns)
    return Sent(batch_of_file(readings, facts.resolution_s), notes=(*readings.notes, *readings.doubts))


def _receive(path: Path) -> None:
    with path.open("wb") as file:
        while chunk := request.stream.read(_CHUNK):
            file.write(chunk)
    # Of a body sent in chunks what lies beyond the limit is cut off without a word.
    if request.content_length is None and request.environ["wsgi.input"].read(1):
        raise RequestEntityTooLarge
