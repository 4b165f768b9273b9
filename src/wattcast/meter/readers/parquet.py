"""Parquet: a file of anybody's columns, read as the CSV that it would be; and the readings of one meter, with its facts inside."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import numpy as np
import polars as pl
from polars import selectors

from wattcast.errors import BadMeterFile, BadParams
from wattcast.meter.readers.contract import ReadOptions
from wattcast.meter.readers.source import Block, too_large
from wattcast.meter.table import METER_ID, Flow, Meter, MeterTable

START, POWER = "start", "power_kw"
_FACTS = "wattcast.meter"
_ROWS = 100_000
_NUMBER_BYTES = 4
_TEXTS = selectors.string() | selectors.categorical()
_READ = selectors.numeric() | _TEXTS | selectors.datetime() | selectors.date() | selectors.time()


def is_parquet(path: Path) -> bool:
    """Whether a file begins as Parquet does; False for one that cannot be opened."""
    try:
        with path.open("rb") as content:
            return content.read(4) == b"PAR1"
    except OSError:
        return False


def text_blocks(path: Path, max_bytes: int) -> Iterator[Block]:
    """The columns as lines of a CSV, times with a zone in UTC; those of bytes, lists and truths are left out, as text is elsewhere.

    Raises BadMeterFile for a file that is damaged, or larger than max_bytes when read.
    """
    with _whole(path):
        columns = pl.scan_parquet(path, glob=False).select(_READ)
        width = len(columns.collect_schema())
        rows = int(columns.select(pl.len()).collect().item()) if width else 0
        if rows * width * _NUMBER_BYTES > max_bytes:
            raise too_large(path, max_bytes)
        frame = columns.collect().with_columns(_TEXTS.cast(pl.String))
        if sum(int(text.str.len_bytes().sum()) for text in frame.select(selectors.string())) > max_bytes:
            raise too_large(path, max_bytes)
        zoned, naive = selectors.datetime(time_zone="*"), selectors.datetime(time_zone=None)
        stamped = zoned.dt.convert_time_zone("UTC").dt.strftime("%Y-%m-%dT%H:%M:%SZ"), naive.dt.strftime("%Y-%m-%dT%H:%M:%S")
        frame = frame.with_columns(*stamped)
    for first in range(0, max(frame.height, 1), _ROWS):
        text = frame.slice(first, _ROWS).write_csv(include_header=first == 0)
        yield Block(first + 2 if first else 1, text.encode())


def as_parquet(table: MeterTable) -> bytes:
    """The readings and the facts of their meter as Parquet: what was not measured is null or left out, the same gives the same bytes."""
    columns = {POWER: table.power_kw} | {name: table.covariates[name] for name in sorted(table.covariates)}
    measured = np.isfinite(np.stack(list(columns.values()))).any(axis=0)
    starts = pl.Series(START, table.instants()[measured] * 1_000_000).cast(pl.Datetime("us", "UTC"))
    frame = pl.DataFrame([starts, *(pl.Series(name, values[measured]) for name, values in columns.items())])
    buffer = io.BytesIO()
    frame.with_columns(selectors.float().fill_nan(None)).write_parquet(
        buffer,
        compression="zstd",
        compression_level=9,
        statistics=True,
        row_group_size=_ROWS,
        metadata={_FACTS: json.dumps(asdict(table.meter), sort_keys=True)},
    )
    return buffer.getvalue()


def told_by(path: Path) -> Meter | None:
    """The meter that a file of `as_parquet` names; None for any other file. Raises BadMeterFile where there is none like it."""
    if not is_parquet(path):
        return None
    with _whole(path):
        said = pl.read_parquet_metadata(path).get(_FACTS)
    if said is None:
        return None
    try:
        meter = Meter(**json.loads(said))
        if re.fullmatch(METER_ID, meter.id) and meter.flow in get_args(Flow):
            return meter
    except (ValueError, TypeError, BadParams):
        pass
    raise BadMeterFile(f"{path}: what it says of its meter cannot be ({said[:100]})", "export it again: wattcast pipeline --meter ID")


def options_for(meter: Meter) -> ReadOptions:
    """How a file of `as_parquet` is to be read."""
    return ReadOptions(meter, time_column=START, power_column=POWER, unit="kW")


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    """Whatever polars, whose reader can also panic, makes of a damaged file becomes BadMeterFile."""
    try:
        yield
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as cause:
        said = (str(cause).splitlines() or [""])[0][:200]
        raise BadMeterFile(f"{path}: the Parquet file is damaged ({said})", "fetch or write it again") from None
