"""ONNX graphs that are ours but for one thing each."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import tiny
from onnx import TensorProto, helper

FLOAT = TensorProto.FLOAT


def tree(**changes: Any) -> onnx.ModelProto:
    """One split at 0.5 of the first of two features, two heads."""
    attributes: dict[str, Any] = {
        "n_targets": 2,
        "base_values": [0.0, 10.0],
        "nodes_treeids": [0, 0, 0],
        "nodes_nodeids": [0, 1, 2],
        "nodes_featureids": [0, 0, 0],
        "nodes_values": [0.5, 0.0, 0.0],
        "nodes_modes": ["BRANCH_LT", "LEAF", "LEAF"],
        "nodes_truenodeids": [1, 0, 0],
        "nodes_falsenodeids": [2, 0, 0],
        "nodes_missing_value_tracks_true": [1, 0, 0],
        "target_treeids": [0, 0, 0, 0],
        "target_nodeids": [1, 2, 1, 2],
        "target_ids": [0, 0, 1, 1],
        "target_weights": [1.0, 2.0, 3.0, 4.0],
    }
    attributes = {name: value for name, value in (attributes | changes).items() if value is not None}
    node = helper.make_node("TreeEnsembleRegressor", ["features"], ["heads"], domain="ai.onnx.ml", **attributes)
    ports = [helper.make_tensor_value_info(name, FLOAT, [None, 2]) for name in ("features", "heads")]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 3)]
    return helper.make_model(helper.make_graph([node], "heads", ports[:1], ports[1:]), opset_imports=opsets, ir_version=8)


def changed(change: Callable[[Any], object] = lambda _: None, **attributes: Any) -> bytes:
    """The graph's bytes with other attributes and after a change to the model."""
    model = tree(**attributes)
    change(model)
    return bytes(model.SerializeToString())


GRAPH = changed()


def varint(number: int) -> bytes:
    """A number as protobuf writes it."""
    head = number & 0x7F
    return bytes([head]) if number < 0x80 else bytes([head | 0x80]) + varint(number >> 7)


def field(number: int, content: bytes, key_bits: int = 0) -> bytes:
    """A protobuf field; key_bits: set above the 32 bits that protobuf keeps of a key."""
    return varint(number << 3 | 2 | key_bits) + varint(len(content)) + content


def node(operator: str, domain: str = "", **attributes: Any) -> Any:
    """A node beside the trees."""
    return helper.make_node(operator, ["heads"], ["more"], domain=domain, **attributes)


def external(data_type: int = TensorProto.FLOAT) -> Any:
    """A tensor whose values lie in a file beside the model."""
    tensor = TensorProto(name="nodes_values", data_type=data_type, dims=[3], data_location=TensorProto.EXTERNAL)
    for key, value in (("location", "secret.bin"), ("offset", "0"), ("length", "24")):
        tensor.external_data.add(key=key, value=value)
    return tensor


def port(name: str, kind: int = FLOAT, shape: Any = (None, 2)) -> Any:
    """An input or output."""
    return helper.make_tensor_value_info(name, kind, shape)


def with_ports(inputs: list[Any], outputs: list[Any]) -> bytes:
    """The graph with other inputs and outputs declared."""

    def declare(model: Any) -> None:
        for kept, declared in ((model.graph.input, inputs), (model.graph.output, outputs)):
            del kept[:]
            kept.extend(declared)
        model.graph.node[0].input[0], model.graph.node[0].output[0] = inputs[0].name, outputs[0].name

    return changed(declare)


def in_a_row(model: Any) -> None:
    second = model.graph.node.add()
    second.CopyFrom(model.graph.node[0])
    model.graph.node[0].output[0] = second.input[0] = "between"


def with_function(model: Any) -> None:
    model.functions.append(
        helper.make_function("ours", "F", ["x"], ["y"], [helper.make_node("Identity", ["x"], ["y"])], model.opset_import)
    )


def with_subgraph(model: Any) -> None:
    inner = helper.make_graph([helper.make_node("Identity", ["features"], ["z"])], "inner", [], [port("z")])
    model.graph.node[0].attribute.append(helper.make_attribute("body", inner))


