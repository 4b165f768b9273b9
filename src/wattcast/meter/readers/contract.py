"""What a reader is asked for and what it gives back. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import polars as pl

from wattcast.errors import BadParams
from wattcast.meter.table import Meter

Unit = Literal["kW", "W", "kWh", "Wh"]
UNITS: tuple[Unit, ...] = get_args(Unit)
FOUR_GB = 4_000_000_000

# What meters and tools write where nothing was measured.
MISSING = ("", "?", "NA", "N/A", "NaN", "nan", "null", "NULL", "None", "-", "unavailable", "unknown")


@dataclass(frozen=True)
class ReadOptions:
    """How a meter file is to be read; "" means: find it out from the header and the values.

    unit: kW or W (mean power), kWh or Wh (energy per interval); time_format: a strptime pattern such as "%m/%d/%Y %H:%M";
    max_bytes: the largest decompressed size that is read.
    """

    meter: Meter
    time_column: str = ""
    power_column: str = ""
    unit: Unit | Literal[""] = ""
    delimiter: str = ""
    decimal: str = ""
    time_format: str = ""
    max_bytes: int = FOUR_GB

    def __post_init__(self) -> None:
        if self.unit and self.unit not in UNITS:
            raise BadParams(f'meters.<id>.unit: "{self.unit}" is not a unit of power or energy', f"use one of {', '.join(UNITS)}")
        if len(self.delimiter) > 1 or self.delimiter in ('"', "\n", "\r"):
            raise BadParams(f'meters.<id>.delimiter: "{self.delimiter}" cannot separate columns', 'use one character, such as ";"')
        if self.decimal not in ("", ".", ","):
            raise BadParams(f'meters.<id>.decimal: "{self.decimal}" is no decimal mark', 'use "." or ","')


@dataclass(frozen=True)
class Layout:
    """How one file is laid out. Columns are positions in `fields`; time_formats has one strptime pattern per time column, or an epoch unit.

    aware: the times carry an offset; unit "" = not told by the header; missing: the marks for "not measured" that were seen.
    """

    path: Path
    fields: tuple[str, ...]
    delimiter: str
    decimal: str
    time: tuple[int, ...]
    time_formats: tuple[str, ...]
    aware: bool
    power: int
    unit: Unit | Literal[""]
    covariates: dict[int, str]
    missing: tuple[str, ...]
    uci: bool

    def number_columns(self) -> dict[int, str]:
        """Every column read as a number, by position, with its name in the frame."""
        return {self.power: "power_kw", **self.covariates}


@dataclass(frozen=True, eq=False)
class Readings:
    """The rows of a file in file order, not yet cleaned, with what the reader had to decide.

    frame: `start` (UTC epoch seconds, Int64), `power_kw` and covariates (Float32, NaN = not measured). step_s: the most common distance
    of two readings. notes: decisions, in words. doubts: what speaks against the file. skipped_hour_rows: rows at times that the clock
    of the zone skips.
    """

    meter: Meter
    path: Path
    frame: pl.DataFrame
    step_s: int
    format: str
    unit: Unit
    power_column: str
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    skipped_hour_rows: int = 0

    @property
    def rows(self) -> int:
        """How many rows of readings the file has."""
        return self.frame.height
