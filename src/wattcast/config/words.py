"""Names that people give: a file's name as a meter's id, and the known name nearest to one that is not known."""

from __future__ import annotations

import difflib
import re
import zlib
from pathlib import Path


def meter_id_of(path: Path) -> str:
    """The id of the meter in a file: the file's name without its endings, in small letters and digits, dashes for all else."""
    stem = re.sub(r"(\.(txt|csv|tsv|dat|parquet|zip|gz))+$", "", path.name, flags=re.IGNORECASE)
    return re.sub(r"[^a-z0-9]+", "-", stem.lower())[:80].strip("-") or f"meter-{zlib.crc32(stem.encode()):08x}"


def nearest(name: str, known: tuple[str, ...] | list[str], likeness: float = 0.5) -> str:
    """A hint at the nearest known name, or at all of them where none is near."""
    near = difflib.get_close_matches(name, known, 1, likeness)
    return f'; did you mean "{near[0]}"?' if near else f"; known: {', '.join(known)}"
