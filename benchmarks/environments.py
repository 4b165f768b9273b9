"""Environments beside .venv, each made once from its pins: what is measured in one finds none of the others' libraries."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def environment_of(folder: Path, pins: str, *, with_wattcast: bool) -> Path:
    """The Python of the environment that `requirements/<pins>` describes, made anew where they changed."""
    requirements = ROOT / "requirements" / pins
    made, wanted = folder / "made-from", requirements.read_bytes()
    if not made.exists() or made.read_bytes() != wanted:
        uv = [sys.executable, "-m", "uv"]
        subprocess.run([*uv, "venv", "--quiet", "--clear", "--python", sys.executable, folder], check=True)
        install = [*uv, "pip", "install", "--quiet", "--python", str(folder / "bin" / "python")]
        subprocess.run([*install, "--require-hashes", "--requirement", str(requirements)], check=True)
        if with_wattcast:
            subprocess.run([*install, "--no-build-isolation", "--no-deps", "--editable", str(ROOT)], check=True)
        made.write_bytes(wanted)
    return folder / "bin" / "python"
