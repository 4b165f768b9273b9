"""`wattcast registry name|sign|gc`: what a model store keeps, by whom it is signed, and what it deletes."""

# ruff: noqa: PLC0415 (a command loads what it needs when it runs)

from __future__ import annotations

import time
from typing import Annotated

import typer

from wattcast.cli.console import AsJson, print_json, say
from wattcast.cli.options import Store, settings_of
from wattcast.cli.registering import Bundle, Reason, changed, found_in, opened
from wattcast.errors import BadParams

_HOUR_S = 3_600


def name(
    bundle: Bundle,
    word: Annotated[str, typer.Argument(metavar="NAME", help="What it is kept under.", show_default=False)],
    *,
    remove: Annotated[bool, typer.Option("--remove", help="Take the name away.")] = False,
    store: Store = None,
) -> None:
    """Keep a model under a name, so that gc leaves it."""
    from wattcast.forecasting import succession

    kept = opened(store)
    found = "" if remove else found_in(kept.manifest(), bundle)
    changed(kept, lambda manifest: succession.name(manifest, word, found), "")


def sign(*, reason: Reason = "", store: Store = None) -> None:
    """Sign every model that is kept, and the serving manifest, anew: with another key, or before signatures expire."""
    from wattcast.forecasting.succession import Step

    if not settings_of().signing_key:
        raise BadParams("WATTCAST_SIGNING_KEY names no key to sign with", "make a pair: wattcast signing-keys create")
    kept = opened(store)
    bundles = sorted(kept.manifest().kept())
    for bundle in bundles:
        # Read first: what is not to be trusted now is not signed.
        kept.put_record(kept.record(bundle))
    changed(kept, lambda manifest: Step(manifest, "sign"), reason)
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

    kept, before_s = opened(store), time.time() - hours * _HOUR_S
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
