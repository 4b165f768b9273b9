"""Servers as processes of their own: started, waited for, weighed and stopped. All of gunicorn's run with the same settings."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
from measure import environment

from served.load import Request

BENCHMARKS = Path(__file__).resolve().parents[1]
# gunicorn's heartbeat and the counts for Prometheus: in memory where there is some, as `wattcast serve` has them.
IN_MEMORY = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else Path(tempfile.gettempdir())
GUNICORN = ["-k", "sync", "-w", "1", "--threads", "1", "--log-level", "warning", "--no-control-socket"]
_READY_WITHIN_S = 120.0
_STOPPED_WITHIN_S = 15.0
_POLL_S = 0.005


@dataclass(frozen=True)
class Answer:
    """What a server said to one request."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Server:
    """A server that answers. process: the one that was started; ready_s: how long it took from its start to its first 200."""

    name: str
    port: int
    process: psutil.Process
    ready_s: float

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}"

    def ask(self, request: Request, wait_s: float = 300.0) -> Answer:
        """What it says to this request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=wait_s)
        try:
            connection.request(request.method, request.path, request.body or None, dict(request.headers))
            said = connection.getresponse()
            return Answer(said.status, {name.lower(): value for name, value in said.getheaders()}, said.read())
        finally:
            connection.close()

    def memory_mb(self) -> tuple[float, float]:
        """Proportional set size of the process of it that is largest, which is the worker, and of all of them together, MB."""
        sizes = [_pss(process) / 1e6 for process in (self.process, *self.process.children(recursive=True))]
        return max(sizes), sum(sizes)


@contextmanager
def started(name: str, command: Sequence[str], folder: Path, *, port: int, ready: str = "/readyz", **variables: str) -> Iterator[Server]:
    """A server that runs this command until it is left; what it says goes to a file in the folder. Exits where it does not get ready."""
    log = folder / f"{name}.log"
    began = time.perf_counter()
    with log.open("ab") as output:
        process = subprocess.Popen(
            command,
            cwd=BENCHMARKS,
            env=environment() | {"PYTHONPATH": str(BENCHMARKS)} | variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        server = Server(name, port, psutil.Process(process.pid), 0.0)
        while not _is_ready(server, ready):
            if process.poll() is not None or time.perf_counter() - began > _READY_WITHIN_S:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
                sys.exit(f"{tail}\nerror: {name} did not get ready: {' '.join(command)}")
            time.sleep(_POLL_S)
        yield Server(name, port, server.process, time.perf_counter() - began)
    finally:
        _stop(process)


@contextmanager
def gunicorn(name: str, app: str, folder: Path, ready: str = "/readyz", **variables: str) -> Iterator[Server]:
    """An app of `served.wsgi` behind gunicorn, with one synchronous worker and a place for its counts."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="served-counts-", dir=IN_MEMORY) as counts:
        heartbeat = ["--worker-tmp-dir", str(IN_MEMORY)]
        command = [sys.executable, "-m", "gunicorn", *GUNICORN, *heartbeat, "--bind", f"127.0.0.1:{port}", f"served.wsgi:{app}()"]
        with started(name, command, folder, port=port, ready=ready, PROMETHEUS_MULTIPROC_DIR=counts, **variables) as server:
            yield server


def free_port() -> int:
    """A port of the loopback that nobody listens on."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        return int(place.getsockname()[1])


def _is_ready(server: Server, path: str) -> bool:
    try:
        return server.ask(Request("GET", path), wait_s=5.0).status == 200
    except (OSError, http.client.HTTPException):
        return False


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to leave; what is left of its group then goes at once."""
    process.terminate()
    try:
        process.wait(_STOPPED_WITHIN_S)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _pss(process: psutil.Process) -> int:
    try:
        found = process.memory_full_info()
    except psutil.Error:
        return 0
    # Only Linux shares out what processes share.
    return int(getattr(found, "pss", found.uss))
