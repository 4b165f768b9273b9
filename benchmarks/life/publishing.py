"""Many processes that publish at once, each for a meter of its own: `python -m life.publishing COUNT WHERE...`, forked from one that
has everything imported. Prints the seconds from the start of all to the end of the last, and how many ended well."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import life_until_killed
from life_until_killed import METER, TASK, act, made, ready_to_fork
from measure import environment

from wattcast.adapters.model_store import BlobModelStore
from wattcast.meter.table import Meter

BENCHMARKS = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Published:
    """What came of it. entries: in the history; lost: publishers that were told they had published, and whose champion is not there."""

    place: str
    publishers: int
    told: int
    entries: int
    lost: int
    took_s: float


def published(place: str, where: list[str], count: int) -> Published:
    """Have so many publish at once to the empty store at this place."""
    command = [sys.executable, "-m", "life.publishing", str(count), *where]
    variables = environment() | {"PYTHONPATH": str(BENCHMARKS)}
    run = subprocess.run(command, cwd=BENCHMARKS, env=variables, stdout=subprocess.PIPE, text=True, check=True)
    said = json.loads(run.stdout)
    store = life_until_killed.connected(where)
    manifest = store.manifest()
    there = [number for number in said["told"] if (slot := manifest.slot(TASK, _meter(number).id)) and store.bundle(slot.champion)]
    entries = {change.serial for change in store.history()}
    return Published(place, count, len(said["told"]), len(entries), len(said["told"]) - len(there), said["took_s"])


def _meter(number: int) -> Meter:
    return Meter(f"house-{number}", zone=METER.zone)


def _all_at_once(count: int, where: list[str]) -> dict[str, object]:
    store, wait, go = ready_to_fork(where), *os.pipe()
    children = {_publisher(store, number, wait, go): number for number in range(count)}
    os.close(wait)
    began = time.perf_counter()
    # The end of the pipe is what all of them wait for.
    os.close(go)
    told = []
    for _ in range(count):
        child, status = os.wait()
        if status == 0:
            told.append(children[child])
    return {"took_s": time.perf_counter() - began, "told": told}


def _publisher(store: BlobModelStore, number: int, wait: int, go: int) -> int:
    """The process id of one, which waits until `go` is closed everywhere."""
    new = made(number)
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        os.close(go)
        os.read(wait, 1)
        act(store, "publish", new, _meter(number))
        code = 0
    except BaseException:  # noqa: BLE001 (a child never returns into the loop of its parent)
        traceback.print_exc()
    os._exit(code)


if __name__ == "__main__":
    print(json.dumps(_all_at_once(int(sys.argv[1]), sys.argv[2:])))
