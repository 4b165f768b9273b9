"""A file of the full UCI size, made by repeating the half-year file with advancing dates.

For time and memory only: its test rows repeat its training rows, so no error measured on it means anything.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import TextIO

FULL_ROWS = 2_075_259
# 28 whole weeks: every repetition keeps its time of day and its weekday.
BLOCK_MINUTES = 28 * 7 * 24 * 60
STAMP = "%d/%m/%Y %H:%M:%S"


def build_big_file(half_year_zip: Path, cache: Path, rows: int = FULL_ROWS) -> Path:
    """Return the path of a UCI-format text file of `rows` minutes, built once and reused while its source is unchanged.

    The file appears under its final name only when it is complete.
    """
    source = half_year_zip.stat()
    target = cache / f"uci_{rows}_rows_{source.st_size}_{source.st_mtime_ns}.txt"
    if target.exists():
        return target
    cache.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(f".{os.getpid()}.part")
    try:
        with unfinished.open("w", encoding="ascii", newline="\n") as big:
            write_repeated(half_year_zip, big, rows)
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)
    return target


def write_repeated(half_year_zip: Path, big: TextIO, rows: int) -> None:
    """Write the header and `rows` minutes to `big`; the stamps run on without a gap from the first one of the source."""
    written, minute, first = 0, timedelta(minutes=1), None
    while written < rows:
        for line in _first_block(half_year_zip, big if first is None else None):
            day, clock, values = line.split(";", 2)
            first = first or datetime.strptime(f"{day} {clock}", STAMP)
            at = first + written * minute
            big.write(f"{at.day}/{at.month}/{at.year};{at:%H:%M:%S};{values}")
            written += 1
            if written == rows:
                return


def _first_block(half_year_zip: Path, header_to: TextIO | None) -> Iterator[str]:
    with zipfile.ZipFile(half_year_zip) as archive, archive.open(archive.namelist()[0]) as packed:
        header = packed.readline().decode("ascii")
        if header_to is not None:
            header_to.write(header.replace("\r\n", "\n"))
        for _ in range(BLOCK_MINUTES):
            line = packed.readline().decode("ascii")
            if not line:
                return
            yield line.replace("\r\n", "\n")
