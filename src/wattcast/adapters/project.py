"""The project's folder: which meter files lie in data/raw/, and which one params.yaml names. What is replaced stays whole until then."""

from __future__ import annotations

import errno
import fcntl
import filecmp
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import open as opened

from wattcast.adapters.dvc import track
from wattcast.adapters.files import write_atomically
from wattcast.config import meter_id_of
from wattcast.errors import BadParams, Unavailable
from wattcast.meter.table import Meter

Say = Callable[[str], None]

RAW = Path("data/raw")
EXPORTED = ".parquet"
PARAMS = Path("params.yaml")
_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]*")


def has(source: Path) -> bool:
    """Whether data/raw holds this very content under this name, tracked by DVC."""
    target = RAW / source.name
    return _same(source, target) and _tracked(target)


@contextmanager
def alone() -> Iterator[None]:
    """Nobody else changes this folder meanwhile. Raises Unavailable where another run is at work; the lock dies with its process."""
    path = Path(".dvc/tmp/wattcast.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as cause:
            raise Unavailable("another run is at work in this folder", "let it finish, or stop it, and run this again") from cause
        yield


def meter_of(file: Path) -> str:
    """The id of the meter whose readings a file holds: as the file says itself, where it was exported, else by its name."""
    told = _told(file)
    return told.id if told else meter_id_of(file)


def files_of(meter: str) -> list[Path]:
    """The files of a meter in data/raw, the one that was exported last. Raises Unavailable where one was not fetched."""
    files = [RAW / name for name in _names() if meter_of(RAW / name) == meter or name == f"{meter}{EXPORTED}"]
    for file in files:
        if not file.exists():
            raise Unavailable(f"{file} is not there, only {file}.dvc", "dvc pull fetches it, where a remote has it; or delete that one")
    return sorted(files, key=lambda file: (_told(file) is not None, file))


def refuse_twin(source: Path) -> None:
    """Raise Unavailable where data/raw holds another file of the same meter: its models would be replaced.

    What was exported for the meter itself goes on from its other files, and is no other.
    """
    meter = meter_of(source)
    if source.parent == RAW and _told(source):
        return
    for name in sorted(_names() - {source.name}):
        if meter_of(RAW / name) == meter and not _told(RAW / name):
            hint = f"give the new file another name; or, where it is the same house, delete {RAW / name} and {RAW / name}.dvc"
            raise Unavailable(f"{RAW / name} is meter {meter} already, and {source.name} would be too", hint)


def bring_in(source: Path, say: Say) -> Path:
    """The file in data/raw/, with this content and tracked by DVC; nothing happens where it is there already.

    Other content under this name is replaced where DVC keeps a copy of it. Raises Unavailable where it does not, or the disk fails.
    """
    target = RAW / source.name
    if not _same(source, target):
        if not target.exists():
            say(f"copying {source} to {target}")
        elif _tracked(target):
            say(f"replacing {target} by {source}, which differs (another house? Give its file another name)")
        else:
            raise Unavailable(f"{target} is there with other content, and DVC has no copy of it", "move one of the two files away")
        _copy(source, target)
    if not _tracked(target):
        track(target)
        say(f"{target} is tracked by DVC: {target}.dvc is for git, the readings are not")
    return target


def choose(file: Path, say: Say) -> None:
    """Set `meter.file` in params.yaml; every other byte stays. Raises BadParams where that line is not there."""
    text = PARAMS.read_bytes().decode("utf-8")
    start, stop, now = _value_of(text, "meter", "file")
    if now == file.as_posix():
        return
    value = file.as_posix() if _PLAIN.fullmatch(file.as_posix()) else json.dumps(file.as_posix(), ensure_ascii=False)
    write_atomically(PARAMS, (text[:start] + value + text[stop:]).encode("utf-8"))
    say(f"params.yaml now names {file.as_posix()} as meter.file (before: {now}; make run DATA={now} goes back)")


def _names() -> set[str]:
    return {path.name.removesuffix(".dvc") for path in RAW.glob("*") if not path.name.startswith(".")}


def _told(file: Path) -> Meter | None:
    if file.suffix != EXPORTED or not file.exists():
        return None
    # Polars takes a while, and most files are none of these.
    from wattcast.meter.readers.parquet import told_by  # noqa: PLC0415

    return told_by(file)


def _same(source: Path, target: Path) -> bool:
    return target.exists() and source.exists() and (source.samefile(target) or filecmp.cmp(source, target, shallow=False))


def _tracked(target: Path) -> bool:
    """Whether the .dvc file beside it tells of this content."""
    note = target.with_name(target.name + ".dvc")
    try:
        known = yaml.safe_load(note.read_text("utf-8"))["outs"][0]["md5"]
        with target.open("rb") as content:
            return bool(known == hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False)).hexdigest())
    except (OSError, yaml.YAMLError, KeyError, IndexError, TypeError):
        return False


def _copy(source: Path, target: Path) -> None:
    """Copy beside the target, then rename: a crash leaves the old file or the new one."""
    console = Console(stderr=True)
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        hidden = not console.is_terminal
        bar = opened(source, "rb", description=f"copying {source.name}", console=console, transient=True, disable=hidden)
        with bar as content, part.open("wb") as beside:
            shutil.copyfileobj(content, beside, 1 << 20)
            beside.flush()
            os.fsync(beside.fileno())
        part.replace(target)
    except OSError as cause:
        hint = "free some space and try again" if cause.errno in (errno.ENOSPC, errno.EDQUOT) else "check both files and their permissions"
        raise Unavailable(f"{source} cannot be copied to {target}: {cause.strerror or cause}; nothing was changed", hint) from cause
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _value_of(text: str, *keys: str) -> tuple[int, int, str]:
    """Where in this YAML the value under these keys begins and ends, and what it is."""
    try:
        node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
        for key in keys:
            node = next(value for name, value in node.value if name.value == key)
        return node.start_mark.index, node.end_mark.index, str(node.value)
    except (yaml.YAMLError, StopIteration, AttributeError, TypeError, ValueError) as cause:
        raise BadParams(f"{PARAMS} has no line {'.'.join(keys)} to change", f"restore it: git checkout {PARAMS}") from cause
