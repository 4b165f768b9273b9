"""Readings that arrive: one meter file of half a year of minutes, sent by PUT to the real service, into SQLite and into PostgreSQL."""

from __future__ import annotations

import http.client
import json
import os
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from served.asked import Known
from served.ours import real_service
from served.rounds import Say
from served.servers import Server

_WAIT_S = 600.0
_WARM_LINES = 2_000


@dataclass(frozen=True)
class Ingest:
    """Readings of the file, and how many a second were kept."""

    readings: int
    per_second: float


def sent_to(database: str, known: Known, data: Path, folder: Path, repeats: int, say: Say) -> Ingest:
    """Send the file `repeats` times, each time as a new meter's, and take the median. database: sqlite or postgresql."""
    text = _text_of(data)
    head = b"".join(text.splitlines(keepends=True)[:_WARM_LINES])
    name = f"ingest-{database}"
    with _url(database, folder) as url, real_service(known, folder, name, url) as (server, key):
        # The first file makes a worker import the reader of files, and the database its tables.
        _put(server, "warm", head, key)
        rates = []
        for number in range(repeats):
            readings, seconds = _put(server, f"half-year-{number}", text, key)
            rates.append(readings / seconds)
            say(f"  {database}: {readings:,} readings in {seconds:.2f} s")
    return Ingest(readings, median(rates))


def _put(server: Server, meter: str, body: bytes, key: str) -> tuple[int, float]:
    """How many readings were kept, and in how many seconds. Exits unless all of the file were, for the first time."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=_WAIT_S)
    headers = {"Content-Type": "text/csv", "Authorization": f"Bearer {key}"}
    began = time.perf_counter()
    connection.request("PUT", f"/api/v1/meters/{meter}/readings", body, headers)
    said = connection.getresponse()
    content = said.read()
    seconds = time.perf_counter() - began
    connection.close()
    counts = json.loads(content) if said.status == 200 else {}
    if not counts.get("new") or counts["same"] or counts["corrected"] or counts["refused"]:
        sys.exit(f"error: {server.name} did not keep the whole file: {said.status} {content[:500].decode(errors='replace')}")
    return counts["new"], seconds


def _text_of(data: Path) -> bytes:
    with zipfile.ZipFile(data) as archive:
        return archive.read(archive.namelist()[0])


@contextmanager
def _url(database: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database of this kind."""
    if database == "sqlite":
        yield f"sqlite:///{folder / 'ingest.db'}"
        return
    with tempfile.TemporaryDirectory(prefix="wattcast-pg-", dir="/tmp") as place:
        os.environ.setdefault("XDG_RUNTIME_DIR", place)
        import pgserver  # noqa: PLC0415 (starts nothing, but looks for the folder above)

        server = pgserver.get_server(Path(place) / "data", cleanup_mode="stop")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()
