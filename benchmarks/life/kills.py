"""Random kills of publish, promote, rollback and gc, and a look at the store after each."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

import life_until_killed
from lives import ACTIONS, Ended, Kill, killing, looked_at
from rich.table import Table
from served.figures import table_of
from served.rounds import Say

# The latest moment that is drawn follows how long an action takes here, whatever else the machine does: a bit earlier after a kill that
# came too late, a bit later after any other, so that one of five comes after all of it.
_EARLIER, _LATER = 0.88, 1.03
_TO_ITS_END = 10**6
# Before the decisive write (of gc: all deletions), within it while the old still serves, past it though nobody was told, and told.
OUTCOMES = ("before", "within", "untold", "told")


@dataclass
class Kills:
    """What came of the kills at one place. outcomes: by action and how far it had come."""

    place: str
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    torn: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)

    def count(self, outcome: str) -> int:
        """How many kills came so far, of all actions."""
        return sum(self.outcomes[action, outcome] for action in ACTIONS)


def killed(place: str, where: list[str], count: int, chance: random.Random, folder: Path, say: Say) -> Kills:
    """Kill so many actions at moments that cover all of each; count what the store does not survive."""
    store, found = life_until_killed.connected(where), Kills(place)
    with killing(where) as kill:
        latest_s = _spans(kill)
        serial = looked_at(store, folder).serial
        for number in range(count):
            action = chance.choice(ACTIONS)
            ended = kill(action, "seconds", chance.uniform(0, latest_s[action]))
            latest_s[action] *= _EARLIER if ended.outcome == "finished" else _LATER
            look = looked_at(store, folder)
            found.outcomes[action, _outcome(ended, look.serial > serial)] += 1
            what = f"{place}, kill {number + 1}, {action} ({ended.phase})"
            found.torn += [f"{what}: {'; '.join(look.wrong)}"] if look.wrong else []
            found.lost += [f"{what}: {why}" for why in _lost(ended, serial, look.serial, action)]
            serial = look.serial
            if (number + 1) % 100 == 0:
                say(f"  {place}: {number + 1} of {count} kills, serial {serial}, {len(found.torn)} torn, {len(found.lost)} lost")
    return found


def _spans(kill: Kill) -> dict[str, float]:
    """How long each action takes here, seconds: the median of three to their end."""
    for _ in range(2):
        kill("publish", "event", _TO_ITS_END)
    return {action: median(kill(action, "event", _TO_ITS_END).took_s for _ in range(3)) for action in ACTIONS}


def _outcome(ended: Ended, written: bool) -> str:
    """How far the action had come when the kill came."""
    if ended.outcome == "finished":
        return "told"
    return "untold" if written or ended.phase == "after" else ended.phase


def _lost(ended: Ended, before: int, now: int, action: str) -> list[str]:
    """What is missing that was told: now, or before."""
    steps = (0,) if action == "gc" else (0, 1)
    found = [] if not ended.told or ended.told == now else [f"serial {ended.told} was told, {now} is there"]
    return found + ([] if now - before in steps else [f"serial {before} became {now}"])


def kill_table(places: Sequence[Kills]) -> Table:
    """How many kills came before, within and past what each action does for good."""
    headings = ("before the decisive write", "within", "past it, not told", "told")
    table = table_of("Kills, by how far the action had come", "place", "action", *headings)
    for kills in places:
        for action in ACTIONS:
            table.add_row(kills.place, action, *(f"{kills.outcomes[action, outcome]}" for outcome in OUTCOMES))
    return table
