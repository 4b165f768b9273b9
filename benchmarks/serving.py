"""`make bench-serving`: the service against bare Flask, MLflow and BentoML, under the same load on the same machine, in turn.

Prints every case with its ratio to bare Flask, memory, readiness, batches, ingest and where the time of an answer goes, the targets
beside them, and writes results/serving.json. A trial (--quick) or a part (--only) writes nothing. Exit 1 where anything answers wrongly; a
target that is missed is said, and is no fault of the run.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from measure import BUSY_CORES, machine_facts, other_cores, revision
from rich.console import Console
from rich.table import Table
from served import figures, ours
from served.asked import FAMILIES, Known, batch, day_ahead, next_minute, stored
from served.in_process import Question, costs
from served.ingest import sent_to
from served.load import CONNECTIONS, THREADS, Request, require_wrk
from served.rivals import load_rivals
from served.servers import GUNICORN, IN_MEMORY
from served.trained import half_year, trained_store

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"


@dataclass(frozen=True)
class Effort:
    """How long and how often everything is measured."""

    rounds: int = 5
    seconds: int = 4
    starts: int = 5
    flat_requests: int = 200_000
    batches: int = 15
    ingests: int = 3
    look_s: float = 5.0


QUICK = Effort(rounds=1, seconds=1, starts=1, flat_requests=20_000, batches=2, ingests=1, look_s=1.0)


@dataclass
class Run:
    """One run: what is measured, where, and what has come out so far."""

    known: Known
    data: Path
    effort: Effort
    folder: Path
    console: Console
    figures: dict[str, float] = field(default_factory=dict)
    rows: dict[str, Any] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)

    def say(self, line: str) -> None:
        """One line about how it goes."""
        self.console.print(line, highlight=False, soft_wrap=True)


def main() -> int:
    """Measure, print, write; the exit code."""
    asked = arguments()
    wrk = require_wrk()
    # Ends like Ctrl-C: the servers are stopped.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    console = Console(width=None if sys.stdout.isatty() else 140)
    say = partial(console.print, highlight=False, soft_wrap=True)
    store = asked.store.resolve() if asked.store else trained_store(half_year(), RESULTS / "cache", say)
    busy = other_cores()
    with tempfile.TemporaryDirectory(prefix="served-") as folder:
        run = Run(Known.of(store), half_year(), QUICK if asked.quick else Effort(), Path(folder), console)
        for name in asked.only or PARTS:
            run.say(f"{name}: {PARTS[name].__doc__}")
            PARTS[name](run)
    busy = max(busy, other_cores())
    if not asked.quick and not asked.only:
        write_results(run, wrk, busy)
    console.print(*run.tables, figures.target_table(run.figures, figures.TARGETS), sep="\n")
    if busy > BUSY_CORES:
        console.print(f"other work kept {busy:.1f} cores busy before or after: measure again on a quiet machine")
    return 0


def arguments() -> argparse.Namespace:
    """What was asked for on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, help="a store of models that is there, instead of training on the real half year")
    parser.add_argument("--quick", action="store_true", help="a short trial, whose figures say little")
    parser.add_argument("--only", action="append", choices=[*PARTS], help="one part; several times for several")
    return parser.parse_args()


def load(run: Run) -> None:
    """every case in turn: bare Flask, ours bare, ours as shipped"""
    rounds, cases = ours.load(run.known, run.folder, run.effort.rounds, run.effort.seconds, run.say)
    run.figures |= figures.of_load(rounds, cases)
    run.rows["load"] = figures.rows_of(rounds)
    run.tables.append(figures.load_table(rounds, cases))


def start(run: Run) -> None:
    """from the start of wattcast serve until it is ready"""
    run.figures["ready_s"] = ours.start_to_ready(run.known, run.folder, run.effort.starts)
    run.say(f"  {run.figures['ready_s']:.2f} s")


def memory(run: Run) -> None:
    """what the worker of wattcast serve weighs under load, and whether that grows"""
    found = ours.memory(run.known, run.folder, run.effort.flat_requests, run.say)
    run.figures |= figures.of_memory(found)
    run.rows["memory"] = asdict(found)
    run.say(f"  {found.last_mb:.1f} MB after {found.requests:,} more ({run.figures[figures.GROWTH]:+.1f} %)")


def inside(run: Run) -> None:
    """answers without the network: batches of 1,000, and where the time of an answer goes"""
    own, key = ours.variables(run.known, run.folder, "inside")

    def asked(request: Request) -> Request:
        return replace(request, headers={**request.headers, "Authorization": f"Bearer {key}"})

    families = ("", *FAMILIES)
    cases = (next_minute(run.known), day_ahead(run.known), stored(run.known))
    batches = [Question([asked(batch(run.known, family))], repeats=run.effort.batches) for family in families]
    looks = [Question(list(map(asked, case.requests)), seconds=run.effort.look_s, look=True) for case in cases]
    with tempfile.TemporaryDirectory(prefix="served-counts-", dir=IN_MEMORY) as counts:
        found = costs([*batches, *looks], PROMETHEUS_MULTIPROC_DIR=counts, **own)
    of_batches = dict(zip(families, found, strict=False))
    run.figures |= figures.of_batches(of_batches)
    for family, cost in of_batches.items():
        run.say(f"  a batch of 1,000, {family or 'champion'}: {cost.ms:.1f} ms")
    looked = dict(zip((case.title for case in cases), found[len(batches) :], strict=True))
    run.rows["inside"] = {title: asdict(cost) for title, cost in looked.items()}
    run.tables.append(figures.look_table(looked))


def ingest(run: Run) -> None:
    """half a year of minutes by PUT, into SQLite and into PostgreSQL"""
    for database, figure in (("sqlite", "ingest_sqlite_per_s"), ("postgresql", "ingest_postgres_per_s")):
        found = sent_to(database, run.known, run.data, run.folder, run.effort.ingests, run.say)
        run.figures[figure] = found.per_second
        run.rows[figure] = asdict(found)


def rivals(run: Run) -> None:
    """the same heads in MLflow's server and in BentoML"""
    found = load_rivals(run.known, run.folder, RESULTS / "cache", run.effort.rounds, run.effort.seconds, run.say)
    run.figures |= figures.of_rivals(found)
    run.rows["rivals"] = figures.rows_of(found.rounds)
    run.rows["rivals_memory_mb"] = dict(found.memory_mb)
    run.rows["rivals_versions"] = dict(found.versions)
    run.tables.append(figures.rival_table(found))


PARTS: dict[str, Callable[[Run], None]] = {part.__name__: part for part in (load, rivals, start, memory, inside, ingest)}


def write_results(run: Run, wrk: str, busy: float) -> None:
    """Write results/serving.json, whole or not at all."""
    missed = [name for name, target in figures.TARGETS.items() if name in run.figures and not target.met(run.figures[name])]
    settings = {"load": f"{wrk} -t{THREADS} -c{CONNECTIONS}", "gunicorn": " ".join(GUNICORN), **asdict(run.effort)}
    when = {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "revision": revision(), "other_cores": round(busy, 2)}
    result = {"machine": machine_facts(), **when, "settings": settings, "figures": run.figures, "missed": missed, **run.rows}
    unfinished = RESULTS / "serving.json.part"
    unfinished.write_text(json.dumps(result, indent=1))
    unfinished.replace(RESULTS / "serving.json")


if __name__ == "__main__":
    sys.exit(main())