def other_operator(model: Any) -> None:
    model.graph.node[0].CopyFrom(helper.make_node("Identity", ["features"], ["heads"]))


DEEP = b""
for _ in range(5_000):
    DEEP = field(6, field(1, field(5, DEEP)))

REFUSED = {
    "nothing": b"",
    "garbage": bytes(range(256)) * 20,
    "text": b"a model, honestly",
    "zip": tiny.zipped({"heads.onnx": GRAPH}),
    "pickle": pickle.dumps({"model": [1, 2, 3]}),
    "another operator": changed(other_operator),
    "another domain": changed(lambda model: setattr(model.graph.node[0], "domain", "com.microsoft")),
    "two nodes": changed(lambda model: model.graph.node.append(node("Identity"))),
    "two tree nodes": changed(lambda model: model.graph.node.append(model.graph.node[0])),
    "two trees in a row": changed(in_a_row),
    "no node": changed(lambda model: model.graph.ClearField("node")),
    "no graph": changed(lambda model: model.ClearField("graph")),
    "a second graph": GRAPH + field(7, field(1, node("Identity").SerializeToString())),
    "an initializer": changed(lambda model: model.graph.initializer.append(helper.make_tensor("w", FLOAT, [1], [1.0]))),
    "external data": changed(lambda model: model.graph.initializer.append(external())),
    "a sparse initializer": changed(lambda model: model.graph.sparse_initializer.add()),
    "external data of an attribute": changed(nodes_values=None, nodes_values_as_tensor=external(TensorProto.DOUBLE)),
    "a function": changed(with_function),
    "a graph in an attribute": changed(with_subgraph),
    "an unknown attribute": changed(surprise=[1]),
    "a node behind a key that protobuf cuts": GRAPH + field(7, field(1, node("Identity").SerializeToString()), 1 << 32),
    "a node behind a deep key": GRAPH + field(7, field(1, node("Identity").SerializeToString(), 1 << 34)),
    "a field without number": GRAPH + field(0, b"?"),
    "a group": GRAPH + b"\x0b\x0c",
    "a number of eleven bytes": GRAPH + b"\x08" + b"\xff" * 10 + b"\x01",
    "a field cut short": GRAPH + b"\x3a\x7f\x00",
    "a fixed number cut short": GRAPH + b"\x0d\x00",
    "a million fields": GRAPH + b"\x08\x01" * 1_000_000,
    "graphs in graphs": GRAPH + field(7, field(1, field(5, DEEP))),
    "another input": with_ports([port("typed")], [port("heads")]),
    "another output": with_ports([port("features")], [port("mean")]),
    "two outputs": with_ports([port("features")], [port("heads"), port("features")]),
    "no fixed width": with_ports([port("features", shape=(None, "k"))], [port("heads")]),
    "no shape": with_ports([port("features", shape=None)], [port("heads")]),
    "a vector": with_ports([port("features", shape=(2,))], [port("heads")]),
    "whole numbers": with_ports([port("features", TensorProto.INT64)], [port("heads")]),
    "double numbers": with_ports([port("features", TensorProto.DOUBLE)], [port("heads")]),
    "more heads than declared": changed(n_targets=3, base_values=None),
    "a billion heads": changed(n_targets=10**9, base_values=None),
    "a feature that is not there": changed(nodes_featureids=[2, 0, 0]),
    "a feature far away": changed(nodes_featureids=[10**9, 0, 0]),
    "a feature before the first": changed(nodes_featureids=[-1, 0, 0]),
    "a head that is not there": changed(target_ids=[0, 0, 1, 2**31 - 1]),
    "a tree that runs in circles": changed(nodes_falsenodeids=[0, 0, 0]),
    "a branch to nowhere": changed(nodes_truenodeids=[99, 0, 0]),
    "too few thresholds": changed(nodes_values=[0.5]),
}


def ort_format(tmp_path: Path) -> bytes:
    """A graph of another operator in ONNX Runtime's own format."""
    model = helper.make_model(
        helper.make_graph([helper.make_node("Add", ["features", "features"], ["heads"])], "add", [port("features")], [port("heads")]),
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=8,
    )
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "add.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return (tmp_path / "add.ort").read_bytes()
