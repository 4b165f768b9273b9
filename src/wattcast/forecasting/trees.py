"""Tree ensembles as plain arrays, read from a library's own model and written as one ONNX node with an output per head.

Why not a converter package: it loops over nodes in Python (minutes for a forest), keeps each head apart, and rounds LightGBM's double
thresholds to the nearest float32, which sends a row that sits on a threshold the wrong way (onnxmltools 708). Here thresholds are rounded
DOWN, which changes no comparison of a float32 input. ONNX: https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsembleRegressor.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass
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


def to_onnx(ensemble: TreeEnsemble, feature_count: int) -> bytes:
    """The ensemble as an ONNX model: input "features" (rows, feature_count) float32, output "heads" (rows, outputs) float32."""
    from onnx import TensorProto, helper  # noqa: PLC0415 (training only)

    leaves = _one_entry_per_leaf(ensemble)
    branches = len(ensemble.branch_tree)
    order = np.lexsort((np.concatenate([ensemble.branch_node, leaves[1]]), np.concatenate([ensemble.branch_tree, leaves[0]])))

    def nodes(of_branches: Any, of_leaves: Any) -> list[Any]:
        rest = np.full(len(leaves[0]), of_leaves) if np.isscalar(of_leaves) else of_leaves
        return list(np.concatenate([of_branches, rest])[order].tolist())

    node = helper.make_node(
        "TreeEnsembleRegressor",
        ["features"],
        ["heads"],
        domain="ai.onnx.ml",
        n_targets=len(ensemble.base),
        base_values=ensemble.base.tolist(),
        nodes_treeids=nodes(ensemble.branch_tree, leaves[0]),
        nodes_nodeids=nodes(ensemble.branch_node, leaves[1]),
        nodes_featureids=nodes(ensemble.feature, 0),
        nodes_values=nodes(ensemble.threshold, np.float32(0)),
        nodes_modes=[ensemble.mode if index < branches else "LEAF" for index in order.tolist()],
        nodes_truenodeids=nodes(ensemble.left, 0),
        nodes_falsenodeids=nodes(ensemble.right, 0),
        nodes_missing_value_tracks_true=nodes(ensemble.missing_left.astype(np.int64), 0),
        target_treeids=ensemble.leaf_tree.tolist(),
        target_nodeids=ensemble.leaf_node.tolist(),
        target_ids=ensemble.leaf_output.tolist(),
        target_weights=ensemble.leaf_value.tolist(),
    )
    inputs = [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, feature_count])]
    outputs = [helper.make_tensor_value_info("heads", TensorProto.FLOAT, [None, len(ensemble.base)])]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(helper.make_graph([node], "heads", inputs, outputs), opset_imports=opsets, ir_version=8)
    return bytes(model.SerializeToString(deterministic=True))


def _one_entry_per_leaf(ensemble: TreeEnsemble) -> tuple[Ints, Ints]:
    """Tree and node of every leaf, once each (a leaf that feeds several outputs stands several times in the leaf arrays)."""
    pairs = np.unique(np.stack([ensemble.leaf_tree, ensemble.leaf_node]), axis=1)
    return pairs[0], pairs[1]
