"""Lives of a model store that end by SIGKILL: how they are started, what is said of each, and a look at what they leave."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import life_until_killed
import tiny

from wattcast.adapters.files import FileSnapshots
from wattcast.adapters.model_store import BlobModelStore
from wattcast.errors import WattcastError
from wattcast.serving import Ask, ForecastService

ACTIONS = ("publish", "promote", "rollback", "gc")


@dataclass(frozen=True)
class Ended:
    """How an action ended. told: the serial that it was told, 0 for none; phase: before, within or after what it does for good;
    took_s: until it was told, 0 where it was not."""

    told: int
    outcome: str
    phase: str
    took_s: float


@dataclass(frozen=True)
class Look:
    """The serial of a store, and what is wrong with it: nothing, where it opens and one champion answers."""

    serial: int
    wrong: tuple[str, ...] = ()


# kill(action, "seconds" or "event", amount).
Kill = Callable[[str, str, float], Ended]


@contextmanager
def killing(where: list[str]) -> Iterator[Kill]:
    """Changes to the store at this place, each in a process that is killed."""
    words = [sys.executable, str(Path(life_until_killed.__file__)), *where]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, told = process.stdin, process.stdout
        assert told.readline() == "ready\n"

        def run(action: str, how: str, amount: float) -> Ended:
            print(action, how, amount, file=asked, flush=True)
            serial, outcome, phase, took_s = told.readline().split()
            return Ended(int(serial), outcome, phase, float(took_s))

        yield run
        asked.close()
        assert process.wait(timeout=30) == 0


def looked_at(store: BlobModelStore, folder: Path) -> Look:
    """Look at all of a store: nothing is refused, one champion answers each slot, every change has its entry, what is kept is there.

    folder: where readings would be; there are none.
    """
    service = ForecastService(store, FileSnapshots(folder))
    try:
        service.load()
        manifest = service.manifest
        wrong = [f"{bundle[:12]} is refused: {why}" for bundle, why in service.refused.items()]
        entries = [change.serial for change in store.history()]
        if entries != list(range(manifest.serial, 0, -1)):
            wrong.append(f"serial {manifest.serial} has the entries {entries}")
        for slot in manifest.slots.values():
            count = list(slot.families.values()).count(slot.champion)
            if count != 1:
                wrong.append(f"{slot.key} has {count} champions")
            said = service.forecast(Ask(slot.meter, slot.task, 2_000_000_000, tiny.hour_table()))
            if (said.tier, said.version) != ("champion", slot.champion):
                wrong.append(f"{slot.key} is answered by {said.tier} {said.version[:12]}: {said.reason}")
            wrong += [f"{bundle[:12]} is empty" for bundle in slot.kept() if not store.bundle(bundle)]
    except WattcastError as cause:
        return Look(service.manifest.serial, (cause.message,))
    return Look(manifest.serial, tuple(wrong))
