"""Errors of forecasts, as numbers with their baselines beside them. Every score of the project comes from here."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from wattcast.errors import NothingToScore
from wattcast.meter.clock import SEASONS, THIRDS, season_and_third

Array = npt.NDArray[np.float32]
Losses = npt.NDArray[np.float64]
Level = float

_COLUMNS = ("actual", "mean", "quantiles", "target_s", "origin", "lead")


@dataclass(frozen=True, eq=False)
class Scored:
    """Forecasts beside what came: rows whose actual, forecast and baselines are all there.

    actual, mean: kW, shape (rows,); quantiles: shape (rows, levels); baselines: name -> kW; target_s: UTC epoch seconds; origin: which
    forecast a row belongs to, as a row of the table; lead: steps.
    """

    levels: tuple[Level, ...]
    actual: Array
    mean: Array
    quantiles: Array
    baselines: Mapping[str, Array]
    target_s: npt.NDArray[np.int64]
    origin: npt.NDArray[np.int64]
    lead: npt.NDArray[np.int64]

    @property
    def median(self) -> Array:
        """The P50 forecast, on which MAE is judged."""
        return self.quantiles[:, self.levels.index(0.5)]

    def where(self, rows: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> Scored:
        """Those of the rows that are marked, or have these numbers."""
        beside = {name: values[rows] for name, values in self.baselines.items()}
        return Scored(levels=self.levels, baselines=beside, **{name: getattr(self, name)[rows] for name in _COLUMNS})

    def to_bytes(self) -> bytes:
        """The rows as numpy's zip of plain arrays; reading it back runs no code."""
        buffer = io.BytesIO()
        arrays: dict[str, Any] = {name: getattr(self, name) for name in _COLUMNS}
        arrays |= {f"baseline {name}": values for name, values in self.baselines.items()}
        np.savez(buffer, levels=np.array(self.levels), **arrays)
        return buffer.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Scored:
        """The rows that `to_bytes` wrote. Raises ValueError when the bytes are something else."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
                beside = {name.removeprefix("baseline "): arrays[name] for name in arrays.files if name.startswith("baseline ")}
                return cls(levels=tuple(arrays["levels"].tolist()), baselines=beside, **{name: arrays[name] for name in _COLUMNS})
        except (BadZipFile, EOFError, KeyError, AttributeError) as cause:
            raise ValueError(f"no kept rows of forecasts ({cause})") from cause


@dataclass(frozen=True)
class Score:
    """The errors of one forecaster on `n` rows. mae of the median, rmse and r2 of the mean, both kW; skill against the best baseline.

    coverage: share of actuals inside the outermost interval, whose nominal share is `nominal`. baselines: name -> {"mae", "rmse"}.
    """

    n: int
    mae: float
    rmse: float
    r2: float
    pinball: float
    coverage: float
    nominal: float
    baselines: Mapping[str, Mapping[str, float]]
    skill: Mapping[str, float]

    @property
    def relative_error(self) -> float:
        """MAE and RMSE, each divided by the best baseline's, summed: what families are compared by; 2 is no better than a baseline."""
        return 2.0 - sum(self.skill.values())

    def losing_to(self) -> list[str]:
        """The baselines that do at least as well in MAE or RMSE, as sentences: empty for a family that may serve."""
        return [
            f"{name} has {measure.upper()} {errors[measure]:.5f} kW, the family {getattr(self, measure):.5f}"
            for name, errors in self.baselines.items()
            for measure in ("mae", "rmse")
            if not getattr(self, measure) < errors[measure]
        ]


def score(rows: Scored) -> Score:
    """All errors of these rows, each beside its baselines on the same rows. Raises NothingToScore where there is no row."""
    if len(rows.actual) == 0:
        raise NothingToScore(
            "no target with a forecast and all its baselines is left to score", "give a longer file, or one with fewer gaps"
        )
    baselines = {name: {"mae": mae(rows.actual, values), "rmse": rmse(rows.actual, values)} for name, values in rows.baselines.items()}
    errors = {"mae": mae(rows.actual, rows.median), "rmse": rmse(rows.actual, rows.mean)}
    best = {measure: min((errors[measure] for errors in baselines.values()), default=float("nan")) for measure in errors}
    return Score(
        n=len(rows.actual),
        mae=errors["mae"],
        rmse=errors["rmse"],
        r2=r2(rows.actual, rows.mean),
        pinball=float(np.mean([pinball(rows.actual, rows.quantiles[:, column], level) for column, level in enumerate(rows.levels)])),
        coverage=coverage(rows.actual, rows.quantiles[:, 0], rows.quantiles[:, -1]),
        nominal=rows.levels[-1] - rows.levels[0],
        baselines=baselines,
        skill={measure: skill(errors[measure], best[measure]) for measure in errors},
    )


