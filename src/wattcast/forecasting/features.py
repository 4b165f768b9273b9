"""The one definition of features: training, evaluation and serving all call `build_features` with the spec of the bundle.

A row is one (origin, lead). Numpy over the meter table's arrays, the same code for a million rows and for one; nothing is fitted here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wattcast.forecasting.local_time import calendar_columns
from wattcast.forecasting.lookback import History, Matrix, Rows, column_of, recent_columns, value_at
from wattcast.forecasting.names import seasonal_names
from wattcast.forecasting.seasons import mean_of_measured, seasonal_columns
from wattcast.forecasting.spec import USUAL_DAY, FeatureSpec, Known, Scale
from wattcast.meter.clock import DAY_S, HOUR_S, Instants, local_midnight_s, span_of, utc_offset_s
from wattcast.meter.known import KnownColumn
from wattcast.meter.table import MeterTable, Values

# Rows of features, and rows of the table that they are drawn from: what is looked at together, so that memory stays small.
_BLOCK, _STRETCH = 16_384, 65_536
_LEAST_SCALE_KW = 0.01
_USUAL_NAMES = tuple(name for part in USUAL_DAY for name in seasonal_names(part))


@dataclass(frozen=True, eq=False)
class Features:
    """One row per (origin, lead), origins outermost. matrix: float32, NaN = not known. targets: what heads learn; NaN = not measured.

    base_kw: what a "change" or a "deviation" counts from, else zero; scale_kw: what a load was divided by, else one. origin: the row of
    the table at whose start each row's origin lies; lead: from 1.
    """

    matrix: Matrix
    names: tuple[str, ...]
    targets: Values
    base_kw: Values
    scale_kw: Values
    origin: Rows
    lead: Rows
    target_s: Instants

    @property
    def trainable(self) -> npt.NDArray[np.bool_]:
        """The rows whose target was measured and whose base is known, shape (rows,)."""
        return np.isfinite(self.targets) & np.isfinite(self.base_kw)

    @classmethod
    def blank(cls, spec: FeatureSpec, origin: Rows, lead: Rows, target_s: Instants) -> Features:
        """Rows that are still to be written."""
        rows = len(origin)
        matrix, targets = np.empty((rows, len(spec.names)), dtype=np.float32), np.full(rows, np.nan, dtype=np.float32)
        return cls(matrix, spec.names, targets, np.zeros(rows, np.float32), np.ones(rows, np.float32), origin, lead, target_s)

    def rows(self, first: int, stop: int) -> Features:
        """Rows first to stop - 1, as views of these."""
        if (first, stop) == (0, len(self.lead)):
            return self
        part = slice(first, stop)
        values = self.targets[part], self.base_kw[part], self.scale_kw[part]
        return Features(self.matrix[part], self.names, *values, self.origin[part], self.lead[part], self.target_s[part])

    def in_kw(self, outputs: Matrix) -> Matrix:
        """What heads put out for these rows, shape (rows, heads), in kW."""
        return outputs * self.scale_kw[:, None] + self.base_kw[:, None]


def leads_of(spec: FeatureSpec, origins_s: Instants) -> Rows:
    """The leads that a forecast from each instant has, shape (origins, most leads), 0 where an origin has fewer.

    Without a gate 1 to the horizon; with one, those of the next local day (23 to 25 hours) for an origin at the gate, else none.
    """
    if spec.gate_s is None:
        return np.tile(spec.every_lead, (len(origins_s), 1)) if len(origins_s) != 1 else spec.every_lead[None, :]
    midnights = local_midnight_s(spec.zone, origins_s, days=1), local_midnight_s(spec.zone, origins_s, days=2)
    first, stop = ((midnight - origins_s) // spec.step_s for midnight in midnights)
    at_gate = (origins_s + utc_offset_s(spec.zone, origins_s)) % DAY_S == spec.gate_s
    leads = first[:, None] + np.arange(1, (DAY_S + HOUR_S) // spec.step_s + 1)
    return np.where((leads <= stop[:, None]) & at_gate[:, None], leads, 0)


def build_features(table: MeterTable, origins: Rows, spec: FeatureSpec, leads: Rows | None = None) -> Features:
    """One row of features for every origin and lead, from what had ended by each origin.

    origins: row indices into `table`, 0 to len(table): the origin is the START of that row, so rows before it are known. leads: shape
    (origins, k) where only some leads are wanted (0: none), else all that the spec has. Targets not in the table are NaN.
    """
    origins = np.asarray(origins, dtype=np.int64)
    return features_at(table.columns(), origins, table.start_s + origins * table.step_s, spec, table.known, leads)


def glance(table: MeterTable, row: int, spec: FeatureSpec) -> tuple[Matrix, float]:
    """The matrix and the base in kW of an answer by a spec that `glances`, from an origin at the end of the table: value by value.

    What `build_features` gives too, in a quarter of the time: the calls of numpy cost more than what they work on.
    """
    measured = table.columns()
    seen: list[Any] = [
        value_at(measured, name, row - 1 - steps) if steps < row else np.nan
        for name, steps in zip(spec.layout.read, spec.layout.recent.offsets.steps.tolist(), strict=True)
    ]
    if spec.calendar:
        seen += calendar_columns(np.array([table.start_s + row * table.step_s]), spec)[0].tolist()
    base = 0.0 if spec.target != "change" else float(table.power_kw[row - 1]) if row else np.nan
    return np.array([seen], dtype=np.float32), base


def features_of_each(columns: Mapping[str, Values], origins_s: Instants, spec: FeatureSpec) -> Features:
    """For each reading the row of an answer from it alone, made at its end, by a spec that `glances`.

    columns: `power_kw` and covariates, shape (readings,); origins_s: the ends of the readings.
    """
    seen = [
        column_of(columns, name) if steps == 0 else None
        for name, steps in zip(spec.layout.read, spec.layout.recent.offsets.steps.tolist(), strict=True)
    ]
    matrix = np.full((len(origins_s), len(seen)), np.nan, dtype=np.float32)
    for number, values in enumerate(seen):
        if values is not None:
            matrix[:, number] = values
    if spec.calendar:
        matrix = np.concatenate([matrix, calendar_columns(origins_s, spec)], axis=1)
    rows = len(matrix)
    base = columns["power_kw"] if spec.target == "change" else np.zeros(rows, np.float32)
    nothing, one, lead = np.full(rows, np.nan, np.float32), np.ones(rows, np.float32), np.ones(rows, np.int64)
    return Features(matrix, spec.names, nothing, base, one, lead, lead, origins_s)


def features_at(
    columns: Mapping[str, Values],
    origins: Rows,
    origins_s: Instants,
    spec: FeatureSpec,
    known: Mapping[str, KnownColumn],
    leads: Rows | None = None,
) -> Features:
    """`build_features` of columns whose rows may be those of several tables, laid end to end.

    origins_s: the instant of each origin. What one table ends with and the next begins with must be as far apart as the spec looks back.
    """
    if leads is None and spec.gate_s is None and len(origins) == 1:
        counts, lead = np.full(1, spec.horizon), spec.every_lead
        leads = lead[None, :]
    else:
        leads = leads_of(spec, origins_s) if leads is None else leads
        counts, lead = np.count_nonzero(leads, axis=1), leads[leads > 0]
    target_s = np.repeat(origins_s, counts) + (lead - 1) * spec.step_s
    found = Features.blank(spec, np.repeat(origins, counts), lead, target_s)
    begin = 0
    for some in _blocks(origins, leads.shape[1]):
        end = len(lead) if some.stop >= len(origins) else begin + int(counts[some].sum())
        # Only the stretch that this block can see, so that memory does not grow with the table.
        first, last = span_of(origins[some])
        reach, stop = max(first - spec.history_steps, 0), last + spec.last_lead
        history = History({name: values[reach:stop] for name, values in columns.items()}, spec.layout.columns)
        _fill(found.rows(begin, end), history, _Origins(origins[some] - reach, origins_s[some], counts[some], reach), known, spec)
        begin = end
    return found


def _blocks(origins: Rows, leads: int) -> Iterator[slice]:
    """The origins that are looked at together."""
    if len(origins) == 0:
        return
    first, last = span_of(origins)
    size = max(min(_BLOCK // leads, len(origins) * _STRETCH // (last - first + 1)), 1)
    for begin in range(0, len(origins), size):
        yield slice(begin, begin + size)


@dataclass(frozen=True, eq=False)
class _Origins:
    """The origins of one block: as rows of its history, as instants, with how many leads each has. reach: the history's first row."""

    rows: Rows
    instants: Instants
    counts: Rows
    reach: int


