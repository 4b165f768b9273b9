"""One model of a bundle: what it is made of, and how it answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wattcast.forecasting.day_totals import DayTotals, Total
from wattcast.forecasting.features import Features, build_features, glance
from wattcast.forecasting.heads import Heads
from wattcast.forecasting.intervals import Calibration
from wattcast.forecasting.metrics import Score
from wattcast.forecasting.spec import FeatureSpec
from wattcast.meter.table import MeterTable

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ModelFacts:
    """One model of a bundle: its features, its calibration, how it did inside the training span, and the files of its native heads.

    totals: what it says of the energy and the peak of a day, where its forecasts are that long.
    """

    name: str
    least_readings: int
    spec: FeatureSpec
    calibration: Calibration
    validation: Score
    native: tuple[str, ...]
    totals: DayTotals | None = None

    def needs(self, title: str) -> str:
        """What must have been measured for the model to answer, in words."""
        if self.spec.target != "change":
            return f"{title} needs {self.least_readings} measured readings"
        others = f" and {self.least_readings - 1} more" if self.least_readings > 1 else ""
        return f"{title} needs the last reading before the origin{others}"

    @property
    def graph(self) -> str:
        """The member of the zip that holds the model's ONNX heads."""
        return f"{self.name}/heads.onnx"


@dataclass(frozen=True, eq=False)
class Model:
    """One model of an opened bundle, ready to answer."""

    facts: ModelFacts
    heads: Heads

    def predict(self, features: Features) -> tuple[Array, Array]:
        """Mean (rows,) and calibrated quantiles (rows, levels) in kW for rows built with this model's spec; NaN without a base."""
        values = self.values(features)
        return values[:, 0], values[:, 1:]

    def values(self, features: Features) -> Array:
        """Mean and calibrated quantiles in kW side by side, shape (rows, 1 + levels)."""
        values: Array = features.in_kw(self.heads(features.matrix))
        self.facts.calibration.apply(values[:, 1:], features.target_s, out=values[:, 1:])
        return values

    def totals(self, mean: Array, quantiles: Array, least_kw: float) -> dict[str, Total] | None:
        """Energy and peak of the day that the forecast begins with, none below what the meter can have; None for less than a day."""
        found = self.facts.totals.apply(mean, quantiles, self.facts.spec.step_s) if self.facts.totals else None
        if found is None:
            return None
        return {
            name: Total(
                mean=max(total["mean"], least_kw), quantiles={level: max(value, least_kw) for level, value in total["quantiles"].items()}
            )
            for name, total in found.items()
        }

    def can_answer(self, table: MeterTable, row: int) -> bool:
        """Whether enough was measured before `row`, the last reading included where the heads count from it."""
        power = table.power_kw[max(row - self.facts.spec.history_steps, 0) : row]
        measured = np.isfinite(power)
        enough = np.count_nonzero(measured) >= self.facts.least_readings
        return bool(enough and (self.facts.spec.target != "change" or measured[-1]))

    def forecast(self, table: MeterTable, row: int) -> tuple[Array, Array]:
        """Mean (horizon,) and quantiles (horizon, levels) in kW from the origin at the start of `row` of the table."""
        values = self.values_at(table, row)
        return values[:, 0], values[:, 1:]

    def values_at(self, table: MeterTable, row: int) -> Array:
        """The same side by side, shape (horizon, 1 + levels)."""
        spec = self.facts.spec
        if not spec.glances:
            return self.values(build_features(table.rows(0, row), np.array([row]), spec))
        matrix, base_kw = glance(table.rows(0, row), row, spec)
        values: Array = self.heads(matrix) + np.float32(base_kw)
        self.facts.calibration.apply(values[:, 1:], np.array([table.start_s + row * table.step_s]), out=values[:, 1:])
        return values
