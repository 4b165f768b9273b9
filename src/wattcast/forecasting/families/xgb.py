"""XGBoost: one booster per head, over one binning of the rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from wattcast.forecasting.families import Fitted, Head, Matrix, Parts, Progress, heads_to_boost, settings_checked_by
from wattcast.forecasting.graph import Graph
from wattcast.forecasting.trees import from_xgboost, merged


class XGBoost:
    """Gradient boosted trees by XGBoost's histogram learner."""

    key = "xgb"
    title = "XGBoost Regressor"
    file_stem = "XGBoostRegressor"
    settings: tuple[str, ...] = (
        "rounds",
        "median_rounds",
        "tail_rounds",
        "rounds_for_rows",
        "eta",
        "grow_policy",
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
        """Fit every head; all settings but the numbers of rounds are as XGBoost names them."""
        import xgboost  # noqa: PLC0415 (lazy: serving must not load it)

        heads, shared = heads_to_boost(settings, levels, len(targets), progress)
        shared |= {"tree_method": "hist", "nthread": threads, "seed": seed, "verbosity": 0}
        data = xgboost.DMatrix(matrix, targets, nthread=threads)
        boosters = {}
        with settings_checked_by(self.title, xgboost.core.XGBoostError):
            for head in heads:
                objective: dict[str, Any] = {"objective": "reg:squarederror"}
                if head.level is not None:
                    objective = {"objective": "reg:quantileerror", "quantile_alpha": head.level}
                boosters[head.name] = xgboost.train(shared | objective, data, head.rounds, callbacks=[_reporter(head)])

        def predict_native(rows: Matrix) -> Matrix:
            heads = [model.inplace_predict(rows) for model in boosters.values()]
            return np.stack(heads, axis=1).astype(np.float32)

        trees = merged([from_xgboost(json.loads(bytes(model.save_raw("json")))) for model in boosters.values()])
        native = {f"{name}.ubj": bytes(model.save_raw("ubj")) for name, model in boosters.items()}
        return Fitted(Graph(trees), native, ("xgboost", xgboost.__version__), predict_native)

    def contributions(self, native: bytes, matrix: Matrix) -> Parts:
        """What every feature adds to the head in a booster's UBJ, by XGBoost's own TreeSHAP."""
        return booster_contributions(native, matrix)


def booster_contributions(native: bytes, matrix: Matrix) -> Parts:
    """What every feature adds to each row, and last the base value: kW, shape (rows, features + 1). native: a booster's UBJ."""
    import xgboost  # noqa: PLC0415 (lazy: serving must not load it)

    if not native:
        # Over an empty file XGBoost ends the process.
        raise ValueError("the file is empty")
    booster = xgboost.Booster({"nthread": 1, "verbosity": 0}, model_file=bytearray(native))
    return np.asarray(booster.predict(xgboost.DMatrix(matrix, nthread=1), pred_contribs=True), dtype=np.float64)


def _reporter(head: Head) -> Any:
    import xgboost  # noqa: PLC0415 (lazy: serving must not load it)

    class Reporter(xgboost.callback.TrainingCallback):  # type: ignore[misc]
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002 (XGBoost calls it so)
            head.report(epoch + 1)
            return False

    return Reporter()
