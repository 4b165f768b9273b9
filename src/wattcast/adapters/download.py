"""A download that goes on where it broke off. It knows HTTP and one file, and nothing of what the bytes mean.

What has arrived lies in `part`, the server's validator beside it in `NAME.tag`, so that a later call resumes only while the server still
has the same bytes (RFC 9110, 13.1.5).
"""

from __future__ import annotations

import http.client
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from wattcast.errors import Unavailable

CHUNK_BYTES = 1 << 18
TIMEOUT_S = 30.0

Arrival = Callable[[int, int | None], None]
"""Called with the bytes that have arrived and, where the server told, how many there will be."""


class _BrokeOff(Exception):
    """The connection failed; what has arrived is kept."""


def download(part: Path, url: str, progress: Arrival) -> None:
    """Fills `part` to its end, asking again for as long as each answer brings something.

    Raises Unavailable if the server cannot be reached, refuses or breaks off, and if the disk fails; what has arrived is kept.
    """
    while True:
        before = _size_bytes(part)
        try:
            _ask(part, url, progress)
        except _BrokeOff as failure:
            if _size_bytes(part) <= before:
                message = f"{host_of(url)} cannot be reached, or broke off: {failure} ({_size_bytes(part):,} bytes are here)"
                hint = f"go online and run this again, it resumes; or download {url} by hand"
                raise Unavailable(message, hint) from failure
        else:
            return


def forget(part: Path) -> None:
    """Deletes what has arrived, so that no later call resumes it."""
    _tag(part).unlink(missing_ok=True)
    part.unlink(missing_ok=True)


@contextmanager
def on_disk(path: Path) -> Iterator[None]:
    """Turns a failure of the disk into Unavailable."""
    try:
        yield
    except OSError as failure:
        hint = "see that the folder can be written and has space, then run this again: it resumes"
        raise Unavailable(f"{path}: {failure.strerror or failure}", hint) from failure


def host_of(url: str) -> str:
    """The host (and port) of an address, for messages."""
    return urllib.parse.urlsplit(url).netloc


def _ask(part: Path, url: str, progress: Arrival) -> None:
    """One request and its answer. Raises _BrokeOff if the archive is not complete after it."""
    try:
        with urllib.request.urlopen(_request(part, url), timeout=TIMEOUT_S) as response:  # noqa: S310 - the address is not the user's
            _receive(part, response, progress)
    except urllib.error.HTTPError as refusal:
        if refusal.code != HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not part.exists():
            raise Unavailable(f"{host_of(url)} answered {refusal.code} {refusal.reason}", f"is {url} still its address?") from refusal
        # Asked for what follows the last byte: the archive is here, or it is another one.
        if refusal.headers.get("Content-Range", "") != f"bytes */{_size_bytes(part)}":
            forget(part)
            _ask(part, url, progress)
    except (OSError, http.client.HTTPException) as failure:
        raise _BrokeOff(_reason(failure)) from failure


def _request(part: Path, url: str) -> urllib.request.Request:
    """Asks for what is missing if the server gave a validator for what is here, else for everything."""
    request = urllib.request.Request(url, headers={"User-Agent": "wattcast"})  # noqa: S310 - the address is not the user's
    with on_disk(part):
        validator = _tag(part).read_text("latin-1") if _tag(part).exists() and _size_bytes(part) else ""
    if validator:
        request.add_header("Range", f"bytes={_size_bytes(part)}-")
        request.add_header("If-Range", validator)
    return request


def _receive(part: Path, response: http.client.HTTPResponse, progress: Arrival) -> None:
    """Appends a partial answer, or starts anew with a whole one. Raises _BrokeOff if bytes are missing at its end."""
    resumed = response.status == HTTPStatus.PARTIAL_CONTENT
    start, total = _span(response)
    if resumed and start != _size_bytes(part):
        forget(part)
        raise _BrokeOff("it answered with another range than asked for")
    with on_disk(part), part.open("ab" if resumed else "wb") as archive:
        if not resumed:
            _tag(part).write_text(_validator(response), "latin-1")
        arrived = start
        progress(arrived, total)
        for chunk in _chunks(response):
            archive.write(chunk)
            arrived += len(chunk)
            progress(arrived, total)
    if total is not None and arrived < total:
        raise _BrokeOff("the connection was closed")


def _chunks(response: http.client.HTTPResponse) -> Iterator[bytes]:
    while True:
        try:
            chunk = response.read1(CHUNK_BYTES)
        except (OSError, http.client.HTTPException) as failure:
            raise _BrokeOff(_reason(failure)) from failure
        if not chunk:
            return
        yield chunk


def _span(response: http.client.HTTPResponse) -> tuple[int, int | None]:
    """Where this answer starts in the archive, and how long the archive is, if told (RFC 9110, 14.4)."""
    span = response.headers.get("Content-Range", "").removeprefix("bytes ").replace("/", "-").split("-")
    if response.status == HTTPStatus.PARTIAL_CONTENT and span[0].isdecimal():
        return int(span[0]), int(span[-1]) if span[-1].isdecimal() else None
    return 0, response.length


def _validator(response: http.client.HTTPResponse) -> str:
    """What If-Range may be given: a strong ETag, else the date (RFC 9110, 13.1.5), else nothing."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified", "")


def _reason(failure: BaseException) -> str:
    reason = getattr(failure, "reason", failure)
    return getattr(reason, "strerror", None) or str(reason) or type(failure).__name__


def _tag(part: Path) -> Path:
    return part.with_name(part.name + ".tag")


def _size_bytes(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0
