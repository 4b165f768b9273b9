"""The models that are served: trained on the real half year as `make run` trains them, once, and kept for the next time."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

from measure import ROOT, environment

from served.rounds import Say

HALF_YEAR = "household_power_consumption_2007h1.zip"
# What the pipeline reads beside the meter file.
_COPIED = ("dvc.yaml", "params.yaml", ".dvcignore", ".gitignore", ".dvc/config", ".dvc/.gitignore")


def half_year() -> Path:
    """The real meter file. Exits where it is not there."""
    found = Path(os.environ.get("WATTCAST_SHARED_DATA", ROOT.parent / "shared" / "data")).resolve() / HALF_YEAR
    if not found.exists():
        sys.exit(f"error: {found} is not there\nhint: set WATTCAST_SHARED_DATA to the folder with {HALF_YEAR}")
    return found


def trained_store(data: Path, cache: Path, say: Say) -> Path:
    """The store of a copy of the project in which the pipeline ran for this file; trained again where the settings changed.

    The code is not looked at: what makes models better makes them no slower to ask. Delete `cache` to train anew.
    """
    folder, wanted = cache / "serving", _sha256(data)
    made, store = folder / "made-from", folder / "store"
    if made.exists() and made.read_text() == wanted:
        return store
    say("training the models on the real half year, as make run does: this takes minutes")
    shutil.rmtree(folder, ignore_errors=True)
    _lay_out(folder)
    command = [str(Path(sys.executable).with_name("wattcast")), "pipeline", "--data", str(data)]
    with (folder / "pipeline.log").open("wb") as log:
        ended = subprocess.run(command, cwd=folder, env=environment(), stdout=log, stderr=subprocess.STDOUT, check=False).returncode
    if ended:
        sys.exit(f"error: the pipeline ended with exit code {ended}; all output is in {folder / 'pipeline.log'}")
    made.write_text(wanted)
    return store


def _lay_out(folder: Path) -> None:
    """A project as a fresh clone has it, with the sources that the pipeline looks at."""
    (folder / ".dvc").mkdir(parents=True)
    for name in _COPIED:
        shutil.copy(ROOT / name, folder / name)
    (folder / "src").symlink_to(ROOT / "src")
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)


def _sha256(data: Path) -> str:
    known = hashlib.sha256()
    for path in (data, ROOT / "dvc.yaml", ROOT / "params.yaml"):
        known.update(path.read_bytes())
    return known.hexdigest()
