"""The second file of a meter: columns known ahead, each value with the moment from which it was known. Nothing is filled in."""

from __future__ import annotations

import csv
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl

from wattcast.errors import BadMeterFile
from wattcast.meter.cleaning import native_step_s
from wattcast.meter.clock import DAY_S, HOUR_S, Instants, to_utc, utc_offset_s, wall_clock_days_before
from wattcast.meter.known import ALWAYS_S, KnownColumn, Values
from wattcast.meter.readers import times, uci
from wattcast.meter.readers.contract import MISSING
from wattcast.meter.readers.source import Block, text_blocks
from wattcast.meter.table import MeterTable

TIME, AVAILABLE = "time", "available_at"
_NAME = re.compile(r"[a-z][a-z0-9_]*")
_OF_METERS = {"power_kw", "start", *uci.COVARIATES.values()}
_LATEST_S = 4_102_444_800  # 2100-01-01
_MOST_BYTES = 1_000_000_000


@dataclass(frozen=True)
class _Layout:
    """How the file is laid out: strptime pattern by time column."""

    path: Path
    fields: tuple[str, ...]
    delimiter: str
    patterns: dict[str, str]

    @property
    def values(self) -> list[str]:
        return [name for name in self.fields if name not in (TIME, AVAILABLE)]


def read_known(
    path: Path, zone: str, step_s: int, *, phase_s: int = 0, always: bool = False, least_share: float = 0.5
) -> dict[str, KnownColumn]:
    """The columns known ahead in a CSV (plain, zip or gzip) for readings `step_s` apart, one of which begins at `phase_s`.

    `time` is the start of a step, `available_at` the moment from which the row was known; all other columns are numbers, and an empty one
    is left out. Times without an offset are on the clock of `zone`. The file's step is the most common distance of its times, column by
    column: a coarser one holds for all readings within it, of a finer one the mean counts where `least_share` of it was known by then. Of
    two rows for the same time and moment the last counts. always: the file has no `available_at`, its values were known before every
    origin. Raises BadMeterFile naming file, line, value and cure.
    """
    blocks = text_blocks(path, _MOST_BYTES)
    try:
        layout, rows = _layout(next(blocks, Block(1, b"")), path, always=always)
        frame = pl.concat([_parsed(rows, layout), *(_parsed(_rows(block, layout), layout) for block in blocks)])
    except csv.Error as cause:
        raise BadMeterFile(
            f"{path}: this is not a table of text ({cause})", 'give a CSV such as "time,available_at,temperature_c"'
        ) from None
    wall = frame[TIME].to_numpy()
    issues = frame[AVAILABLE].to_numpy() if AVAILABLE in frame.columns else np.full(len(wall), ALWAYS_S)
    naive = not times.is_aware(layout.patterns[TIME])
    starts = _starts(wall, issues, zone) if naive else wall
    aware = always or times.is_aware(layout.patterns[AVAILABLE])
    moments = issues if aware else _moments(issues, zone)
    columns = {}
    for name in layout.values:
        column = _column(f'{path}: column "{name}"', starts, moments, frame[name].to_numpy())
        columns[name] = (_whole_days(column, zone) if naive else column).at_step(step_s, phase_s, least_share)
    return columns


def join_known(table: MeterTable, path: Path, *, always: bool = False, least_share: float = 0.5) -> MeterTable:
    """The table with the columns of this file (`read_known`) at its own step. Raises BadMeterFile, also for a name that the table has."""
    meter = table.meter
    known = read_known(path, meter.zone, table.step_s, phase_s=table.start_s, always=always, least_share=least_share)
    return table.with_known(known)


def _layout(first: Block, path: Path, *, always: bool) -> tuple[_Layout, pl.DataFrame]:
    """Names, delimiter and time patterns, from the first block, and the rows of that block."""
    lead = len(first.data) - len(first.data.lstrip())
    line = first.first_line + first.data[:lead].count(b"\n")
    header, _, data = first.data[lead:].partition(b"\n")
    text = header.decode("utf-8", errors="replace")
    delimiter = max(",;\t|", key=text.count)
    if not text.strip():
        raise BadMeterFile(f"{path}: the file is empty", 'give a CSV such as "time,available_at,temperature_c"')
    layout = _Layout(path, tuple(name.strip().strip('"') for name in text.split(delimiter)), delimiter, {})
    _refuse_names(layout, line, always=always)
    rows = _rows(Block(line + 1, data), layout)
    if rows.is_empty():
        raise BadMeterFile(
            f"{path}: there is a header and no row below it", "give a row for every step, or take the file out of params.yaml"
        )
    for name in (TIME, AVAILABLE)[: 1 if always else 2]:
        layout.patterns[name] = _pattern(rows[name].drop_nulls().to_list(), name, path)
    return layout, rows


