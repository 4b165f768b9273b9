"""How a CSV is laid out: delimiter, decimal mark, time, power and unit, found from its header and its first block of lines."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from wattcast.errors import BadMeterFile
from wattcast.meter.readers import times, uci
from wattcast.meter.readers.contract import MISSING, UNITS, Layout, ReadOptions, Unit
from wattcast.meter.readers.source import Block

_SAMPLE_ROWS = 2_000
_GROUPED = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")
_NUMBER = re.compile(r"[+-]?(\d+[.,]?\d*|[.,]\d+)([eE][+-]?\d+)?")
_UNITS: dict[str, Unit] = {"kw": "kW", "w": "W", "kwh": "kWh", "wh": "Wh"}
_UNIT = re.compile(
    r"(?<![a-z])(?P<price>(eur|€|ct|cents?|\$|usd|gbp|£|chf|k?g|co2\w*)( ?/ ?|[ _]per[ _]))?"
    r"(?P<prefix>kilo|mega|giga|milli|[kmgt])?(w|watts?)(?P<hours>[ .·*_-]?(h|hrs?|hours?|stunden?|heures?))?(?![a-z])"
    r"(?P<per>[ _]?m-?[2²]|( ?/ ?|[ _]per[ _])\w+)?",
    re.IGNORECASE,
)
_GLUED_UNIT = re.compile(r"(?<=[a-z])([kKMGmT]?Wh?)$")
_OTHER_UNIT = re.compile(
    r"(?<![a-z])([kmg]?(va|var)h?|[kmg]j|btu|mmbtu|therms?|kcal|hp|percent|pct)(?![a-z])|%|[(\[](v|a|j|m[3³])[)\]]", re.IGNORECASE
)
_POWER_WORDS = ("power", "load", "demand", "consumption", "energy", "usage", "leistung", "verbrauch", "puissance")
_OTHER_WORDS = re.compile(
    "solar|pv|irradian|generation|production|export|einspeis|limit|peak|max|capacity|price|preis|cost|tariff|temp|wind|factor(?!y)|forecast"
    "|reactive|apparent",
    re.IGNORECASE,
)
_TIME_WORDS = ("start", "from", "datetime", "timestamp", "time", "date")

Sample = list[list[str]]


def find_layout(first: Block, options: ReadOptions, path: Path) -> tuple[Layout, Block]:
    """The layout of a file from its first block, and the rest of that block. Raises BadMeterFile where header or values leave it open."""
    header, rest = _header(first, path)
    delimiter = options.delimiter or max(";\t,|", key=header.count)
    fields = tuple(name.strip() for name in next(csv.reader([header], delimiter=delimiter)))
    if any(times.is_stamp(name) or _NUMBER.fullmatch(name) for name in fields):
        raise BadMeterFile(
            f"{path}, line {rest.first_line - 1}: a reading stands where the header should be", 'begin with names such as "time,power_kw"'
        )
    sample = list(_sample(rest.data, delimiter, len(fields)))
    if not sample:
        raise BadMeterFile(f"{path}: there is a header and no reading below it", "give a file with readings")
    time = _time_columns(fields, sample, options, path)
    patterns = _time_patterns(fields, sample, time, options, path)
    numbers = [position for position in range(len(fields)) if position not in time and _is_numeric(_column(sample, position))]
    power = _power_column(fields, numbers, options, path)
    decimal = options.decimal or _decimal(sample, numbers, power, fields[power], path)
    seen = {"", "?"}.union(*sample)
    layout = Layout(
        path=path,
        fields=fields,
        delimiter=delimiter,
        decimal=decimal,
        time=time,
        time_formats=patterns,
        aware=times.is_aware(patterns[0]),
        power=power,
        unit=options.unit or _told_unit(fields[power], path),
        covariates=_covariates(fields, [position for position in numbers if position != power]),
        missing=tuple(mark for mark in MISSING if mark in seen),
        uci=uci.is_uci(fields),
    )
    return layout, rest


def _header(first: Block, path: Path) -> tuple[str, Block]:
    line, data = first.first_line, first.data
    while data:
        header, _, data = data.partition(b"\n")
        line += 1
        if header.strip():
            return header.decode("utf-8", errors="replace").rstrip("\r"), Block(line, data)
    raise BadMeterFile(f"{path}: the file is empty", "give a file with a header and readings")


def _sample(data: bytes, delimiter: str, width: int) -> Iterator[list[str]]:
    """Rows from all over the block, its first ones densest: a date tells day from month only once a month is half over."""
    lines = data.decode("utf-8", errors="replace").splitlines()
    chosen = lines[:_SAMPLE_ROWS] + lines[_SAMPLE_ROWS :: max(1, len(lines) // _SAMPLE_ROWS)]
    for row in csv.reader((line for line in chosen if line.strip()), delimiter=delimiter):
        yield [value.strip() for value in row] + [""] * (width - len(row))


def _column(sample: Sample, position: int) -> list[str]:
    return [row[position] for row in sample if row[position] not in MISSING]


def _is_numeric(values: Sequence[str]) -> bool:
    """Whether most values are numbers: one bad value must not hide the column, it is to be found and named."""
    return sum(_NUMBER.fullmatch(value) is not None for value in values) > 0.9 * len(values)


def _time_columns(fields: tuple[str, ...], sample: Sample, options: ReadOptions, path: Path) -> tuple[int, ...]:
    named = [_named(options.time_column, fields, "meters.<id>.time_column", path)] if options.time_column else []
    first = {position: values[0] for position in range(len(fields)) if (values := _column(sample, position))}
    dates = named or [position for position, value in first.items() if times.is_stamp(value)]
    clocks = [position for position, value in first.items() if times.is_clock(value)]
    if len(dates) == 1 and len(clocks) == 1 and times.is_stamp(date := first.get(dates[0], "")) and ":" not in date:
        return dates[0], clocks[0]
    epochs = [
        position for position, value in first.items() if _rank(fields[position], _TIME_WORDS) and times.pattern_of([value], day_first=True)
    ]
    found = dates or epochs
    if not found:
        raise BadMeterFile(
            f"{path}: no column holds times (columns: {_listed(fields)})",
            "write them as 2024-01-31 13:00, or name the column as meters.<id>.time_column and its pattern as meters.<id>.time_format",
        )
    return (max(found, key=lambda position: _rank(fields[position], _TIME_WORDS)),)


def _time_patterns(fields: tuple[str, ...], sample: Sample, time: tuple[int, ...], options: ReadOptions, path: Path) -> tuple[str, ...]:
    patterns = [options.time_format] if options.time_format else []
    for position in time[len(patterns) :]:
        values = _column(sample, position) or [""]
        try:
            pattern = times.pattern_of(values, day_first=uci.is_uci(fields))
        except times.AmbiguousDates as date:
            hint = 'say so: meters.<id>.time_format: "%d/%m/%Y %H:%M" (or the pattern it has)'
            raise BadMeterFile(f'{path}: dates such as "{date}" can be day/month or month/day', hint) from None
        if pattern is None:
            hint = "write times as 2024-01-31 13:00, or give their pattern as meters.<id>.time_format"
            raise BadMeterFile(f'{path}: "{values[0]}" in column "{fields[position]}" is not a time', hint)
        patterns.append(pattern)
    return tuple(patterns)


def _power_column(fields: tuple[str, ...], numbers: list[int], options: ReadOptions, path: Path) -> int:
    if options.power_column:
        return _named(options.power_column, fields, "meters.<id>.power_column", path)
    uci_power = [position for position in numbers if fields[position].lower() == uci.POWER]
    candidates = [position for position in numbers if fields[position].lower() not in uci.COVARIATES]
    plausible = [position for position in candidates if not _OTHER_WORDS.search(fields[position])]
    for found in (uci_power, _could_be_load(fields, plausible), candidates):
        if len(found) == 1:
            return found[0]
        if found:
            names = _listed([fields[position] for position in found])
            raise BadMeterFile(f"{path}: several columns could be the load ({names})", "name one as meters.<id>.power_column")
    raise BadMeterFile(f"{path}: no column holds power or energy (columns: {_listed(fields)})", "name it as meters.<id>.power_column")


def _could_be_load(fields: tuple[str, ...], positions: list[int]) -> list[int]:
    """The columns that a word or a unit speaks for. Where all have a unit, a word outranks none, and power outranks energy."""
    units = {position: told for position in positions if (told := _units_in(fields[position])) and told <= {*UNITS}}
    worded = [position for position in positions if _rank(fields[position], _POWER_WORDS)]
    found = [position for position in positions if position in worded or position in units]
    if units.keys() >= {*found}:
        found = [position for position in found if position in worded] or found
        found = [position for position in found if units[position] <= {"kW", "W"}] or found
    return found


def _told_unit(name: str, path: Path) -> Unit | Literal[""]:
    """The unit that a column's name tells ("load_w", "Energy (kilowatt-hours)", "loadKW"); "" for none. Raises BadMeterFile for others."""
    told = _units_in(name)
    for unit in UNITS:
        if told == {unit}:
            return unit
    if told:
        message = f'{path}: the name of column "{name}" tells the unit {" and ".join(sorted(told))}, not one of {", ".join(UNITS)}'
        raise BadMeterFile(message, "convert it, or say what its values are in params.yaml: meters.<id>.unit: kW, W, kWh or Wh")
    return ""


