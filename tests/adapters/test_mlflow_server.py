"""A real MLflow server: its own page in a real browser shows a run with its baselines and plots, and it may stop in the middle."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest
import tiny
from playwright.sync_api import Browser, expect

from wattcast.adapters.mlflow import MlflowRegistry
from wattcast.adapters.model_store import FileModelStore
from wattcast.adapters.plots import draw
from wattcast.adapters.tracking import track
from wattcast.config import Settings
from wattcast.errors import Unavailable
from wattcast.forecasting.backtest import first_test_row, scored_test
from wattcast.forecasting.bundle import open_bundle
from wattcast.forecasting.registry import Slot
from wattcast.forecasting.runs import PipelineRun

pytestmark = pytest.mark.system
PLOT = "XGBoostRegressor_next_minute_forecast_against_actual.png"
PLOT_WIDTH = 480
PATIENCE_MS = 60_000


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, int]]:
    """The address of an MLflow server of the test's own, and its process group."""
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    words += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--artifacts-destination", str(folder / "artifacts")]
    variables = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(words, cwd=folder, env=variables, stdout=log, stderr=log, start_new_session=True)
        try:
            wait_for(f"http://127.0.0.1:{port}", process, folder / "log")
            yield f"http://127.0.0.1:{port}", process.pid
        finally:
            process.terminate()
            process.wait(timeout=60)


def wait_for(address: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until it answers, for two minutes at most."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            urlopen(f"{address}/health", timeout=5).close()
        except (URLError, OSError):
            time.sleep(0.1)
        else:
            return
    pytest.fail(log.read_text())


@pytest.fixture
def run(tmp_path: Path) -> PipelineRun:
    """A run that made two families' bundles, with the plots of one."""
    bundles = [tiny.bundle("next_minute", family) for family in ("xgb", "lgbm")]
    opened, table = open_bundle(bundles[0]), tiny.minute_table()
    first = first_test_row(table, tiny.TRAIN_SHARE)
    rows = scored_test({"": opened.models[0]}, table, first, opened.manifest.baselines, tiny.LEVELS)[""]
    draw(tmp_path / "plots", "XGBoostRegressor_next_minute", "XGBoost Regressor, next_minute", rows)
    plots = {path.name: path.read_bytes() for path in (tmp_path / "plots").iterdir()}
    return tiny.pipeline_run(*bundles, plots=plots, at="2010-03-01T12:30:00+00:00")


def test_mlflows_page_shows_the_run(
    server: tuple[str, int], run: PipelineRun, chromium: Browser, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """The list has the run; the run a family's error beside the baseline's, and the plot is drawn; the model its champion and verdicts."""
    address, store, said = server[0], FileModelStore(tmp_path / "store"), list[str]()
    ids = [store.put_bundle(tiny.bundle("next_minute", family)) for family in ("xgb", "lgbm")]
    families = dict(zip(("xgb", "lgbm"), ids, strict=True))
    slot = Slot("next_minute", "house", 60, 1, tiny.LEVELS, ("persistence",), families, ids[0], vetoed={"lgbm": "it lost"})
    track(Settings(mlflow=address), store, run, [slot], said.append)
    assert (said, *capfd.readouterr()) == ([], "", "")

    page = chromium.new_page(viewport={"width": 1600, "height": 1200})
    expect.set_options(timeout=PATIENCE_MS)
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{address}/#/experiments/1/runs")
    page.get_by_text("house 2010-03-01T12:30").first.click()
    for name in ("next_minute.lgbm.mae", "next_minute.persistence.mae", "next_minute.xgb.mae"):
        expect(page.get_by_text(name, exact=True).first).to_be_visible()
    page.screenshot(path=tmp_path / "run.png")
    page.goto(f"{re.sub(r'[?].*', '', page.url)}/artifacts/plots/{PLOT}")
    page.wait_for_function(f"[...document.images].some(image => image.naturalWidth === {PLOT_WIDTH})")
    page.screenshot(path=tmp_path / "plot.png")
    for number, said_of_it in ((1, "@ champion"), (2, "vetoed: it lost")):
        page.goto(f"{address}/#/models/wattcast.house.next_minute/versions/{number}")
        expect(page.get_by_text(said_of_it).first).to_be_visible()
    page.screenshot(path=tmp_path / "model.png")
    page.close()


def test_a_server_that_stops_while_a_bundle_is_sent_is_left_alone(server: tuple[str, int], run: PipelineRun) -> None:
    """It was well until then: the seconds without an answer count, not those that so large a bundle may take."""
    address, group = server

    def last_request(_: str) -> bytes:
        os.killpg(group, signal.SIGSTOP)
        return bytes(50_000_000)

    meter = "stopped-house"
    made = tuple((manifest, replace(record, meter=meter)) for manifest, record in run.made)
    try:
        with pytest.raises(Unavailable, match="gave no answer in 3 s"):
            MlflowRegistry(address, last_request).log_run(replace(run, meter=meter, made=made))
    finally:
        os.killpg(group, signal.SIGCONT)
