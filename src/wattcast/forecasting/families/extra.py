"""Extremely randomised trees, boosted: LightGBM with one random threshold for each feature it tries. Errs otherwise than the others do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wattcast.forecasting.families import Fitted, Matrix, Progress
from wattcast.forecasting.families.lgbm import LightGBM


class ExtraTrees(LightGBM):
    """Boosted trees whose thresholds are drawn, not searched (Geurts, Ernst, Wehenkel 2006)."""

    key = "extra"
    title = "Extra Trees Regressor"
    file_stem = "ExtraTreesRegressor"

    def fit(
        self,
        matrix: Matrix,
        targets: Matrix,
        levels: tuple[float, ...],
        settings: Mapping[str, Any],
        *,
        threads: int,
        seed: int,
        progress: Progress,
    ) -> Fitted:
        """Fit every head; all settings but the numbers of rounds are as LightGBM names them."""
        drawn = {**settings, "extra_trees": True}
        return super().fit(matrix, targets, levels, drawn, threads=threads, seed=seed, progress=progress)
