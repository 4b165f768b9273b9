"""Local time for arrays of UTC instants. Numpy and the zone database only: this is on the path of an answer."""

from __future__ import annotations

import re
from bisect import bisect_right
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
import numpy.typing as npt

from wattcast.errors import BadParams

Instants = npt.NDArray[np.int64]

HOUR_S = 3_600
DAY_S = 86_400
SEASONS = ("winter", "spring", "summer", "autumn")
THIRDS = ("00-08", "08-16", "16-24")
_DAYS_KNOWN = 50_000
_FIXED_OFFSET = re.compile(r"([+-])(\d{2}):([0-5]\d)", re.ASCII)
_OF_THIS_MACHINE = ("localtime", "posixrules", "posix", "right", "Factory")


@lru_cache(maxsize=64)
def zone_of(name: str) -> tzinfo:
    """The zone called `name`: an IANA name ("Europe/Paris") or a fixed offset ("+01:00"). Raises BadParams."""
    with suppress(ZoneInfoNotFoundError, ValueError, OSError):
        if fixed := _FIXED_OFFSET.fullmatch(name):
            sign, hours, minutes = fixed.groups()
            offset = timedelta(hours=int(hours), minutes=int(minutes))
            return timezone(offset if sign == "+" else -offset)
        if name.partition("/")[0] not in _OF_THIS_MACHINE:
            return ZoneInfo(name)
    raise BadParams(f'time zone "{name}" is not known', 'use an IANA name such as "Europe/Paris", or a fixed offset such as "+01:00"')


def utc_offset_s(zone: str, instants: Instants) -> Instants:
    """Seconds to add to each UTC instant (epoch seconds, any shape) to get the wall clock of `zone`."""
    if instants.size == 0:
        return np.zeros_like(instants)
    first, last = span_of(instants)
    changes, offsets = _offset_changes(zone, _year(first), _year(last))
    if bisect_right(changes, first) == bisect_right(changes, last):
        return np.full(instants.shape, offsets[bisect_right(changes, first)])
    return np.asarray(offsets)[np.searchsorted(changes, instants, side="right")]


