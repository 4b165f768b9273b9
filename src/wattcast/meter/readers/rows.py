"""Blocks of text to columns of numbers: polars first, and line by line only where it stumbles, to name the line."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable

import numpy as np
import polars as pl

from wattcast.errors import BadMeterFile
from wattcast.meter.readers.contract import MISSING, Layout
from wattcast.meter.readers.source import Block
from wattcast.meter.readers.times import EPOCHS, seconds_of

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_EARLIEST_S = -2_208_988_800  # 1900-01-01
_LATEST_S = 4_102_444_800  # 2100-01-01


def parse(blocks: Iterable[Block], layout: Layout) -> pl.DataFrame:
    """All rows in file order: `start` (seconds on the file's clock), `power_kw` in the file's unit, covariates; NaN = not measured."""
    frame = pl.concat([_parse_block(block, layout) for block in blocks], rechunk=True)
    if frame.is_empty():
        raise BadMeterFile(f"{layout.path}: there is a header and no reading below it", "give a file with readings")
    return frame


def _parse_block(block: Block, layout: Layout) -> pl.DataFrame:
    try:
        frame = _columns(block.data, layout)
        sound = frame.height == block.data.count(b"\n") and _is_sound(frame)
    except pl.exceptions.PolarsError:
        sound = False
    if not sound:
        frame = _columns_of_mended(block, layout)
        _refuse_bad_time(frame, block, layout)
    return frame.drop_nulls("start").select("start", *layout.number_columns().values())


def _columns_of_mended(block: Block, layout: Layout) -> pl.DataFrame:
    mended = _mended(block, layout)
    try:
        return _columns(mended, layout)
    except pl.exceptions.PolarsError as cause:
        hint = "write times as 2024-01-31 13:00, or correct meters.<id>.time_format"
        raise BadMeterFile(f"{layout.path}, from line {block.first_line}: {str(cause).splitlines()[0]}", hint) from None


def _columns(data: bytes, layout: Layout) -> pl.DataFrame:
    """`start`, the numbers, and the texts of the time: c0, c1, ... by position."""
    names = [f"c{position}" for position in range(len(layout.fields))]
    numbers = {f"c{position}": name for position, name in layout.number_columns().items()}
    stamps = [names[position] for position in layout.time]
    raw = pl.read_csv(
        layout.delimiter.join(names).encode() + b"\n" + data,
        separator=layout.delimiter,
        columns=[*stamps, *numbers],
        schema_overrides={name: pl.Float32 if name in numbers else pl.String for name in names},
        null_values=list(layout.missing),
        decimal_comma=layout.decimal == ",",
    )
    return raw.select(
        seconds_of(stamps, layout.time_formats).alias("start"),
        *(pl.col(name).fill_null(float("nan")).alias(to) for name, to in numbers.items()),
        *stamps,
    )


def _is_sound(frame: pl.DataFrame) -> bool:
    starts = frame["start"]
    in_range = starts.null_count() == 0 and bool(starts.is_between(_EARLIEST_S, _LATEST_S).all())
    return in_range and not any(column.is_infinite().any() for column in frame.get_columns() if column.dtype == pl.Float32)


def _mended(block: Block, layout: Layout) -> bytes:
    """The block without blanks around values, stray quotes, rare marks for "not measured", and delimiters at line ends.

    Raises BadMeterFile at the first value that is no number, and at the first line that has too many.
    """
    numbers = layout.number_columns()
    lines = []
    for line, text in enumerate(block.data.decode("utf-8", errors="replace").rstrip("\n").split("\n"), block.first_line):
        if not text.strip():
            lines.append(layout.delimiter * (len(layout.fields) - 1))
            continue
        values = [value.replace('"', "").strip() for value in next(csv.reader([text], delimiter=layout.delimiter))]
        values = ["" if value in MISSING else value for value in values]
        while len(values) > len(layout.fields) and not values[-1]:
            values.pop()
        if len(values) > len(layout.fields):
            message = f"{layout.path}, line {line}: {len(values)} values where the header names {len(layout.fields)} columns"
            raise BadMeterFile(
                message, f'correct the line, or say what separates columns: meters.<id>.delimiter (now "{layout.delimiter}")'
            )
        values += [""] * (len(layout.fields) - len(values))
        for position in numbers:
            _refuse_bad_number(values[position], line, layout.fields[position], layout)
        lines.append(layout.delimiter.join(f'"{value}"' if layout.delimiter in value else value for value in values))
    return "\n".join(lines).encode() + b"\n"


def _refuse_bad_number(value: str, line: int, column: str, layout: Layout) -> None:
    if not value:
        return
    if _NUMBER.fullmatch(value.replace(",", ".") if layout.decimal == "," else value):
        with np.errstate(over="ignore"):
            if np.isfinite(np.float32(value.replace(",", "."))):
                return
    other = "," if layout.decimal == "." else "."
    hint = 'correct it, or write "?" where nothing was measured'
    if other in value:
        hint += f'; if "{other}" is the decimal mark, say meters.<id>.decimal: "{other}" (and no marks between thousands)'
    raise BadMeterFile(f'{layout.path}, line {line}: "{value}" in column "{column}" is not a finite number', hint)


def _refuse_bad_time(frame: pl.DataFrame, block: Block, layout: Layout) -> None:
    stamps = [f"c{position}" for position in layout.time]
    measured = pl.any_horizontal(pl.col(*stamps).is_not_null(), *(pl.col(name).is_not_nan() for name in layout.number_columns().values()))
    outside = pl.col("start").is_null() | ~pl.col("start").is_between(_EARLIEST_S, _LATEST_S)
    bad = frame.with_row_index("row").filter(measured & outside).select("row", *stamps)
    if bad.is_empty():
        return
    row, *texts = bad.row(0)
    shown = " ".join(text or "" for text in texts)
    columns = ", ".join(f'"{layout.fields[position]}"' for position in layout.time)
    pattern = " ".join(layout.time_formats)
    pattern = pattern if pattern in EPOCHS else f"{pattern} between 1900 and 2100"
    message = f'{layout.path}, line {block.first_line + row}: "{shown}" in column {columns} is not a time of the pattern {pattern}'
    raise BadMeterFile(message, "correct the line, or give the pattern of all lines as meters.<id>.time_format")
