"""The heads serve trees and nothing else: whatever the bytes are, they give a working graph or one refusal."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from wattcast.adapters.files import FileModelStore, FileReadingStore
from wattcast.errors import BadBundle, WattcastError
from wattcast.forecasting.bundle import open_bundle
from wattcast.forecasting.heads import Heads
from wattcast.forecasting.registry import manifest_from_json, record_from_json
from wattcast.meter.table import MeterTable

FLOAT = TensorProto.FLOAT
ROWS = np.array([[0.2, 9.0], [0.8, 9.0], [np.nan, 9.0]], dtype=np.float32)


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


def test_a_tree_answers_each_head() -> None:
    """Rows go left and right as the tree says, a missing value the way it was told to, and every head gets its own leaf."""
    heads = Heads(GRAPH)
    assert (heads.features, heads.heads) == (2, 2)
    np.testing.assert_array_equal(heads(ROWS), [[1, 13], [2, 14], [1, 13]])


@pytest.mark.parametrize("what", REFUSED)
def test_a_graph_that_is_not_ours_is_refused(what: str) -> None:
    """Everything but one tree ensemble over one matrix of features is a BadBundle with a hint."""
    with pytest.raises(BadBundle) as refusal:
        Heads(REFUSED[what])
    assert refusal.value.hint


@pytest.mark.parametrize("data_type", [TensorProto.FLOAT, TensorProto.DOUBLE])
def test_no_file_beside_the_model_is_read(data_type: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thresholds that lie in a file of this machine are refused although the file is there."""
    monkeypatch.chdir(tmp_path)
    Path("secret.bin").write_bytes(np.array([0.5, 0, 0], dtype=np.float64).tobytes())
    weights = helper.make_tensor("w", data_type, [4], [1.0, 2.0, 3.0, 4.0])
    values: dict[str, Any] = {"nodes_values": None, "target_weights": None, "base_values": None}
    graph = changed(**values, nodes_values_as_tensor=external(data_type), target_weights_as_tensor=weights)
    with pytest.raises(BadBundle, match="tensors"):
        Heads(graph)


def test_every_truncation_is_refused() -> None:
    """A graph cut anywhere is no graph."""
    for length in range(len(GRAPH)):
        with pytest.raises(BadBundle):
            Heads(GRAPH[:length])


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


def test_a_graph_in_onnx_runtimes_own_format_is_refused(tmp_path: Path) -> None:
    """The format that holds any operator, and that ONNX Runtime would take, is none of ours."""
    with pytest.raises(BadBundle):
        Heads(ort_format(tmp_path))


def test_bytes_of_two_formats_are_read_as_the_one_that_was_checked(tmp_path: Path) -> None:
    """A file that carries the mark of ONNX Runtime's own format and passes as ONNX too answers as the ONNX graph that was looked at."""
    # A fixed64 field of no use covers the mark at bytes 4 to 7; one long field of no use covers the foreign graph.
    root = struct.pack("<I", 0x00090008)
    both = root + b"ORTM" + bytes(3) + field(100, bytes(0x90000) + ort_format(tmp_path)) + GRAPH
    with pytest.raises(Exception, match="ORT"):
        onnxruntime.InferenceSession(both, providers=["CPUExecutionProvider"])
    np.testing.assert_array_equal(Heads(both)(ROWS[:2]), [[1, 13], [2, 14]])


def real_graph() -> bytes:
    """The heads of a trained bundle."""
    return open_bundle(tiny.bundle("next_minute", "lgbm")).members["one_reading/heads.onnx"]


@given(
    st.lists(
        st.tuples(st.integers(0, 2**31), st.integers(0, 255), st.sampled_from(["put", "cut", "add", "double"])), min_size=1, max_size=4
    ),
    st.booleans(),
)
@settings(max_examples=250, deadline=None, derandomize=True, database=None)
def test_altered_bytes_are_refused_or_answer(changes: list[tuple[int, int, str]], small: bool) -> None:
    """Whatever is put, cut, added or repeated in a graph: BadBundle, or a graph that answers rows. Nothing else comes out."""
    graph = bytearray(GRAPH if small else real_graph())
    for place, value, how in changes:
        at = place % max(len(graph), 1)
        match how:
            case "put":
                graph[at : at + 1] = [value]
            case "cut":
                del graph[at : at + value]
            case "add":
                graph[at:at] = bytes([value]) * 3
            case _:
                graph += graph[at : at + value]
    try:
        heads = Heads(bytes(graph))
    except BadBundle:
        return
    assert heads(np.full((3, heads.features), np.nan, dtype=np.float32)).shape == (3, heads.heads)


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None, derandomize=True, database=None)
def test_any_bytes_are_refused(data: bytes) -> None:
    """Bytes from nowhere are never a graph."""
    with pytest.raises(BadBundle):
        Heads(data)


class Trap:
    """Unpickling this creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def object_array(trap: Trap) -> bytes:
    """numpy's zip with an array of objects, which is a pickle inside."""
    buffer = io.BytesIO()
    np.savez(buffer, facts=np.array([trap, trap], dtype=object), columns=np.zeros((1, 1), dtype=np.float32))
    return buffer.getvalue()


def planted(trap: Trap) -> Iterator[bytes]:
    """Bundles of somebody who writes the store and wants the server to unpickle: every hash is right."""
    good, code = tiny.bundle(), pickle.dumps(trap)
    yield code
    yield code + good
    yield tiny.zipped({"model.pkl": code})
    yield tiny.zipped({"manifest.json": code})
    yield tiny.repacked(good, {"model.pkl": code})
    yield tiny.repacked(good, {"history/heads.onnx": code})
    yield tiny.repacked(good, {"golden.npz": code})
    yield tiny.repacked(good, {"golden.npz": object_array(trap)})
    yield tiny.repacked(good, {"history/mean.ubj": code})


def test_original_fault_4_a_planted_pickle_runs_nowhere(tmp_path: Path) -> None:
    """Whoever writes the store cannot run code: pickles as a bundle, a member, heads, records, manifest or readings are data or refused."""
    mark = tmp_path / "code-ran"
    trap = Trap(mark)
    record, refused = tiny.record(tiny.bundle()), 0
    for data in planted(trap):
        try:
            opened = open_bundle(data, native=True)
            opened.replay(record.golden)
        except BadBundle:
            refused += 1
    # A pickle before the zip and one in the place of native heads are bytes that nobody looks at.
    assert refused == 7
    code = pickle.dumps(trap)
    models, readings = FileModelStore(tmp_path / "store"), FileReadingStore(tmp_path / "store")
    models.put_record(record)
    readings.put(tiny.minute_table().rows(0, 10))
    for path in (tmp_path / "store").rglob("*.*"):
        path.write_bytes(code)
    (tmp_path / "store" / "serving.json").write_bytes(code)
    for read in (
        models.manifest,
        lambda: models.record(record.bundle),
        lambda: readings.latest("house", 60),
        lambda: record_from_json(code),
        lambda: manifest_from_json(code),
        lambda: MeterTable.from_bytes(code),
        lambda: MeterTable.from_bytes(object_array(trap)),
    ):
        with pytest.raises(WattcastError):
            read()
    assert not mark.exists()


def test_original_fault_4_the_trap_is_a_trap(tmp_path: Path) -> None:
    """The promise above is worth something: unpickled, the trap springs."""
    pickle.loads(pickle.dumps(Trap(tmp_path / "code-ran")))
    assert (tmp_path / "code-ran").exists()
    assert zipfile.is_zipfile(io.BytesIO(object_array(Trap(tmp_path))))
