"""The readings of a meter as this project reads them: one file as params.yaml says, or all files of it under what has arrived since."""

from __future__ import annotations

from pathlib import Path

from wattcast.adapters.project import files_of
from wattcast.config import MeterFacts, Params, nearest
from wattcast.errors import BadMeterFile, NotFound
from wattcast.meter.arrivals import Batch, overlaid
from wattcast.meter.cleaning import raw_grid_of, resample
from wattcast.meter.readers import ReadOptions, read
from wattcast.meter.readers.parquet import options_for, told_by
from wattcast.meter.table import Meter, MeterTable
from wattcast.ports import ReadingStore

_OWN = ("zone", "flow", "holidays", "simulated")


def read_options(params: Params, path: Path) -> ReadOptions:
    """How this file is to be read: as params.yaml says, and where that says nothing of the meter, as the file does."""
    told = told_by(path)
    if told is not None:
        stated = params.meters.get(told.id, MeterFacts()).model_dump(include={*_OWN}, exclude_unset=True)
        return options_for(Meter(told.id, **{name: stated.get(name, getattr(told, name)) for name in _OWN}))
    meter_id, facts = params.meter_facts(path)
    stated = facts.model_dump(exclude={"known", "known_always"})
    own = {name: stated.pop(name) for name in _OWN}
    return ReadOptions(Meter(meter_id, **own), **stated)


def known_of(meter_id: str, store: ReadingStore, params: Params) -> tuple[MeterTable, list[Path]]:
    """All that is known of a meter, unjudged: its files in data/raw, and over them what has arrived; and which files these are.

    Raises NotFound where nothing has arrived, BadMeterFile where it does not fit the files, Unavailable where a file is not there.
    """
    stored = next(iter(store.meters(meter_id)), None)
    batch = None if stored is None else store.span(meter_id, stored.first_s or 0, stored.end_s or 0)
    if stored is None or batch is None or not len(batch):
        others = [each.meter.id for each in store.meters() if each.readings]
        hint = f"PUT /api/v1/meters/{meter_id}/readings sends some; without any, make run DATA=FILE trains on a file"
        raise NotFound(f'no reading of meter "{meter_id}" has arrived{nearest(meter_id, others) if others else ""}', hint)
    table, files = None, files_of(meter_id)
    for file in files:
        table = _over(table, _of_file(file, params), str(file))
    return _over(table, raw_grid_of(stored.meter, batch, f"the readings of {meter_id}"), "what has arrived"), files


def _of_file(file: Path, params: Params) -> MeterTable:
    readings = read(file, read_options(params, file))
    columns = {name: readings.frame[name].to_numpy() for name in readings.frame.columns[1:]}
    return raw_grid_of(readings.meter, Batch.of(readings.step_s, readings.frame["start"].to_numpy(), columns), str(file))


def _over(older: MeterTable | None, newer: MeterTable, what: str) -> MeterTable:
    """`newer` over `older`, as a table of the newer's meter at the older's resolution; `newer` is called `what` in a refusal."""
    if older is None:
        return newer
    hint = f"to train on what has arrived alone, take the files of meter {newer.meter.id} out of data/raw, their .dvc files too"
    if older.step_s % newer.step_s:
        raise BadMeterFile(f"{what} is {newer.step_s} s apart, what was known before {older.step_s} s", hint)
    newer = newer if newer.step_s == older.step_s else resample(newer, older.step_s)
    if (newer.start_s - older.start_s) % older.step_s:
        raise BadMeterFile(f"{what} stands at other seconds of the clock than what was known before, on steps of {older.step_s} s", hint)
    laid = overlaid(older, newer)
    return MeterTable(newer.meter, laid.start_s, laid.step_s, laid.power_kw, laid.covariates)
