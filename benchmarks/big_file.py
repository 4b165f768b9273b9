"""A file of the full UCI size, made by repeating the half-year file with advancing dates.

For time and memory only: its test rows repeat its training rows, so no error measured on it means anything.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path

FULL_ROWS = 2_075_259
# 28 whole weeks: every repetition keeps its time of day and its weekday.
BLOCK_MINUTES = 28 * 7 * 24 * 60


def build_big_file(half_year_zip: Path, cache: Path, rows: int = FULL_ROWS) -> Path:
    """Return the path of a UCI-format text file of `rows` minutes without a break, built once and reused while its source is unchanged.

    The file appears under its final name only when it is complete.
    """
    target = cache / f"repeated-{rows}-{half_year_zip.stat().st_mtime_ns}.txt"
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_suffix(".part")
        with unfinished.open("w", encoding="ascii", newline="\n") as big:
            big.writelines(islice(_repeated(half_year_zip), 1 + rows))
        unfinished.replace(target)
    return target


def _repeated(half_year_zip: Path) -> Iterator[str]:
    """The header line, then minutes without end, read from the zip again for every repetition."""
    written, first = 0, None
    while True:
        with zipfile.ZipFile(half_year_zip) as archive, archive.open(archive.namelist()[0]) as packed:
            header = packed.readline().decode("ascii").rstrip()
            if first is None:
                yield f"{header}\n"
            for line in islice(packed, BLOCK_MINUTES):
                day, clock, values = line.decode("ascii").rstrip().split(";", 2)
                first = first or datetime.strptime(f"{day} {clock}", "%d/%m/%Y %H:%M:%S")
                at = first + timedelta(minutes=written)
                yield f"{at.day}/{at.month}/{at.year};{clock};{values}\n"
                written += 1
