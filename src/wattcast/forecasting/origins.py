"""The moment that a forecast is made from, and the steps that it has from there: with a gate, those of the next local day."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from wattcast.errors import BadRequest
from wattcast.forecasting.features import leads_of
from wattcast.forecasting.forecast import Steps
from wattcast.forecasting.spec import FeatureSpec
from wattcast.meter.clock import DAY_S, HOUR_S, Instants, utc_offset_s
from wattcast.meter.table import MINUTE_S, MeterTable

_LONGEST_SILENCE_S = 370 * DAY_S


def at_origin(table: MeterTable, task: str, frame: FeatureSpec, origin_s: int | None) -> tuple[MeterTable, int]:
    """The table up to the origin, padded with unmeasured rows where it ends before, and the origin's row. Raises BadRequest.

    origin_s: None for the end of the last reading, or for the last closing of the gate before that.
    """
    if table.step_s != frame.step_s:
        said = f"readings are at {table.step_s} s, {task} works at {frame.step_s} s"
        raise BadRequest(said, "average them to the task's resolution", {"readings": said})
    last = table.last_measured_s()
    origin = origin_s if origin_s is not None else (last if last is not None else table.end_s)
    if frame.gate_s is not None:
        origin = _at_gate(origin, frame, frame.gate_s, asked=origin_s is not None)
    row = (origin - table.start_s) // table.step_s
    if not 0 <= row * table.step_s <= (table.end_s - table.start_s) + _LONGEST_SILENCE_S:
        said = "the origin lies before the first reading, or more than a year after the last"
        raise BadRequest(said, "give an origin within or after the readings", {"origin": said})
    missing = max(row - len(table), 0)
    if missing:
        blank = np.full(missing, np.nan, dtype=np.float32)
        longer = {name: np.concatenate([values, blank]) for name, values in table.covariates.items()}
        table = replace(table, power_kw=np.concatenate([table.power_kw, blank]), covariates=longer)
    return table.rows(0, row), row


def _at_gate(origin_s: int, frame: FeatureSpec, gate_s: int, *, asked: bool) -> int:
    """The last closing of the gate that is not after this moment. Raises BadRequest where another moment was asked for."""
    moments = origin_s - origin_s % MINUTE_S - np.arange(0, 2 * DAY_S, MINUTE_S)
    closed = moments[(moments + utc_offset_s(frame.zone, moments)) % DAY_S == gate_s]
    if asked and origin_s not in closed:
        at = f"{gate_s // HOUR_S:02d}:{gate_s % HOUR_S // MINUTE_S:02d}"
        said = f"this task forecasts the next day from {at} local time"
        raise BadRequest(said, f"give an origin at {at}, or none", {"origin": said})
    return int(closed[0])


def starts_of(frame: FeatureSpec, origin_s: int) -> Instants:
    """The start of every step that a forecast from the origin has, UTC epoch seconds."""
    if frame.gate_s is None:
        return origin_s + frame.every_step_s
    leads = leads_of(frame, np.array([origin_s]))[0]
    starts: Instants = origin_s + (leads[leads > 0] - 1) * frame.step_s
    return starts


def steps_of(frame: FeatureSpec, origin_s: int, levels: tuple[float, ...], values: npt.NDArray[np.floating]) -> Steps:
    """The steps of a forecast. values: mean and quantiles in kW, shape (steps, 1 + levels)."""
    return Steps(starts_of(frame, origin_s), levels, values.astype(np.float64))
