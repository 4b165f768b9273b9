"""Energy of a day and its peak, with quantiles of their own: the quantiles of single steps do not add up to those of their sum."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TypedDict

import numpy as np
import numpy.typing as npt

from wattcast.errors import BadBundle
from wattcast.forecasting.intervals import conformal_share
from wattcast.forecasting.metrics import Scored
from wattcast.meter.clock import DAY_S, HOUR_S

Array = npt.NDArray[np.floating]
Windows = npt.NDArray[np.int64]

# Fewer days than these show nothing of how days differ.
_LEAST_DAYS = 7
# Where the quantiles of the steps have no width, as with the median alone.
_LEAST_SCALE_KW = 1e-3


class Total(TypedDict):
    """One figure of a day: its mean, and its quantiles keyed "0.1"."""

    mean: float
    quantiles: dict[str, float]


@dataclass(frozen=True)
class DayTotals:
    """How far the mean power and the peak of a day lie from what the mean curve says, in units of the day's scale.

    The scale of a day, kW: half its own width, half `usual_width_kw`; the width of a day is the mean over its steps of the distance between
    the outermost quantiles. energy, peak: the errors' quantiles in the order of `levels`; peak_mean: the peak's mean error. days: held-out
    days behind it all. Raises BadBundle where there is not an error for every level.
    """

    levels: tuple[float, ...]
    days: int
    usual_width_kw: float
    energy: tuple[float, ...]
    peak_mean: float
    peak: tuple[float, ...]

    def __post_init__(self) -> None:
        if not len(self.levels) == len(self.energy) == len(self.peak):
            found = f"totals of a day have {len(self.energy)} and {len(self.peak)} quantiles for the levels {self.levels}"
            raise BadBundle(found, "run the pipeline again (make run), or answer from another bundle")

    def apply(self, mean_curve: Array, quantile_curve: Array, step_s: int) -> dict[str, Total] | None:
        """Energy in kWh and peak (largest mean of a step) in kW of the forecast's first day: `{"energy_kwh": .., "peak_kw": ..}`.

        mean_curve: kW, shape (steps,); quantile_curve: calibrated, shape (steps, levels). Quantiles never cross; a sign that the meter
        cannot have is the caller's to cut off. None for a forecast of less than a day.
        """
        steps = day_steps(len(mean_curve), step_s)
        if steps == 0:
            return None
        mean = np.asarray(mean_curve[:steps], dtype=np.float64)
        scale = float(_scale(_width(quantile_curve[:steps]), self.usual_width_kw))
        hours, average, peak = steps * step_s / HOUR_S, float(mean.mean()), float(mean.max())
        of_energy, of_peak = self._rising
        return {
            "energy_kwh": self._total(hours * average, hours * (average + scale * of_energy)),
            "peak_kw": self._total(peak + scale * self.peak_mean, peak + scale * of_peak),
        }

    @cached_property
    def _rising(self) -> tuple[Array, Array]:
        return np.sort(self.energy), np.sort(self.peak)

    @cached_property
    def _names(self) -> tuple[str, ...]:
        return tuple(f"{level:g}" for level in self.levels)

    def _total(self, mean: float, quantiles: Array) -> Total:
        return {"mean": mean, "quantiles": dict(zip(self._names, quantiles.tolist(), strict=True))}


def fit_day_totals(rows: Scored, step_s: int) -> DayTotals | None:
    """The errors of a day's totals on held-out forecasts: a pure function of these rows, which the heads must not have been trained on.

    rows: with calibrated quantiles, as forecasts are given out, each forecast's rows together and its leads rising. Only forecasts whose
    first day was measured whole count; None where they cover fewer than 7 days, or less than a day each. The mean curve is taken to be
    right on average (means add up); the peak's mean is fitted, for the largest of many means is too small. Source: split conformal
    prediction with normalised scores (Lei et al. 2018), over whole days in place of steps.
    """
    windows = _whole_days(rows, step_s)
    days = len(np.unique(rows.target_s[windows[:, 0]] // DAY_S)) if len(windows) else 0
    if days < _LEAST_DAYS:
        return None
    actual, mean = (values[windows].astype(np.float64) for values in (rows.actual, rows.mean))
    width = _width(rows.quantiles[windows])
    usual = float(width.mean())
    scale = _scale(width, usual)
    of_energy = (actual.mean(axis=1) - mean.mean(axis=1)) / scale
    of_peak = (actual.max(axis=1) - mean.max(axis=1)) / scale
    energy, peak = (_quantiles(errors, rows.levels) for errors in (of_energy - of_energy.mean(), of_peak))
    return DayTotals(rows.levels, days, round(usual, 5), energy, round(float(of_peak.mean()), 5), peak)


def day_steps(steps: int, step_s: int) -> int:
    """How many of a forecast's steps make its first day: all of a local day of 23 to 25 hours, 24 hours of a longer one, else none."""
    span_s = steps * step_s
    if span_s < DAY_S - HOUR_S:
        return 0
    return steps if span_s <= DAY_S + HOUR_S else DAY_S // step_s


def _whole_days(rows: Scored, step_s: int) -> Windows:
    """The rows of the first 24 hours of every forecast that has them all, shape (forecasts, steps)."""
    steps = DAY_S // step_s
    # Joined rows of several blocks or meters may repeat an origin: a forecast also ends where its leads do.
    starts = np.flatnonzero(np.r_[True, (np.diff(rows.origin) != 0) | (np.diff(rows.lead) <= 0)])
    starts = starts[starts + steps <= len(rows.lead)]
    if len(starts) == 0:
        return np.empty((0, steps), dtype=np.int64)
    first = int(np.bincount(rows.lead[starts]).argmax())
    windows = starts[:, None] + np.arange(steps)
    in_step = rows.lead[windows] == first + np.arange(steps)
    together = rows.origin[windows] == rows.origin[starts][:, None]
    whole: Windows = windows[(in_step & together).all(axis=1)]
    return whole


def _width(quantiles: Array) -> Array:
    """Mean over the steps of the distance between the outermost quantiles, kW; quantiles: shape (.., steps, levels)."""
    return np.asarray(np.mean(quantiles[..., -1] - quantiles[..., 0], axis=-1, dtype=np.float64))


def _scale(width: Array, usual_width_kw: float) -> Array:
    # Half and half: on the days of 2009 of the UCI house the own width alone cost the energy 1 to 4 % of pinball loss, and with the usual
    # one alone the 80 % interval held only 78 % of the days with the widest quantiles.
    return np.asarray(np.maximum((width + usual_width_kw) / 2, _LEAST_SCALE_KW))


def _quantiles(errors: Array, levels: tuple[float, ...]) -> tuple[float, ...]:
    shares = [conformal_share(max(level, 1 - level), len(errors)) for level in levels]
    at = [level if level == 0.5 else share if level > 0.5 else 1 - share for level, share in zip(levels, shares, strict=True)]
    return tuple(np.quantile(errors, at).round(5).tolist())
