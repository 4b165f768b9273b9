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
from importlib.metadata import distributions
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Above this, other work on the machine shifts what is measured.
BUSY_CORES = 0.2
LIBRARIES = {"wattcast", "numpy", "polars", "pandas", "scikit-learn", "xgboost-cpu", "xgboost", "lightgbm", "onnxruntime", "matplotlib"} | {
    "flask",
    "werkzeug",
    "gunicorn",
    "msgspec",
    "sqlalchemy",
}


@dataclass(frozen=True)
class Measured:
    """What one process, or several in a row, cost.

    peak_bytes is the largest resident size of any one process, never a sum. other_cores is how many cores the rest of the machine
    kept busy meanwhile, at worst (0 where /proc/stat is absent).
    """

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_bytes: int = 0
    other_cores: float = 0.0
    exit_code: int = 0

    def __add__(self, after: Measured) -> Measured:
        return Measured(
            self.wall_seconds + after.wall_seconds,
            self.cpu_seconds + after.cpu_seconds,
            max(self.peak_bytes, after.peak_bytes),
            max(self.other_cores, after.other_cores),
            self.exit_code or after.exit_code,
        )


def run_measured(command: Sequence[str], cwd: Path, log: Path) -> Measured:
    """Run `command` in `cwd` to its end, its output appended to `log`. A child killed by signal n has exit code -n."""
    busy, started = busy_seconds(), time.perf_counter()
    with log.open("ab") as output:
        child = subprocess.Popen(command, cwd=cwd, env=environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
        try:
            _, status, usage = os.wait4(child.pid, 0)
        except BaseException:
            child.kill()
            child.wait()
            raise
    wall_seconds = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    cpu_seconds = usage.ru_utime + usage.ru_stime
    # ru_maxrss is in bytes on macOS and in KiB elsewhere.
    peak_bytes = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    other_cores = max(0.0, (busy_seconds() - busy - cpu_seconds) / wall_seconds)
    return Measured(wall_seconds, cpu_seconds, peak_bytes, other_cores, child.returncode)


def machine_facts() -> dict[str, object]:
    """The machine and the versions a figure belongs to: ratios travel between machines, seconds do not."""
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "libraries": {found.name: found.version for found in distributions() if found.name.lower() in LIBRARIES},
    }


def revision() -> str:
    """The commit that is measured, with a mark where something tracked differs from it."""
    said = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=ROOT, capture_output=True, text=True, check=False)
    return said.stdout.strip() or "unknown"


def other_cores() -> float:
    """How many cores other work keeps busy while nothing is measured."""
    began, busy = time.perf_counter(), busy_seconds()
    time.sleep(1.0)
    return (busy_seconds() - busy) / (time.perf_counter() - began)


def environment() -> dict[str, str]:
    """What a process that is measured finds in its environment: what it would at a user's."""
    # As a user has it: compiled modules kept, OpenMP's own waiting policy on both sides. Threads that spin suffer from neighbours:
    # measure on a quiet machine.
    others = ("WATTCAST_", "OMP_", "PYTHONDONTWRITEBYTECODE")
    return {name: value for name, value in os.environ.items() if not name.startswith(others)} | {"PYTHONUNBUFFERED": "1"}


def busy_seconds() -> float:
    """Seconds that all cores together have been busy; 0 where /proc/stat is absent."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return 0.0
    user, nice, system, _idle, _iowait, *interrupts = map(int, stat.read_text().split("\n", 1)[0].split()[1:8])
    return sum((user, nice, system, *interrupts)) / os.sysconf("SC_CLK_TCK")


def _cpu_model() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
