"""The heads of a model as they serve: one ONNX graph, checked before ONNX Runtime sees it. Numpy and onnxruntime only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from wattcast.errors import BadBundle

Matrix = npt.NDArray[np.float32]

_HEADS = ("heads",)
_HINT = "train it again: a model file of ours holds trees, a linear part, or both, and nothing else"
# Field numbers of onnx.proto3: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3
_MODEL_GRAPH, _MODEL_FUNCTIONS, _GRAPH_NODE, _NODE_OP_TYPE, _NODE_DOMAIN = 7, 25, 1, 4, 7
_GRAPH_INITIALIZERS = (5, 15)
# What `graph.to_onnx` writes, each at most once.
_OPERATORS = {("ai.onnx.ml", "TreeEnsembleRegressor"), ("ai.onnx.ml", "Imputer"), ("ai.onnx.ml", "LinearRegressor"), ("", "Sum")}
_LARGEST_KEY, _MOST_FIELDS = 0xFFFFFFFF, 1_000
# Protobuf keeps strings as they are, so what is named is found by its name: tensors of an attribute, and data in files beside the model.
_TENSOR_NAMES = (b"_as_tensor", b"location")


# How closely forecasts that should be the same agree: in kW, and of loads beyond 100 kW that share of the largest, for heads are float32.
AGREEMENT_KW, _AGREEMENT_SHARE = 1e-4, 1e-6


def disagreement(one: npt.NDArray[Any], other: npt.NDArray[Any]) -> float:
    """How far apart forecasts of the same rows lie at most, kW; 0 where that is no more than rounding. NaN is as far as can be."""
    furthest = float(np.max(np.abs(one - other), initial=0.0))
    allowed = max(AGREEMENT_KW, _AGREEMENT_SHARE * float(np.max(np.abs(other), initial=0.0)))
    return 0.0 if furthest <= allowed else furthest


class Heads:
    """A graph ready to answer. Raises BadBundle when the bytes are no graph of ours."""

    def __init__(self, graph: bytes, *, threads: int = 1) -> None:
        _refuse_foreign(graph)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = threads
        options.log_severity_level = 4
        # Trees need no arena of working memory, which would cost each worker some megabytes a graph.
        options.enable_cpu_mem_arena = options.enable_mem_pattern = False
        # Its own format has a mark that a file can carry beside an ONNX graph, and holds what was not looked at here.
        options.add_session_config_entry("session.load_model_format", "ONNX")
        try:
            self._session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"], enable_fallback=0)
        except Exception as cause:  # ONNX Runtime has no common base class for what it raises
            raise BadBundle(f"ONNX Runtime refuses the graph ({' '.join(str(cause).split())[:200]})", _HINT) from cause
        # The session keeps the graph's bytes for a fallback that is off here.
        self._session._model_bytes = None
        self.features = _width(self._session.get_inputs(), "features")
        self.heads = _width(self._session.get_outputs(), "heads")
        try:
            self(np.zeros((1, self.features), dtype=np.float32))
        except Exception as cause:  # as above: some faults of a graph show only when it runs
            raise BadBundle(f"the graph does not run ({' '.join(str(cause).split())[:200]})", _HINT) from cause

    def __call__(self, matrix: Matrix) -> Matrix:
        """The heads of each row, shape (rows, heads). matrix: float32, shape (rows, features), NaN = not known."""
        return np.asarray(self._session.run(_HEADS, {"features": matrix})[0], dtype=np.float32)


def _width(ports: list[Any], name: str) -> int:
    """The number of columns of the one matrix that a graph takes or gives. Raises BadBundle where it is another or has no fixed width."""
    match [(port.name, port.type, port.shape) for port in ports]:
        case [(found, "tensor(float)", [_, int(width)])] if found == name:
            return width
        case others:
            raise BadBundle(f"the graph's {name} are not one matrix of numbers but {others}", _HINT)


def _refuse_foreign(graph: bytes) -> None:
    """Raise BadBundle unless the graph is the few standard operators of ours, with no function, no tensor and so no external data."""
    try:
        model = list(_fields(graph))
        graphs = [value for number, value in model if number == _MODEL_GRAPH]
        inside = [field for value in graphs for field in _fields(value)]
        nodes = [dict(_fields(value)) for number, value in inside if number == _GRAPH_NODE]
        operators = {(node.get(_NODE_DOMAIN, b"").decode(), node.get(_NODE_OP_TYPE, b"").decode()) for node in nodes}
    except (IndexError, ValueError) as cause:
        raise BadBundle("the heads are not an ONNX graph", _HINT) from cause
    if not nodes or not operators <= _OPERATORS or len(nodes) != len(operators):
        raise BadBundle(f"the graph holds operators that no model file of ours has: {sorted(operators)}", _HINT)
    tensors = any(number in _GRAPH_INITIALIZERS for number, _ in inside) or any(name in graph for name in _TENSOR_NAMES)
    if tensors or any(number == _MODEL_FUNCTIONS for number, _ in model):
        raise BadBundle("the graph holds tensors or functions beside its operators (external data could hide there)", _HINT)


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """The fields of one protobuf message, not descended into: number and bytes (empty for numbers, which no check here needs)."""
    at = count = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        count += 1
        # Longer keys are cut by protobuf and would hide a field from us; no message of ours is read here that has many fields.
        if not 0 < number <= _LARGEST_KEY >> 3 or count > _MOST_FIELDS:
            raise ValueError("a field has no number, or there are too many")
        if kind == 2:
            size, at = _varint(message, at)
            if at + size > len(message):
                raise ValueError("a field reaches past its message")
            yield number, message[at : at + size]
            at += size
        else:
            at = _varint(message, at)[1] if kind == 0 else at + {1: 8, 5: 4}.get(kind, len(message) + 1)
            if at > len(message):
                raise ValueError("a field reaches past its message")
            yield number, b""


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number is longer than ten bytes")
