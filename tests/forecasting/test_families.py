"""Every family: its ONNX heads answer as its own library does, deterministically, and thresholds keep their side."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattcast.errors import BadParams
from wattcast.forecasting.families import Fitted, heads_to_boost, learner_keys, learner_of
from wattcast.forecasting.graph import from_onnx, mean_of, to_onnx
from wattcast.forecasting.heads import Heads
from wattcast.forecasting.trees import float32_below

LEVELS = (0.1, 0.5, 0.9)
SETTINGS: dict[str, dict[str, Any]] = {
    "xgb": {"rounds": 12, "max_depth": 4, "eta": 0.3, "max_bin": 63},
    "rf": {"trees": 8, "max_depth": 6, "subsample": 0.6, "colsample_bynode": 0.7, "reg_lambda": 0},
    "lgbm": {"rounds": 12, "num_leaves": 15, "learning_rate": 0.3, "min_data_in_leaf": 5},
    "extra": {"rounds": 30, "num_leaves": 15, "learning_rate": 0.3, "min_data_in_leaf": 5},
    "ridge": {"penalty": 0.001},
}


def rows(count: int = 1500) -> tuple[np.ndarray, np.ndarray]:
    """Features with gaps, whole numbers and zeros; targets that depend on them."""
    chance = np.random.default_rng(8)
    matrix = chance.normal(size=(count, 6)).astype(np.float32)
    matrix[:, 1] = chance.integers(-2, 3, count)
    matrix[:, 2][chance.random(count) < 0.3] = np.nan
    spread = np.exp(matrix[:, 3])
    targets = matrix[:, 0] + matrix[:, 1] + np.nan_to_num(matrix[:, 2]) + spread * chance.normal(size=count) * 0.3
    return matrix, targets.astype(np.float32)


def fitted(key: str, seen: list[float] | None = None) -> Fitted:
    """A small fit of the family."""
    matrix, targets = rows()
    report = (seen if seen is not None else []).append
    return learner_of(key).fit(matrix, targets, LEVELS, SETTINGS[key], threads=1, seed=4, progress=report)


@pytest.mark.parametrize("key", learner_keys())
def test_onnx_heads_answer_as_the_library_does(key: str) -> None:
    """On other rows, on rows with gaps the training never had, and on the trees' own thresholds: within 1e-5 kW."""
    model = fitted(key)
    heads = Heads(to_onnx(model.graph, 6))
    chance = np.random.default_rng(9)
    matrix = chance.normal(size=(4000, 6)).astype(np.float32)
    matrix[chance.random(matrix.shape) < 0.2] = np.nan
    if (trees := model.graph.trees) is not None:
        splits = chance.integers(0, len(trees.feature), 2000)
        on = trees.threshold[splits]
        matrix[np.arange(2000), trees.feature[splits]] = np.where(np.abs(on) < 1e-30, 0, on)
    native = model.predict_native(matrix)
    assert native.shape == (4000, 1 + len(LEVELS))
    assert np.abs(native - heads(matrix)).max() < 1e-5


@pytest.mark.parametrize("key", learner_keys())
def test_heads_learn_the_mean_and_the_quantiles(key: str) -> None:
    """The mean head explains most of the variance, and each quantile head covers about its share of the rows it learned from."""
    matrix, targets = rows()
    outputs = Heads(to_onnx(fitted(key).graph, 6))(matrix)
    assert np.var(targets - outputs[:, 0]) < 0.3 * np.var(targets)
    for column, level in enumerate(LEVELS, start=1):
        assert abs(float((targets <= outputs[:, column]).mean()) - level) < 0.12


@pytest.mark.parametrize("key", learner_keys())
def test_the_same_rows_give_the_same_bytes(key: str) -> None:
    """Two fits give the same native files and the same graph."""
    first, second = fitted(key), fitted(key)
    assert dict(first.native) == dict(second.native)
    assert to_onnx(first.graph, 6) == to_onnx(second.graph, 6)


@pytest.mark.parametrize("key", learner_keys())
def test_progress_rises_to_one(key: str) -> None:
    """The share done is reported in order and ends at 1."""
    seen: list[float] = []
    fitted(key, seen)
    assert seen == sorted(seen)
    assert seen[-1] == pytest.approx(1.0)


