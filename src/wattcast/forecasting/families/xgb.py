"""XGBoost: a boosted mean, and one booster for all quantile levels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np

from wattcast.forecasting.families import Fitted, Matrix, Progress, settings_checked_by
from wattcast.forecasting.trees import from_xgboost, merged


class XGBoost:
    """Gradient boosted trees by XGBoost's histogram learner."""

    key = "xgb"
    title = "XGBoost Regressor"
    file_stem = "XGBoostRegressor"
    settings: tuple[str, ...] = (
        "rounds",
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
        """Fit every head: `rounds` boosting rounds each, all other settings as XGBoost names them."""
        import xgboost  # noqa: PLC0415 (lazy: serving must not load it)

        rounds = int(settings["rounds"])
        shared = {name: value for name, value in settings.items() if name != "rounds"}
        shared |= {"tree_method": "hist", "nthread": threads, "seed": seed, "verbosity": 0}
        data = xgboost.QuantileDMatrix(matrix, targets, nthread=threads, max_bin=int(settings.get("max_bin", 256)))
        # A quantile round grows a tree per level.
        work = rounds * (1 + len(levels))
        quantile = {"objective": "reg:quantileerror", "quantile_alpha": list(levels)}
        with settings_checked_by(self.title, xgboost.core.XGBoostError):
            mean = xgboost.train(shared | {"objective": "reg:squarederror"}, data, rounds, callbacks=[_reporter(progress, 0, 1, work)])
            quantiles = xgboost.train(shared | quantile, data, rounds, callbacks=[_reporter(progress, rounds, len(levels), work)])

        def predict_native(rows: Matrix) -> Matrix:
            heads = [model.inplace_predict(rows).reshape(len(rows), -1) for model in (mean, quantiles)]
            return np.concatenate(heads, axis=1).astype(np.float32)

        boosters = {"mean": mean, "quantiles": quantiles}
        trees = merged([from_xgboost(json.loads(bytes(model.save_raw("json")))) for model in boosters.values()])
        native = {f"{name}.ubj": bytes(model.save_raw("ubj")) for name, model in boosters.items()}
        return Fitted(trees, native, ("xgboost", xgboost.__version__), predict_native)


def _reporter(progress: Progress, done: int, trees_a_round: int, work: int) -> Any:
    import xgboost  # noqa: PLC0415 (lazy: serving must not load it)

    class Reporter(xgboost.callback.TrainingCallback):  # type: ignore[misc]
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:  # noqa: ARG002 (XGBoost calls it so)
            progress((done + (epoch + 1) * trees_a_round) / work)
            return False

    return Reporter()