def _refuse_names(layout: _Layout, line: int, *, always: bool) -> None:
    where, fields = f"{layout.path}, line {line}", layout.fields
    for place, name in enumerate(fields):
        if not _NAME.fullmatch(name):
            raise BadMeterFile(
                f'{where}: "{name}" is no name of a column', "begin with a line of names: small letters, digits and underscores"
            )
        if name in _OF_METERS:
            raise BadMeterFile(f'{where}: "{name}" is what a meter measures, not known ahead', "take the column out, or name it otherwise")
        if name in fields[:place]:
            raise BadMeterFile(f'{where}: column "{name}" stands there twice', "keep one of the two")
    if TIME not in fields:
        raise BadMeterFile(f'{where}: there is no column "{TIME}"', f'name the start of every step "{TIME}"')
    if always and AVAILABLE in fields:
        raise BadMeterFile(
            f'{where}: there is a column "{AVAILABLE}", and params.yaml says meters.<id>.known_always', "take one of the two out"
        )
    if not always and AVAILABLE not in fields:
        hint = "add it: when was each value known? For what is known ahead for ever, such as a plan, say meters.<id>.known_always: true"
        raise BadMeterFile(f'{where}: there is no column "{AVAILABLE}"', hint)
    if not layout.values:
        raise BadMeterFile(f"{where}: no column holds values", 'add one, such as "temperature_c"')


def _rows(block: Block, layout: _Layout) -> pl.DataFrame:
    """The texts of a block by column, null where empty, with their `line`; rows without any text are left out."""
    rows = None
    # Quoted text may run over several lines: then polars' rows are not the file's lines.
    if b'"' not in block.data:
        with suppress(pl.exceptions.PolarsError):
            names = layout.delimiter.join(layout.fields).encode() + b"\n"
            texts = pl.read_csv(names + block.data, separator=layout.delimiter, infer_schema=False)
            rows = texts.with_row_index("line", block.first_line)
    rows = _rows_one_by_one(block, layout) if rows is None else rows
    text = pl.col(layout.fields).str.strip_chars()
    known = rows.select("line", pl.when(~text.is_in(MISSING)).then(text))
    return known.filter(pl.any_horizontal(pl.col(layout.fields).is_not_null()))


def _rows_one_by_one(block: Block, layout: _Layout) -> pl.DataFrame:
    """The same where polars stumbles over blank or uneven lines. Raises BadMeterFile at the first line with too many values."""
    width = len(layout.fields)
    rows: list[tuple[int, list[str]]] = []
    reader = csv.reader(block.data.decode("utf-8", errors="replace").split("\n"), delimiter=layout.delimiter)
    for row in reader:
        line = block.first_line + reader.line_num - 1
        if any(cell.strip() for cell in row[width:]):
            message = f"{layout.path}, line {line}: {len(row)} values where the header names {width} columns"
            raise BadMeterFile(message, f'correct the line: "{layout.delimiter}" separates columns, and "." is the decimal mark')
        rows.append((line, (row + [""] * width)[:width]))
    texts = zip(*(row for _, row in rows), strict=True)
    columns = [pl.Series(name, column, dtype=pl.String) for name, column in zip(layout.fields, texts, strict=False)]
    return pl.DataFrame([pl.Series("line", [line for line, _ in rows], dtype=pl.UInt32), *columns])


def _pattern(values: list[str], name: str, path: Path) -> str:
    hint = "write times as 2024-01-31 13:00, or with an offset as 2024-01-31T13:00+01:00"
    if not values:
        raise BadMeterFile(f'{path}: column "{name}" is empty', hint)
    try:
        pattern = times.pattern_of(values, day_first=False)
    except times.AmbiguousDates as date:
        raise BadMeterFile(f'{path}: dates such as "{date}" can be day/month or month/day', hint) from None
    if pattern is None or not (times.is_stamp(values[0]) or pattern in times.EPOCHS):
        raise BadMeterFile(f'{path}: "{values[0]}" in column "{name}" is not a time', hint)
    return pattern


