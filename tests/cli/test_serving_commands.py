"""`wattcast run` and `wattcast serve`: from the console to an answer over HTTP."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from small_project import Trained, command, environment, in_process, wattcast


@contextmanager
def serving(folder: Path, *words: str) -> Iterator[tuple[str, list[str]]]:
    """The command until it says that it is ready: its address and its lines; then Ctrl-C, and exit 0."""
    pipes: dict[str, int] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command(*words), cwd=folder, env=environment(), text=True, **pipes) as run:
        watchdog = threading.Timer(120, run.kill)
        watchdog.start()
        assert run.stdout is not None
        lines = []
        for line in run.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith("ready: "):
                break
        try:
            assert lines[-1].startswith("ready: "), lines
            yield lines[-1].split()[1].rstrip(","), lines
        finally:
            run.send_signal(signal.SIGINT)
            lines += run.stdout.read().splitlines()
            watchdog.cancel()
    assert run.returncode == 0
    assert lines[-1] == "stopped"
    assert "Traceback" not in "".join(lines)


def get(address: str, path: str) -> tuple[int, bytes]:
    """Status and body."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(address + path, timeout=30) as response:
        return response.status, response.read()


@pytest.fixture
def free_port() -> int:
    """A port where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def test_run_ends_with_a_service_that_answers(trained: Trained, free_port: int) -> None:
    """A second run: nothing has changed, the scorecard is printed, the page shows the meter of params.yaml."""
    with serving(trained.folder, "run", "--port", str(free_port)) as (address, lines):
        assert address == f"http://127.0.0.1:{free_port}"
        assert "nothing has changed: models and scores stand" in lines
        assert "# Scorecard of meter hours" in lines
        assert [get(address, path)[0] for path in ("/healthz", "/readyz")] == [200, 200]
        assert b"hours" in get(address, "/")[1]


def test_serve_takes_its_store_and_its_meter_from_options(trained: Trained, tmp_path: Path) -> None:
    """From any folder, for any registered meter, on a port of its own choice."""
    with serving(tmp_path, "serve", "--port", "0", "--store", str(trained.folder / "store"), "--meter", "minutes") as (address, lines):
        assert "(meter minutes" in lines[-1]
        assert json.loads(get(address, "/readyz")[1])["meters"] == ["hours", "minutes"]


@pytest.mark.parametrize("command", ["run", "serve"])
def test_a_busy_port_that_was_asked_for_is_one_line(command: str, trained: Trained) -> None:
    """The port is named, exit 1; `run` says so before it works."""
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        told = wattcast(trained.folder, command, "--port", port)
    assert (told.returncode, told.stdout) == (1, "")
    error, hint = told.stderr.splitlines()
    assert error.startswith("error: ")
    assert port in error
    assert hint.startswith("hint: ")


def test_a_setting_of_the_environment_that_cannot_be_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """WATTCAST_PORT=abc: the variable is named."""
    monkeypatch.setenv("WATTCAST_PORT", "abc")
    told = in_process(tmp_path, "serve")
    assert told.returncode == 1
    assert told.stderr.startswith("error: WATTCAST_PORT=abc")
