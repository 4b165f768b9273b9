"""gunicorn, run from Python: one master that imports no model, workers that load their own, and plain words on the console.

Threaded workers keep connections alive without a thread each; synchronous ones would drop them. Never `preload_app`: OpenMP libraries
and thread pools loaded before a fork hang after it (xgboost 8040, LightGBM 6137).
"""

from __future__ import annotations

import ctypes
import errno
import gc
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from gunicorn.app.base import BaseApplication

from wattcast.errors import Forbidden, Unavailable, WattcastError, explain
from wattcast.web.counting import MEMORY_FOLDER, forgotten, memory, place_for_counts
from wattcast.web.patience import PatientWorker, heard_out

if TYPE_CHECKING:
    from wattcast.config import Settings

Say = Callable[[str], None]

_PORTS_TRIED = 50
_BOOT_FAILED = 3
# So many objects more than before, and Python looks for those that only hold each other: a request leaves about ten.
_GARBAGE = 10_000
# malloc.h: blocks above this size go back to the system when they are freed.
_M_MMAP_THRESHOLD = -3
_LOCAL = ("127.0.0.1", "localhost", "0.0.0.0", "::1", "::")  # noqa: S104 (asked, not listened on)


def serve(settings: Settings, *, port_given: bool, say: Say) -> None:
    """Serve until SIGTERM or Ctrl-C. `say` gets one line when the first worker has loaded its models.

    Raises Unavailable where the port given is busy or the address cannot be had; a port not given moves on to the next free one.
    """
    refuse_strangers(settings)
    if settings.open and not settings.loopback:
        say(f"WARNING: WATTCAST_OPEN=1: everybody who reaches {settings.host} may read and delete everything")
    listener = _listen(settings, port_given=port_given, say=say)
    url = _url(settings.host, listener)
    master = os.getpid()
    # What is buffered now would be written once more by every worker.
    sys.stdout.flush()
    counts = place_for_counts()
    try:
        _Server(settings, listener.detach(), lambda app: _told(app, url, say)).run()
    except SystemExit as end:
        # Workers leave by this way too: what follows `serve` is the master's alone.
        if os.getpid() != master:
            raise
        shutil.rmtree(counts, ignore_errors=True)
        if end.code:
            raise SystemExit(1) from None


def refuse_strangers(settings: Settings) -> None:
    """Raise Forbidden where others than this machine could reach a service that asks nobody for a key."""
    if settings.loopback or settings.open:
        return
    from wattcast.adapters.database import Database, DatabaseKeys  # noqa: PLC0415 (a service of this machine alone needs no database yet)

    database = Database(settings.database_url)
    try:
        if not any(key.revoked_s is None for key in DatabaseKeys(database).all()):
            reached = f"{settings.host}{' behind a proxy' if settings.proxies else ''}"
            hint = "make one: wattcast serve --create-key (or wattcast keys create NAME --scope admin); WATTCAST_OPEN=1 asks nobody"
            raise Forbidden(f"listening on {reached} without a key would let everybody in", hint)
    finally:
        database.close()


def refuse_busy(settings: Settings) -> None:
    """Raise Unavailable where the port cannot be had: said before the work whose result it would serve."""
    _listen(settings, port_given=True, say=lambda _: None).close()


class _Server(BaseApplication):  # type: ignore[misc]  # gunicorn has no types
    """gunicorn's application with our settings."""

    def __init__(self, settings: Settings, listener: int, ready: Callable[[Any], None]) -> None:
        self._settings = settings
        self._listener = listener
        self._ready = ready
        super().__init__()

    def load_config(self) -> None:
        """Everything that differs from gunicorn's defaults."""
        chosen = {
            "bind": f"fd://{self._listener}",
            "workers": self._settings.workers,
            "threads": self._settings.threads,
            "worker_class": type("Worker", (PatientWorker,), {"patience_s": float(self._settings.patience)}),
            "keepalive": 75,
            "graceful_timeout": 20,
            # Headers of proxies are the app's to judge (WATTCAST_PROXIES): gunicorn would believe anybody on this machine.
            "forwarded_allow_ips": "",
            "loglevel": "warning",
            "proc_name": "wattcast",
            "post_worker_init": self._announce,
            "worker_int": _leave_once,
            "worker_exit": _nothing_lost,
            "child_exit": lambda _, worker: forgotten(worker.pid),
        }
        if memory():
            # The heartbeat: a file without a name.
            chosen["worker_tmp_dir"] = str(MEMORY_FOLDER)
        # Newer versions open a socket for commands, which can deadlock (gunicorn 3509) and wants a writable home.
        if "control_socket_disable" in self.cfg.settings:
            chosen["control_socket_disable"] = True
        for name, value in chosen.items():
            self.cfg.set(name, value)
        logging.getLogger("gunicorn.error").addFilter(_unless_explained)

    def load(self) -> Any:
        """The app of a worker. A refusal is said once and ends the server."""
        try:
            return worker_app(self._settings)
        except WattcastError as error:
            print(explain(error), file=sys.stderr, flush=True)
            sys.exit(_BOOT_FAILED)

    def _announce(self, worker: Any) -> None:
        worker.wsgi.extensions["wattcast_leaving"] = lambda: not worker.alive
        if worker.age == 1:
            self._ready(worker.wsgi)


