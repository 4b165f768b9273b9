"""One file to Readings: find the layout, parse, put times into UTC and power into kW, and say what was decided."""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from wattcast.errors import BadMeterFile
from wattcast.meter.cleaning import native_step_s
from wattcast.meter.clock import to_utc
from wattcast.meter.readers import parquet, uci
from wattcast.meter.readers.contract import Layout, Readings, ReadOptions, Unit
from wattcast.meter.readers.layout import find_layout
from wattcast.meter.readers.rows import parse
from wattcast.meter.readers.source import Block, text_blocks

UCI_FORMAT = "UCI household text"
_SURELY_KW = 30.0
_SURELY_W = 1_000.0
_FEWEST_STEPS = 10
_COUNTER_OVER_RISE = 5.0


def read(path: Path, options: ReadOptions) -> Readings:
    """The readings of a meter file, in file order, as UTC instants and kW; covariates keep their unit.

    Raises BadMeterFile naming file, line, value and cure for whatever cannot be read as it stands.
    """
    blocks = (parquet.text_blocks if parquet.is_parquet(path) else text_blocks)(path, options.max_bytes)
    try:
        layout, rest = find_layout(next(blocks, Block(1, b"")), options, path)
        frame = parse(chain([rest], blocks), layout)
    except csv.Error as cause:
        raise BadMeterFile(f"{path}: this is not a table of text ({cause})", "give the meter's CSV or text file") from None
    readings = _in_utc(frame, layout, options)
    return _in_kw(_as_means(readings), layout.unit)


def _in_utc(frame: pl.DataFrame, layout: Layout, options: ReadOptions) -> Readings:
    notes, skipped = [], 0
    starts = frame["start"].to_numpy()
    if np.count_nonzero(np.diff(starts) < 0) > len(starts) // 2:
        frame = frame.reverse()
        starts = frame["start"].to_numpy()
        notes.append("rows run from newest to oldest: turned round")
    if layout.aware:
        notes.append("times carry their offset from UTC")
    else:
        starts, never = to_utc(starts, options.meter.zone)
        skipped = int(never.sum())
        frame = frame.with_columns(pl.Series("start", starts))
        notes.append(f"times carry no offset: read on the clock of {options.meter.zone}")
    step_s = native_step_s(starts)
    if step_s is None:
        raise BadMeterFile(
            f"{layout.path}: no two readings are between a second and a month apart", "give a file with at least two readings"
        )
    return Readings(
        meter=options.meter,
        path=layout.path,
        frame=frame,
        step_s=step_s,
        format=UCI_FORMAT if layout.uci else "Parquet" if parquet.is_parquet(layout.path) else "CSV",
        unit="kW",
        power_column=layout.fields[layout.power],
        notes=tuple(notes),
        skipped_hour_rows=skipped,
    )


def _as_means(readings: Readings) -> Readings:
    """Rows that are sums of minutes, which their voltage gives away, divided by the number of minutes."""
    minutes = uci.summed_minutes(readings.frame, readings.step_s) if readings.power_column.lower() == uci.POWER else 1
    if minutes == 1:
        return readings
    partly = uci.partly_summed(readings.frame)
    doubt = f"Every column is a sum of {minutes} minutes, as its voltage shows: divided by {minutes}"
    if partly:
        doubt += f"; {partly} rows lack some of their minutes and are too low"
    doubt += "."
    frame = readings.frame.with_columns(pl.exclude("start") / minutes)
    return replace(readings, frame=frame, doubts=(*readings.doubts, doubt))


def _in_kw(readings: Readings, told: Unit | Literal[""]) -> Readings:
    unit, why = _unit(readings, told)
    if unit in ("kWh", "Wh"):
        _refuse_counter(readings)
        _refuse_mixed_intervals(readings)
    factor = {"kW": 1.0, "W": 1e-3, "kWh": 3_600 / readings.step_s, "Wh": 3.6 / readings.step_s}[unit]
    note = f'power column "{readings.power_column}" is in {unit}{why}'
    frame = readings.frame if factor == 1.0 else readings.frame.with_columns(pl.col("power_kw") * factor)
    return replace(readings, frame=frame, unit=unit, notes=(*readings.notes, note))


def _unit(readings: Readings, told: Unit | Literal[""]) -> tuple[Unit, str]:
    """The unit and why: told by option or name, else by voltage x current, else by size, else refused."""
    if told:
        return told, ""
    in_watts = uci.is_in_watts(readings.frame)
    if in_watts is not None:
        return ("W" if in_watts else "kW"), " (as voltage x current shows)"
    column, size = readings.power_column, _high_level(readings.frame["power_kw"])
    is_power = any(word in column.lower() for word in ("power", "load", "demand", "leistung", "puissance"))
    if readings.format == UCI_FORMAT and size < _SURELY_W:
        return "kW", " (as the format says)"
    if is_power and size < _SURELY_KW:
        return "kW", f" (no unit is named; judged by its size: 99 % are below {size:.3g})"
    if is_power and size >= _SURELY_W:
        return "W", f" (no unit is named; judged by its size: 1 % are above {size:.5g})"
    message = (
        f'{readings.path}: the unit of column "{column}" is not told by its name, and its size leaves it open (99 % are below {size:.4g})'
    )
    raise BadMeterFile(message, "say it in params.yaml: meters.<id>.unit: kW, W, kWh or Wh")


def _high_level(power: pl.Series) -> float:
    values = np.abs(power.to_numpy())
    values = values[np.isfinite(values)]
    return float(np.percentile(values, 99)) if values.size else 0.0


def _refuse_counter(readings: Readings) -> None:
    """A counter hardly ever falls (it is reset, or a reading is lost), rises far more often, and stands far above its usual rise."""
    values = readings.frame["power_kw"].to_numpy()
    values = values[np.isfinite(values)]
    steps = np.diff(values)
    rises, falls = steps[steps > 0], int((steps < 0).sum())
    if steps.size < _FEWEST_STEPS or falls >= 0.05 * steps.size or rises.size <= 2 * falls:
        return
    if np.median(values) > _COUNTER_OVER_RISE * np.median(rises):
        message = f'{readings.path}: column "{readings.power_column}" hardly ever falls: a counter, not energy per interval'
        raise BadMeterFile(message, "give the difference from row to row, or name another column as meters.<id>.power_column")


def _refuse_mixed_intervals(readings: Readings) -> None:
    """Energy becomes power by one length of interval: a stretch of another length would be a multiple too high or too low."""
    starts = np.unique(readings.frame["start"].to_numpy())
    steps = np.diff(starts)
    begins = np.flatnonzero(np.diff(steps, prepend=-1))
    lengths = np.diff(begins, append=len(steps))
    other = (lengths >= _FEWEST_STEPS) & (np.abs(steps[begins] - readings.step_s) > readings.step_s / 4)
    if other.any():
        begin, length = int(begins[other][0]), int(lengths[other][0])
        first, last = starts[[begin, begin + length]].astype("datetime64[s]")
        message = f"{readings.path}: energy is given per {steps[begin]} s from {first} to {last} UTC, elsewhere per {readings.step_s} s"
        raise BadMeterFile(message, "give a file for each interval, or one with mean power in kW")