def _fill(out: Features, history: History, origins: _Origins, known: Mapping[str, KnownColumn], spec: FeatureSpec) -> None:
    """Write one block: the columns of the matrix, left to right, in the order of `spec.names`, and what targets count from."""
    matrix, row, at = out.matrix, out.origin - origins.reach, 0
    if spec.last_lead > 1:
        matrix[:, 0] = out.lead
        at = 1
    if spec.recent:
        recent = recent_columns(history, origins.rows, spec)
        matrix[:, at : at + recent.shape[1]] = recent if len(recent) in (1, len(row)) else np.repeat(recent, origins.counts, axis=0)
        at += recent.shape[1]
    if spec.seasonal:
        matrix[:, at : at + spec.layout.seasonal_width] = seasonal_columns(history, row, out.lead, out.target_s, spec)
        at += spec.layout.seasonal_width
    for part in spec.known:
        columns = _known_columns(known, out.target_s, np.repeat(origins.instants, origins.counts), spec.step_s, part)
        matrix[:, at : at + columns.shape[1]] = columns
        at += columns.shape[1]
    if spec.calendar:
        matrix[:, at : at + spec.calendar_width] = calendar_columns(out.target_s, spec)
    if spec.target == "change":
        out.base_kw[:] = history.at(0, row - 1)
    elif spec.target == "deviation":
        out.base_kw[:] = mean_of_measured([matrix[:, spec.names.index(name)] for name in _USUAL_NAMES])
    if spec.scale is not None:
        out.scale_kw[:] = _scaled(matrix, history, row, spec, spec.scale)
    # An answer is made from a table that ends with its origin: there are no targets then.
    if origins.reach + history.length > span_of(out.origin)[0]:
        out.targets[:] = (history.at(0, row + out.lead - 1) - out.base_kw) / out.scale_kw


