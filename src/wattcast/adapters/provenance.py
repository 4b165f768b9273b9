"""Who made a model, when, and from which revision of the project."""

from __future__ import annotations

import getpass
import subprocess
from datetime import UTC, datetime


def provenance() -> dict[str, str]:
    """`at`: now, ISO 8601 in UTC; `by`: the user; `revision`: git's, "-dirty" where files differ from it."""
    return {"at": datetime.now(UTC).isoformat(timespec="seconds"), "by": _user(), "revision": _revision()}


def _user() -> str:
    """Who runs this; a container's user may have no name."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _revision() -> str:
    """The git revision the models were made at, "-dirty" where files differ from it, empty outside a repository."""
    try:
        told = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return told.stdout.strip() if told.returncode == 0 else ""
