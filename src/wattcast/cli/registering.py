"""What the commands of the registry share: which model is meant, and the one change that each of them makes."""

# ruff: noqa: PLC0415 (a command loads what it needs when it runs)

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wattcast.cli.console import say, say_aside
from wattcast.cli.options import settings_of
from wattcast.errors import BadParams, RegistryConflict

if TYPE_CHECKING:
    from wattcast.adapters.model_store import BlobModelStore
    from wattcast.forecasting.changes import Move
    from wattcast.forecasting.registry import Record, ServingManifest
    from wattcast.forecasting.succession import Transition

Bundle = Annotated[str, typer.Argument(metavar="ID", help="A model: its id, the beginning of it, or its name.", show_default=False)]
Reason = Annotated[str, typer.Option(help="Why, for the history.")]
DIGITS = 12


def opened(store: Path | None) -> BlobModelStore:
    """The store that the settings name."""
    from wattcast.adapters.wiring import connect

    return connect(settings_of(store=store)).store


def found_in(manifest: ServingManifest, text: str) -> str:
    """The id of the model that is meant: by its name, or by the first digits of its id among those that are kept."""
    if text in manifest.names:
        return manifest.names[text]
    if re.fullmatch("[0-9a-f]{64}", text):
        return text
    known = sorted(bundle for bundle in manifest.kept() if text and bundle.startswith(text))
    if len(known) != 1:
        said = f"{len(known)} models begin with {text}" if known else f"no model is called {text}, and none that is kept begins so"
        raise BadParams(said, "wattcast registry list and wattcast models show their ids")
    return known[0]


def record_of(kept: BlobModelStore, text: str) -> Record:
    """What is known of the model that is meant."""
    return kept.record(found_in(kept.manifest(), text))


def refuse_misfit(kept: BlobModelStore, record: Record) -> None:
    """Raise RegistryConflict where the model forecasts in another shape than its task does now: it could never answer."""
    from wattcast.forecasting.bundle import manifest_of

    slot = kept.manifest().slot(record.task, record.meter)
    if slot is None:
        return
    own = manifest_of(kept.bundle(record.bundle), record.bundle)
    shapes = {
        "resolution": (f"{own.step_s} s", f"{slot.step_s} s"),
        "horizon": (own.horizon, slot.horizon),
        "quantiles": (own.levels, slot.levels),
        "time of day": (own.models[0].spec.gate_s, slot.gate_s),
    }
    for what, (ours, theirs) in shapes.items():
        if ours != theirs:
            said = f"{record.bundle[:DIGITS]} has {what} {ours}, and {slot.key} has {theirs}"
            raise RegistryConflict(said, "train again with the params of now: wattcast pipeline")


def changed(kept: BlobModelStore, transition: Transition, why: str, speak: Callable[[str], None] = say) -> None:
    """Make a change, have it seen where people look, and say what it was."""
    from wattcast.adapters.provenance import who_when
    from wattcast.adapters.tracking import follow

    manifest = kept.change(transition, **who_when(), why=why)
    change = next(iter(kept.history()))
    touched = {(move.task, move.meter) for move in change.moves}
    slots = [slot for slot in manifest.slots.values() if (slot.task, slot.meter) in touched]
    follow(settings_of(), kept, slots, say_aside)
    speak("\n".join([f"serving manifest {manifest.serial}", *(f"  {in_words(move)}" for move in change.moves)]))


def in_words(move: Move) -> str:
    """A move as a line."""
    ids = [bundle[:DIGITS] or "none" for bundle in (move.before, move.after)]
    went = f"{ids[0]} stays" if move.before == move.after else f"{ids[0]} -> {ids[1]}"
    of = f"{move.task} of {move.meter}: " if move.task else ""
    return f"{of}{went}" + "".join(f"; {reason}" for reason in move.reasons)
