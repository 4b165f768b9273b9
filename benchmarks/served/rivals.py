"""MLflow's server and BentoML with the very heads that answer in ours, one worker each, for a next minute from one reading.

Both are spared what ours does besides: they get the features ready-made and put out what the heads say, without checks, calibration or
tiers. Each is asked twice: in the fastest way that it offers, on our ONNX graph and with its log lines off (ours are on), and in the way
that its documentation shows, on the learner's own models.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from environments import environment_of

from served.asked import Case, Known, answers_of, next_minute
from served.load import JSON, Request
from served.ours import real_service, variables
from served.rounds import Contender, Rounds, Say, in_turn
from served.servers import Server, free_port, gunicorn, started
from wattcast.adapters.model_store import FileModelStore
from wattcast.forecasting.bundle import open_bundle
from wattcast.forecasting.features import build_features

FAMILY = "lgbm"
NAMES = {
    "mlflow": "MLflow at its fastest: tensors, our graph",
    "mlflow_usual": "MLflow as documented: columns, LightGBM",
    "bentoml": "BentoML at its fastest: lists, our graph",
    "bentoml_usual": "BentoML as documented: arrays, LightGBM",
}
_ROWS = 32
_AGREEMENT_KW = 1e-4
_QUIET = {
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "BENTOML_DO_NOT_TRACK": "True",
    "UVICORN_ACCESS_LOG": "false",
    "UVICORN_LOG_LEVEL": "warning",
}


@dataclass(frozen=True)
class Against:
    """What came of the rounds, the memory of each contender's largest process and of all its processes, MB, and the rivals' versions."""

    rounds: Rounds
    memory_mb: Mapping[str, tuple[float, float]]
    versions: Mapping[str, str]


@dataclass(frozen=True)
class _Heads:
    """Heads in files below a folder, rows of features for them, and what they say to these."""

    folder: Path
    names: tuple[str, ...]
    rows: list[list[float]]
    outputs: np.ndarray


def load_rivals(known: Known, folder: Path, cache: Path, rounds: int, seconds: int, say: Say) -> Against:
    """Ours as shipped (behind gunicorn as bare Flask is, and as `wattcast serve`), MLflow and BentoML in turn.

    cache: where the environment of the rivals is kept.
    """
    say("  the environment of the rivals")
    python = environment_of(cache / "rivals", "rivals.txt", with_wattcast=False)
    heads = _exported(known, folder / "rivals")
    script = Path(__file__).with_name("rival_mlflow.py")
    subprocess.run([python, script, heads.folder], check=True, env=os.environ | _own(python, heads.folder), capture_output=True)
    with ExitStack() as servers:
        own, key = variables(known, folder, "against")
        ours = servers.enter_context(gunicorn("against", "shipped", folder, **own))
        case = next_minute(known, FAMILY).with_key(key)
        answers_of(ours, case, known)
        served, other_key = servers.enter_context(real_service(known, folder, "served"))
        turns = [Contender("ours", ours, case), Contender("served", served, next_minute(known, FAMILY).with_key(other_key))]
        for name, asked in _asked(heads).items():
            server = servers.enter_context(_rival(name, python, heads.folder, folder))
            _refuse_others(server, asked, heads)
            turns.append(Contender(name, server, Case(name, NAMES[name], asked)))
        found = in_turn({"next_minute": turns}, rounds, seconds, folder, say)
        return Against(found, {each.name: each.server.memory_mb() for each in turns}, _versions(python))


def _exported(known: Known, folder: Path) -> _Heads:
    """The heads of one reading: as our graph, and in the learner's own format."""
    folder.mkdir(parents=True)
    bundle = open_bundle(FileModelStore(known.store).bundle(known.slots["next_minute"].families[FAMILY]), native=True)
    model = bundle.models[-1]
    (folder / "heads.onnx").write_bytes(bundle.members[model.facts.graph])
    for number, name in enumerate(model.facts.native):
        (folder / f"head-{number}.txt").write_bytes(bundle.members[name])
    (folder / "features.txt").write_text("\n".join(model.facts.spec.names))
    table = known.tables["next_minute"]
    matrix = build_features(table, np.arange(len(table) - 20 * _ROWS, len(table)), model.facts.spec).matrix
    matrix = matrix[np.isfinite(matrix).all(axis=1)][-_ROWS:]
    return _Heads(folder, model.facts.spec.names, matrix.astype(float).tolist(), model.heads(matrix))


def _asked(heads: _Heads) -> dict[str, tuple[Request, ...]]:
    """The requests of each rival, one row of features in each."""

    def posts(path: str, body: Any) -> tuple[Request, ...]:
        return tuple(Request("POST", path, json.dumps(body([row])), JSON) for row in heads.rows)

    return {
        "mlflow": posts("/invocations", lambda rows: {"inputs": rows}),
        "mlflow_usual": posts("/invocations", lambda rows: {"dataframe_split": {"columns": heads.names, "data": rows}}),
        "bentoml": posts("/predict", lambda rows: {"features": rows}),
        "bentoml_usual": posts("/predict", lambda rows: {"features": rows}),
    }


def _rival(name: str, python: Path, models: Path, folder: Path) -> Any:
    port = free_port()
    address = ["--host", "127.0.0.1", "--port", str(port)]
    if name.startswith("bentoml"):
        service = "Heads" if name == "bentoml" else "Usual"
        command, ready = ["bentoml", "serve", f"served.rival_bentoml:{service}", *address], "/readyz"
    else:
        model = models / ("graph" if name == "mlflow" else "usual")
        command, ready = ["mlflow", "models", "serve", "-m", str(model), "--env-manager", "local", "--workers", "1", *address], "/ping"
    own = _own(python, models)
    return started(name, [str(python.with_name(command[0])), *command[1:]], folder, port=port, ready=ready, **own)


def _own(python: Path, models: Path) -> dict[str, str]:
    paths = {"PATH": f"{python.parent}:{os.environ['PATH']}", "SERVED_MODELS": str(models)}
    kept = {"MLFLOW_TRACKING_URI": f"sqlite:///{models / 'mlflow.db'}", "BENTOML_HOME": str(models / "bentoml")}
    return {**_QUIET, **paths, **kept}


def _refuse_others(server: Server, asked: Sequence[Request], heads: _Heads) -> None:
    """Exit unless it says what the heads say."""
    for request, expected in zip(asked, heads.outputs, strict=True):
        said = server.ask(request)
        answer = json.loads(said.body) if said.status == 200 else []
        got = np.array(answer if isinstance(answer, list) else next(iter(answer.values())), dtype=float).reshape(-1)
        if got.shape != expected.shape or not np.allclose(got, expected, rtol=0, atol=_AGREEMENT_KW):
            sys.exit(f"error: {server.name} does not say what our heads say: {said.status} {said.body[:500].decode(errors='replace')}")


def _versions(python: Path) -> dict[str, str]:
    ask = "import importlib.metadata as m; print(*(f'{n}=={m.version(n)}' for n in ('mlflow', 'bentoml', 'uvicorn', 'onnxruntime')))"
    said = subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout
    return dict(pin.split("==") for pin in said.split())