def wall_clock_days_before(zone: str, instants: Instants, days: int | Instants) -> Instants:
    """The instants at which the wall clock of `zone` showed the same time `days` days earlier.

    Of a time that the clock showed twice the first showing is taken; one that it skipped is read by the offset before the change.
    """
    back = np.asarray(days, dtype=np.int64) * DAY_S
    if instants.size == 0 or back.size == 0:
        return instants - back
    if is_steady(zone, instants, int(back.max()) // DAY_S):
        return instants - back
    offset = utc_offset_s(zone, instants)
    wall = instants + offset - back
    guess = wall - offset
    return wall - utc_offset_s(zone, guess)


def is_steady(zone: str, instants: Instants, days: int) -> bool:
    """Whether the clock of `zone` stays as it is from so many days before the first instant to the last, and a day more on either side."""
    first, last = span_of(instants)
    earliest, latest = first - (days + 1) * DAY_S, last + DAY_S
    changes, _ = _offset_changes(zone, _year(earliest), _year(latest))
    return bisect_right(changes, earliest) == bisect_right(changes, latest)


def span_of(numbers: Instants) -> tuple[int, int]:
    """The least and the greatest of some numbers. Of a single one, as on the path of an answer, numpy would be slow to say."""
    if numbers.size == 1:
        only = int(numbers.item())
        return only, only
    return int(numbers.min()), int(numbers.max())


def _year(instant: int) -> int:
    return datetime.fromtimestamp(instant, UTC).year


def season_and_third(zone: str, instants: Instants) -> tuple[Instants, Instants, Instants]:
    """The local day of each instant (days since 1970-01-01), its season (0 = December to February) and the third of the day (0 = 0-8 h)."""
    day, second = np.divmod(instants + utc_offset_s(zone, instants), DAY_S)
    return day, season_of(day), second // (DAY_S // len(THIRDS))


def season_of(local_days: Instants) -> Instants:
    """The season of each local day, counted from 1970-01-01: a number in SEASONS, December to February the first."""
    if local_days.size == 0:
        return np.zeros_like(local_days)
    first, last = span_of(local_days)
    return _seasons()[local_days] if first >= 0 and last < _DAYS_KNOWN else _seasons_computed(local_days)


def _seasons_computed(local_days: Instants) -> Instants:
    month = local_days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64) % 12
    return np.asarray(((month + 1) % 12) // 3, dtype=np.int64)


@lru_cache(maxsize=1)
def _seasons() -> Instants:
    """The season of every day from 1970 on that a meter of ours will see: looked up, for a single day the calendar is slow."""
    return _seasons_computed(np.arange(_DAYS_KNOWN))


def local_midnight_s(zone: str, instants: Instants, days: int) -> Instants:
    """The instant at which the local day began that lies `days` days after the local day of each instant."""
    local_day = (instants + utc_offset_s(zone, instants)) // DAY_S + days
    wall = local_day * DAY_S
    guess = wall - utc_offset_s(zone, instants)
    return wall - utc_offset_s(zone, guess)


def to_utc(wall: Instants, zone: str) -> tuple[Instants, npt.NDArray[np.bool_]]:
    """The UTC instants of a clock read in `zone`, rows in time order, and which of them showed a time that the zone's clock skips.

    A time shown twice is its first showing until the clock has stepped back (or, where one reading fills the hour, until its
    repetition), then its second; a time that never was is read an hour on.
    """
    before, after = utc_offset_s(zone, wall - DAY_S), utc_offset_s(zone, wall + DAY_S)
    utc, skipped = wall - before, np.zeros(len(wall), dtype=bool)
    near = np.flatnonzero(before != after)
    if near.size == 0:
        return utc, skipped
    later = wall[near] - after[near]
    as_first = utc_offset_s(zone, utc[near]) == before[near]
    as_second = utc_offset_s(zone, later) == after[near]
    second = as_second & ~as_first
    repeated = np.flatnonzero(as_first & as_second)
    second[repeated] = _second_showing(wall[near[repeated]])
    utc[near[second]] = later[second]
    skipped[near] = ~as_first & ~as_second
    return utc, skipped


def _second_showing(wall: Instants) -> npt.NDArray[np.bool_]:
    second = np.zeros(len(wall), dtype=bool)
    days = wall // DAY_S
    for day in np.unique(days):
        rows = np.flatnonzero(days == day)
        steps = np.diff(wall[rows])
        stepped_back = steps <= 0 if not steps.any() else steps < 0
        second[rows[1:]] = np.cumsum(stepped_back) > 0
    return second


@lru_cache(maxsize=256)
def _offset_changes(zone: str, first_year: int, last_year: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The instants at which the offset changes within these years, and the offsets before, between and after them."""
    tz = zone_of(zone)
    start = int(datetime(max(first_year, 2) - 1, 12, 31, tzinfo=UTC).timestamp())
    stop = int(datetime(min(last_year, 9997) + 1, 1, 2, tzinfo=UTC).timestamp())
    probes = range(start, stop, DAY_S)
    changes: list[int] = []
    offsets = [_offset_at(tz, start)]
    for probe in probes:
        after = _offset_at(tz, probe + DAY_S)
        if after != offsets[-1]:
            changes.append(_first_with(tz, probe, probe + DAY_S, after))
            offsets.append(after)
    return tuple(changes), tuple(offsets)


def _first_with(tz: tzinfo, low: int, high: int, offset: int) -> int:
    """The first second in (low, high] from which `offset` holds."""
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _offset_at(tz, middle) == offset else (middle, high)
    return high


def _offset_at(tz: tzinfo, instant: int) -> int:
    offset = datetime.fromtimestamp(instant, UTC).astimezone(tz).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0
