"""Where and how surely a forecaster is better: errors by lead, hour, weekday and season, and how far its skill could be luck."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from wattcast.forecasting.metrics import Losses, Scored, absolute_errors, mae, rmse, squared_errors
from wattcast.meter.clock import DAY_S, HOUR_S, SEASONS, season_of, utc_offset_s

Part = Literal["lead", "hour", "weekday", "season"]
Measure = Literal["mae", "rmse"]
Block = Literal["day", "week"]

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


def errors_by(rows: Scored, zone: str, part: Part) -> dict[str, dict[str, dict[str, float]]]:
    """MAE and RMSE in kW of the forecast and of every baseline, for each lead (steps), local hour, weekday or season of the target.

    Returns label -> "forecast" or the baseline's name -> {"mae", "rmse", "n"}; labels without a row are left out.
    """
    labels, names = _labels(rows, zone, part)
    found = {}
    for number, name in enumerate(names):
        own = np.flatnonzero(labels == number)
        if own.size:
            cut = rows.where(own)
            found[name] = {"forecast": {"mae": mae(cut.actual, cut.median), "rmse": rmse(cut.actual, cut.mean), "n": float(own.size)}}
            for baseline, values in cut.baselines.items():
                found[name][baseline] = {"mae": mae(cut.actual, values), "rmse": rmse(cut.actual, values), "n": float(own.size)}
    return found


def skill_interval(
    rows: Scored, zone: str, baseline: str, measure: Measure, *, block: Block = "day", draws: int = 1_000, seed: int = 1
) -> tuple[float, float]:
    """The 95 % interval of the skill score against a baseline, from whole days (or weeks) of targets drawn with replacement.

    Errors of one day go together, so single rows drawn anew would make the interval too narrow (block bootstrap, Kuensch 1989).
    """
    errors, own = (absolute_errors, rows.median) if measure == "mae" else (squared_errors, rows.mean)
    losses = np.stack([errors(rows.actual, forecast) for forecast in (own, rows.baselines[baseline])])
    means = block_means(losses, rows, zone, block=block, draws=draws, seed=seed)
    ratio = means[:, 0] / means[:, 1]
    low, high = np.quantile(1.0 - (ratio if measure == "mae" else np.sqrt(ratio)), (0.025, 0.975))
    return float(low), float(high)


def block_means(losses: Losses, rows: Scored, zone: str, *, block: Block = "day", draws: int = 1_000, seed: int = 1) -> Losses:
    """Means of losses, shape (losses, rows), over whole local days or weeks of targets drawn with replacement, shape (draws, losses)."""
    days = (rows.target_s + utc_offset_s(zone, rows.target_s)) // DAY_S
    # 1970-01-01 was a Thursday: weeks begin on Sundays.
    _, number = np.unique((days + 4) // 7 if block == "week" else days, return_inverse=True)
    sums = np.stack([np.bincount(number, loss) for loss in losses])
    count = np.bincount(number)
    drawn = np.random.default_rng(seed).multinomial(len(count), np.full(len(count), 1 / len(count)), draws)
    means: Losses = (drawn @ sums.T) / (drawn @ count)[:, None]
    return means


@dataclass(frozen=True)
class Miss:
    """One forecast that went wrong: of the step that began at target_s (UTC epoch seconds), in kW, with the outermost quantiles."""

    target_s: int
    lead: int
    actual: float
    mean: float
    low: float
    high: float


def largest_errors(rows: Scored, zone: str, count: int = 10) -> tuple[Miss, ...]:
    """The largest errors of the mean forecast, one for each local day, falling."""
    days = (rows.target_s + utc_offset_s(zone, rows.target_s)) // DAY_S
    falling = np.argsort(-np.abs(rows.actual - rows.mean), kind="stable")
    _, first = np.unique(days[falling], return_index=True)
    return tuple(_miss(rows, row) for row in falling[np.sort(first)[:count]].tolist())


def _miss(rows: Scored, row: int) -> Miss:
    values = (rows.actual[row], rows.mean[row], rows.quantiles[row, 0], rows.quantiles[row, -1])
    actual, mean, low, high = (round(float(value), 3) for value in values)
    return Miss(int(rows.target_s[row]), int(rows.lead[row]), actual, mean, low, high)


def _labels(rows: Scored, zone: str, part: Part) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """For every row the number of its label, and the labels."""
    if part == "lead":
        return rows.lead - 1, tuple(str(lead) for lead in range(1, int(rows.lead.max(initial=0)) + 1))
    day, second = np.divmod(rows.target_s + utc_offset_s(zone, rows.target_s), DAY_S)
    if part == "hour":
        return second // HOUR_S, tuple(f"{hour:02d}:00" for hour in range(24))
    return ((day + 3) % 7, WEEKDAYS) if part == "weekday" else (season_of(day), SEASONS)
