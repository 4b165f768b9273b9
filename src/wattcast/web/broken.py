"""What reading a request raises that does not arrive as HTTP has it, or not in time."""

from __future__ import annotations

import errno

from gunicorn.http.errors import ChunkMissingTerminator, InvalidChunkExtension, InvalidChunkSize, NoMoreData

# Of a body that breaks off.
BROKEN_BODY = (ChunkMissingTerminator, InvalidChunkExtension, InvalidChunkSize, NoMoreData)


class TooSlow(ConnectionError):
    """A client took too long. Where there is no request yet, gunicorn takes it for a client that has gone."""

    def __init__(self) -> None:
        super().__init__(errno.ECONNRESET, "the request took too long to arrive")
