"""What BentoML serves; it runs in the environment of the rivals.

`Heads` is the fastest of what it offers: our ONNX graph, an asynchronous call of plain lists, no log line for a request, no metrics.
`Usual` is what its documentation shows: the learner's own models, a call of arrays, and its own defaults.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import bentoml
import lightgbm
import numpy as np
import onnxruntime

MODELS = Path(os.environ["SERVED_MODELS"])


@bentoml.service(workers=1, logging={"access": {"enabled": False}}, metrics={"enabled": False})
class Heads:
    """The mean and the quantiles of each row of features."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.graph = onnxruntime.InferenceSession(str(MODELS / "heads.onnx"), options)

    @bentoml.api
    async def predict(self, features: list[Any]) -> dict[str, Any]:
        """Shape (rows, heads)."""
        return {"heads": self.graph.run(None, {"features": np.asarray(features, dtype=np.float32)})[0].tolist()}


@bentoml.service(workers=1)
class Usual:
    """The same of the learner's own models."""

    def __init__(self) -> None:
        self.models = [lightgbm.Booster(model_file=str(path)) for path in sorted(MODELS.glob("head-*.txt"))]

    @bentoml.api
    def predict(self, features: np.ndarray) -> np.ndarray:
        """Shape (rows, heads)."""
        return np.stack([model.predict(features, num_threads=1) for model in self.models], axis=1)
