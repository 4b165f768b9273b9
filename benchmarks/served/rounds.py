"""Rounds: in each, every case is asked of bare Flask and of ours in turn, so that whatever slows the machine slows them all."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from served.asked import Case
from served.load import Load, run_load
from served.servers import Server

Say = Callable[[str], None]


@dataclass(frozen=True)
class Contender:
    """Who is asked a case."""

    name: str
    server: Server
    case: Case


@dataclass(frozen=True)
class Rounds:
    """Loads by case and contender, one of each round, in the order of the rounds."""

    loads: Mapping[tuple[str, str], Sequence[Load]]

    def ratio(self, case: str, name: str, to: str = "plain") -> float:
        """Requests a second of one contender over those of another, both of the same round: the median of all rounds."""
        pairs = zip(self.loads[case, name], self.loads[case, to], strict=True)
        return median(one.per_second / other.per_second for one, other in pairs)

    def middle(self, case: str, name: str) -> Load:
        """The median of each number."""
        loads = self.loads[case, name]
        middles = (median(getattr(load, number) for load in loads) for number in ("per_second", "p50_ms", "p99_ms"))
        return Load(sum(load.requests for load in loads), *middles)

    def spread(self, case: str, name: str) -> float:
        """p99 over p50: the median of all rounds."""
        return median(load.spread for load in self.loads[case, name])


def in_turn(cases: Mapping[str, Sequence[Contender]], rounds: int, seconds: int, folder: Path, say: Say) -> Rounds:
    """Load every contender of every case once in each round, those of a case one after the other."""
    loads: dict[tuple[str, str], list[Load]] = {(case, each.name): [] for case, contenders in cases.items() for each in contenders}
    for number in range(rounds):
        for case, contenders in cases.items():
            for each in contenders:
                loads[case, each.name].append(run_load(each.server.url, each.case.requests, seconds, folder))
            said = ", ".join(f"{each.name} {loads[case, each.name][-1].per_second:,.0f}" for each in contenders)
            say(f"  round {number + 1} of {rounds}, {case}: {said} requests/s")
    return Rounds(loads)