def _scaled(matrix: Matrix, history: History, origin: Rows, spec: FeatureSpec, scale: Scale) -> Values:
    """Divide the loads in these rows by their scale, which is returned in kW, and say for how many days the meter was measured."""
    per_day = DAY_S // spec.step_s
    power = np.zeros(1, dtype=np.int64)
    total, count = (found[:, 0] for found in history.sums(origin, power[None, :] + scale.days * per_day, power, power, (1, 0)))
    prior = scale.prior_days * per_day
    scale_kw = np.maximum((np.abs(total) + scale.prior_kw * prior) / (count + prior), _LEAST_SCALE_KW).astype(np.float32)
    names = spec.names
    loads = [
        number for number, name in enumerate(names) if name.startswith(("power_kw", "days", "hours", "mean_")) and ".event" not in name
    ]
    matrix[:, loads] /= scale_kw[:, None]
    matrix[:, names.index("measured_days")] = count / per_day
    return scale_kw


def _known_columns(known: Mapping[str, KnownColumn], targets: Instants, origins_s: Instants, step_s: int, part: Known) -> Matrix:
    """What was known at each row's origin of the column around its target, NaN where it was not known yet."""
    column = known.get(part.column)
    if column is None:
        return np.full((len(targets), len(part.offsets) + len(part.means)), np.nan, dtype=np.float32)
    farthest = max([*(offset for offset in part.offsets), *(width - 1 for width in part.means)])
    nearest = min([*part.offsets, 0])
    at = {offset: column.as_of(targets - offset * step_s, origins_s) for offset in range(nearest, farthest + 1)}
    columns = [at[offset] for offset in part.offsets]
    for width in part.means:
        window = np.stack([at[offset] for offset in range(width)])
        columns.append(window.mean(axis=0))
    return np.stack(columns, axis=1)
