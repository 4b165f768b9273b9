"""`wattcast registry ...`: who answers, who answered before, and the commands that change it while services run."""

# ruff: noqa: PLC0415 (a command loads what it needs when it runs)

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wattcast.cli.comparing import compare
from wattcast.cli.console import AsJson, explained, print_json, say, say_aside, stdout, table
from wattcast.cli.options import Store, settings_of
from wattcast.errors import BadParams, BadRequest, RegistryConflict

if TYPE_CHECKING:
    from wattcast.adapters.model_store import BlobModelStore
    from wattcast.forecasting.registry import Move, Record, ServingManifest
    from wattcast.forecasting.succession import Transition

registry = typer.Typer(no_args_is_help=True, help="Who answers: promote, roll back, retire, challenge. Services follow by themselves.")

Bundle = Annotated[str, typer.Argument(metavar="ID", help="A model: its id, the beginning of it, or its name.", show_default=False)]
Task = Annotated[str, typer.Option(help="Task, as params.yaml calls it. Without it, every task of the meter.")]
OfMeter = Annotated[str, typer.Option("--meter", help="Meter. Without it, the one registered last.")]
Limit = Annotated[int, typer.Option(min=1, help="How many entries.")]
Reason = Annotated[str, typer.Option(help="Why, for the history.")]
_HOUR_S = 3_600
_DIGITS = 12


def listed(*, store: Store = None, json: AsJson = False) -> None:
    """Show for every meter and task who is champion, who was before, who challenges, who applied last, and what is named."""
    manifest = _opened(store).manifest()
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
        roles = [str(row[role])[:_DIGITS] for role in ("champion", "previous", "challenger", "candidate")]
        shown.add_row(str(row["meter"]), str(row["task"]), *roles[:2], roles[2] + share, roles[3])
    stdout().print(shown)
    say("\n".join([f"serving manifest {manifest.serial}", *(f"{word}: {bundle[:_DIGITS]}" for word, bundle in manifest.names.items())]))


def history(*, limit: Limit = 20, store: Store = None, json: AsJson = False) -> None:
    """Show what was changed, the latest first: when, by whom, what, from which model to which, and why."""
    changes = list(islice(_opened(store).history(), limit))
    if json:
        print_json([asdict(change) for change in changes])
        return
    if not changes:
        say("nothing was ever published here: make run trains and registers models")
    for change in changes:
        say(f"{change.serial}  {change.at}  {change.by}: {change.action}" + (f" ({change.why})" if change.why else ""))
        for move in change.moves:
            say(f"     {_in_words(move)}")


def promote(
    bundle: Bundle,
    *,
    force: Annotated[bool, typer.Option("--force", help="Though it did not prove better; wants --reason.")] = False,
    reason: Reason = "",
    store: Store = None,
) -> None:
    """Have a model answer in the champion's place: one that was found better than it, or any with --force and a reason."""
    from wattcast.forecasting import succession

    kept = _opened(store)
    record = _record(kept, bundle)
    if force and not reason:
        raise BadRequest("--force wants a reason", 'say why, for the history: --reason "..."')

    def transition(manifest: ServingManifest) -> succession.Step:
        champion = manifest.slots[f"{record.task}/{record.meter}"].champion
        reasons = (f"forced: {reason}",) if force else _proved(record, champion)
        return succession.promote(manifest, record, reasons)

    _changed(kept, transition, reason)


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

    _changed(_opened(store), transition, reason)


def retire(bundle: Bundle, *, reason: Reason = "", store: Store = None) -> None:
    """Have a model answer no more. A champion wants a successor first."""
    from wattcast.forecasting import succession

    kept = _opened(store)
    found = _found(kept.manifest(), bundle)
    _changed(kept, lambda manifest: succession.retire(manifest, found), reason)


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

    kept = _opened(store)
    record = _record(kept, bundle)
    over: Callable[[ServingManifest], succession.Step]
    if end:
        over = lambda manifest: succession.end_challenge(manifest, record.task, record.meter)  # noqa: E731
    else:
        over = lambda manifest: succession.challenge(manifest, record, share)  # noqa: E731
    _changed(kept, over, reason)


def name(
    bundle: Bundle,
    word: Annotated[str, typer.Argument(metavar="NAME", help="What it is kept under.", show_default=False)],
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Take the name away.")] = False,
    store: Store = None,
) -> None:
    """Keep a model under a name, so that gc leaves it."""
    from wattcast.forecasting import succession

    kept = _opened(store)
    found = "" if remove else _found(kept.manifest(), bundle)
    _changed(kept, lambda manifest: succession.name(manifest, word, found), "")