def absolute_errors(actual: Array, predicted: Array) -> Losses:
    """The absolute error of every row, kW."""
    losses: Losses = np.abs(actual - predicted).astype(np.float64)
    return losses


def squared_errors(actual: Array, predicted: Array) -> Losses:
    """The squared error of every row, kW2."""
    losses: Losses = np.square(actual - predicted, dtype=np.float64)
    return losses


def pinball_losses(actual: Array, quantile: Array, level: Level) -> Losses:
    """The pinball loss of every row, kW."""
    miss = (actual - quantile).astype(np.float64)
    losses: Losses = np.maximum(level * miss, (level - 1) * miss)
    return losses


def mae(actual: Array, predicted: Array) -> float:
    """Mean absolute error, kW."""
    return float(absolute_errors(actual, predicted).mean())


def rmse(actual: Array, predicted: Array) -> float:
    """Root of the mean squared error, kW."""
    return float(np.sqrt(squared_errors(actual, predicted).mean()))


def r2(actual: Array, predicted: Array) -> float:
    """Coefficient of determination: 1 is perfect, 0 is no better than the mean of `actual`; NaN where `actual` never varies."""
    spread = float(np.sum((actual - actual.mean(dtype=np.float64)) ** 2, dtype=np.float64))
    return 1.0 - float(squared_errors(actual, predicted).sum()) / spread if spread > 0 else float("nan")


def pinball(actual: Array, quantile: Array, level: Level) -> float:
    """Pinball loss of one quantile forecast, kW: half the absolute error at level 0.5."""
    return float(pinball_losses(actual, quantile, level).mean())


def crps(actual: Array, quantiles: Array, levels: tuple[Level, ...]) -> float:
    """Continuous ranked probability score, kW: of one level 0.5 the absolute error, so that it compares with the MAE of a point forecast.

    quantiles: shape (rows, levels). Twice the mean pinball loss over the levels, which nears the score's integral over all levels (Gneiting
    and Ranjan 2011) as evenly spaced levels grow many; the scores of a few levels compare only with those of the same few.
    """
    return 2.0 * float(np.mean([pinball(actual, quantiles[:, column], level) for column, level in enumerate(levels)]))


def coverage(actual: Array, low: Array, high: Array) -> float:
    """Share of actuals inside [low, high], 0 to 1."""
    return float(np.mean((actual >= low) & (actual <= high)))


def skill(error: float, baseline: float) -> float:
    """Skill score 1 - error / baseline: positive is better than the baseline; NaN where the baseline is exact or absent."""
    return 1.0 - error / baseline if baseline > 0 else float("nan")


def coverage_table(rows: Scored, zone: str) -> dict[str, dict[str, Any]]:
    """Share of actuals inside each central interval: overall, by season and by third of the target's local day.

    Returns interval ("0.1-0.9": from level 0.1 to 0.9) -> {"nominal", "overall", "season": {"winter": ..}, "third": {"00-08": ..}}; winter
    is December to February; seasons and thirds without a row are left out, and levels without their mirror. Raises NothingToScore
    without any row.
    """
    if len(rows.actual) == 0:
        raise NothingToScore("no row is left whose interval could be judged", "give a longer file, or one with fewer gaps")
    _, season, third = season_and_third(zone, rows.target_s)
    columns = {round(level, 6): column for column, level in enumerate(rows.levels)}
    table: dict[str, dict[str, Any]] = {}
    for level, column in columns.items():
        mirror = columns.get(round(1 - level, 6))
        if level < 0.5 and mirror is not None:
            inside = (rows.actual >= rows.quantiles[:, column]) & (rows.actual <= rows.quantiles[:, mirror])
            table[f"{level:g}-{1 - level:g}"] = {
                "nominal": round(1 - 2 * level, 6),
                "overall": float(inside.mean()),
                "season": _shares(inside, season, SEASONS),
                "third": _shares(inside, third, THIRDS),
            }
    return table


def _shares(inside: npt.NDArray[np.bool_], part: npt.NDArray[np.int64], names: tuple[str, ...]) -> dict[str, float]:
    return {name: float(inside[part == number].mean()) for number, name in enumerate(names) if (part == number).any()}
