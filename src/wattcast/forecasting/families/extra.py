"""Extremely randomised trees, boosted: LightGBM with one random threshold for each feature it tries. Errs otherwise than the others do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wattcast.forecasting.families.lgbm import LightGBM


class ExtraTrees(LightGBM):
    """Boosted trees whose thresholds are drawn, not searched (Geurts, Ernst, Wehenkel 2006)."""

    key = "extra"
    title = "Extra Trees Regressor"
    file_stem = "ExtraTreesRegressor"
    fixed: Mapping[str, Any] = {"extra_trees": True}