@pytest.mark.parametrize("members", [("xgb", "lgbm"), ("xgb", "rf", "lgbm"), ("lgbm", "ridge"), ("ridge", "ridge")])
def test_the_mean_of_graphs_is_one_graph(members: tuple[str, ...]) -> None:
    """Trees that go left at equality, trees that do not, and linear parts: merged they give the mean, also when read back from bytes."""
    graphs = [fitted(key).graph for key in members]
    chance = np.random.default_rng(2)
    matrix = chance.normal(size=(4000, 6)).astype(np.float32)
    matrix[chance.random(matrix.shape) < 0.2] = np.nan
    for graph in graphs:
        if graph.trees is not None:
            splits = chance.integers(0, len(graph.trees.feature), 2000)
            matrix[np.arange(2000), graph.trees.feature[splits]] = graph.trees.threshold[splits]
    expected = np.mean([Heads(to_onnx(graph, 6))(matrix) for graph in graphs], axis=0)
    merged = to_onnx(mean_of(graphs), 6)
    assert np.abs(Heads(merged)(matrix) - expected).max() < 1e-5
    assert to_onnx(from_onnx(merged), 6) == merged


@pytest.mark.parametrize("key", ["xgb", "lgbm"])
def test_the_outer_quantiles_may_have_fewer_rounds(key: str) -> None:
    """Mean and median grow `rounds` trees, the outer quantiles `tail_rounds`, and progress still ends at one."""
    matrix, targets = rows()
    seen: list[float] = []
    settings = SETTINGS[key] | {"tail_rounds": 5}
    trees = learner_of(key).fit(matrix, targets, LEVELS, settings, threads=1, seed=4, progress=seen.append).graph.trees
    assert trees is not None
    of_output = [len(np.unique(trees.leaf_tree[trees.leaf_output == output])) for output in range(1 + len(LEVELS))]
    assert of_output == [12, 5, 12, 5]
    assert len(seen) == sum(of_output)
    assert seen[-1] == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("rows", "expected"), [(50_000, [60, 90, 30]), (100_000, [120, 180, 60]), (900_000, [120, 180, 60]), (300, [20] * 3)]
)
def test_fewer_rows_get_as_many_times_fewer_rounds(rows: int, expected: list[int]) -> None:
    """From half of `rounds_for_rows` every head grows half its rounds, never fewer than 20; more rows change nothing."""
    settings = {"rounds": 120, "median_rounds": 180, "tail_rounds": 60, "rounds_for_rows": 100_000, "eta": 0.1}
    heads, shared = heads_to_boost(settings, (0.5, 0.9), rows, lambda _: None)
    assert [head.rounds for head in heads] == expected
    assert shared == {"eta": 0.1}
    few = heads_to_boost({"rounds": 8, "rounds_for_rows": 100_000}, (0.5,), rows, lambda _: None)[0]
    assert [head.rounds for head in few] == [8, 8]


@pytest.mark.parametrize(("key", "settings"), [("xgb", {"max_depth": "deep"}), ("rf", {"subsample": 7}), ("lgbm", {"num_leaves": -3})])
def test_settings_that_a_library_refuses_are_one_clear_error(key: str, settings: dict[str, Any]) -> None:
    """A setting that makes no sense to the learner is named with its reason, without a trace of its insides."""
    matrix, targets = rows(300)
    with pytest.raises(BadParams, match=learner_of(key).title) as caught:
        learner_of(key).fit(matrix, targets, LEVELS, SETTINGS[key] | settings, threads=1, seed=1, progress=lambda _: None)
    assert "\n" not in caught.value.message


@given(st.floats(-1e30, 1e30, allow_subnormal=False), st.floats(-(2.0**90), 2.0**90, width=32, allow_subnormal=False))
def test_a_rounded_threshold_keeps_every_float32_on_its_side(threshold: float, value: float) -> None:
    """x <= t and x <= float32_below(t) agree for every float32 x."""
    below = float32_below(np.array([threshold]))[0]
    assert (np.float64(value) <= threshold) == (np.float32(value) <= below)
