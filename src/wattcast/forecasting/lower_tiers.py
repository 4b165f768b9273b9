"""The tiers that need no model: a baseline from the readings with the spread it usually has, and the typical day."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wattcast.forecasting.baselines import baselines, residual_spread
from wattcast.forecasting.origins import starts_of
from wattcast.forecasting.registry import Record, Slot
from wattcast.meter.table import Meter, MeterTable

Array = npt.NDArray[np.floating]

# Of readings whose meter was never registered: enough to tell the usual error, few enough to answer at once.
_MOST_ORIGINS = 1_000


def least_kw(meter: Meter, otherwise: float) -> float:
    """The least load the meter can have: none below zero where it measures consumption."""
    return 0.0 if meter.flow == "consumption" else otherwise


def of_baseline(slot: Slot, table: MeterTable, row: int, record: Record | None) -> tuple[str, Array] | None:
    """The first of the slot's baselines that is known at every step from `row`: its name, mean and quantiles in kW, (steps, 1 + levels).

    Its spread is the one of the record, found when models were trained, else that of the readings themselves. None where none is known.
    """
    frame = slot.frame(table.meter.zone)
    known = baselines(table, np.array([row]), frame, slot.baselines)
    name = next((name for name in slot.baselines if np.isfinite(known[name]).all()), None)
    if name is None:
        return None
    if record is not None and record.task == slot.task:
        spread = record.fallback.spread.get(name, {})
    else:
        spread = residual_spread(table, frame, (name,), slot.levels, _MOST_ORIGINS)[name]
    offsets = np.array([0.0, *(float(spread.get(f"{level:g}", 0.0)) for level in slot.levels)])
    return name, np.maximum(known[name][:, None] + offsets, least_kw(table.meter, -np.inf))


def of_profile(slot: Slot, table: MeterTable, row: int, record: Record | None) -> Array | None:
    """The typical day at every step from `row`: mean and quantiles in kW, (steps, 1 + levels); None where none was ever learned."""
    if record is None or record.fallback.profile.levels != slot.levels:
        return None
    values: Array = record.fallback.profile.at(starts_of(slot.frame(table.meter.zone), table.start_s + row * table.step_s))
    return values
