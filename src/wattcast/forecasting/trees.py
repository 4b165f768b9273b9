"""Tree ensembles as plain arrays, read from a library's own model: what `graph` writes as ONNX, and what a blend averages."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class TreeEnsemble:
    """Branches and leaves of all trees. A row's output k is base[k] plus the values of the leaves it reaches that feed output k.

    mode: "BRANCH_LT" or "BRANCH_LEQ", when a row goes left. Branch arrays share a shape, and so do leaf arrays; (tree, node) names a node.
    """

    mode: str
    base: Floats
    branch_tree: Ints
    branch_node: Ints
    feature: Ints
    threshold: Floats
    left: Ints
    right: Ints
    missing_left: npt.NDArray[np.bool_]
    leaf_tree: Ints
    leaf_node: Ints
    leaf_output: Ints
    leaf_value: Floats


def merged(parts: list[TreeEnsemble]) -> TreeEnsemble:
    """One ensemble whose outputs are the outputs of all parts, side by side. The parts must share their mode."""
    trees = np.cumsum([0] + [int(part.leaf_tree.max()) + 1 for part in parts])
    outputs = np.cumsum([0] + [len(part.base) for part in parts])

    def joined(name: str, shifts: Any = None) -> Any:
        arrays = [getattr(part, name) for part in parts]
        return np.concatenate(arrays if shifts is None else [array + shift for array, shift in zip(arrays, shifts, strict=False)])

    return TreeEnsemble(
        mode=parts[0].mode,
        base=joined("base"),
        branch_tree=joined("branch_tree", trees),
        branch_node=joined("branch_node"),
        feature=joined("feature"),
        threshold=joined("threshold"),
        left=joined("left"),
        right=joined("right"),
        missing_left=joined("missing_left"),
        leaf_tree=joined("leaf_tree", trees),
        leaf_node=joined("leaf_node"),
        leaf_output=joined("leaf_output", outputs),
        leaf_value=joined("leaf_value"),
    )


def averaged(parts: list[TreeEnsemble]) -> TreeEnsemble:
    """One ensemble whose outputs are the means of the same outputs of all parts."""
    share = np.float32(1 / len(parts))
    trees = np.cumsum([0] + [int(part.leaf_tree.max()) + 1 for part in parts])
    alike = [replace(_going_left_at_equality(part), leaf_value=part.leaf_value * share) for part in parts]
    arrays = ("branch_node", "feature", "threshold", "left", "right", "missing_left", "leaf_node", "leaf_output", "leaf_value")
    own = {name: np.concatenate([getattr(part, name) for part in alike]) for name in arrays}
    of_tree = {
        name: np.concatenate([getattr(part, name) + shift for part, shift in zip(alike, trees, strict=False)])
        for name in ("branch_tree", "leaf_tree")
    }
    base = np.asarray(sum(part.base * share for part in parts), dtype=np.float32)
    return TreeEnsemble(mode="BRANCH_LEQ", base=base, **of_tree, **own)


def _going_left_at_equality(part: TreeEnsemble) -> TreeEnsemble:
    """The same ensemble with value <= threshold as its rule: for a float32 value, < t and <= the next float32 below t agree."""
    if part.mode == "BRANCH_LEQ":
        return part
    return replace(part, mode="BRANCH_LEQ", threshold=np.nextafter(part.threshold, np.float32(-np.inf)))


def from_xgboost(model: dict[str, Any]) -> TreeEnsemble:
    """The ensemble of a booster's own JSON (`Booster.save_raw("json")`, parsed). Its rows go left where value < threshold."""
    learner = model["learner"]
    trees = learner["gradient_booster"]["model"]["trees"]
    sizes = [len(tree["left_children"]) for tree in trees]

    def joined(name: str, dtype: type[np.generic]) -> Any:
        return np.concatenate([np.asarray(tree[name], dtype=dtype) for tree in trees])

    tree_of, node = np.repeat(np.arange(len(trees)), sizes), np.concatenate([np.arange(size) for size in sizes])
    left, condition = joined("left_children", np.int64), joined("split_conditions", np.float32)
    branch = left >= 0
    output_of_tree = np.asarray(learner["gradient_booster"]["model"]["tree_info"], dtype=np.int64)
    return TreeEnsemble(
        mode="BRANCH_LT",
        base=np.atleast_1d(np.asarray(json.loads(learner["learner_model_param"]["base_score"]), dtype=np.float32)),
        branch_tree=tree_of[branch],
        branch_node=node[branch],
        feature=joined("split_indices", np.int64)[branch],
        threshold=condition[branch],
        left=left[branch],
        right=joined("right_children", np.int64)[branch],
        missing_left=joined("default_left", np.int64)[branch].astype(bool),
        leaf_tree=tree_of[~branch],
        leaf_node=node[~branch],
        leaf_output=output_of_tree[tree_of[~branch]],
        leaf_value=condition[~branch],
    )


def from_lightgbm(text: str) -> TreeEnsemble:
    """The ensemble of a booster's own text (`Booster.model_to_string()`) with one output. Its rows go left where value <= threshold."""
    trees = [_lightgbm_tree(block, number) for number, block in enumerate(text.split("\nTree=")[1:])]

    def joined(name: str) -> Any:
        return np.concatenate([tree[name] for tree in trees])

    leaves = joined("leaf_value")
    return TreeEnsemble(
        mode="BRANCH_LEQ",
        base=np.zeros(1, dtype=np.float32),
        leaf_output=np.zeros(len(leaves), dtype=np.int64),
        **{name: joined(name) for name in trees[0]},
    )


def _lightgbm_tree(block: str, number: int) -> dict[str, Any]:
    """One tree: branch i is node i, and leaf k the node after the last branch plus k (LightGBM writes it as child -1-k)."""
    lines = dict(line.split("=", 1) for line in block.split("\n\n", 1)[0].splitlines() if "=" in line)

    def array(name: str, dtype: type[np.generic]) -> Any:
        return np.array(lines.get(name, "").split(), dtype=dtype)

    branches = int(lines["num_leaves"]) - 1
    # A tree of one leaf has no branch to hang it on: it is written as a leaf alone, which ONNX allows as a root.
    left, right = array("left_child", np.int64)[:branches], array("right_child", np.int64)[:branches]
    decision = array("decision_type", np.int64)[:branches]
    threshold = float32_below(array("threshold", np.float64)[:branches])
    takes_nan = (decision >> 2) & 3 == 2
    leaves = array("leaf_value", np.float32)
    return {
        "branch_tree": np.full(branches, number),
        "branch_node": np.arange(branches),
        "feature": array("split_feature", np.int64)[:branches],
        "threshold": threshold,
        "left": np.where(left < 0, branches - 1 - left, left),
        "right": np.where(right < 0, branches - 1 - right, right),
        # Where a split saw no NaN in training, LightGBM reads a NaN as 0.
        "missing_left": np.where(takes_nan, (decision & 2) > 0, threshold >= 0),
        "leaf_tree": np.full(len(leaves), number),
        "leaf_node": branches + np.arange(len(leaves)),
        "leaf_value": leaves,
    }


def float32_below(values: npt.NDArray[np.float64]) -> Floats:
    """The largest float32 not above each value: x <= value and x <= float32_below(value) agree for every float32 x."""
    near = values.astype(np.float32)
    return np.where(near > values, np.nextafter(near, np.float32(-np.inf)), near).astype(np.float32)
