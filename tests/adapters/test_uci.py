"""The download of the UCI file, against a real HTTP server that can break off, forget ranges, or send something else."""

from __future__ import annotations

import hashlib
import io
import random
import resource
import socket
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from rich.console import Console

from wattcast.adapters import uci
from wattcast.errors import BadMeterFile, Unavailable

NAME = "household_power_consumption.txt"
TEXT = b"Date;Time;Global_active_power\n" + bytes(random.Random(7).choices(b"0123456789;.\n", k=300_000))
EXPECTED = uci.Expected(NAME, len(TEXT), hashlib.md5(TEXT, usedforsecurity=False).hexdigest())


def zipped(text: bytes, name: str = NAME, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as target:
        target.writestr(zipfile.ZipInfo(name), text, method)
    return archive.getvalue()


@dataclass
class Home:
    """What the server has, how it behaves, and what it was asked."""

    body: bytes
    url: str = ""
    etag: str | None = '"one"'
    ranges: bool = True
    length: bool = True
    status: int = 200
    shift: int = 0
    cuts: list[int] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    home: Home

    def do_GET(self) -> None:
        home, wanted = self.home, self.headers.get("Range")
        home.asked.append(wanted)
        start = int(wanted[len("bytes=") : -1]) if wanted and home.ranges and self.headers.get("If-Range") == home.etag else 0
        self.close_connection = True
        if home.status != 200 or (start and start >= len(home.body)):
            self.send_response(416 if home.status == 200 else home.status)
            self.send_header("Content-Range", f"bytes */{len(home.body)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._send(home.body[start:], start)

    def _send(self, body: bytes, start: int) -> None:
        self.send_response(206 if start else 200)
        if start:
            first = start + self.home.shift
            self.send_header("Content-Range", f"bytes {first}-{len(self.home.body) - 1}/{len(self.home.body)}")
        if self.home.etag:
            self.send_header("ETag", self.home.etag)
        self.send_header(*(("Content-Length", str(len(body))) if self.home.length else ("Transfer-Encoding", "chunked")))
        self.end_headers()
        sent = body[: self.home.cuts.pop(0)] if self.home.cuts else body
        if self.home.length:
            self.wfile.write(sent)
        else:
            self.wfile.write(b"%x\r\n%b" % (len(body), sent) + (b"\r\n0\r\n\r\n" if sent == body else b""))

    def log_message(self, *args: object) -> None:
        """Tests need no log of requests."""


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A server that has the right archive."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    state = Home(zipped(TEXT))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (Handler,), {"home": state}))
    state.url = f"http://127.0.0.1:{server.server_port}/data.zip"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "data" / "raw" / NAME


def fetch(target: Path, home: Home) -> Path:
    return uci.fetch(target, home.url, expected=EXPECTED)


def alone(target: Path) -> bool:
    """Whether the target is the only thing in its folder."""
    return [path.name for path in target.parent.iterdir()] == [target.name]


def test_the_file_arrives_whole_and_alone(home: Home, target: Path) -> None:
    """A download leaves the checked text file at its place and nothing else."""
    assert fetch(target, home) == target
    assert target.read_bytes() == TEXT
    assert alone(target)


def test_what_is_there_is_not_downloaded_again(home: Home, target: Path) -> None:
    """A second call asks the network nothing."""
    fetch(target, home)
    fetch(target, home)
    assert len(home.asked) == 1


def test_another_file_of_that_name_is_never_overwritten(home: Home, target: Path) -> None:
    """A user's own file at the target is refused, and stays."""
    target.parent.mkdir(parents=True)
    target.write_bytes(b"mine")
    with pytest.raises(BadMeterFile, match="is not the UCI file"):
        fetch(target, home)
    assert target.read_bytes() == b"mine"


def test_a_connection_that_breaks_is_taken_up_where_it_broke(home: Home, target: Path) -> None:
    """Each new request asks only for what is missing."""
    home.cuts = [50_000, 20_000]
    fetch(target, home)
    assert home.asked == [None, "bytes=50000-", "bytes=70000-"]
    assert target.read_bytes() == TEXT


def test_a_later_call_resumes_an_earlier_one(home: Home, target: Path) -> None:
    """A download that could not go on says how far it came, keeps that, and the next call goes on from there."""
    home.cuts = [50_000, 0]
    with pytest.raises(Unavailable, match="50,000 bytes are here") as failure:
        fetch(target, home)
    assert "resumes" in failure.value.hint
    assert not target.exists()
    fetch(target, home)
    assert home.asked[-1] == "bytes=50000-"
    assert target.read_bytes() == TEXT


def test_a_changed_file_is_not_spliced_to_an_older_half(home: Home, target: Path) -> None:
    """If the server has another file meanwhile, the download starts again from nothing."""
    home.cuts = [50_000, 0]
    with pytest.raises(Unavailable):
        fetch(target, home)
    home.etag, home.body = '"two"', zipped(TEXT, method=zipfile.ZIP_STORED)
    fetch(target, home)
    assert target.read_bytes() == TEXT


@pytest.mark.parametrize("etag", ['"one"', None, 'W/"weak"'])
def test_a_server_without_ranges_is_asked_from_the_start(home: Home, target: Path, etag: str | None) -> None:
    """Where a server cannot resume, or names no validator to resume by, what has arrived is thrown away, not doubled."""
    home.ranges, home.etag, home.cuts = False, etag, [50_000]
    fetch(target, home)
    assert len(home.asked) == 2
    assert target.read_bytes() == TEXT


def test_an_answer_to_another_range_is_not_appended(home: Home, target: Path) -> None:
    """A server that sends a range nobody asked for is refused, and the next call starts from nothing."""
    home.cuts, home.shift = [50_000], 1
    with pytest.raises(Unavailable, match="another range"):
        fetch(target, home)
    fetch(target, home)
    assert home.asked == [None, "bytes=50000-", None]


def test_a_complete_archive_is_only_unpacked(home: Home, target: Path) -> None:
    """A call that was stopped after the last byte downloads nothing again."""
    part = target.with_name(NAME + ".zip.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(home.body)
    part.with_name(part.name + ".tag").write_text('"one"')
    fetch(target, home)
    assert home.asked == [f"bytes={len(home.body)}-"]
    assert alone(target)


def test_an_archive_longer_than_the_servers_is_dropped(home: Home, target: Path) -> None:
    """More bytes than the server has are thrown away, and the download starts again."""
    part = target.with_name(NAME + ".zip.part")
    part.parent.mkdir(parents=True)
    part.write_bytes(home.body + b"more")
    part.with_name(part.name + ".tag").write_text('"one"')
    fetch(target, home)
    assert target.read_bytes() == TEXT


def test_an_answer_without_a_length_is_read_to_its_end(home: Home, target: Path) -> None:
    """A server that does not tell the length is no obstacle, and a break in its answer is noticed all the same."""
    home.length, home.cuts = False, [50_000]
    fetch(target, home)
    assert home.asked == [None, "bytes=50000-"]
    assert target.read_bytes() == TEXT


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>Down for maintenance</html>", "no zip"),
        (zipped(TEXT)[:70_000], "no zip"),
        (zipped(TEXT).replace(zipped(TEXT)[60_000:60_100], bytes(100)), "no zip"),
        (zipped(TEXT, "other.txt"), "no zip that holds"),
        (zipped(TEXT[:-1]), "300,029 bytes instead of 300,030"),
        (zipped(TEXT[:-1] + b"!"), "MD5 .* instead of"),
    ],
    ids=["page", "torn", "damaged", "other name", "shorter", "one byte other"],
)
def test_wrong_bytes_never_become_a_meter_file(home: Home, target: Path, body: bytes, message: str) -> None:
    """What is not the UCI file byte for byte is refused, deleted, and not resumed by the next call."""
    right, home.body = home.body, body
    with pytest.raises(BadMeterFile, match=message):
        fetch(target, home)
    assert list(target.parent.iterdir()) == []
    home.body = right
    fetch(target, home)
    assert home.asked == [None, None]


def test_a_refusal_of_the_server_is_said(home: Home, target: Path) -> None:
    """An address that is gone is named with the server's answer."""
    home.status = 404
    with pytest.raises(Unavailable, match="answered 404 Not Found"):
        fetch(target, home)


def test_offline_is_said(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nothing answers, the message says so and the hint says what can be done instead."""
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with socket.create_server(("127.0.0.1", 0)) as free:
        url = f"http://127.0.0.1:{free.getsockname()[1]}/data.zip"
    with pytest.raises(Unavailable, match="cannot be reached") as failure:
        uci.fetch(target, url, expected=EXPECTED)
    assert "by hand" in failure.value.hint


@pytest.mark.parametrize("limit_bytes", [60_000, 200_000], ids=["downloading", "unpacking"])
def test_a_full_disk_leaves_no_half_file(home: Home, target: Path, limit_bytes: int) -> None:
    """Where the disk takes no more, the message names the file, nothing stands at the target, and a later call succeeds."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        with pytest.raises(Unavailable, match=r"\.part: File too large"):
            fetch(target, home)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not target.exists()
    assert not target.with_name(NAME + ".part").exists()
    fetch(target, home)
    assert alone(target)


def test_a_folder_that_cannot_be_made_is_said(home: Home, tmp_path: Path) -> None:
    """A file where the folder should be is named, without a trace."""
    (tmp_path / "raw").write_text("")
    with pytest.raises(Unavailable, match="raw"):
        fetch(tmp_path / "raw" / NAME, home)


def test_progress_counts_to_the_end_and_starts_where_it_resumed(home: Home, target: Path) -> None:
    """Progress tells the bytes that are here, those of an earlier call included, and the whole length."""
    home.cuts = [50_000]
    seen: list[tuple[int, int | None]] = []
    uci.fetch(target, home.url, expected=EXPECTED, progress=lambda arrived, total: seen.append((arrived, total)))
    assert seen[0] == (0, len(home.body))
    assert seen.count((50_000, len(home.body))) == 2
    assert seen[-1] == (len(home.body), len(home.body))


@pytest.mark.parametrize("terminal", [True, False])
def test_progress_is_shown(home: Home, target: Path, terminal: bool) -> None:
    """A terminal gets a bar, a log gets a line for every tenth, and both get the end."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    with uci.shown_on(console) as progress:
        uci.fetch(target, home.url, expected=EXPECTED, progress=progress)
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    size = f"{len(home.body) / 1e6:.1f}"
    assert ("━" if terminal else f"downloaded {size} of {size} MB") in shown
    assert terminal or len(shown.splitlines()) <= 11


def test_progress_without_a_length_is_a_plain_count(home: Home, target: Path) -> None:
    """Where the server does not tell the length, a log says what has arrived and claims no total."""
    home.length = False
    console = Console(file=io.StringIO(), force_terminal=False)
    with uci.shown_on(console) as progress:
        uci.fetch(target, home.url, expected=EXPECTED, progress=progress)
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue() == "downloaded 0.0 MB\n"


def test_the_expected_file_is_the_published_one() -> None:
    """The size and the MD5 are those of the UCI file, and its home is the official one over TLS."""
    assert uci.Expected() == uci.Expected("household_power_consumption.txt", 132_960_755, "e05286cd4a257d80c3f0407b350df7dd")
    assert uci.HOME.startswith("https://archive.ics.uci.edu/")
