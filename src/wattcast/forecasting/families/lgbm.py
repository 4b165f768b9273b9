"""LightGBM: one booster per head, over one binning of the rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from wattcast.forecasting.families import Fitted, Head, Matrix, Parts, Progress, heads_to_boost, settings_checked_by
from wattcast.forecasting.graph import Graph
from wattcast.forecasting.trees import float32_below, from_lightgbm, merged

_THRESHOLDS = re.compile(r"^threshold=(.*)$", re.MULTILINE)


class LightGBM:
    """Gradient boosted trees grown leaf by leaf."""

    key = "lgbm"
    title = "LightGBM Regressor"
    file_stem = "LightGBMRegressor"
    # What a kind of LightGBM sets for itself, whatever is stated.
    fixed: Mapping[str, Any] = {}
    settings: tuple[str, ...] = (
        "rounds",
        "median_rounds",
        "tail_rounds",
        "rounds_for_rows",
        "learning_rate",
        "num_leaves",
        "max_depth",
        "max_bin",
        "min_data_in_leaf",
        "min_sum_hessian_in_leaf",
        "feature_fraction",
        "feature_fraction_bynode",
        "bagging_fraction",
        "bagging_freq",
        "lambda_l1",
        "lambda_l2",
        "extra_trees",
        "path_smooth",
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
        """Fit every head; all settings but the numbers of rounds are as LightGBM names them."""
        import lightgbm  # noqa: PLC0415 (lazy: serving must not load it)

        heads, shared = heads_to_boost(settings, levels, len(targets), progress)
        shared |= {"num_threads": threads, "seed": seed, "deterministic": True, "force_row_wise": True, "verbosity": -1, **self.fixed}
        data = lightgbm.Dataset(matrix, targets, params=shared, free_raw_data=True)
        texts = {}
        with settings_checked_by(self.title, lightgbm.basic.LightGBMError):
            for head in heads:
                objective = {"objective": "regression"} if head.level is None else {"objective": "quantile", "alpha": head.level}
                booster = lightgbm.train(shared | objective, data, head.rounds, callbacks=[_reporter(head)])
                texts[head.name] = _with_float32_thresholds(booster.model_to_string())

        def predict_native(rows: Matrix) -> Matrix:
            boosters = [lightgbm.Booster(model_str=text) for text in texts.values()]
            return np.stack([booster.predict(rows, num_threads=threads) for booster in boosters], axis=1).astype(np.float32)

        native = {f"{name}.txt": text.encode() for name, text in texts.items()}
        graph = Graph(merged([from_lightgbm(text) for text in texts.values()]))
        return Fitted(graph, native, ("lightgbm", lightgbm.__version__), predict_native)

    def contributions(self, native: bytes, matrix: Matrix) -> Parts:
        """What every feature adds to the head in a booster's text, by LightGBM's own TreeSHAP."""
        import lightgbm  # noqa: PLC0415 (lazy: serving must not load it)

        booster = lightgbm.Booster(model_str=native.decode())
        return np.asarray(booster.predict(matrix, pred_contrib=True, num_threads=1), dtype=np.float64)


def _reporter(head: Head) -> Callable[[Any], None]:
    return lambda env: head.report(env.iteration + 1)


def _with_float32_thresholds(text: str) -> str:
    """The model with every threshold rounded down to a float32: it answers the same for float32 rows, to the bit in the branches taken."""

    def rounded(line: re.Match[str]) -> str:
        values = float32_below(np.array(line[1].split(), dtype=np.float64)).astype(np.float64)
        return "threshold=" + " ".join(repr(float(value)) for value in values)

    # The sizes of the trees in bytes no longer hold; without the line LightGBM finds the trees by reading.
    return re.sub(r"^tree_sizes=.*\n", "", _THRESHOLDS.sub(rounded, text), flags=re.MULTILINE)
