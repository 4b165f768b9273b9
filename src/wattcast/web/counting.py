"""Where the workers of one server count together: a folder of files, in memory where there is some, which goes when the server does."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108 (folders and files of ours alone)
# Where prometheus_client keeps the counts of several processes.
_COUNTS = "PROMETHEUS_MULTIPROC_DIR"
_NAME = "wattcast-counts-"


def place_for_counts() -> Path:
    """A new folder for what workers count; those of servers of this machine and user that were killed go."""
    within = MEMORY_FOLDER if memory() else Path(tempfile.gettempdir())
    # Several machines, as containers are, may share the memory and not the numbers of their processes.
    host = os.uname().nodename
    for left in within.glob(f"{_NAME}*"):
        named = re.fullmatch(rf"{_NAME}(\d{{1,9}})-{re.escape(host)}-\w+", left.name)
        with suppress(OSError):
            if named and left.lstat().st_uid == os.getuid() and _ended(int(named[1])):
                shutil.rmtree(left)
    os.environ[_COUNTS] = tempfile.mkdtemp(prefix=f"{_NAME}{os.getpid()}-{host}-", dir=within)
    return Path(os.environ[_COUNTS])


def memory() -> bool:
    """Whether files can be kept in memory here."""
    return MEMORY_FOLDER.is_dir() and os.access(MEMORY_FOLDER, os.W_OK)


def forgotten(pid: int) -> None:
    """What a worker that is gone said of its present state counts no more; what it counted stays."""
    for path in Path(os.environ[_COUNTS]).glob(f"gauge_live*_{pid}.db"):
        path.unlink(missing_ok=True)


def _ended(pid: int) -> bool:
    """Whether no process has this number but the one that asks."""
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
