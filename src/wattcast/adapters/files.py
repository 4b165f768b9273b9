"""A folder as a place of bytes, and of readings. Every write is atomic (beside, fsync, rename): a crash leaves the old or the new."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from wattcast.errors import BadMeterFile, BadParams, NotFound, RegistryConflict, Unavailable
from wattcast.meter.table import METER_ID, METER_ID_IN_WORDS, MeterTable
from wattcast.ports import Blob, Blobs, Entry


def write_atomically(path: Path, data: bytes, *, mode: int = 0o644, new: bool = False) -> None:
    """Have a file of these bytes in one step: a new one, or in place of what is there. Nobody whom the mode shuts out ever sees them.

    Raises Unavailable when the disk is full, the folder cannot be written, or what should be new is there already.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as cause:
        raise _unavailable(path, cause) from cause
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            os.fchmod(file.fileno(), mode)
        if new:
            path.hardlink_to(beside)
        else:
            Path(beside).replace(path)
        _sync_folder(path.parent)
    except OSError as cause:
        raise _unavailable(path, cause) from cause
    finally:
        Path(beside).unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _unavailable(path: Path, cause: OSError) -> Unavailable:
    match cause.errno:
        case errno.ENOSPC | errno.EDQUOT:
            hint = "free some space and try again"
        case errno.EEXIST:
            hint = "choose another name, or move it away"
        case _:
            hint = "check the folder and its permissions"
    return Unavailable(f"{path} cannot be written: {cause.strerror or cause}; nothing was changed", hint)


_NAME = re.compile(r"(?:[a-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*/)*[a-z0-9][A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]+)*")
_LONGEST_NAME = 200


def is_blob_name(name: str) -> bool:
    """Whether a blob may be called so, in every place: plain words, each a folder but the last, none of them hidden."""
    return len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None


def whole_name(name: str) -> str:
    """The name. Raises NotFound where no blob may be called so."""
    if not is_blob_name(name):
        raise NotFound(f'"{name[:80]}" is no name in a model store', "a name is like serving.json or bundles/ab12.wattcast")
    return name


def changed_in_between(name: str) -> RegistryConflict:
    """What `Blobs.swap` refuses with."""
    return RegistryConflict(f"{name} was changed by someone else in between", "try again: it starts from what is there now")


class FileBlobs:
    """Blobs as files below one folder. The version of a blob is the SHA-256 of its bytes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, name: str) -> Blob:
        """What is kept under the name. Raises NotFound, Unavailable."""
        path = self._path(name)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            raise NotFound(f"{path} is not there", "check WATTCAST_STORE") from None
        except OSError as cause:
            raise Unavailable(f"{path} cannot be read: {cause.strerror or cause}", "check its permissions") from cause
        return Blob(data, hashlib.sha256(data).hexdigest())

    def version(self, name: str) -> str:
        """The version of what is kept under the name, empty where nothing is."""
        try:
            return self.get(name).version
        except NotFound:
            return ""

    def put(self, name: str, data: bytes) -> None:
        """Keep these bytes, whatever was there before."""
        write_atomically(self._path(name), data)

    def swap(self, name: str, data: bytes, version: str) -> str:
        """Replace what is there if it still has this version; the new version. Raises RegistryConflict."""
        with self._locked():
            if self.version(name) != version:
                raise changed_in_between(name)
            self.put(name, data)
        return hashlib.sha256(data).hexdigest()

    def entries(self, prefix: str) -> Iterator[Entry]:
        """Every file whose name begins so; one that is still being written has no name yet."""
        within = self._folder / prefix.rpartition("/")[0]
        for path in within.rglob("*"):
            name = path.relative_to(self._folder).as_posix()
            if name.startswith(prefix) and is_blob_name(name):
                # Another process may have deleted it meanwhile.
                with suppress(FileNotFoundError):
                    there = path.stat()
                    if stat.S_ISREG(there.st_mode):
                        yield Entry(name, there.st_size, there.st_mtime)

    def delete(self, name: str) -> None:
        """Have no file of this name."""
        path = self._path(name)
        try:
            path.unlink(missing_ok=True)
        except OSError as cause:
            raise Unavailable(f"{path} cannot be deleted: {cause.strerror or cause}", "check its permissions") from cause

    def touch(self, name: str) -> None:
        """Have the file's time be now, where that can be."""
        with suppress(OSError):
            os.utime(self._path(name))

    def _path(self, name: str) -> Path:
        return self._folder / whole_name(name)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        """One at a time; the lock dies with its process."""
        path = self._folder / ".lock"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = path.open("w")
        except OSError as cause:
            raise _unavailable(path, cause) from cause
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


class FileSnapshots:
    """`readings/METER-STEPs.npz` in a folder, each read once as long as it stays as it is. blobs: where they are kept, if not there."""

    def __init__(self, folder: Path, blobs: Blobs | None = None) -> None:
        self._folder = folder
        self._blobs = blobs or FileBlobs(folder)
        self._read: dict[Path, tuple[tuple[int, int, int], MeterTable]] = {}

    def put(self, table: MeterTable) -> None:
        """Keep these readings as the latest of their meter at their resolution."""
        self._blobs.put(_readings_name(table.meter.id, table.step_s), table.to_bytes())

    def renew(self, meter: str, step_s: int) -> None:
        """Have in the folder what is kept now, where that is somewhere else."""
        if not isinstance(self._blobs, FileBlobs):
            # Where the place does not answer, or has none, what is in the folder stands.
            with suppress(Unavailable, NotFound):
                self._blobs.get(_readings_name(meter, step_s))

    def latest(self, meter: str, step_s: int) -> MeterTable | None:
        """The latest readings kept, or None. Raises BadMeterFile where what is kept cannot be read."""
        path = self._folder / _readings_name(meter, step_s)
        try:
            there = path.stat()
            state = (there.st_ino, there.st_mtime_ns, there.st_size)
            if path not in self._read or self._read[path][0] != state:
                # A file written meanwhile is read again the next time: its state is another.
                self._read[path] = (state, MeterTable.from_bytes(path.read_bytes()))
            return self._read[path][1]
        except FileNotFoundError:
            return None
        except (OSError, RuntimeError, IndexError, BadParams) as cause:
            raise BadMeterFile(f"{path} cannot be read: {cause}", "check its permissions, or run the pipeline again") from cause


def _readings_name(meter: str, step_s: int) -> str:
    if not re.fullmatch(METER_ID, meter):
        raise RegistryConflict(f'"{meter[:80]}" is no meter id', f"an id {METER_ID_IN_WORDS}")
    return f"readings/{meter}-{step_s}s.npz"
