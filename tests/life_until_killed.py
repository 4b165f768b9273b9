"""Changes a model store in children of a process that has imported everything and has one thread; each child is killed with SIGKILL.

Started with where the store is: a folder, or "s3://BUCKET/PREFIX ENDPOINT". Reads lines "ACTION seconds DELAY" and "ACTION event NUMBER":
publish, promote, rollback or gc, and when the child is killed: after that many seconds, or just before its NUMBERth creation, renaming
or removal of a file, or its NUMBERth request to S3. Answers each with the serial that the child was told (0: none), "killed" or "finished",
"before", "within" or "after" what it does for good (the swap of the serving manifest; of gc: from the first deletion to the last), and
the seconds until it was told (0: it was not). A child whose action raises says so and ends this process.
"""

from __future__ import annotations

import mmap
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

import tiny

from wattcast.adapters.mirror import Mirrored
from wattcast.adapters.model_store import BlobModelStore
from wattcast.adapters.sweeping import swept
from wattcast.adapters.wiring import connect
from wattcast.config import Settings
from wattcast.forecasting.choosing import slot_of
from wattcast.forecasting.registry import Record
from wattcast.forecasting.succession import Application, promote, register, rollback
from wattcast.meter.table import Meter
from wattcast.ports import Blobs

EVENTS = ("tempfile.mkstemp", "os.rename", "os.remove", "http.client.send")
TASK = "day_ahead"
FAMILIES = ("xgb", "lgbm")
PHASES = ("before", "within", "after")
METER = tiny.hour_table().meter
WHO = {"at": "2010-03-01T00:00:00+00:00", "by": "tests"}


def connected(where: list[str]) -> BlobModelStore:
    """The store at this place."""
    given = {"s3": where[0], "s3_endpoint": where[1], "store": Path(where[2])} if len(where) > 1 else {"store": Path(where[0])}
    return connect(Settings(**given)).store


def ready_to_fork(where: list[str]) -> BlobModelStore:
    """The store at this place, with all that children share."""
    store = connected(where)
    if isinstance(store.blobs, Mirrored):
        # A client takes a tenth of a second to make; it connects with its first request alone, in each child.
        store.blobs._far._client  # type: ignore[attr-defined]  # noqa: B018
    return store


def made(number: int) -> dict[bytes, Record]:
    """Bundles of two families, unlike any others, and their records."""
    both = [tiny.repacked(tiny.bundle(TASK, key), change=lambda facts: facts["params"].update(number=number)) for key in FAMILIES]
    return {data: tiny.record(data) for data in both}


def act(store: BlobModelStore, action: str, new: dict[bytes, Record], meter: Meter = METER) -> int:
    """Do it; the serial that it led to."""
    manifest = store.manifest()
    there = manifest.slot(TASK, meter.id)
    if action == "gc":
        for _ in swept(store, time.time()):
            pass
        return manifest.serial
    if action == "rollback" and there and there.before:
        return store.change(lambda now: rollback(now, TASK, meter.id), **WHO).serial
    if action == "promote" and there:
        other = next(bundle for bundle in there.families.values() if bundle != there.champion)
        return store.change(lambda now: promote(now, store.record(other), ("tried",)), **WHO).serial
    for data, record in new.items():
        store.put_bundle(data)
        store.put_record(record)
    slot = slot_of(TASK, tiny.TASKS[TASK], meter.id, tiny.LEVELS, list(new.values()), "")
    application = Application(slot, there.champion if there else "", accepted=True, reasons=())
    return store.change(lambda now: register(now, meter, [application]), **WHO).serial


def run(store: BlobModelStore, number: int, action: str, how: str, amount: str) -> str:
    """Start the action in a child and kill it."""
    told, telling = os.pipe()
    phase, new = mmap.mmap(-1, 1), made(number)
    began = time.perf_counter()
    child = os.fork()
    if child == 0:
        store.blobs = Phased(store.blobs, phase)
        act_and_wait(store, action, new, int(amount) if how == "event" else 0, telling, began)
    os.close(telling)
    if how == "seconds":
        # The moment is the point: nothing is waited for.
        time.sleep(max(0.0, began + float(amount) - time.perf_counter()))
        os.kill(child, signal.SIGKILL)
    said = os.read(told, 40)
    if said:
        os.kill(child, signal.SIGKILL)
    os.close(told)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        sys.exit(f"{action} ended by itself with {os.WEXITSTATUS(status)}")
    serial, _, took_s = said.decode().partition(" ")
    return f"{serial or 0} {'finished' if said else 'killed'} {PHASES[phase[0]]} {took_s or 0}"


class Phased:
    """Blobs that note in shared memory when what is done for good begins and ends: a swap, or the first of deletions."""

    def __init__(self, blobs: Blobs, phase: mmap.mmap) -> None:
        self._blobs, self.phase = blobs, phase

    def __getattr__(self, name: str) -> Any:
        return getattr(self._blobs, name)

    def swap(self, name: str, data: bytes, version: str) -> str:
        self.phase[0] = 1
        following = self._blobs.swap(name, data, version)
        self.phase[0] = 2
        return following

    def delete(self, name: str) -> None:
        self.phase[0] = 1
        self._blobs.delete(name)


def act_and_wait(store: BlobModelStore, action: str, new: dict[bytes, Record], fatal_event: int, telling: int, began: float) -> None:
    """Run the action, say what it led to, and wait to be killed."""
    left = fatal_event

    def count(event: str, _: object) -> None:
        nonlocal left
        if event in EVENTS and fatal_event:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    try:
        sys.addaudithook(count)
        serial = act(store, action, new)
        store.blobs.phase[0] = 2  # type: ignore[attr-defined]
        os.write(telling, f"{serial} {time.perf_counter() - began:.6f}".encode())
        while True:
            signal.pause()
    except BaseException:  # noqa: BLE001 (a child never returns into the loop of its parent)
        traceback.print_exc()
    os._exit(1)


if __name__ == "__main__":
    made(0)
    place = ready_to_fork(sys.argv[1:])
    print("ready", flush=True)
    for number, line in enumerate(sys.stdin):
        print(run(place, number, *line.split()), flush=True)
