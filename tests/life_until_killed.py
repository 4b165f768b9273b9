"""Changes a model store in children of a process that has imported everything and has one thread; each child is killed with SIGKILL.

Started with where the store is: a folder, or "s3://BUCKET/PREFIX ENDPOINT". Reads lines "ACTION seconds DELAY" and "ACTION event NUMBER":
publish, promote, rollback or gc, and when the child is killed: after that many seconds, or just before its NUMBERth creation, renaming
or removal of a file, or its NUMBERth request to S3. Answers each with the serial that the child was told (0: none) and "killed" or
"finished". A child whose action raises says so and ends this process.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from pathlib import Path

import tiny

from wattcast.adapters.mirror import Mirrored
from wattcast.adapters.model_store import BlobModelStore
from wattcast.adapters.sweeping import swept
from wattcast.adapters.wiring import connect
from wattcast.config import Settings
from wattcast.forecasting.choosing import slot_of
from wattcast.forecasting.registry import Record
from wattcast.forecasting.succession import Application, promote, register, rollback

EVENTS = ("tempfile.mkstemp", "os.rename", "os.remove", "http.client.send")
TASK = "day_ahead"
FAMILIES = ("xgb", "lgbm")
METER = tiny.hour_table().meter
WHO = {"at": "2010-03-01T00:00:00+00:00", "by": "tests"}


def connected(where: list[str]) -> BlobModelStore:
    """The store at this place."""
    given = {"s3": where[0], "s3_endpoint": where[1], "store": Path(where[2])} if len(where) > 1 else {"store": Path(where[0])}
    return connect(Settings(**given)).store


def made(number: int) -> dict[bytes, Record]:
    """Bundles of two families, unlike any others, and their records."""
    both = [tiny.repacked(tiny.bundle(TASK, key), change=lambda facts: facts["params"].update(number=number)) for key in FAMILIES]
    return {data: tiny.record(data) for data in both}


def act(store: BlobModelStore, action: str, new: dict[bytes, Record]) -> int:
    """Do it; the serial that it led to."""
    manifest = store.manifest()
    there = manifest.slot(TASK, METER.id)
    if action == "gc":
        for _ in swept(store, time.time()):
            pass
        return manifest.serial
    if action == "rollback" and there and there.before:
        return store.change(lambda now: rollback(now, TASK, METER.id), **WHO).serial
    if action == "promote" and there:
        other = next(bundle for bundle in there.families.values() if bundle != there.champion)
        return store.change(lambda now: promote(now, store.record(other), ("tried",)), **WHO).serial
    for data, record in new.items():
        store.put_bundle(data)
        store.put_record(record)
    slot = slot_of(TASK, tiny.TASKS[TASK], METER.id, tiny.LEVELS, list(new.values()), "")
    application = Application(slot, there.champion if there else "", accepted=True, reasons=())
    return store.change(lambda now: register(now, METER, [application]), **WHO).serial


def run(store: BlobModelStore, number: int, action: str, how: str, amount: str) -> str:
    """Start the action in a child and kill it."""
    told, telling = os.pipe()
    new = made(number)
    child = os.fork()
    if child == 0:
        act_and_wait(store, action, new, int(amount) if how == "event" else 0, telling)
    os.close(telling)
    if how == "seconds":
        # The moment is the point: nothing is waited for.
        time.sleep(float(amount))
        os.kill(child, signal.SIGKILL)
    said = os.read(told, 20)
    if said:
        os.kill(child, signal.SIGKILL)
    os.close(told)
    _, status = os.waitpid(child, 0)
    if os.WIFEXITED(status):
        sys.exit(f"{action} ended by itself with {os.WEXITSTATUS(status)}")
    return f"{said.decode() or 0} {'finished' if said else 'killed'}"


def act_and_wait(store: BlobModelStore, action: str, new: dict[bytes, Record], fatal_event: int, telling: int) -> None:
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
        os.write(telling, str(act(store, action, new)).encode())
        while True:
            signal.pause()
    except BaseException:  # noqa: BLE001 (a child never returns into the loop of its parent)
        traceback.print_exc()
    os._exit(1)


if __name__ == "__main__":
    made(0)
    place = connected(sys.argv[1:])
    if isinstance(place.blobs, Mirrored):
        # A client takes a tenth of a second to make; it connects with its first request alone, in each child.
        place.blobs._far._client  # type: ignore[attr-defined]  # noqa: B018
    print("ready", flush=True)
    for number, line in enumerate(sys.stdin):
        print(run(place, number, *line.split()), flush=True)
