"""`wattcast registry ...`: who answers, who answered before, and the commands that change it while services run."""

# ruff: noqa: PLC0415 (a command loads what it needs when it runs)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wattcast.cli.comparing import compare
from wattcast.cli.console import AsJson, explained, print_json, say, stdout, table
from wattcast.cli.keeping import gc, name, sign
from wattcast.cli.options import Store
from wattcast.cli.registering import DIGITS, Bundle, Reason, changed, found_in, in_words, opened, record_of, refuse_misfit
from wattcast.errors import BadRequest, RegistryConflict

if TYPE_CHECKING:
    from wattcast.forecasting.registry import Record, ServingManifest

registry = typer.Typer(no_args_is_help=True, help="Who answers: promote, roll back, retire, challenge. Services follow by themselves.")

Task = Annotated[str, typer.Option(help="Task, as params.yaml calls it. Without it, every task of the meter.")]
OfMeter = Annotated[str, typer.Option("--meter", help="Meter. Without it, the one registered last.")]
Limit = Annotated[int, typer.Option(min=1, help="How many entries.")]


def listed(*, store: Store = None, json: AsJson = False) -> None:
    """Show for every meter and task who is champion, who was before, who challenges, who applied last, and what is named."""
    manifest = opened(store).manifest()
    rows = [
        {
            "meter": slot.meter,
            "task": slot.task,
            "champion": slot.champion,
            "previous": slot.previous,
            "challenger": slot.challenger,
            "share": slot.share,
            "candidate": slot.candidate,
        }
        for slot in manifest.slots.values()
    ]
    if json:
        print_json({"serial": manifest.serial, "slots": rows, "names": dict(manifest.names)})
        return
    shown = table("meter", "task", "champion", "previous", "challenger", "candidate")
    for row in rows:
        share = f" ({row['share']:.0%})" if row["challenger"] else ""
        roles = [str(row[role])[:DIGITS] for role in ("champion", "previous", "challenger", "candidate")]
        shown.add_row(str(row["meter"]), str(row["task"]), *roles[:2], roles[2] + share, roles[3])
    stdout().print(shown)
    say("\n".join([f"serving manifest {manifest.serial}", *(f"{word}: {bundle[:DIGITS]}" for word, bundle in manifest.names.items())]))


def history(*, limit: Limit = 20, store: Store = None, json: AsJson = False) -> None:
    """Show what was changed, the latest first: when, by whom, what, from which model to which, and why."""
    changes = list(islice(opened(store).history(), limit))
    if json:
        print_json([asdict(change) for change in changes])
        return
    if not changes:
        say("nothing was ever published here: make run trains and registers models")
    for change in changes:
        say(f"{change.serial}  {change.at}  {change.by}: {change.action}" + (f" ({change.why})" if change.why else ""))
        for move in change.moves:
            say(f"     {in_words(move)}")


def promote(
    bundle: Bundle,
    *,
    force: Annotated[bool, typer.Option("--force", help="Though it did not prove better; wants --reason.")] = False,
    reason: Reason = "",
    store: Store = None,
) -> None:
    """Have a model answer in the champion's place: one that was found better than it, or any with --force and a reason."""
    from wattcast.forecasting import succession

    kept = opened(store)
    record = record_of(kept, bundle)
    refuse_misfit(kept, record)
    if force and not reason:
        raise BadRequest("--force wants a reason", 'say why, for the history: --reason "..."')

    def transition(manifest: ServingManifest) -> succession.Step:
        slot = manifest.slot(record.task, record.meter)
        champion = slot.champion if slot else ""
        reasons = (f"forced: {reason}",) if force else _proved(record, champion)
        return succession.promote(manifest, record, reasons)

    changed(kept, transition, reason)
    if force and record.verdict is not None:
        kept.put_record(replace(record, verdict=record.verdict.force(reason)))


def rollback(*, task: Task = "", meter: OfMeter = "", reason: Reason = "", store: Store = None) -> None:
    """Have those answer that answered before, as they did then. Running services follow within their WATTCAST_POLL seconds."""
    from wattcast.forecasting import succession

    def transition(manifest: ServingManifest) -> succession.Step:
        name = meter or manifest.latest_meter
        with_one = [slot.task for slot in manifest.slots.values() if slot.meter == name and slot.before]
        steps: list[succession.Step] = []
        for each in [task] if task else with_one:
            steps.append(succession.rollback(steps[-1].manifest if steps else manifest, each, name))
        if not steps:
            hint = "wattcast registry list shows who is who"
            raise RegistryConflict(f"no task of meter {name or '(none)'} had another champion before", hint)
        return succession.Step(steps[-1].manifest, "rollback", tuple(move for step in steps for move in step.moves))

    changed(opened(store), transition, reason)


def retire(bundle: Bundle, *, reason: Reason = "", store: Store = None) -> None:
    """Have a model answer no more. A champion wants a successor first."""
    from wattcast.forecasting import succession

    kept = opened(store)
    found = found_in(kept.manifest(), bundle)
    changed(kept, lambda manifest: succession.retire(manifest, found), reason)


def challenge(
    bundle: Bundle,
    *,
    share: Annotated[float, typer.Option(min=0, max=1, help="On how many of the days it answers; 0: it forecasts in the shadow.")] = 0.0,
    end: Annotated[bool, typer.Option("--end", help="Have it challenge no more.")] = False,
    reason: Reason = "",
    store: Store = None,
) -> None:
    """Have a model forecast beside the champion, to be compared on what comes (registry compare)."""
    from wattcast.forecasting import succession

    kept = opened(store)
    record = record_of(kept, bundle)
    over: Callable[[ServingManifest], succession.Step]
    if not end:
        refuse_misfit(kept, record)
    if end:
        over = lambda manifest: succession.end_challenge(manifest, record.task, record.meter)  # noqa: E731
    else:
        over = lambda manifest: succession.challenge(manifest, record, share)  # noqa: E731
    changed(kept, over, reason)


def _proved(record: Record, champion: str) -> tuple[str, ...]:
    """The reasons for which the model may take over from this champion. Raises RegistryConflict where it was not found better."""
    verdict = record.verdict
    hint = 'run the pipeline again, or promote it all the same: --force --reason "..."'
    if verdict is None or verdict.champion != champion:
        raise RegistryConflict(
            f"{record.bundle[:DIGITS]} was not judged beside the champion that serves, {champion[:DIGITS] or 'none'}", hint
        )
    if not verdict.promote:
        raise RegistryConflict(f"{record.bundle[:DIGITS]} was not found better: {' '.join(verdict.reasons)}", hint)
    return verdict.reasons


_COMMANDS: list[tuple[Callable[..., Any], str, str]] = [
    (listed, "list", "wattcast registry list"),
    (history, "history", "wattcast registry history --limit 5"),
    (promote, "promote", 'wattcast registry promote 1f0c6a2b9d3e --force --reason "the meter was exchanged"'),
    (rollback, "rollback", "wattcast registry rollback --task day_ahead"),
    (retire, "retire", "wattcast registry retire 1f0c6a2b9d3e"),
    (challenge, "challenge", "wattcast registry challenge 1f0c6a2b9d3e --share 0.2"),
    (compare, "compare", "wattcast registry compare --plots metrics/contest"),
    (name, "name", "wattcast registry name 1f0c6a2b9d3e winter-2026"),
    (sign, "sign", "wattcast registry sign"),
    (gc, "gc", "wattcast registry gc --dry-run"),
]
for _command, _name, _example in _COMMANDS:
    registry.command(_name, epilog=f"Example: {_example}")(explained(_command))