def worker_app(settings: Settings) -> Any:
    """The app of one worker, which has the process to itself: what was needed to load it is given back, what it holds is for good."""
    # Python would look through all of the models and libraries again and again for what is left over.
    gc.disable()
    from wattcast.web.app import create_app  # noqa: PLC0415 (workers only: the master stays light)
    from wattcast.web.watch import Watch  # noqa: PLC0415 (likewise)

    with _memory_given_back():
        app = create_app(settings)
        app.wsgi_app = heard_out(app.wsgi_app)  # type: ignore[method-assign]
    gc.freeze()
    gc.set_threshold(_GARBAGE)
    gc.enable()
    here = app.extensions["wattcast"]
    here.live.retention.start()
    app.extensions["wattcast_watch"] = watch = Watch(here.current, settings.poll)
    watch.start()
    return app


def _leave_once(_worker: Any) -> None:
    """A worker that is leaving hears no more of it: Ctrl-C reaches it from the terminal and again from the master."""
    for kind in (signal.SIGINT, signal.SIGQUIT):
        # Not SIG_IGN: Python complains of a signal that came in just before.
        signal.signal(kind, lambda *_: None)


def _nothing_lost(_server: Any, worker: Any) -> None:
    """A worker that leaves writes the forecasts down that it gave out."""
    if getattr(worker, "wsgi", None) is not None:
        worker.wsgi.extensions["wattcast_watch"].close()
        worker.wsgi.extensions["wattcast"].live.close()


@contextmanager
def _memory_given_back() -> Iterator[None]:
    """Make glibc return what reading the models needed only for a moment: 15 to 60 MB of a worker's 150. Elsewhere nothing happens."""
    allocator = ctypes.CDLL(None)
    if not hasattr(allocator, "malloc_trim"):
        yield
        return
    allocator.mallopt(_M_MMAP_THRESHOLD, 64 * 1024)
    yield
    allocator.malloc_trim(0)


def _unless_explained(record: logging.LogRecord) -> bool:
    """Leave out gunicorn's own lines about a worker that could not start: why was said already."""
    arguments = record.args if isinstance(record.args, tuple) else ()
    boot = record.msg.startswith("Worker (pid") and arguments[-1:] == (_BOOT_FAILED,)
    return not (boot or record.msg in ("Shutting down: %s", "Reason: %s"))


def _listen(settings: Settings, *, port_given: bool, say: Say) -> socket.socket:
    """A listening socket at the settings' port, or at the next free one where no port was given."""
    last = settings.port if port_given or settings.port == 0 else min(settings.port + _PORTS_TRIED, 65_535)
    why = ""
    for port in range(settings.port, last + 1):
        try:
            listener = _bound(settings.host, port)
        except OSError as cause:
            if cause.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise Unavailable(f"cannot listen on {settings.host}: {cause.strerror or cause}", "check WATTCAST_HOST") from cause
            why = "busy" if cause.errno == errno.EADDRINUSE else "not allowed to this user"
            continue
        if port != settings.port and settings.port:
            say(f"port {settings.port} is {why}: using {port}")
        return listener
    ports = str(settings.port) if last == settings.port else f"{settings.port} to {last}"
    raise Unavailable(f"port {ports} is {why}", "stop what listens there, or choose another port: --port 5001 (PORT=5001 with make)")


def _bound(host: str, port: int) -> socket.socket:
    if port and host in _LOCAL and _answers(host, port):
        raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family)


def _answers(host: str, port: int) -> bool:
    """Whether something listens there already; macOS would let us bind beside it."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((host, port)) == 0


def _url(host: str, listener: socket.socket) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (a link that opens, not an address to listen on)
    return f"http://{f'[{shown}]' if ':' in shown else shown}:{listener.getsockname()[1]}"


def _told(app: Any, url: str, say: Say) -> None:
    """Say where the service is, for which meter, and what it refused to load."""
    here = app.extensions["wattcast"]
    service = here.service
    if here.services.fault:
        say(f"{here.services.fault}; copies of it in the store's folder answer meanwhile")
    for bundle, reason in service.refused.items():
        say(f"refused: model file {bundle[:12]}: {reason}")
    if not service.manifest.meters:
        say(f"ready: {url}, but no meter is registered yet: make run")
    else:
        name = here.meter or service.manifest.latest_meter
        meter = service.meter(name)
        said = "SIMULATED readings" if meter.simulated else meter.zone
        say(f"ready: {url} (meter {name}, {said})")
    # A console that is a pipe keeps what is said until its buffer is full.
    sys.stdout.flush()