def sign(*, reason: Reason = "", store: Store = None) -> None:
    """Sign every model that is kept, and the serving manifest, anew: with another key, or before signatures expire."""
    from wattcast.forecasting.succession import Step

    if not settings_of().signing_key:
        raise BadParams("WATTCAST_SIGNING_KEY names no key to sign with", "make a pair: wattcast signing-keys create")
    kept = _opened(store)
    bundles = sorted(kept.manifest().kept())
    for bundle in bundles:
        # Read first: what is not to be trusted now is not signed.
        kept.put_record(kept.record(bundle))
    _changed(kept, lambda manifest: Step(manifest, "sign"), reason)
    say(f"{len(bundles)} models are signed")


def gc(
    *,
    hours: Annotated[float, typer.Option(min=0, help="What is younger stays: somebody may be about to publish it.")] = 1.0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be deleted.")] = False,
    store: Store = None,
    json: AsJson = False,
) -> None:
    """Delete models that nothing names: not live, not before, no challenger or candidate, without a name."""
    from wattcast.adapters.sweeping import swept, unnamed

    kept, before_s = _opened(store), time.time() - hours * _HOUR_S
    gone = []
    for entry in unnamed(kept, before_s) if dry_run else swept(kept, before_s):
        gone.append(entry)
        if not json:
            say(f"{entry.name}: {entry.size:,} bytes {'would go' if dry_run else 'deleted'}")
    freed = sum(entry.size for entry in gone)
    if json:
        print_json({"deleted": [] if dry_run else [entry.name for entry in gone], "bytes": freed, "dry_run": dry_run})
        return
    say(f"{len(gone)} files, {freed:,} bytes {'would be freed' if dry_run else 'freed'}")


def _opened(store: Path | None) -> BlobModelStore:
    from wattcast.adapters.wiring import connect

    return connect(settings_of(store=store)).store


def _found(manifest: ServingManifest, text: str) -> str:
    """The id of the model that is meant: by its name, or by the first digits of its id among those that are kept."""
    if text in manifest.names:
        return manifest.names[text]
    known = sorted(bundle for bundle in manifest.kept() if text and bundle.startswith(text))
    if len(known) != 1:
        said = f"{len(known)} models begin with {text}" if known else f"no model is called {text}, and none that is kept begins so"
        raise BadParams(said, "wattcast registry list and wattcast models show their ids")
    return known[0]


def _record(kept: BlobModelStore, text: str) -> Record:
    return kept.record(_found(kept.manifest(), text))


def _proved(record: Record, champion: str) -> tuple[str, ...]:
    """The reasons for which the model may take over from this champion. Raises RegistryConflict where it was not found better."""
    verdict = record.verdict
    hint = 'run the pipeline again, or promote it all the same: --force --reason "..."'
    if verdict is None or verdict.champion != champion:
        raise RegistryConflict(
            f"{record.bundle[:_DIGITS]} was not judged beside the champion that serves, {champion[:_DIGITS] or 'none'}", hint
        )
    if not verdict.promote:
        raise RegistryConflict(f"{record.bundle[:_DIGITS]} was not found better: {' '.join(verdict.reasons)}", hint)
    return verdict.reasons


def _changed(kept: BlobModelStore, transition: Transition, why: str) -> None:
    from wattcast.adapters.provenance import who_when
    from wattcast.adapters.tracking import follow

    manifest = kept.change(transition, **who_when(), why=why)
    change = next(iter(kept.history()))
    touched = {(move.task, move.meter) for move in change.moves}
    slots = [slot for slot in manifest.slots.values() if (slot.task, slot.meter) in touched]
    follow(settings_of(), kept, slots, say_aside)
    say("\n".join([f"serving manifest {manifest.serial}", *(f"  {_in_words(move)}" for move in change.moves)]))


def _in_words(move: Move) -> str:
    ids = [bundle[:_DIGITS] or "none" for bundle in (move.before, move.after)]
    went = f"{ids[0]} stays" if move.before == move.after else f"{ids[0]} -> {ids[1]}"
    of = f"{move.task} of {move.meter}: " if move.task else ""
    return f"{of}{went}" + "".join(f"; {reason}" for reason in move.reasons)


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
