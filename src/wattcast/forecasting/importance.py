"""What a model leans on: how much worse its median gets on rows it never saw when one feature's values change places."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from wattcast.forecasting.backtest import origins_within
from wattcast.forecasting.features import Features, build_features
from wattcast.forecasting.metrics import mae
from wattcast.forecasting.model import Model
from wattcast.meter.table import MeterTable

_ROWS = 1_000
_MOST_NAMED = 20


def permutation_importance(model: Model, table: MeterTable, first: int, seed: int = 1) -> Mapping[str, float]:
    """By how many kW the MAE grows when a feature is shuffled among rows from row `first` on: the features that matter most, falling.

    Features that say the same thing share what they are worth, so each alone looks small. Empty where no row can be scored.
    Source: Breiman 2001, section 10, on held-out rows.
    """
    spec = model.facts.spec
    features = build_features(table, origins_within(table, spec, first, len(table), max(_ROWS // spec.horizon, 1)), spec)
    whole = np.flatnonzero(features.trainable)
    if not whole.size:
        return {}
    chance = np.random.default_rng(seed)
    before = _error(model, features, features.matrix, whole)
    grown = {}
    for column, name in enumerate(features.names):
        shuffled = features.matrix.copy()
        shuffled[whole, column] = shuffled[chance.permutation(whole), column]
        grown[name] = round(_error(model, features, shuffled, whole) - before, 5)
    most = sorted(grown, key=lambda name: -grown[name])[:_MOST_NAMED]
    return {name: grown[name] for name in most}


def _error(model: Model, features: Features, matrix: np.typing.NDArray[np.float32], rows: np.typing.NDArray[np.int64]) -> float:
    median = features.in_kw(model.heads(matrix))[:, 1 + model.facts.calibration.levels.index(0.5)]
    actual = features.in_kw(features.targets[:, None])[:, 0]
    return mae(actual[rows], median[rows])
