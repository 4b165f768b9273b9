"""`make bench-lifecycle`: the life of a model. Stores that are killed, published to by many, served while champions change, and started.

Prints every figure beside its aim and writes results/lifecycle.json. A trial (--quick) or a part (--only) writes nothing. A target that is
missed is said, and is no fault of the run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import secrets
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from statistics import median
from typing import Any

from life import models, starts, swaps
from life.kills import OUTCOMES, Kills, kill_table, killed
from life.publishing import published
from life.stores import ASKER, bucket_server, changed, copied, new_bucket, signed, where_new
from measure import BUSY_CORES, machine_facts, other_cores, revision
from rich.console import Console
from rich.table import Table
from served.figures import Target, target_table
from served.trained import half_year, trained_store

from wattcast.adapters.wiring import connect
from wattcast.config import Settings
from wattcast.forecasting.succession import promote

RESULTS = Path(__file__).resolve().parent / "results"
PLACES = ("files", "s3")
GROWTH = "memory_growth_percent"
TARGETS = {
    "kills": Target(1_000),
    "torn": Target(0, at_most=True),
    "lost": Target(0, at_most=True),
    "publishers": Target(50),
    "history_entries": Target(50),
    "publishers_lost": Target(0, at_most=True),
    "swap_s": Target(10.0, at_most=True),
    "rollback_s": Target(10.0, at_most=True),
    "swaps": Target(1_000),
    "failed_requests": Target(0, at_most=True),
    "mixed_answers": Target(0, at_most=True),
    GROWTH: Target(5.0, at_most=True),
    "load_25mb_s": Target(0.5, at_most=True),
    "cold_s": Target(2.5, at_most=True),
    "warm_s": Target(1.5, at_most=True),
}


@dataclass(frozen=True)
class Effort:
    """How often everything is done. kills: at each place."""

    kills: int = 500
    publishers: int = 50
    rounds: int = 10
    swaps: int = 1_000
    weighed_first: int = 100
    starts: int = 5


QUICK = Effort(kills=20, publishers=10, rounds=2, swaps=20, weighed_first=10, starts=1)


@dataclass
class Run:
    """One run: with what, and what has come out so far."""

    source: Path
    data: Path
    effort: Effort
    seed: int
    folder: Path
    endpoint: str
    console: Console
    figures: dict[str, float] = field(default_factory=dict)
    rows: dict[str, Any] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)

    @cached_property
    def signing(self) -> dict[str, str]:
        """The settings of who signs and verifies."""
        return signed(self.folder)

    def say(self, line: str) -> None:
        """One line about how it goes."""
        self.console.print(line, highlight=False, soft_wrap=True)


def main() -> int:
    """Measure, print, write; the exit code."""
    asked = arguments()
    # Ends like Ctrl-C: the servers are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    os.environ.update(ASKER)
    console = Console(width=None if sys.stdout.isatty() else 140)
    say = partial(console.print, highlight=False, soft_wrap=True)
    source = asked.store.resolve() if asked.store else trained_store(half_year(), RESULTS / "cache", say)
    say(f"seed {asked.seed}")
    busy = other_cores()
    with tempfile.TemporaryDirectory(prefix="life-", dir=RESULTS) as folder, bucket_server() as endpoint:
        run = Run(source, half_year(), QUICK if asked.quick else Effort(), asked.seed, Path(folder), endpoint, console)
        for name in asked.only or PARTS:
            run.say(f"{name}: {PARTS[name].__doc__}")
            PARTS[name](run)
    busy = max(busy, other_cores())
    if not asked.quick and not asked.only:
        write_results(run, busy)
    console.print(*run.tables, target_table(run.figures, TARGETS), sep="\n")
    if busy > BUSY_CORES:
        console.print(f"other work kept {busy:.1f} cores busy before or after: measure again on a quiet machine")
    return 0


def arguments() -> argparse.Namespace:
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, help="a store of models that is there, instead of training on the real half year")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(2**32), help="of an earlier run: the same kills are drawn")
    parser.add_argument("--quick", action="store_true", help="a short trial, whose figures say little")
    parser.add_argument("--only", action="append", choices=[*PARTS], help="one part; several times for several")
    return parser.parse_args()


def kills(run: Run) -> None:
    """kill -9 at random moments of publish, promote, rollback and gc, in a folder and in a bucket"""
    chance, found = random.Random(run.seed), list[Kills]()
    for place in PLACES:
        where = where_new(place, run.folder / f"killed-{place}", run.endpoint)
        found.append(killed(place, where, run.effort.kills, chance, run.folder, run.say))
    run.figures |= {f"kills_{outcome}": sum(each.count(outcome) for each in found) for outcome in OUTCOMES}
    run.figures["kills"] = sum(run.figures[f"kills_{outcome}"] for outcome in OUTCOMES)
    faults = {name: [fault for each in found for fault in getattr(each, name)] for name in ("torn", "lost")}
    run.figures |= {name: len(each) for name, each in faults.items()}
    run.rows["faults"] = faults
    run.rows["kills"] = [
        {"place": each.place, "action": action, "outcome": outcome, "kills": count}
        for each in found
        for (action, outcome), count in sorted(each.outcomes.items())
    ]
    run.tables.append(kill_table(found))


def publishers(run: Run) -> None:
    """processes that publish at once, in a folder and in a bucket"""
    count = run.effort.publishers
    found = [published(place, where_new(place, run.folder / f"published-{place}", run.endpoint), count) for place in PLACES]
    for each in found:
        run.say(f"  {each.place}: {each.told} of {count} told, {each.entries} entries, {each.lost} lost, {each.took_s:.1f} s")
        run.figures[f"publishers_{each.place}_s"] = each.took_s
    run.figures["publishers"] = min(each.told for each in found)
    run.figures["history_entries"] = min(each.entries for each in found)
    run.figures["publishers_lost"] = sum(each.lost for each in found)
    run.rows["publishers"] = [asdict(each) for each in found]


def swap(run: Run) -> None:
    """champions that change in four workers under load, signed"""
    settings = {"store": str(run.folder / "swapped"), **run.signing}
    services = copied(run.source, settings)
    there, other = (models.trained(run.data, "day_ahead", "xgb", seed) for seed in (1, 2))
    champions = swaps.Champions(services, there, other, swaps.question_of(run.source))
    for one in (there, other):
        champions.put(one)
    changed(services, lambda now: promote(now, there.record, ("measured",)))
    found = swaps.Swaps()
    swaps.measured_rounds(champions, settings, run.folder, run.effort.rounds, found, run.say)
    swaps.swapped(champions, settings, run.folder, run.effort.swaps, found, run.say)
    run.figures |= {"swap_s": max(found.promoted_s), "rollback_s": max(found.rolled_back_s)}
    run.figures |= {"swap_median_s": median(found.promoted_s), "rollback_median_s": median(found.rolled_back_s)}
    run.figures |= {"swaps": found.swaps, "answers": found.answers, "failed_requests": found.failed, "mixed_answers": found.mixed}
    run.figures |= {"slowest_answer_s": found.slowest_s, GROWTH: found.growth_percent(run.effort.weighed_first)}
    run.rows["swaps"] = asdict(found)


def load(run: Run) -> None:
    """a bundle of 25 MB, read, verified and loaded"""
    large = models.trained(run.data, "next_minute", "rf", 1, models.LARGE)
    settings = {"store": str(run.folder / "large"), **run.signing}
    services = connect(Settings(**settings))
    services.store.put_bundle(large.data)
    services.store.put_record(large.record)
    changed(services, models.registered(large, run.data))
    run.figures["large_bundle_mb"] = len(large.data) / 1e6
    run.rows["loads_s"] = starts.loads_s(settings, run.effort.starts)
    run.figures["load_25mb_s"] = median(run.rows["loads_s"])
    run.say(f"  {run.figures['load_25mb_s']:.3f} s for {run.figures['large_bundle_mb']:.1f} MB")


def start(run: Run) -> None:
    """a service that starts from a bucket, its folder empty and then filled"""
    settings = {"s3": new_bucket(run.endpoint), "s3_endpoint": run.endpoint, **run.signing}
    services = copied(run.source, {**settings, "store": str(run.folder / "publisher")})
    kept = services.store.manifest().kept()
    run.figures["started_bundles_mb"] = sum(len(services.store.bundle(bundle)) for bundle in kept) / 1e6
    cold, warm = starts.starts_s(settings, run.folder, run.effort.starts)
    run.rows |= {"cold_starts_s": cold, "warm_starts_s": warm}
    run.figures |= {"cold_s": median(cold), "warm_s": median(warm)}
    run.say(f"  cold {median(cold):.2f} s, warm {median(warm):.2f} s, {len(kept)} bundles of {run.figures['started_bundles_mb']:.0f} MB")


PARTS: dict[str, Callable[[Run], None]] = {part.__name__: part for part in (kills, publishers, swap, load, start)}


def write_results(run: Run, busy: float) -> None:
    """Write results/lifecycle.json, whole or not at all."""
    missed = [name for name, target in TARGETS.items() if name in run.figures and not target.met(run.figures[name])]
    settings = {"seed": run.seed, "load": swaps.LOAD, "workers": swaps.WORKERS, **asdict(run.effort)}
    when = {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "revision": revision(), "other_cores": round(busy, 2)}
    result = {"machine": machine_facts(), **when, "settings": settings, "figures": run.figures, "missed": missed, **run.rows}
    unfinished = RESULTS / "lifecycle.json.part"
    unfinished.write_text(json.dumps(result, indent=1))
    unfinished.replace(RESULTS / "lifecycle.json")


if __name__ == "__main__":
    sys.exit(main())
