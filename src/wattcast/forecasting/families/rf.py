"""Random forest: grown by XGBoost's histogram learner, which takes an eighth of scikit-learn's time at the same error and accepts NaN.

One forest answers for every head. Its splits come from the squared error; each leaf keeps the mean of its training targets and, in the
manner of quantile regression forests (Meinshausen 2006), their quantiles, which are averaged over the trees.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from wattcast.forecasting.families import Fitted, Matrix, Parts, Progress, settings_checked_by
from wattcast.forecasting.families.xgb import booster_contributions
from wattcast.forecasting.graph import Graph
from wattcast.forecasting.trees import TreeEnsemble, from_xgboost

Leaves = npt.NDArray[np.int64]


class RandomForest:
    """Bagged deep trees; quantiles from the leaves."""

    key = "rf"
    title = "Random Forest Regressor"
    file_stem = "RandomForestRegressor"
    settings: tuple[str, ...] = (
        "trees",
        "max_depth",
        "max_leaves",
        "max_bin",
        "min_child_weight",
        "gamma",
        "subsample",
        "colsample_bytree",
        "colsample_bynode",
        "reg_alpha",
        "reg_lambda",
    )

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
        """Grow `trees` trees, all other settings as XGBoost names them, and read every head off their leaves."""
        import xgboost  # noqa: PLC0415 (lazy: serving must not load it)

        grown = {name: value for name, value in settings.items() if name != "trees"}
        grown |= {"num_parallel_tree": int(settings["trees"]), "eta": 1.0, "objective": "reg:squarederror"}
        grown |= {"tree_method": "hist", "nthread": threads, "seed": seed, "verbosity": 0}
        with settings_checked_by(self.title, xgboost.core.XGBoostError):
            # Binned at once, without a copy of the rows, which would be what a training needs most memory for.
            data = xgboost.QuantileDMatrix(matrix, targets, max_bin=int(grown.get("max_bin", 256)), nthread=threads)
            forest = xgboost.train(grown, data, 1)
        progress(0.7)
        reached = forest.predict(data, pred_leaf=True).astype(np.int64)
        model = json.loads(bytes(forest.save_raw("json")))
        mean = from_xgboost(model)
        quantiles = _leaf_quantiles(mean, reached.reshape(len(matrix), -1), targets, levels)
        progress(0.9)
        boosters = {"mean": forest} | {f"quantile_{level:g}": _with_leaves(model, mean, values) for level, values in quantiles.items()}
        progress(1.0)

        def predict_native(rows: Matrix) -> Matrix:
            return np.stack([booster.inplace_predict(rows) for booster in boosters.values()], axis=1).astype(np.float32)

        native = {f"{name}.ubj": bytes(booster.save_raw("ubj")) for name, booster in boosters.items()}
        return Fitted(Graph(_with_outputs(mean, list(quantiles.values()))), native, ("xgboost", xgboost.__version__), predict_native)

    def contributions(self, native: bytes, matrix: Matrix) -> Parts:
        """What every feature adds to the mean of the trees; the forest is XGBoost's, so is the TreeSHAP."""
        return booster_contributions(native, matrix)


def _leaf_quantiles(
    forest: TreeEnsemble, reached: Leaves, targets: Matrix, levels: tuple[float, ...]
) -> dict[float, npt.NDArray[np.float32]]:
    """For each level the value of every leaf, in the order of the forest's leaves: the quantile of its targets over the number of trees.

    reached: the leaf of each training row in each tree, shape (rows, trees). Every leaf holds at least one training row.
    """
    trees = reached.shape[1]
    values = {level: np.zeros(len(forest.leaf_tree), dtype=np.float32) for level in levels}
    rising = np.argsort(targets, kind="stable")
    # Small integers, which numpy sorts in linear time.
    leaf_of_row = reached[rising].T.astype(np.min_scalar_type(int(reached.max())), order="C")
    for tree in range(trees):
        order = np.argsort(leaf_of_row[tree], kind="stable")
        sorted_targets = targets[rising[order]]
        leaves, starts, counts = np.unique(leaf_of_row[tree][order], return_index=True, return_counts=True)
        own = np.flatnonzero(forest.leaf_tree == tree)
        slots = own[np.searchsorted(forest.leaf_node[own], leaves)]
        for level in levels:
            rank = level * (counts - 1)
            below, part = np.floor(rank).astype(np.int64), rank % 1
            above = np.minimum(below + 1, counts - 1)
            values[level][slots] = (sorted_targets[starts + below] * (1 - part) + sorted_targets[starts + above] * part) / trees
    return values


def _with_outputs(mean: TreeEnsemble, quantiles: list[npt.NDArray[np.float32]]) -> TreeEnsemble:
    """The forest with further outputs on the same leaves: one walk through the trees answers for every head."""
    heads = 1 + len(quantiles)
    return replace(
        mean,
        base=np.concatenate([mean.base, np.zeros(len(quantiles), dtype=np.float32)]),
        leaf_tree=np.tile(mean.leaf_tree, heads),
        leaf_node=np.tile(mean.leaf_node, heads),
        leaf_output=np.repeat(np.arange(heads), len(mean.leaf_tree)),
        leaf_value=np.concatenate([mean.leaf_value, *quantiles]),
    )


def _with_leaves(model: dict[str, Any], forest: TreeEnsemble, values: npt.NDArray[np.float32]) -> Any:
    """A booster with the same trees and these leaf values, so that the library itself can answer for the head."""
    import xgboost  # noqa: PLC0415 (lazy: serving must not load it)

    learner = model["learner"]
    grown = learner["gradient_booster"]["model"]
    trees = []
    for number, tree in enumerate(grown["trees"]):
        conditions = np.asarray(tree["split_conditions"], dtype=np.float32)
        own = forest.leaf_tree == number
        conditions[forest.leaf_node[own]] = values[own]
        trees.append({**tree, "split_conditions": conditions.tolist()})
    gradient_booster = {**learner["gradient_booster"], "model": {**grown, "trees": trees}}
    # The leaves hold whole values: nothing is added to them.
    parameters = {**learner["learner_model_param"], "base_score": "[0E0]"}
    changed = {**model, "learner": {**learner, "gradient_booster": gradient_booster, "learner_model_param": parameters}}
    booster = xgboost.Booster()
    booster.load_model(bytearray(json.dumps(changed).encode()))
    return booster
