"""Who made a model, when, and from which revision of the project."""

from __future__ import annotations

import getpass
import hashlib
import subprocess
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

import yaml


def provenance() -> dict[str, str]:
    """`at`: now, ISO 8601 in UTC; `by`: the user; `revision`: git's, "-dirty" where files differ from it."""
    return {**who_when(), "revision": _revision()}


def who_when() -> dict[str, str]:
    """`at` and `by` alone."""
    return {"at": datetime.now(UTC).isoformat(timespec="seconds"), "by": _user()}


def readings_hash() -> str:
    """The hash under which DVC keeps the readings that were trained on, as dvc.lock has it; empty where DVC did not run it."""
    try:
        stages = yaml.safe_load(Path("dvc.lock").read_text(encoding="utf-8"))["stages"]
        return str(stages["preprocess"]["outs"][0]["md5"])
    except (OSError, yaml.YAMLError, LookupError, TypeError):
        return ""


def code_sha256() -> str:
    """A hash of the code that reads meters and forecasts: what was worked out by other code is not taken for this one's."""
    package, digest = files("wattcast"), hashlib.sha256()
    for room in ("forecasting", "meter"):
        for path in sorted(Path(str(package / room)).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


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
