"""gunicorn's threaded worker, which gives up on a client that sends too slowly: a thread that waits for one serves nobody else."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar

from gunicorn.workers.gthread import ThreadWorker

from wattcast.web.broken import TooSlow
from wattcast.web.unreadable import refusal_of

# Whoever sends faster than this is never given up, however much it is; bytes a second.
_SLOWEST = 10_000
# So long an answer may take to be taken in.
_SENDING_S = 60.0
# Of a body that nobody asked for so much is taken in, for so long.
_TAKEN_IN_BYTES = 256 * 1024 * 1024
_TAKEN_IN_S = 5.0
_CHUNK_BYTES = 64 * 1024


class PatientSocket:
    """A socket whose peer has to send a request within a time that grows with what has arrived. The rest is the socket's."""

    def __init__(self, connected: socket.socket, patience_s: float) -> None:
        self._socket = connected
        self._patience_s = patience_s
        self.begin()

    def begin(self) -> None:
        """A request begins."""
        self._ends_at = time.monotonic() + self._patience_s

    def recv(self, size: int, flags: int = 0) -> bytes:
        """What has arrived, once something has. Raises TooSlow; where gunicorn itself waits for a time, what it expects."""
        if self._socket.gettimeout() not in (None, _SENDING_S):
            return self._socket.recv(size, flags)
        try:
            self._socket.settimeout(max(self._ends_at - time.monotonic(), 0.001))
            data = self._socket.recv(size, flags)
        except TimeoutError as cause:
            raise TooSlow from cause
        finally:
            self._socket.settimeout(_SENDING_S)
        self._ends_at += len(data) / _SLOWEST
        return data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


class PatientWorker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """A worker for connections whose clients have so many seconds for a request, and more for a large one."""

    patience_s: ClassVar[float] = 10.0

    def handle(self, conn: Any) -> Any:
        """One request of a connection."""
        if not isinstance(conn.sock, PatientSocket):
            conn.sock = PatientSocket(conn.sock, self.patience_s)
        conn.sock.begin()
        goes_on = super().handle(conn)
        if goes_on is False:
            # In this thread: gunicorn would wait for the client's end where it looks after all of the connections.
            conn.close(graceful=True)
            conn.close = _closed
        return goes_on

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer what could not be read, or was not answered."""
        refusal = refusal_of(exc)
        if refusal is None:
            super().handle_error(req, client, addr, exc)
        else:
            self.log.info("Invalid request: %s", exc)
            # Whoever sent it may have gone.
            with suppress(OSError):
                client.sendall(refusal)


def heard_out(app: Callable[..., Any]) -> Callable[..., Any]:
    """The WSGI app, with each request heard to its end, within reason, before it is answered.

    A client that is still sending would not see the answer, and what it goes on to send would be taken for its next request.
    """

    def answer(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
        said = app(environ, start_response)
        body, left, ends_at = environ["wsgi.input"], _TAKEN_IN_BYTES, time.monotonic() + _TAKEN_IN_S
        # A body that breaks off leaves the answer as it is: gunicorn closes the connection after it.
        with suppress(OSError):
            while left > 0 and time.monotonic() < ends_at and (chunk := body.read(min(left, _CHUNK_BYTES))):
                left -= len(chunk)
        return said

    return answer


def _closed(graceful: bool = False) -> None:
    """A connection that is closed already."""
