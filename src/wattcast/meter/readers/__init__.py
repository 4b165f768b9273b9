"""Meter files to readings: the UCI household text format, and any CSV (plain, zip or gzip) or Parquet with a
time and a power or energy column."""

from __future__ import annotations

from wattcast.meter.readers.contract import Readings, ReadOptions, Unit
from wattcast.meter.readers.reading import read

__all__ = ["ReadOptions", "Readings", "Unit", "read"]