def _units_in(name: str) -> set[str]:
    """All units in a column's name, the four that are read spelled as in UNITS, others as they stand."""
    told = set()
    for found in _UNIT.finditer(name):
        plain = (found["prefix"] or "")[:1].lower() + "w" + ("h" if found["hours"] else "")
        told.add(found[0] if found["price"] or found["per"] else _UNITS.get(plain, found[0]))
    if not told and (glued := _GLUED_UNIT.search(name)):
        told.add(_UNITS.get(glued[1].lower(), glued[1]))
    return told or {found[0].strip("([])") for found in _OTHER_UNIT.finditer(name)}


def _named(name: str, fields: tuple[str, ...], option: str, path: Path) -> int:
    if name not in fields:
        raise BadMeterFile(f'{path}: there is no column "{name}" (columns: {_listed(fields)})', f"correct {option}")
    return fields.index(name)


def _covariates(fields: tuple[str, ...], positions: list[int]) -> dict[int, str]:
    names: dict[int, str] = {}
    for position in positions:
        plain = re.sub(r"[^a-z0-9]+", "_", fields[position].lower()).strip("_") or f"column_{position + 1}"
        name = uci.COVARIATES.get(fields[position].lower(), plain)
        names[position] = name if name not in {*names.values(), "start", "power_kw"} else f"{name}_{position + 1}"
    return names


def _decimal(sample: Sample, numbers: list[int], power: int, name: str, path: Path) -> str:
    """The decimal mark. Raises BadMeterFile where it may as well stand between thousands: 950 beside 1,234, and nowhere 0,5 or 1,23."""
    values = [value for position in numbers for value in _column(sample, position)]
    decimal = "," if any("," in value for value in values) and not any("." in value for value in values) else "."
    marked = {decimal in value for value in _column(sample, power)}
    if marked == {True, False} and all(_GROUPED.fullmatch(value) for value in values if decimal in value):
        shown = next(value for value in _column(sample, power) if decimal in value)
        hint = f'take out marks between thousands; if it is the decimal mark, say so in params.yaml: meters.<id>.decimal: "{decimal}"'
        raise BadMeterFile(
            f'{path}: "{shown}" in column "{name}" can be {shown.replace(decimal, "")} or {shown.replace(decimal, ".")}', hint
        )
    return decimal


def _rank(name: str, words: tuple[str, ...]) -> int:
    """How early in `words` one is found that the name contains; 0 for none."""
    return next((len(words) - place for place, word in enumerate(words) if word in name.lower()), 0)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
