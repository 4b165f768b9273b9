"""Heads as one ONNX graph of standard operators, an output per head: trees, a linear part, or the mean of several.

Why not a converter package: it loops over nodes in Python (minutes for a forest), keeps each head apart, and rounds LightGBM's double
thresholds to the nearest float32, which sends a row that sits on a threshold the wrong way (onnxmltools 708). Here thresholds are rounded
DOWN, which changes no comparison of a float32 input. ONNX: https://onnx.ai/onnx/operators/onnx_aionnxml_TreeEnsembleRegressor.html
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wattcast.forecasting.trees import Floats, Ints, TreeEnsemble, averaged


@dataclass(frozen=True, eq=False)
class Linear:
    """Output k of a row is intercept[k] plus its features times coefficients[k]; a feature that is NaN counts as `missing`.

    coefficients: shape (outputs, features); intercept: (outputs,); missing: (features,).
    """

    coefficients: Floats
    intercept: Floats
    missing: Floats


@dataclass(frozen=True, eq=False)
class Graph:
    """What a graph sums: trees, a linear part, or both. Every part has the same outputs."""

    trees: TreeEnsemble | None = None
    linear: Linear | None = None


def mean_of(graphs: list[Graph]) -> Graph:
    """The graph whose outputs are the means of the outputs of all of these."""
    count = len(graphs)
    trees = [graph.trees for graph in graphs if graph.trees is not None]
    lines = [graph.linear for graph in graphs if graph.linear is not None]
    linear = None
    if lines:
        # Linear parts may take a missing feature for different values: all of ours take the mean of the same training rows.
        total = [np.asarray(sum(getattr(line, name) for line in lines) / count, dtype=np.float32) for name in ("coefficients", "intercept")]
        linear = Linear(total[0], total[1], lines[0].missing)
    return Graph(_scaled(averaged(trees), len(trees) / count) if trees else None, linear)


def _scaled(trees: TreeEnsemble, factor: float) -> TreeEnsemble:
    return replace(trees, base=trees.base * np.float32(factor), leaf_value=trees.leaf_value * np.float32(factor))


def to_onnx(graph: Graph, feature_count: int) -> bytes:
    """The graph as an ONNX model: input "features" (rows, feature_count) float32, output "heads" (rows, outputs) float32."""
    from onnx import TensorProto, helper  # noqa: PLC0415 (training only)

    outputs = len(graph.trees.base) if graph.trees is not None else len(graph.linear.intercept) if graph.linear is not None else 0
    both = graph.trees is not None and graph.linear is not None
    nodes = []
    if graph.trees is not None:
        nodes.append(_tree_node(graph.trees, "of_trees" if both else "heads"))
    if graph.linear is not None:
        nodes += _linear_nodes(graph.linear, "of_linear" if both else "heads")
    if both:
        nodes.append(helper.make_node("Sum", ["of_trees", "of_linear"], ["heads"]))
    taken = [helper.make_tensor_value_info("features", TensorProto.FLOAT, [None, feature_count])]
    given = [helper.make_tensor_value_info("heads", TensorProto.FLOAT, [None, outputs])]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(helper.make_graph(nodes, "heads", taken, given), opset_imports=opsets, ir_version=8)
    return bytes(model.SerializeToString(deterministic=True))


def _linear_nodes(linear: Linear, output: str) -> list[Any]:
    from onnx import helper  # noqa: PLC0415 (training only)

    missing, nan = linear.missing.tolist(), float("nan")
    imputer = helper.make_node(
        "Imputer", ["features"], ["whole"], domain="ai.onnx.ml", imputed_value_floats=missing, replaced_value_float=nan
    )
    regressor = helper.make_node(
        "LinearRegressor",
        ["whole"],
        [output],
        domain="ai.onnx.ml",
        coefficients=linear.coefficients.ravel().tolist(),
        intercepts=linear.intercept.tolist(),
        targets=len(linear.intercept),
    )
    return [imputer, regressor]


def _tree_node(ensemble: TreeEnsemble, output: str) -> Any:
    from onnx import helper  # noqa: PLC0415 (training only)

    leaves = _one_entry_per_leaf(ensemble)
    branches = len(ensemble.branch_tree)
    order = np.lexsort((np.concatenate([ensemble.branch_node, leaves[1]]), np.concatenate([ensemble.branch_tree, leaves[0]])))

    def nodes(of_branches: Any, of_leaves: Any) -> list[Any]:
        rest = np.full(len(leaves[0]), of_leaves) if np.isscalar(of_leaves) else of_leaves
        return list(np.concatenate([of_branches, rest])[order].tolist())

    return helper.make_node(
        "TreeEnsembleRegressor",
        ["features"],
        [output],
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


def _one_entry_per_leaf(ensemble: TreeEnsemble) -> tuple[Ints, Ints]:
    """Tree and node of every leaf, once each (a leaf that feeds several outputs stands several times in the leaf arrays)."""
    pairs = np.unique(np.stack([ensemble.leaf_tree, ensemble.leaf_node]), axis=1)
    return pairs[0], pairs[1]


def from_onnx(data: bytes) -> Graph:
    """The graph that `to_onnx` wrote. data: of a bundle of ours, which was checked when it was opened."""
    import onnx  # noqa: PLC0415 (training only)

    nodes = {node.op_type: _attributes(node) for node in onnx.load_model_from_string(data).graph.node}
    trees = _trees_of(nodes["TreeEnsembleRegressor"]) if "TreeEnsembleRegressor" in nodes else None
    linear = None
    if "LinearRegressor" in nodes:
        fitted, missing = nodes["LinearRegressor"], nodes["Imputer"]["imputed_value_floats"]
        coefficients = fitted["coefficients"].reshape(len(fitted["intercepts"]), -1)
        linear = Linear(coefficients, fitted["intercepts"], missing)
    return Graph(trees, linear)


def _attributes(node: Any) -> dict[str, Any]:
    """A node's attributes by name: lists as arrays, numbers as they are."""
    import onnx  # noqa: PLC0415 (training only)

    kinds = onnx.AttributeProto
    found = {}
    for attribute in node.attribute:
        if attribute.type == kinds.FLOATS:
            found[attribute.name] = np.array(attribute.floats, dtype=np.float32)
        elif attribute.type == kinds.INTS:
            found[attribute.name] = np.array(attribute.ints, dtype=np.int64)
        elif attribute.type == kinds.STRINGS:
            found[attribute.name] = np.array([text.decode() for text in attribute.strings])
    return found


def _trees_of(node: dict[str, Any]) -> TreeEnsemble:
    leaf = node["nodes_modes"] == "LEAF"
    modes = node["nodes_modes"][~leaf]
    return TreeEnsemble(
        mode=str(modes[0]) if len(modes) else "BRANCH_LEQ",
        base=node["base_values"],
        branch_tree=node["nodes_treeids"][~leaf],
        branch_node=node["nodes_nodeids"][~leaf],
        feature=node["nodes_featureids"][~leaf],
        threshold=node["nodes_values"][~leaf],
        left=node["nodes_truenodeids"][~leaf],
        right=node["nodes_falsenodeids"][~leaf],
        missing_left=node["nodes_missing_value_tracks_true"][~leaf].astype(bool),
        leaf_tree=node["target_treeids"],
        leaf_node=node["target_nodeids"],
        leaf_output=node["target_ids"],
        leaf_value=node["target_weights"],
    )
