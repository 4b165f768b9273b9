"""What MLflow's server is given; it runs in the environment of the rivals. `python rival_mlflow.py FOLDER` saves both models there.

`graph`: our ONNX graph, asked by tensors without a signature, the least that its server can do. `usual`: the learner's own models, asked
by named columns with a signature, as MLflow's documentation shows it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import lightgbm
import mlflow
import numpy as np
import onnxruntime
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema


class Heads(mlflow.pyfunc.PythonModel):
    """The mean and the quantiles of each row of features."""

    def load_context(self, context: Any) -> None:
        """Open the graph, or one model of the learner for each head."""
        files = dict(context.artifacts)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self.graph = onnxruntime.InferenceSession(files["graph"], options) if "graph" in files else None
        self.models = [lightgbm.Booster(model_file=files[name]) for name in sorted(files) if name != "graph"]

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:  # noqa: ARG002 (MLflow's)
        """Shape (rows, heads)."""
        if self.graph is not None:
            return self.graph.run(None, {"features": np.asarray(model_input, dtype=np.float32)})[0]
        return np.stack([model.predict(model_input, num_threads=1) for model in self.models], axis=1)


def save(folder: Path) -> None:
    """Save both models."""
    pinned = {"python_model": __file__, "pip_requirements": ["lightgbm", "numpy", "onnxruntime"]}
    mlflow.pyfunc.save_model(str(folder / "graph"), artifacts={"graph": str(folder / "heads.onnx")}, **pinned)
    heads = {path.stem: str(path) for path in sorted(folder.glob("head-*.txt"))}
    names = (folder / "features.txt").read_text("utf-8").splitlines()
    signature = ModelSignature(inputs=Schema([ColSpec("double", name) for name in names]))
    mlflow.pyfunc.save_model(str(folder / "usual"), artifacts=heads, signature=signature, **pinned)


if __name__ == "__main__":
    save(Path(sys.argv[1]))
else:
    mlflow.models.set_model(Heads())
