"""MLflow holds what a run made, and one that is dead, hangs or dies costs a warning."""

from __future__ import annotations

import os
import re
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import tiny

from wattcast.adapters.mlflow import MlflowRegistry
from wattcast.adapters.model_store import FileModelStore
from wattcast.adapters.tracking import track
from wattcast.config import Settings
from wattcast.errors import Unavailable
from wattcast.forecasting.registry import Slot

# Of MLflow's own tables, as SQLAlchemy sees them.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
PNG = b"\x89PNG\r\n\x1a\n"
MINUTE = ("next_minute", "house")


def slot(*bundles: str, champion: str) -> Slot:
    """Who answers for the next minute."""
    families = dict(zip(("xgb", "lgbm"), bundles, strict=True))
    return Slot(*MINUTE, 60, 1, tiny.LEVELS, ("persistence",), families, champion, vetoed={"lgbm": "it lost"})


def unused(_: str) -> bytes:
    """The bytes of a bundle that nobody should ask for."""
    raise AssertionError


@contextmanager
def nobody() -> Iterator[str]:
    """A port where nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def black_hole() -> Iterator[str]:
    """A server that takes every connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@contextmanager
def dying() -> Iterator[str]:
    """A server that is well, and then says nothing more."""
    over = threading.Event()

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if self.path != "/health":
                over.wait()
            self.send_response(200)
            self.end_headers()

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Health) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        over.set()
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("server", "why"),
    [
        (nobody, r"cannot be used \(\[Errno \d+\] Connection refused\)"),
        (black_hole, "gave no answer in 2 s"),
        (dying, "gave no answer in 3 s"),
    ],
)
def test_a_server_that_does_not_answer_is_one_warning(server: Callable[[], Iterator[str]], why: str, tmp_path: Path) -> None:
    """Dead, hanging or dying: it says what, where and what to do, without the password, after seconds that are said."""
    said: list[str] = []
    with server() as address:  # type: ignore[attr-defined]
        settings = Settings(mlflow=f"http://name:secret@{address}")
        track(settings, FileModelStore(tmp_path), tiny.pipeline_run(tiny.bundle()), [], said.append)
    (line,) = said
    assert re.match(f"warning: MLflow at http://{address} {why}; the models are registered all the same", line)
    assert line.endswith("\nhint: start it, or correct WATTCAST_MLFLOW or unset it")
    assert "secret" not in line


def test_without_the_setting_only_the_store_knows(tmp_path: Path) -> None:
    """No word, and no file but those of the store's own registry."""
    track(Settings(), FileModelStore(tmp_path), tiny.pipeline_run(tiny.bundle()), [], pytest.fail)
    assert [path.name for path in tmp_path.iterdir() if path.name != ".lock"] == ["registry"]


def test_without_mlflow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A setting without the library is a refusal with the way out."""
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(Unavailable, match="not installed") as refusal:
        MlflowRegistry(f"sqlite:///{tmp_path / 'mlflow.db'}", unused).versions(*MINUTE)
    assert "wattcast[tracking]" in refusal.value.hint


def test_a_file_that_is_none_of_mlflows_is_refused(tmp_path: Path) -> None:
    """What lies there is not written over."""
    path = tmp_path / "mlflow.db"
    path.write_bytes(b"something else, " * 100)
    with pytest.raises(Unavailable, match="cannot be used"):
        MlflowRegistry(f"sqlite:///{path}", unused).versions(*MINUTE)
    assert path.read_bytes() == b"something else, " * 100


def test_a_run_is_there_with_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Scores beside baselines, settings, revisions, plots, and the very bundles, each a version with its verdict; MLflow says nothing."""
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "77")
    bundles = [tiny.bundle("next_minute", family) for family in ("xgb", "lgbm")]
    store, uri, said = FileModelStore(tmp_path / "store"), f"sqlite:///{tmp_path / 'mlflow.db'}", list[str]()
    ids = [store.put_bundle(data) for data in bundles]
    run = tiny.pipeline_run(*bundles, plots={"XGBoostRegressor_next_minute_residuals.png": PNG})
    track(Settings(mlflow=uri), store, run, [slot(*ids, champion=ids[0])], said.append)
    assert (said, *capfd.readouterr()) == ([], "", "")
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "77"

    from mlflow import MlflowClient  # noqa: PLC0415 (seconds)

    client = MlflowClient(uri, uri)
    (found,) = client.search_runs([client.get_experiment_by_name("wattcast.house").experiment_id])
    score = run.made[1][1].tests["history"]
    metrics = found.data.metrics
    assert metrics["next_minute.lgbm.mae"] == score.mae
    assert metrics["next_minute.persistence.mae"] == score.baselines["persistence"]["mae"]
    assert metrics["next_minute.lgbm.skill_mae"] == score.skill["mae"]
    assert metrics.keys() >= {"next_minute.one_reading.xgb.rmse", "next_minute.one_reading.persistence.rmse"}
    assert found.data.params["next_minute.lgbm.num_leaves"] == str(tiny.SETTINGS["lgbm"]["num_leaves"])
    assert found.data.tags.items() >= {"git": "abc123", "dvc": "f00d.dir", "mlflow.user": "tests", "next_minute.xgb": ids[0]}.items()
    assert found.info.status == "FINISHED"

    def artifact(path: str) -> bytes:
        return Path(client.download_artifacts(found.info.run_id, path, str(tmp_path))).read_bytes()

    assert artifact("plots/XGBoostRegressor_next_minute_residuals.png") == PNG
    for bundle_id, family, data, verdict in zip(ids, ("xgb", "lgbm"), bundles, ("champion", "vetoed: it lost"), strict=True):
        assert artifact(f"bundles/next_minute/{family}/{bundle_id}.wattcast") == data
        (version,) = client.search_model_versions(f"name = 'wattcast.house.next_minute' and tags.bundle = '{bundle_id}'")
        assert version.run_id == found.info.run_id
        assert (version.tags["family"], version.tags["verdict"]) == (family, verdict)
    assert MlflowRegistry(uri, unused).aliased(*MINUTE) == {"champion": ids[0]}


def test_a_champion_that_was_never_logged_is_called_nothing(tmp_path: Path) -> None:
    """Who answers may be older than MLflow: then nobody there is called champion, rather than the wrong one."""
    store, uri = FileModelStore(tmp_path / "store"), f"sqlite:///{tmp_path / 'mlflow.db'}"
    ids = [store.put_bundle(tiny.bundle("next_minute", family)) for family in ("xgb", "lgbm")]
    for champion in (ids[0], "0" * 64):
        run = tiny.pipeline_run(tiny.bundle("next_minute", "xgb"), tiny.bundle("next_minute", "lgbm"))
        track(Settings(mlflow=uri), store, run, [slot(*ids, champion=champion)], pytest.fail)
    assert MlflowRegistry(uri, unused).aliased(*MINUTE) == {}
