"""One command as one process: how long it ran, how much memory it peaked at, and on what machine.

Keep this module and its callers light: on Linux a child inherits its parent's peak memory as the floor of its own.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("wattcast", "numpy", "polars", "pandas", "scikit-learn", "xgboost-cpu", "xgboost", "lightgbm", "onnxruntime", "matplotlib", "dvc")


@dataclass(frozen=True)
class Measured:
    """What one process cost. peak_bytes is the largest resident size of the process or of any one child it waited for, never a sum."""

    wall_seconds: float
    peak_bytes: int
    exit_code: int


def run_measured(command: Sequence[str], cwd: Path, log: Path) -> Measured:
    """Run `command` in `cwd` to its end, its output appended to `log`. A child killed by signal n has exit code -n."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        started = time.perf_counter()
        child = subprocess.Popen(command, cwd=cwd, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            child.wait()
            raise
        wall_seconds = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    # ru_maxrss is in bytes on macOS and in KiB elsewhere.
    peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Measured(wall_seconds, peak_bytes, child.returncode)


def machine_facts() -> dict[str, object]:
    """The machine and the versions a figure belongs to: ratios travel between machines, seconds do not."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": {name: found for name in LIBRARIES if (found := _version_of(name))},
    }


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.processor() or platform.machine())


def _version_of(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None
