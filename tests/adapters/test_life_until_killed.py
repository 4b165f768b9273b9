"""`kill -9` at any moment of publish, promote, rollback and gc: the store opens, one champion answers, no change that was told is lost."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import life_until_killed
import pytest
import tiny

from wattcast.adapters.files import FileSnapshots
from wattcast.adapters.model_store import BlobModelStore
from wattcast.serving import Ask, ForecastService

ACTIONS = ("publish", "promote", "rollback", "gc")
Kill = Callable[[str, str, float], tuple[int, str]]


@pytest.fixture(params=["files", "s3"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """The words that say where an empty store is."""
    if request.param == "files":
        return [str(tmp_path / "store")]
    return [request.getfixturevalue("bucket"), request.getfixturevalue("s3_server"), str(tmp_path / "store")]


@pytest.fixture
def kill(where: list[str]) -> Iterator[Kill]:
    """kill(action, "seconds" or "event", amount) -> the serial that it was told, 0 for none, and "killed" or "finished"."""
    script = Path(life_until_killed.__file__)
    words = [sys.executable, str(script), *where]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, told = process.stdin, process.stdout
        assert told.readline() == "ready\n"

        def run(action: str, how: str, amount: float) -> tuple[int, str]:
            print(action, how, amount, file=asked, flush=True)
            serial, outcome = told.readline().split()
            return int(serial), outcome

        yield run
        asked.close()
        assert process.wait(timeout=30) == 0


def looked_at(store: BlobModelStore, tmp_path: Path) -> int:
    """The serial of the store, after looking at it: nothing is refused, one champion answers, and every change has its entry."""
    service = ForecastService(store, FileSnapshots(tmp_path / "readings"))
    service.load()
    manifest = service.manifest
    assert service.refused == {}
    assert [change.serial for change in store.history()] == list(range(manifest.serial, 0, -1))
    for slot in manifest.slots.values():
        assert list(slot.families.values()).count(slot.champion) == 1
        forecast = service.forecast(Ask(slot.meter, slot.task, 2_000_000_000, tiny.hour_table()))
        assert (forecast.tier, forecast.version) == ("champion", slot.champion)
        assert [bundle for bundle in slot.kept() if not store.bundle(bundle)] == []
    return manifest.serial


def test_killed_before_each_thing_it_does(where: list[str], kill: Kill, tmp_path: Path) -> None:
    """Every point of every action once: first the old manifest serves, then the new one, and then it was told or not."""
    store = life_until_killed.connected(where)
    serial = 0
    for number in range(2):
        serial, outcome = kill("publish", "event", 10**6)
        assert (serial, outcome) == (number + 1, "finished")
    for action in ACTIONS:
        point, outcome, serials = 0, "killed", []
        while outcome == "killed":
            point += 1
            told, outcome = kill(action, "event", point)
            now = looked_at(store, tmp_path)
            assert told in (0, now)
            serials.append(now - serial)
            serial = now
        assert point > 1, f"{action} was never killed"
        # Each of the kills that came after the change, and the last time, which was not killed, led to one serial more.
        assert set(serials) == ({0} if action == "gc" else {0, 1}), action
        assert serials[0] == 0
        if action == "promote":
            kill("publish", "event", 10**6)
            serial = looked_at(store, tmp_path)


def test_killed_at_random_moments(where: list[str], kill: Kill, tmp_path: Path) -> None:
    """Whatever is under way is killed anywhere; what was told is there for good."""
    store = life_until_killed.connected(where)
    chance, serial = random.Random(11), kill("publish", "event", 10**6)[0]
    outcomes = []
    count, longest_s = (60, 0.02) if len(where) == 1 else (25, 0.2)
    for _ in range(count):
        told, outcome = kill(chance.choice(ACTIONS), "seconds", chance.uniform(0, longest_s))
        now = looked_at(store, tmp_path)
        assert serial <= now <= serial + 1
        assert told in (0, now)
        serial, outcomes = now, [*outcomes, outcome]
    assert set(outcomes) == {"killed", "finished"}
