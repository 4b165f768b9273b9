"""Ridge regression: a linear member for tasks with few rows, where trees have little to split."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from wattcast.forecasting.families import Fitted, Matrix, Parts, Progress
from wattcast.forecasting.graph import Graph, Linear


class Ridge:
    """Least squares on standardised features with a penalty on their weights; a missing feature counts as its mean."""

    key = "ridge"
    title = "Ridge Regression"
    file_stem = "RidgeRegression"
    settings: tuple[str, ...] = ("penalty",)

    def fit(
        self,
        matrix: Matrix,
        targets: Matrix,
        levels: tuple[float, ...],
        settings: Mapping[str, Any],
        *,
        threads: int,  # noqa: ARG002 (numpy's own)
        seed: int,  # noqa: ARG002 (nothing is drawn)
        progress: Progress,
    ) -> Fitted:
        """Minimise mean((y - w z)^2) + penalty * sum(w^2) over standardised features z; quantiles lie off the mean as residuals do."""
        values = matrix.astype(np.float64)
        known = np.isfinite(values)
        missing = np.where(known, values, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
        values = np.where(known, values, missing)
        spread = values.std(axis=0)
        spread[spread < 1e-9 * np.maximum(np.abs(missing), 1.0)] = np.inf
        standard = (values - missing) / spread
        normal = standard.T @ standard + float(settings["penalty"]) * len(standard) * np.eye(standard.shape[1])
        centre = targets.mean(dtype=np.float64)
        weights = np.linalg.solve(normal, standard.T @ (targets - centre)) / spread
        intercept = centre - missing @ weights
        residual = targets - (values @ weights + intercept)
        offsets = [0.0, *(float(np.quantile(residual, level)) for level in levels)]
        linear = Linear(
            np.tile(weights, (len(offsets), 1)).astype(np.float32),
            (intercept + np.array(offsets)).astype(np.float32),
            missing.astype(np.float32),
        )
        progress(1.0)

        def predict_native(rows: Matrix) -> Matrix:
            return _predicted(linear, rows)

        facts = {
            "coefficients": linear.coefficients[0].tolist(),
            "intercepts": linear.intercept.tolist(),
            "missing": linear.missing.tolist(),
        }
        return Fitted(Graph(linear=linear), {"mean.json": json.dumps(facts).encode()}, ("numpy", np.__version__), predict_native)

    def contributions(self, native: bytes, matrix: Matrix) -> Parts:
        """What every feature adds by lying off the mean that it had in training, nothing where it is not known."""
        facts = json.loads(native)
        coefficients, missing = np.array(facts["coefficients"]), np.array(facts["missing"])
        base = float(facts["intercepts"][0] + missing @ coefficients)
        parts = np.where(np.isfinite(matrix), matrix - missing, 0.0) * coefficients
        return np.column_stack([parts, np.full(len(matrix), base)])


def _predicted(linear: Linear, rows: Matrix) -> Matrix:
    whole = np.where(np.isfinite(rows), rows, linear.missing).astype(np.float64)
    return (whole @ linear.coefficients.T.astype(np.float64) + linear.intercept).astype(np.float32)
