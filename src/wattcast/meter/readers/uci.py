"""The UCI household text format: its column names, and what its physics says about unit and sums."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

POWER = "global_active_power"
COVARIATES = {
    "global_reactive_power": "reactive_power_kvar",
    "voltage": "voltage_v",
    "global_intensity": "current_a",
    "sub_metering_1": "sub1_wh",
    "sub_metering_2": "sub2_wh",
    "sub_metering_3": "sub3_wh",
}
_MINUTE_S = 60
_MAINS_V = (90.0, 500.0)


def is_uci(fields: Sequence[str]) -> bool:
    """Whether a header is the UCI one: Date, Time, Global_active_power, ..."""
    return [name.lower() for name in fields[:3]] == ["date", "time", POWER]


def summed_minutes(frame: pl.DataFrame, step_s: int) -> int:
    """How many minutes each row is the sum of, told by its voltage; 1 where the rows are means or the voltage is not known."""
    minutes = step_s // _MINUTE_S
    if "voltage_v" not in frame.columns or minutes < 2:
        return 1
    volts = _median_above_zero(frame["voltage_v"])
    return minutes if _MAINS_V[0] <= volts / minutes <= _MAINS_V[1] < volts else 1


def partly_summed(frame: pl.DataFrame) -> int:
    """How many rows of sums have a voltage below 95 % of the usual one: some of their minutes were missing."""
    volts = frame["voltage_v"]
    return int(((volts > 0) & (volts < 0.95 * _median_above_zero(volts))).sum())


def is_in_watts(frame: pl.DataFrame) -> bool | None:
    """Whether power_kw holds W, judged by voltage x current; None where these are not known."""
    if not {"voltage_v", "current_a"} <= set(frame.columns):
        return None
    sample = frame.head(200_000)
    apparent = (sample["voltage_v"] * sample["current_a"]).to_numpy()
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = sample["power_kw"].to_numpy() / apparent
    ratio = ratio[np.isfinite(ratio)]
    typical = float(np.median(ratio)) if ratio.size else 0.0
    if 0.5e-3 < typical < 1.2e-3:
        return False
    return True if 0.5 < typical < 1.2 else None


def _median_above_zero(values: pl.Series) -> float:
    measured = values.filter((values > 0) & values.is_not_nan())
    return float(measured.median() or 0.0)  # type: ignore[arg-type]
