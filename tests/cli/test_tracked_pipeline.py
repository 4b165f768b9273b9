"""The register stage with an MLflow: what it made is there; without one that answers, everything but that."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from small_project import environment
from test_pipeline_command import models

pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")


def register(folder: Path, mlflow: str) -> subprocess.CompletedProcess[str]:
    """The register stage, as DVC starts it, over an empty store."""
    shutil.rmtree(folder / "store", ignore_errors=True)
    words = [sys.executable, "-m", "wattcast.stages.register"]
    variables = environment(WATTCAST_MLFLOW=mlflow)
    return subprocess.run(words, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=300)


def test_a_server_that_hangs_costs_no_model(copy: Path) -> None:
    """It takes the connection and never answers: exit 0, one warning with its hint, the models are served, and nothing waits at the end."""
    before = models(copy)["hours"]
    with socket.create_server(("127.0.0.1", 0)) as hole:
        told = register(copy, f"http://127.0.0.1:{hole.getsockname()[1]}")
    assert told.returncode == 0
    assert told.stdout.startswith("registered meter hours")
    assert told.stderr.startswith("warning: MLflow at http://127.0.0.1:")
    assert told.stderr.count("\n") == 2
    assert models(copy)["hours"] == before


def test_what_the_pipeline_made_is_in_mlflow(copy: Path, tmp_path: Path) -> None:
    """A run with every family's score beside every baseline's, every plot, DVC's hash of the readings, and the champion that serves."""
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    told = register(copy, uri)
    assert (told.returncode, told.stderr) == (0, "")

    from mlflow import MlflowClient  # noqa: PLC0415 (seconds)

    client = MlflowClient(uri, uri)
    (run,) = client.search_runs([client.get_experiment_by_name("wattcast.hours").experiment_id])
    for forecaster in ("xgb", "lgbm", "blend", "mean_7_days", "daily_naive", "persistence"):
        assert run.data.metrics[f"day_ahead.{forecaster}.mae"] > 0
    lock = yaml.safe_load((copy / "dvc.lock").read_text())
    assert run.data.tags["dvc"] == lock["stages"]["preprocess"]["outs"][0]["md5"]
    plots = {path.name for path in (copy / "metrics" / "validation_plots").iterdir()}
    assert {Path(one.path).name for one in client.list_artifacts(run.info.run_id, "plots")} == plots
    champion = client.get_model_version_by_alias("wattcast.hours.day_ahead", "champion")
    assert champion.tags["bundle"] == models(copy)["hours"]["day_ahead"]["champion"]