def _parsed(rows: pl.DataFrame, layout: _Layout) -> pl.DataFrame:
    """Seconds on the file's clock and numbers (NaN: empty). Raises BadMeterFile at the first text that is neither."""
    numbers = [pl.col(name).cast(pl.Float32, strict=False) for name in layout.values]
    frame = rows.select(*(times.seconds_of([name], [pattern]).alias(name) for name, pattern in layout.patterns.items()), *numbers)
    for name in layout.patterns:
        _refuse_bad(rows, name, ~frame[name].is_between(ALWAYS_S, _LATEST_S).fill_null(value=False), layout)
    for name in layout.values:
        _refuse_bad(rows, name, rows[name].is_not_null() & ~frame[name].is_finite().fill_null(value=False), layout)
    return frame.with_columns(pl.col(layout.values).fill_null(float("nan")))


def _refuse_bad(rows: pl.DataFrame, name: str, bad: pl.Series, layout: _Layout) -> None:
    if not bad.any():
        return
    line, text = rows.filter(bad).select("line", name).row(0)
    pattern = layout.patterns.get(name)
    kind, hint = "a finite number", 'correct it (the decimal mark is "."), or leave it empty where nothing is known'
    if pattern:
        kind, hint = f"a time of the pattern {pattern} between 1900 and 2100", "correct the line: all times of a column have one pattern"
    raise BadMeterFile(f'{layout.path}, line {line}: "{(text or "")[:80]}" in column "{name}" is not {kind}', hint)


def _starts(wall: Instants, issues: Instants, zone: str) -> Instants:
    """The UTC instants of the steps: around a change of the clock the rows of each issue are told apart by their own order."""
    utc, _ = to_utc(wall, zone)
    near = utc_offset_s(zone, wall - DAY_S) != utc_offset_s(zone, wall + DAY_S)
    for issue in np.unique(issues[near]):
        rows = np.flatnonzero(near & (issues == issue))
        rows = rows if wall[rows[0]] <= wall[rows[-1]] else rows[::-1]
        utc[rows] = to_utc(wall[rows], zone)[0]
    return utc


def _moments(wall: Instants, zone: str) -> Instants:
    """The UTC instants of the moments known, of two possible ones the later: nothing counts as known too early."""
    either = [wall - utc_offset_s(zone, wall + days * DAY_S) for days in (-1, 1)]
    early, late = np.minimum(*either), np.maximum(*either)
    shown = [utc + utc_offset_s(zone, utc) == wall for utc in (early, late)]
    utc: Instants = np.where(shown[1] | ~shown[0], late, early)
    return utc


def _column(what: str, starts: Instants, moments: Instants, values: Values) -> KnownColumn:
    """The column at its own step. Raises BadMeterFile where it has none."""
    own = np.isfinite(values)
    distances = np.diff(np.unique(starts[own]))
    step_s = native_step_s(np.unique(starts[own]))
    if step_s is None:
        raise BadMeterFile(f"{what} has values for fewer than two steps", "give a row for every step, or take the column out")
    if (share := float((distances == step_s).mean())) < 0.5:
        message = f"{what} has no regular step: the most common distance of its times, {step_s} s, is {share:.0%} of all"
        raise BadMeterFile(message, "give a row for every step: one that lasts for days stands once for each of them")
    return KnownColumn.of(starts[own], moments[own], values[own], step_s)


def _whole_days(column: KnownColumn, zone: str) -> KnownColumn:
    """A column of local days as one of hours, where the clock of the zone makes some of them 23 or 25 hours long."""
    if column.step_s % DAY_S:
        return column
    ends = wall_clock_days_before(zone, column.start_s, -column.step_s // DAY_S)
    if (ends - column.start_s == column.step_s).all():
        return column
    hours = -(-(ends - column.start_s) // HOUR_S)
    day = np.repeat(np.arange(len(hours)), hours)
    hour = np.arange(len(day)) - np.repeat(np.cumsum(hours) - hours, hours)
    return KnownColumn.of(column.start_s[day] + hour * HOUR_S, column.available_s[day], column.values[day], HOUR_S)
