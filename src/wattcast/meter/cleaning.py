"""From readings to the meter table: grid, duplicates, gaps, what cannot be true, and resampling. Never fills a gap.

Numpy only, for resampling is on the path of an answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from wattcast.errors import BadMeterFile, BadParams
from wattcast.meter.clock import Instants
from wattcast.meter.table import Flow, Meter, MeterTable, Values

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wattcast.meter.arrivals import Batch
    from wattcast.meter.readers.contract import Readings

Mask = npt.NDArray[np.bool_]

_LONGEST_STEP_S = 31 * 86_400
_SPARSEST_GRID = 20
# Loads above zero, up to this, are believed whatever the others are.
UNQUESTIONED_KW = 30.0
_LIMIT_OVER_P99 = 15.0


def native_step_s(instants: Instants) -> int | None:
    """The most common distance between neighbouring instants in seconds (the smaller one of equals), or None where there is none."""
    ordered = instants if bool((instants[1:] >= instants[:-1]).all()) else np.sort(instants)
    steps = np.diff(ordered)
    steps = steps[(steps > 0) & (steps <= _LONGEST_STEP_S)]
    return int(np.bincount(steps).argmax()) if steps.size else None


def to_table(readings: Readings, step_s: int | None = None) -> MeterTable:
    """Readings on a regular grid at their native step, or resampled to `step_s`.

    Of several readings of one instant the last in the file counts. NaN where no row stands and where a reading is not believed
    (`disbelieved`). Raises BadMeterFile where single times far from the others would make the grid endless.
    """
    instants = readings.frame["start"].to_numpy()
    order = None if bool((instants[1:] >= instants[:-1]).all()) else np.argsort(instants, kind="stable")
    columns = {name: readings.frame[name].to_numpy() for name in readings.frame.columns[1:]}
    if order is not None:
        instants, columns = instants[order], {name: values[order] for name, values in columns.items()}
    table = _on_grid(readings.meter, readings.step_s, instants, columns, str(readings.path))
    return table if step_s in (None, readings.step_s) else resample(table, int(step_s or 0))


def grid_of(meter: Meter, batch: Batch, what: str) -> MeterTable:
    """Readings that arrived on a regular grid, cleaned as those of a file are. what: they are called so in a refusal."""
    return _on_grid(meter, batch.step_s, batch.start_s, batch.columns(), what)


def raw_grid_of(meter: Meter, batch: Batch, what: str) -> MeterTable:
    """Readings on a regular grid as they were sent, believed or not."""
    return _raw_grid(meter, batch.step_s, batch.start_s, batch.columns(), what)


def _on_grid(meter: Meter, step_s: int, ordered: Instants, given: Mapping[str, Values], what: str) -> MeterTable:
    raw = _raw_grid(meter, step_s, ordered, given, what)
    columns = _believed(raw.columns(), meter.flow)
    return MeterTable(meter, raw.start_s, step_s, columns.pop("power_kw"), columns)


def _raw_grid(meter: Meter, step_s: int, ordered: Instants, given: Mapping[str, Values], what: str) -> MeterTable:
    columns: dict[str, Values] = {}
    if int(ordered[-1]) - int(ordered[0]) == (len(ordered) - 1) * step_s and not np.count_nonzero(np.diff(ordered) != step_s):
        start_s, columns = int(ordered[0]), dict(given)
    else:
        start_s, places = _grid(ordered, step_s, what)
        for name, values in given.items():
            columns[name] = np.full(int(places[-1]) + 1, np.nan, dtype=np.float32)
            columns[name][places] = values
    return MeterTable(meter, start_s, step_s, columns.pop("power_kw"), columns)


def _grid(ordered: Instants, step_s: int, what: str) -> tuple[int, Instants]:
    """The start of the first grid row, and the row of every instant. The grid takes the phase that most instants have."""
    phase = int(np.bincount(ordered % step_s).argmax())
    places = (ordered - phase + step_s // 2) // step_s
    first = int(places[0])
    if int(places[-1]) - first > _SPARSEST_GRID * len(ordered) + 1_000:
        widest = int(np.diff(ordered).argmax())
        gap = " to ".join(str(moment) for moment in ordered[widest : widest + 2].astype("datetime64[s]"))
        raise BadMeterFile(f"{what}: almost all of its span is one gap ({gap} UTC)", "correct the times before or after it")
    return first * step_s + phase, places - first


def disbelieved(power_kw: Values, flow: Flow) -> dict[str, Mask]:
    """Which readings, given in time order, cannot be true, by kind; NaN is none of them.

    negative: below zero in a meter of consumption. impossible: beyond 30 kW and beyond 15 times the usual 99th percentile.
    zero_filled: exactly zero in a meter of consumption whose readings usually stay well above zero (a gap written as 0).
    What is usual the first half says, for it is training wherever the rest is split: no reading of a test changes one before it.
    """
    size = np.abs(power_kw)
    usual = size[: -(-len(size) // 2)]
    measured = usual[np.isfinite(usual)]
    consumption = flow == "consumption"
    negative, zero = (power_kw < 0) & consumption, power_kw == 0
    # What is usual is asked only where it decides something, for most tables have nothing to be disbelieved.
    limit = np.inf
    if measured.size and np.count_nonzero(size > UNQUESTIONED_KW):
        limit = max(UNQUESTIONED_KW, _LIMIT_OVER_P99 * float(np.percentile(measured, 99)))
    idle = zero & (consumption and bool(np.count_nonzero(zero)) and _never_idles(measured))
    return {"negative": negative, "impossible": (size > limit) & ~negative, "zero_filled": idle}


def _never_idles(measured: Values) -> bool:
    """Whether zero is out of this meter's reach: rare, and far below the lowest other readings, also counted in steps of its resolution."""
    above = np.unique(measured[measured > 0])
    if above.size == 0 or int((measured == 0).sum()) > 0.2 * measured.size:
        return False
    floor = float(np.percentile(measured[measured > 0], 1))
    resolution = float(np.diff(above).min()) if above.size > 1 else floor
    return floor >= 0.03 * float(measured.mean()) and floor >= 4 * resolution


