"""The full UCI household file, downloaded from its home, checked, and put in place whole or not at all. Nothing here reads readings."""

from __future__ import annotations

import hashlib
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from wattcast.adapters.download import Arrival, download, forget, host_of, on_disk
from wattcast.errors import BadMeterFile

HOME = "https://archive.ics.uci.edu/static/public/235/individual+household+electric+power+consumption.zip"
CHUNK_BYTES = 1 << 20
LINE_BYTES = 5_000_000


@dataclass(frozen=True)
class Expected:
    """What the text file inside the archive must be."""

    name: str = "household_power_consumption.txt"
    size_bytes: int = 132_960_755
    md5: str = "e05286cd4a257d80c3f0407b350df7dd"


def fetch(target: Path, url: str = HOME, *, expected: Expected | None = None, progress: Arrival | None = None) -> Path:
    """Puts the checked text file at `target` and returns it; where it already is, the network is not asked.

    An interrupted download is resumed by the next call. Raises Unavailable if the server or the disk fails, BadMeterFile if what arrived,
    or what already lies at `target`, is another file.
    """
    expected = expected or Expected()
    part = target.with_name(target.name + ".zip.part")
    with on_disk(target):
        if target.exists():
            _keep(target, expected)
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
    download(part, url, progress or _unseen)
    _place(part, target, expected, host_of(url))
    return target


@contextmanager
def shown_on(console: Console) -> Iterator[Arrival]:
    """Shows a download as a bar with time left on a terminal, else as a plain line for every tenth or 5 MB."""
    if not console.is_terminal:
        yield _plain_lines(console)
        return
    columns = (TextColumn("downloading"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("downloading", total=None)
        yield lambda arrived, total: bar.update(task, completed=arrived, total=total)


def _unseen(_arrived: int, _total: int | None) -> None:
    pass


def _plain_lines(console: Console) -> Arrival:
    shown = -1

    def show(arrived: int, total: int | None) -> None:
        nonlocal shown
        step = 10 * arrived // total if total else arrived // LINE_BYTES
        if step != shown:
            shown = step
            of_total = f" of {total / 1e6:.1f}" if total else ""
            console.print(f"downloaded {arrived / 1e6:.1f}{of_total} MB", highlight=False)

    return show


def _keep(target: Path, expected: Expected) -> None:
    with target.open("rb") as stored:
        if _copy(stored, None) != expected.md5:
            hint = "move it away, then run this again: a file that is there is never overwritten"
            raise BadMeterFile(f"{target} is there already and is not the UCI file", hint)


def _place(part: Path, target: Path, expected: Expected, host: str) -> None:
    """Unpacks the archive beside the target, checks it, renames it; what fails the check is deleted, so that no call resumes it."""
    text = target.with_name(target.name + ".part")
    try:
        with on_disk(text):
            _unpack(part, text, expected)
            text.replace(target)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, KeyError):
        _refuse(f"what {host} sent is no zip that holds {expected.name}", part)
    except BadMeterFile as refusal:
        _refuse(f"{host} sent another {expected.name}: {refusal.message}", part)
    finally:
        text.unlink(missing_ok=True)
    forget(part)


def _unpack(part: Path, text: Path, expected: Expected) -> None:
    with zipfile.ZipFile(part) as archive, archive.open(expected.name) as packed, text.open("wb") as unpacked:
        size_bytes = archive.getinfo(expected.name).file_size
        if size_bytes != expected.size_bytes:
            raise BadMeterFile(f"{size_bytes:,} bytes instead of {expected.size_bytes:,}")
        md5 = _copy(packed, unpacked)
        if md5 != expected.md5:
            raise BadMeterFile(f"MD5 {md5} instead of {expected.md5}")
        unpacked.flush()
        os.fsync(unpacked.fileno())


def _copy(source: IO[bytes], sink: IO[bytes] | None) -> str:
    """Copies to the end and returns the MD5 of what was copied: a check against damage, not against an enemy."""
    digest = hashlib.md5(usedforsecurity=False)
    while chunk := source.read(CHUNK_BYTES):
        digest.update(chunk)
        if sink:
            sink.write(chunk)
    return digest.hexdigest()


def _refuse(message: str, part: Path) -> NoReturn:
    forget(part)
    raise BadMeterFile(message, "run this again; if it says the same, the file at its home has changed")
