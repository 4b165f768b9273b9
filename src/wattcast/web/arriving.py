"""Readings that come over HTTP, for the API and the page of a file alike: a meter file read, whose it is, and at which step it answers."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from wattcast.errors import BadMeterFile, BadRequest
from wattcast.forecasting.calendars import refuse_unknown_holidays
from wattcast.meter.arrivals import Batch, StoredMeter
from wattcast.meter.cleaning import native_step_s, resample
from wattcast.meter.clock import Instants
from wattcast.meter.table import Flow, Meter, MeterTable

if TYPE_CHECKING:
    from wattcast.meter.readers import Readings

# What stands for a meter whose readings are to be forecast and not kept: no meter can have this id.
NAMELESS = "this file"
# As a client sends it, packed or not, and as it is unpacked: four years of minutes with seven columns are 133 MB.
LARGEST_FILE_BYTES = 50 * 1024 * 1024
_LARGEST_TEXT_BYTES = 250_000_000
_OPTION = re.compile(r"(in params\.yaml: )?meters\.<id>\.(\w+)")
# What params.yaml can say of a file, and a request cannot: what to do instead.
_INSTEAD = {
    "time_format": "write times as 2024-01-31 13:00",
    "decimal": 'write numbers as 1234.5 without marks between thousands, and "?" where nothing was measured',
    "delimiter": "give every line as many values as the header has names",
}


def read_file(
    save: Callable[[Path], object],
    meter: Meter,
    called: str,
    *,
    time_column: str = "",
    power_column: str = "",
    unit: Literal["", "kW", "W", "kWh", "Wh"] = "",
) -> Readings:
    """The readings of a meter file, as any reader takes it. save: writes it to a path, whose folder is gone afterwards.

    called: what refusals call it. Raises BadMeterFile, with a hint that one who sends a request can follow.
    """
    # Polars takes a while to import and much memory: only who sends a file pays for it.
    from wattcast.meter.readers import ReadOptions, read  # noqa: PLC0415
    from wattcast.meter.readers.parquet import is_parquet  # noqa: PLC0415

    options = ReadOptions(meter, time_column, power_column, unit, max_bytes=_LARGEST_TEXT_BYTES)
    with tempfile.TemporaryDirectory(prefix="wattcast-") as folder:
        path = Path(folder) / "body"
        save(path)
        if is_parquet(path):
            raise BadMeterFile(f"{called} is Parquet, which is not read from a request", "send its columns as CSV; plain, zip or gzip")
        try:
            return read(path, options)
        except BadMeterFile as cause:
            raise BadMeterFile(cause.message.replace(str(path), called), _over_http(cause.hint)) from None


def _over_http(hint: str) -> str:
    """What to do about a file, in the words of a request instead of those of params.yaml."""
    named = {name for _, name in _OPTION.findall(hint)}
    instead = next((words for name, words in _INSTEAD.items() if name in named), None)
    return instead or _OPTION.sub(lambda found: f"as {found[2]}" if found[1] else found[2], hint)


def batch_of_file(readings: Readings, step_s: int | None = None) -> Batch:
    """The readings of a file as a batch. step_s: their resolution; None: the one that was found."""
    columns = {name: readings.frame[name].to_numpy() for name in readings.frame.columns[1:]}
    starts_s = readings.frame["start"].to_numpy()
    return Batch.of(resolution_of(starts_s, step_s or readings.step_s), starts_s, columns)


def resolution_of(starts_s: Instants, told_s: int | None) -> int:
    """The resolution of readings: as it was told, else the usual distance of their starts.

    Raises BadRequest where neither tells it, or where readings lie closer than what was told: they would take each other's place.
    """
    found_s = native_step_s(starts_s)
    if told_s is None and found_s is None:
        said = "cannot be told from one reading"
        raise BadRequest(f"resolution_s: {said}", "say it, such as resolution_s=3600", {"resolution_s": said})
    if told_s is not None and found_s is not None and found_s < 0.75 * told_s:
        said = f"are {found_s} s apart, not {told_s} s"
        raise BadRequest(f"readings: {said}", f"leave out those between, or say resolution_s={found_s}", {"readings": said})
    return told_s or found_s or 0


def at_step(table: MeterTable, step_s: int, task: str) -> MeterTable:
    """The readings at the task's resolution. Raises BadRequest where they are too coarse for it."""
    if step_s % table.step_s:
        said = f"are {table.step_s} s apart, {task} needs {step_s} s or finer"
        raise BadRequest(f"readings: {said}", "send finer readings, or ask for another task", {"readings": said})
    return table if table.step_s == step_s else resample(table, step_s)


def meant(meter_id: str, known: StoredMeter | Meter | None, zone: str, flow: Flow | None, holidays: str | None = None) -> Meter:
    """The meter that readings are for: what is known of it, under the facts that were given.

    Raises BadParams for a zone, or a country of holidays, that is none.
    """
    base = known.meter if isinstance(known, StoredMeter) else known
    base = base or Meter(meter_id)
    if holidays and holidays != base.holidays:
        refuse_unknown_holidays(holidays)
    return replace(base, zone=zone or base.zone, flow=flow or base.flow, holidays=base.holidays if holidays is None else holidays)
