"""The heads serve trees and nothing else: whatever the bytes are, they give a working graph or one refusal."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import tiny
from graphs import GRAPH, REFUSED, changed, external, field, ort_format
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from wattcast.errors import BadBundle
from wattcast.forecasting.bundle import open_bundle
from wattcast.forecasting.heads import Heads

ROWS = np.array([[0.2, 9.0], [0.8, 9.0], [np.nan, 9.0]], dtype=np.float32)


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
