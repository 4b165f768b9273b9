"""Times of a file: which pattern they follow, and how a clock without an offset becomes UTC."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import polars as pl

EPOCHS = {"epoch s": 1, "epoch ms": 1_000}
_DATE = r"(?P<a>\d{1,4})(?P<sep>[-/.])(?P<b>\d{1,2})(?P=sep)(?P<c>\d{1,4})"
_CLOCK = r"\d{1,2}:\d{2}(?P<seconds>:\d{2})?(?P<fraction>\.\d+)?(?P<half>( ?)[AaPp][Mm])?"
_STAMP = re.compile(rf"{_DATE}(?:(?P<t>[ T]){_CLOCK})?(?P<offset> ?(?:Z|UTC|[+-]\d{{2}}:?\d{{2}}))?")
_CLOCK_ONLY = re.compile(_CLOCK)
_AWARE = re.compile(r"%[:#]*z|%\+|%s|(?<!%)Z|UTC|epoch")


class AmbiguousDates(ValueError):
    """Day and month cannot be told apart."""


def is_stamp(text: str) -> bool:
    """Whether the text is a date, or a date with a time."""
    return _STAMP.fullmatch(text) is not None


def is_clock(text: str) -> bool:
    """Whether the text is a time of day without a date."""
    return _CLOCK_ONLY.fullmatch(text) is not None


def is_aware(pattern: str) -> bool:
    """Whether times of this strptime pattern (or epoch unit) carry their offset from UTC."""
    return _AWARE.search(pattern) is not None


def pattern_of(values: Sequence[str], *, day_first: bool) -> str | None:
    """The strptime pattern (or epoch unit) of these texts, or None where there is none. Raises AmbiguousDates; day_first settles those."""
    first = values[0]
    if first.isdecimal() and len(first) in (9, 10, 13):
        return "epoch ms" if len(first) == 13 else "epoch s"
    found = _STAMP.fullmatch(first)
    if found is None:
        clock = _CLOCK_ONLY.fullmatch(first)
        return None if clock is None else _clock_pattern(clock)
    date = _date_pattern(found, values, day_first)
    if date is None:
        return None
    clock_part = found["t"] + _clock_pattern(found) if found["t"] else ""
    offset = found["offset"] or ""
    return date + clock_part + (re.sub(r"[+-].*", "%z", offset))


def _date_pattern(found: re.Match[str], values: Iterable[str], day_first: bool) -> str | None:
    sep = found["sep"]
    if len(found["a"]) == 4:
        return f"%Y{sep}%m{sep}%d"
    if len(found["c"]) != 4:
        return None
    stamps = [stamp for value in values if (stamp := _STAMP.fullmatch(value))]
    first, second = (max(int(stamp[part]) for stamp in stamps) for part in "ab")
    if second > 12 >= first:
        return f"%m{sep}%d{sep}%Y"
    if first > 12 or sep == "." or day_first:
        return f"%d{sep}%m{sep}%Y"
    raise AmbiguousDates(found[0])


def _clock_pattern(found: re.Match[str]) -> str:
    hours = "%I:%M" if found["half"] else "%H:%M"
    half = found["half"].replace(found["half"].strip(), "%p") if found["half"] else ""
    return hours + (":%S" if found["seconds"] else "") + ("%.f" if found["fraction"] else "") + half


def seconds_of(columns: Sequence[str], patterns: Sequence[str]) -> pl.Expr:
    """Whole seconds since 1970 on the clock of the texts in `columns` (UTC where the pattern has an offset); null where they don't fit."""
    if len(columns) == 2:
        clock = pl.col(columns[1]).str.to_time(patterns[1], strict=False).cast(pl.Int64) // 1_000_000_000
        return seconds_of(columns[:1], patterns[:1]) + clock
    column, pattern = pl.col(columns[0]), patterns[0]
    if pattern in EPOCHS:
        return column.cast(pl.Int64, strict=False) // EPOCHS[pattern]
    return column.str.to_datetime(pattern, time_unit="us", strict=False).dt.epoch("s")
