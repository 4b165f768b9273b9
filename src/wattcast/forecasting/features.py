"""The one definition of features: training, evaluation and serving all call `build_features` with the spec of the bundle.

A row is one (origin, lead). Numpy over the meter table's arrays, the same code for a million rows and for one; nothing is fitted here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wattcast.forecasting.lookback import History, Matrix, Rows, is_holiday, mean_of_measured, recent_columns, seasonal_columns
from wattcast.forecasting.spec import USUAL_DAY, FeatureSpec, Known, Scale, seasonal_names
from wattcast.meter.clock import DAY_S, HOUR_S, Instants, local_midnight_s, utc_offset_s
from wattcast.meter.table import MeterTable, Values

# Rows of features, and rows of the table that they are drawn from: what is looked at together, so that memory stays small.
_BLOCK, _STRETCH = 16_384, 65_536
_LEAST_SCALE_KW = 0.01
_DAYS_OF_YEAR = 365.25
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

    def in_kw(self, outputs: Matrix) -> Matrix:
        """What heads put out for these rows, shape (rows, heads), in kW."""
        return outputs * self.scale_kw[:, None] + self.base_kw[:, None]


def leads_of(spec: FeatureSpec, origins_s: Instants) -> Rows:
    """The leads that a forecast from each instant has, shape (origins, most leads), 0 where an origin has fewer.

    Without a gate 1 to the horizon; with one, those of the next local day (23 to 25 hours) for an origin at the gate, else none.
    """
    if spec.gate_s is None:
        return np.broadcast_to(np.arange(1, spec.horizon + 1), (len(origins_s), spec.horizon))
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
    if leads is None:
        leads = leads_of(spec, table.start_s + origins * table.step_s)
    wanted = leads > 0
    counts = wanted.sum(axis=1)
    ends = np.concatenate([[0], np.cumsum(counts)])
    origin, lead = np.repeat(origins, counts), leads[wanted]
    matrix = np.empty((len(origin), len(spec.names)), dtype=np.float32)
    targets, base, scale = (np.full(len(origin), value, dtype=np.float32) for value in (np.nan, 0.0, 1.0))
    across = int(origins.max() - origins.min()) + 1 if len(origins) else 1
    block = max(min(_BLOCK // leads.shape[1], len(origins) * _STRETCH // across), 1)
    for first in range(0, len(origins), block):
        part = slice(first, min(first + block, len(origins)))
        rows = slice(ends[part.start], ends[part.stop])
        # Only the stretch that this block can see, so that memory does not grow with the table.
        reach = max(int(origins[part].min()) - spec.history_steps, 0)
        history = History(table.rows(reach, int(origins[part].max()) + spec.last_lead))
        _fill(matrix[rows], history, origins[part] - reach, counts[part], lead[rows], spec)
        if spec.target == "change":
            base[rows] = history.at("power_kw", origin[rows] - reach - 1)
        elif spec.target == "deviation":
            base[rows] = mean_of_measured([matrix[rows, spec.names.index(name)] for name in _USUAL_NAMES])
        if spec.scale is not None:
            scale[rows] = _scaled(matrix[rows], history, origin[rows] - reach, spec, spec.scale)
        targets[rows] = (history.at("power_kw", origin[rows] - reach + lead[rows] - 1) - base[rows]) / scale[rows]
    return Features(matrix, spec.names, targets, base, scale, origin, lead, table.start_s + (origin + lead - 1) * table.step_s)


def _fill(out: Matrix, history: History, origins: Rows, counts: Rows, lead: Rows, spec: FeatureSpec) -> None:
    """Write the columns of one block of origins, left to right, in the order of `spec.names`."""
    table = history.table
    origin = np.repeat(origins, counts)
    targets = table.start_s + (origin + lead - 1) * table.step_s
    blocks: list[npt.NDArray[np.generic]] = [lead[:, None]] if spec.last_lead > 1 else []
    blocks += [np.repeat(recent_columns(history, origins, part, spec.event_memory), counts, axis=0) for part in spec.recent]
    blocks += [seasonal_columns(history, origin, targets, part, spec) for part in spec.seasonal]
    blocks += [_known_columns(table, origin, targets, part) for part in spec.known]
    if spec.calendar:
        blocks.append(_calendar(targets, spec))
    if spec.scale is not None:
        blocks.append(np.empty((len(origin), 1), dtype=np.float32))
    np.concatenate(blocks, axis=1, out=out, casting="same_kind")


def _scaled(matrix: Matrix, history: History, origin: Rows, spec: FeatureSpec, scale: Scale) -> Values:
    """Divide the loads in these rows by their scale, which is returned in kW, and say for how many days the meter was measured."""
    per_day = DAY_S // spec.step_s
    window = np.array([scale.days * per_day])
    total, count = (history.moment("power_kw", power, origin, window)[:, 0] for power in (1, 0))
    prior = scale.prior_days * per_day
    scale_kw = np.maximum((np.abs(total) + scale.prior_kw * prior) / (count + prior), _LEAST_SCALE_KW).astype(np.float32)
    names = spec.names
    loads = [
        number for number, name in enumerate(names) if name.startswith(("power_kw", "days", "hours", "mean_")) and ".event" not in name
    ]
    matrix[:, loads] /= scale_kw[:, None]
    matrix[:, names.index("measured_days")] = count / per_day
    return scale_kw


def _known_columns(table: MeterTable, origin: Rows, targets: Instants, part: Known) -> Matrix:
    """What was known at each row's origin of the column around its target, NaN where it was not known yet."""
    origins_s = table.start_s + origin * table.step_s
    column = table.known.get(part.column)
    if column is None:
        return np.full((len(origin), len(part.offsets) + len(part.means)), np.nan, dtype=np.float32)
    farthest = max([*(offset for offset in part.offsets), *(width - 1 for width in part.means)])
    nearest = min([*part.offsets, 0])
    at = {offset: column.as_of(targets - offset * table.step_s, origins_s) for offset in range(nearest, farthest + 1)}
    columns = [at[offset] for offset in part.offsets]
    for width in part.means:
        window = np.stack([at[offset] for offset in range(width)])
        columns.append(window.mean(axis=0))
    return np.stack(columns, axis=1)


def _calendar(targets: Instants, spec: FeatureSpec) -> Matrix:
    """The calendar of the target's local time: hour (0 to 24, with its fraction), weekday (Monday 0), day of the year (0 to 366), holiday.

    weekdays: one column each, 0 or 1; year: waves of one, two and three turns a year, -1 to 1.
    """
    local = targets + utc_offset_s(spec.zone, targets)
    day, second = np.divmod(local, DAY_S)
    dates = day.astype("datetime64[D]")
    day_of_year = (dates - dates.astype("datetime64[Y]")).astype(np.int64)
    weekday = (day + 3) % 7
    turns = 2 * np.pi * day_of_year / _DAYS_OF_YEAR
    waves = [wave(number * turns) for number in (1, 2, 3) for wave in (np.sin, np.cos)]
    columns = {"hour": [second / HOUR_S], "weekday": [weekday], "day_of_year": [day_of_year], "holiday": [is_holiday(day, spec)]}
    columns |= {"weekdays": [weekday == number for number in range(7)], "year": waves}
    return np.stack([column for name in spec.calendar for column in columns[name]], axis=1).astype(np.float32)
