"""How long models take to load: one large bundle, and a service that starts from a bucket with nothing near, and with everything near."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from measure import environment
from served.servers import BENCHMARKS, free_port, started

from life.stores import verifying


def loads_s(settings: Mapping[str, str], repeats: int) -> list[float]:
    """Seconds to verify and load a store, each in a process that has loaded no model. The first one, which fills caches, is none."""
    command, variables = [sys.executable, "-m", "life.loading"], environment() | {"PYTHONPATH": str(BENCHMARKS)} | verifying(settings)
    runs = (
        subprocess.run(command, cwd=BENCHMARKS, env=variables, stdout=subprocess.PIPE, text=True, check=True) for _ in range(repeats + 1)
    )
    return [float(run.stdout) for run in runs][1:]


def starts_s(settings: Mapping[str, str], folder: Path, repeats: int) -> tuple[list[float], list[float]]:
    """Seconds from the start of `wattcast serve` to its first 200 of /readyz: in an empty folder, and again in that folder.

    The first pair, which fills caches, is none.
    """
    cold, warm = [], []
    for number in range(repeats + 1):
        near = {**settings, "store": str(folder / f"near-{number}")}
        cold.append(_start_s(near, folder))
        warm.append(_start_s(near, folder))
    return cold[1:], warm[1:]


def _start_s(settings: Mapping[str, str], folder: Path) -> float:
    port = free_port()
    command = [str(Path(sys.executable).with_name("wattcast")), "serve", "--port", str(port)]
    with started("start", command, folder, port=port, WATTCAST_LOGS="json", **verifying(settings)) as server:
        return server.ready_s
