"""`kill -9` at any moment of publish, promote, rollback and gc: the store opens, one champion answers, no change that was told is lost."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import life_until_killed
import pytest
from lives import ACTIONS, Kill, Look, killing, looked_at


@pytest.fixture(params=["files", "s3"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """The words that say where an empty store is."""
    if request.param == "files":
        return [str(tmp_path / "store")]
    return [request.getfixturevalue("bucket"), request.getfixturevalue("s3_server"), str(tmp_path / "store")]


@pytest.fixture
def kill(where: list[str]) -> Iterator[Kill]:
    """kill(action, "seconds" or "event", amount) -> how it ended."""
    with killing(where) as run:
        yield run


def test_killed_before_each_thing_it_does(where: list[str], kill: Kill, tmp_path: Path) -> None:
    """Every point of every action once: first the old manifest serves, then the new one, and then it was told or not."""
    store = life_until_killed.connected(where)
    serial = 0
    for number in range(2):
        ended = kill("publish", "event", 10**6)
        serial = ended.told
        assert (serial, ended.outcome, ended.phase) == (number + 1, "finished", "after")
    for action in ACTIONS:
        point, outcome, steps = 0, "killed", []
        while outcome == "killed":
            point += 1
            ended = kill(action, "event", point)
            now = looked_at(store, tmp_path)
            assert now.wrong == ()
            assert ended.told in (0, now.serial)
            steps.append((ended.phase, now.serial - serial))
            serial, outcome = now.serial, ended.outcome
        assert point > 1, f"{action} was never killed"
        # Each of the kills that came after the change, and the last time, which was not killed, led to one serial more.
        assert {step for _, step in steps} == ({0} if action == "gc" else {0, 1}), action
        assert (steps[0][1], steps[-1][0]) == (0, "after")
        assert action == "gc" or {step for phase, step in steps if phase == "before"} == {0}
        assert action == "gc" or {step for phase, step in steps if phase == "after"} == {1}
        assert "within" in {phase for phase, _ in steps}, action
        if action == "promote":
            kill("publish", "event", 10**6)
            serial = looked_at(store, tmp_path).serial


def test_killed_at_random_moments(where: list[str], kill: Kill, tmp_path: Path) -> None:
    """Whatever is under way is killed anywhere; what was told is there for good."""
    store = life_until_killed.connected(where)
    chance, serial = random.Random(11), kill("publish", "event", 10**6).told
    outcomes = []
    count, longest_s = (60, 0.02) if len(where) == 1 else (25, 0.2)
    for _ in range(count):
        ended = kill(chance.choice(ACTIONS), "seconds", chance.uniform(0, longest_s))
        now = looked_at(store, tmp_path)
        assert now in (Look(serial), Look(serial + 1))
        assert ended.told in (0, now.serial)
        serial, outcomes = now.serial, [*outcomes, ended.outcome]
    assert set(outcomes) == {"killed", "finished"}
