"""What came out, as figures with the targets beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from served.asked import FAMILIES, Case
from served.in_process import PARTS, Cost
from served.ours import Memory
from served.rivals import NAMES, Against
from served.rounds import Rounds

PLAIN = {"plain": "bare Flask", "bare": "ours, bare", "shipped": "ours, as shipped"}
RIVALS = {"ours": "ours, as shipped", "served": "ours, wattcast serve", **NAMES}
GROWTH = "worker_growth_percent"


@dataclass(frozen=True)
class Target:
    """What a figure has to be: at least this, or at most."""

    bound: float
    at_most: bool = False

    def met(self, value: float) -> bool:
        """Whether it is."""
        return value <= self.bound if self.at_most else value >= self.bound

    def __str__(self) -> str:
        return f"{'at most' if self.at_most else 'at least'} {self.bound:g}"


# Ratios are to bare Flask in the same round; `shipped` with keys, limit, headers, log and metrics on, else with them off.
TARGETS = {
    **{f"{family}_ratio": Target(0.7) for family in FAMILIES},
    **{f"{family}_shipped_ratio": Target(0.5) for family in FAMILIES},
    "day_ahead_ratio": Target(0.4),
    "stored_ratio": Target(0.5),
    "cached_ratio": Target(0.8),
    "etag_ratio": Target(0.8),
    "p99_over_p50": Target(4.0, at_most=True),
    "mlflow_ratio": Target(8.0),
    "bentoml_ratio": Target(2.0),
    "ready_s": Target(1.5, at_most=True),
    "worker_mb": Target(160.0, at_most=True),
    GROWTH: Target(5.0, at_most=True),
    "batch_1000_ms": Target(25.0, at_most=True),
    "ingest_sqlite_per_s": Target(100_000.0),
    "ingest_postgres_per_s": Target(50_000.0),
}


def of_load(rounds: Rounds, cases: Mapping[str, Case]) -> dict[str, float]:
    """Ratios to bare Flask, and how late the latest answers are. Of the day ahead the slowest family counts."""
    found = {}
    for case in cases:
        name = "champion" if case == "next_minute" else case.removeprefix("next_minute_")
        name = "day_ahead_champion" if case == "day_ahead" else name
        for who, ending in (("bare", "ratio"), ("shipped", "shipped_ratio")):
            if (case, who) in rounds.loads:
                found[f"{name}_{ending}"] = rounds.ratio(case, who)
    if "etag_shipped_ratio" in found:
        found.setdefault("etag_ratio", found["etag_shipped_ratio"])
    for ending in ("ratio", "shipped_ratio"):
        found[f"day_ahead_{ending}"] = min(found[f"day_ahead_{who}_{ending}"] for who in ("champion", *FAMILIES))
    found["p99_over_p50"] = max(rounds.spread(case, "shipped") for case in cases if case.startswith("next_minute"))
    return found


def of_rivals(against: Against) -> dict[str, float]:
    """Our requests a second, as shipped, over each rival's; `served` with our own server in place of bare Flask's."""
    found = {f"{name}_ratio": against.rounds.ratio("next_minute", "ours", name) for name in NAMES}
    return found | {f"{name}_served_ratio": against.rounds.ratio("next_minute", "served", name) for name in NAMES}


def of_memory(memory: Memory) -> dict[str, float]:
    """The most that the worker had, and by how much it grew."""
    return {"worker_mb": max(memory.first_mb, memory.last_mb), GROWTH: (memory.last_mb / memory.first_mb - 1) * 100}


def of_batches(costs: Mapping[str, Cost]) -> dict[str, float]:
    """Time of a batch of 1,000 by family; the slowest counts."""
    each = {f"batch_1000_{family or 'champion'}_ms": cost.ms for family, cost in costs.items()}
    return {"batch_1000_ms": max(each.values()), **each}


def rows_of(rounds: Rounds) -> list[dict[str, Any]]:
    """Every case and contender: the medians of its rounds."""
    rows = []
    for case, name in rounds.loads:
        middle = rounds.middle(case, name)
        numbers = {"per_second": middle.per_second, "p50_ms": middle.p50_ms, "p99_ms": middle.p99_ms, "requests": middle.requests}
        rows.append({"case": case, "who": name, **numbers})
    return rows


def load_table(rounds: Rounds, cases: Mapping[str, Case]) -> Table:
    """Requests a second, ratio to bare Flask, p50 and p99."""
    table = table_of("Load: medians of the rounds", "case", "who", "requests/s", "of bare Flask", "p50 ms", "p99 ms")
    for case, name in rounds.loads:
        middle, ratio = rounds.middle(case, name), "" if name == "plain" else f"{rounds.ratio(case, name):.0%}"
        title = cases[case].title if name == "plain" else ""
        cells = (f"{middle.per_second:,.0f}", ratio, f"{middle.p50_ms:.2f}", f"{middle.p99_ms:.2f}")
        table.add_row(title, PLAIN[name], *cells, end_section=name == "shipped")
    return table


def rival_table(against: Against) -> Table:
    """The same model, everywhere: requests a second, what ours does over it, p50, p99, and memory."""
    headings = ("requests/s", "ours / theirs", "p50 ms", "p99 ms", "largest process MB", "all processes MB")
    table = table_of("The same heads in other servers: next minute, one reading", "who", *headings)
    for case, name in against.rounds.loads:
        middle, memory = against.rounds.middle(case, name), against.memory_mb[name]
        ratio = f"{against.rounds.ratio(case, 'ours', name):.2f}" if name in NAMES else ""
        numbers = (f"{middle.p50_ms:.2f}", f"{middle.p99_ms:.2f}", *(f"{size:.0f}" for size in memory))
        table.add_row(RIVALS[name], f"{middle.per_second:,.0f}", ratio, *numbers)
    return table


def look_table(costs: Mapping[str, Cost]) -> Table:
    """Where the microseconds of an answer go."""
    table = table_of("Where the time of an answer goes, as shipped, without the network: microseconds", "part", *costs)
    for part in PARTS:
        table.add_row(part, *(f"{cost.ms * 1e3 * cost.shares.get(part, 0.0):,.0f}" for cost in costs.values()))
    table.add_row("total", *(f"{cost.ms * 1e3:,.0f}" for cost in costs.values()))
    return table


def target_table(figures: Mapping[str, float], targets: Mapping[str, Target]) -> Table:
    """Every target, and whether it is met."""
    table = table_of("Targets", "figure", "measured", "target", "")
    for name, target in targets.items():
        value = figures.get(name)
        verdict = "not measured" if value is None else "met" if target.met(value) else "MISSED"
        table.add_row(name, "" if value is None else _told(value), str(target), verdict)
    return table


def _told(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1_000 else f"{value:.3g}"


def table_of(title: str, *headings: str) -> Table:
    table = Table(title=title, title_justify="left")
    words: Sequence[str] = ("case", "who", "part", "place", "action", "figure", "target", "")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in words else "right")
    return table
