"""MLflow: runs of the pipeline with scores, baselines and plots, and every bundle as a version of `wattcast.METER.TASK`."""

from __future__ import annotations

import os
import re
import ssl
import tempfile
import threading
from collections.abc import Callable
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from wattcast.errors import NotFound, Unavailable
from wattcast.forecasting.bundle import SUFFIX, Manifest
from wattcast.forecasting.registry import Record
from wattcast.forecasting.runs import PipelineRun
from wattcast.ports import Alias

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion

T = TypeVar("T")

# A server that does not answer costs one knock, one that stops answering one call; an upload may take longer by its size.
_KNOCK_S, _CALL_S, _BYTES_PER_S = 2.0, 3.0, 500_000
# Making or upgrading the tables of a file takes seconds.
_FILE_CALL_S = 120.0
# MLflow's own waits for minutes and tries again; who sets these has a reason.
_SET_UNLESS_SET = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "3",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "ERROR",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}
_MOST_PARAMS, _MOST_VERSIONS = 100, 10_000


class MlflowRegistry:
    """Runs, versions, aliases and verdicts at an MLflow server (http://HOST:PORT) or in its own file (sqlite:///FILE).

    bundle_of: the bytes of a bundle. Every method raises Unavailable where MLflow is not installed, or a call has no answer in time.
    """

    def __init__(self, uri: str, bundle_of: Callable[[str], bytes]) -> None:
        self._uri, self._bundle_of = uri, bundle_of
        self._patience_s = _CALL_S if uri.startswith("http") else _FILE_CALL_S
        self._opened: MlflowClient | None = None

    def log_run(self, run: PipelineRun) -> None:
        """Keep a run: settings as parameters, scores beside baselines as metrics, plots and new bundles as artifacts."""
        began_ms = int(datetime.fromisoformat(run.at).timestamp() * 1_000)
        tags = {"mlflow.user": run.by, "git": run.revision, "dvc": run.readings, "meter": run.meter}
        tags |= {f"{record.task}.{record.family}": record.bundle for _, record in run.made}
        experiment = self._experiment(f"wattcast.{run.meter}")
        run_id = self._ask("create_run", experiment, began_ms, tags, f"{run.meter} {run.at[:16]}").info.run_id
        self._log_values(run_id, run, began_ms)
        with tempfile.TemporaryDirectory(prefix="wattcast-mlflow-") as folder:
            for name, data in run.plots.items():
                self._upload(run_id, Path(folder) / name, data, "plots")
            for manifest, record in run.made:
                if record.bundle not in self.versions(record.task, record.meter):
                    place = f"bundles/{record.task}/{record.family}"
                    self._upload(run_id, Path(folder) / f"{record.bundle}{SUFFIX}", self._bundle_of(record.bundle), place)
                    self._add_version(run_id, place, manifest, record)
        self._ask("set_terminated", run_id)

    def versions(self, task: str, meter: str) -> list[str]:
        """The bundles that were logged, the oldest first."""
        return list(dict.fromkeys(version.tags["bundle"] for version in self._found(task, meter)))

    def point(self, task: str, meter: str, alias: Alias, bundle: str) -> None:
        """Call this version so, and no other. Raises NotFound."""
        name = _name(task, meter)
        if bundle:
            self._ask("set_registered_model_alias", name, alias, self._version(task, meter, bundle).version)
        elif alias in self.aliased(task, meter):
            self._ask("delete_registered_model_alias", name, alias)

    def aliased(self, task: str, meter: str) -> dict[str, str]:
        """Alias -> the bundle that is called so."""
        try:
            aliases = self._ask("get_registered_model", _name(task, meter)).aliases
        except NotFound:
            return {}
        # A number is text at a server and a number in a file.
        bundles = {str(version.version): version.tags["bundle"] for version in self._found(task, meter)}
        return {alias: bundles[str(number)] for alias, number in aliases.items() if str(number) in bundles}

    def judge(self, task: str, meter: str, bundle: str, verdict: str) -> None:
        """Keep these words as the verdict on a version. Raises NotFound."""
        self._ask("set_model_version_tag", _name(task, meter), str(self._version(task, meter, bundle).version), "verdict", verdict)

    def verdict(self, task: str, meter: str, bundle: str) -> str:
        """The words kept. Raises NotFound."""
        return str(self._version(task, meter, bundle).tags.get("verdict", ""))

    def _found(self, task: str, meter: str) -> list[ModelVersion]:
        """Our versions, the oldest first: others may keep theirs there too."""
        found = self._ask("search_model_versions", f"name = '{_name(task, meter)}'", _MOST_VERSIONS)
        return sorted((version for version in found if "bundle" in version.tags), key=lambda version: int(version.version))

    def _version(self, task: str, meter: str, bundle: str) -> ModelVersion:
        # Where two logged a bundle at once it has two versions, of which the first counts.
        for version in self._found(task, meter):
            if version.tags["bundle"] == bundle:
                return version
        raise NotFound(f"bundle {bundle[:12]} was never logged", "log the run of the pipeline that made it first")

    def _experiment(self, name: str) -> str:
        there = self._ask("get_experiment_by_name", name)
        if there is not None:
            return str(there.experiment_id)
        place = None
        if self._uri.startswith("sqlite"):
            # Without a server artifacts would land in the folder that we happen to be in.
            place = (Path(self._uri.removeprefix("sqlite:///")).resolve().parent / "mlartifacts").as_uri()
        return str(self._ask("create_experiment", name, place))

    def _log_values(self, run_id: str, run: PipelineRun, at_ms: int) -> None:
        from mlflow.entities import Metric, Param  # noqa: PLC0415 (an extra, and seconds to load)

        metrics = [Metric(name, value, at_ms, 0) for name, value in run.figures().items()]
        self._ask("log_batch", run_id, metrics=metrics)
        params = [Param(name, value) for name, value in run.settings().items()]
        for first in range(0, len(params), _MOST_PARAMS):
            self._ask("log_batch", run_id, params=params[first : first + _MOST_PARAMS])

    def _upload(self, run_id: str, path: Path, data: bytes, place: str) -> None:
        path.write_bytes(data)
        self._ask("log_artifact", run_id, str(path), place, extra_s=len(data) / _BYTES_PER_S)

    def _add_version(self, run_id: str, place: str, manifest: Manifest, record: Record) -> None:
        name = _name(record.task, record.meter)
        tags = {"bundle": record.bundle, "family": record.family, "git": record.revision, "data": manifest.data_sha256}
        try:
            self._ask("get_registered_model", name)
        except NotFound:
            self._ask("create_registered_model", name)
        self._ask("create_model_version", name, f"runs:/{run_id}/{place}", run_id, tags, await_creation_for=0)

    def _ask(self, call: str, *args: Any, extra_s: float = 0.0, **named: Any) -> Any:
        """One call of MLflow's client. Raises NotFound where what it asks for is not there."""
        client = self._client()
        return self._in_time(lambda: getattr(client, call)(*args, **named), self._patience_s + extra_s)

    def _client(self) -> MlflowClient:
        if self._opened is None:
            if self._uri.startswith("http"):
                # Before the seconds that MLflow takes to load.
                self._in_time(lambda: _knock(self._uri), _KNOCK_S)
            for name, value in _SET_UNLESS_SET.items():
                os.environ.setdefault(name, value)
            try:
                from mlflow import MlflowClient  # noqa: PLC0415 (an extra, and seconds to load)
            except ImportError as cause:
                raise Unavailable("MLflow is not installed, and WATTCAST_MLFLOW is set", 'pip install "wattcast[tracking]"') from cause
            self._opened = self._in_time(lambda: MlflowClient(self._uri, self._uri), self._patience_s)
        return self._opened

    def _in_time(self, work: Callable[[], T], seconds: float) -> T:
        """What the work gives, done in a thread that is left to itself when the time is over."""
        done: Future[T] = Future()

        def do() -> None:
            try:
                done.set_result(work())
            except Exception as error:  # noqa: BLE001 (raised again below)
                done.set_exception(error)

        threading.Thread(target=do, daemon=True).start()
        try:
            return done.result(seconds)
        except Exception as cause:  # MLflow, requests, urllib, SQLAlchemy and boto3 have no common base class for what they raise
            if getattr(cause, "error_code", "") == "RESOURCE_DOES_NOT_EXIST":
                raise NotFound(f"MLflow does not know it: {cause}") from cause
            raise self._unavailable(cause, seconds) from cause

    def _unavailable(self, cause: Exception, seconds: float) -> Unavailable:
        said = " ".join(str(getattr(cause, "reason", cause)).replace(self._uri, _shown(self._uri)).split())
        waited_s = seconds if isinstance(cause, TimeoutError) else _CALL_S if "timed out" in said else 0.0
        why = f"gave no answer in {waited_s:.0f} s" if waited_s else f"cannot be used ({said[:200] or type(cause).__name__})"
        return Unavailable(f"MLflow at {_shown(self._uri)} {why}", "start it, or correct WATTCAST_MLFLOW or unset it")


def _name(task: str, meter: str) -> str:
    return f"wattcast.{meter}.{task}"


def _shown(uri: str) -> str:
    """The address without a name and a password that may stand in it."""
    return re.sub(r"//[^/]*@", "//", uri)


def _knock(uri: str) -> None:
    """Return once a server answers, whatever it says. Raises OSError, HTTPException."""
    try:
        urlopen(f"{_shown(uri).rstrip('/')}/health", timeout=_KNOCK_S).close()  # noqa: S310 (a setting, which begins with http)
    except HTTPError as refusal:
        refusal.close()
    except URLError as cause:
        # Whose certificates count is MLflow's to say.
        if not isinstance(cause.reason, ssl.SSLError):
            raise