def _believed(columns: dict[str, Values], flow: Flow) -> dict[str, Values]:
    """The columns with NaN in place of what cannot be true; those given stay as they are."""
    power = columns["power_kw"]
    if np.count_nonzero((power > 0) & (power <= UNQUESTIONED_KW)) == len(power):
        return columns
    kinds = disbelieved(power, flow)
    zero_filled, wrong = kinds["zero_filled"], kinds["negative"] | kinds["impossible"]
    if np.count_nonzero(zero_filled):
        columns = {name: np.where(zero_filled, np.float32(np.nan), values) for name, values in columns.items()}
    return {**columns, "power_kw": np.where(wrong, np.float32(np.nan), columns["power_kw"])}


def resample(table: MeterTable, step_s: int, min_share: float = 0.5) -> MeterTable:
    """The table at a coarser step: rows begin at multiples of step_s since 1970 and hold the mean of what was measured in them.

    NaN where less than `min_share` of a row's readings was measured. A row that the table ends within has not ended: it is left out.
    Raises BadParams for a step that is not a multiple of the table's own.
    """
    if step_s < table.step_s or step_s % table.step_s:
        raise BadParams(f"readings of {table.step_s} s cannot become readings of {step_s} s", f"choose a multiple of {table.step_s} s")
    per_row = step_s // table.step_s
    first = table.start_s // step_s * step_s
    in_front = (table.start_s - first) // table.step_s
    rows = (in_front + len(table)) // per_row
    means = {name: _means(values, in_front, (rows, per_row), min_share) for name, values in table.columns().items()}
    known = {name: column.at_step(step_s, first, min_share) for name, column in table.known.items()}
    return MeterTable(table.meter, first, step_s, means.pop("power_kw"), means, known)


def _means(values: Values, in_front: int, shape: tuple[int, int], min_share: float) -> Values:
    padded = np.concatenate([np.full(in_front, np.nan, dtype=np.float32), values])
    grid = padded[: shape[0] * shape[1]].reshape(shape)
    measured = np.isfinite(grid)
    counts = measured.sum(axis=1)
    sums = np.where(measured, grid, np.float32(0)).sum(axis=1, dtype=np.float64)
    enough = (counts > 0) & (counts >= min_share * shape[1])
    return np.where(enough, sums / np.maximum(counts, 1), np.nan).astype(np.float32)
