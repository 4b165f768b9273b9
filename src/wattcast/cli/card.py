"""The command that writes a model card: what answers for a meter, from what, how well, where it fails, and what it is not for."""

# ruff: noqa: PLC0415 (a command loads what it needs when it runs)

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wattcast.cli.console import say
from wattcast.cli.options import Store, settings_of
from wattcast.errors import Unavailable

if TYPE_CHECKING:
    from wattcast.forecasting.bundle import Manifest
    from wattcast.forecasting.registry import Record, Slot

_NOT_FOR = """## What it must not be used for

- Billing, safety or control without a human or a limit beside it: a forecast is an estimate with an interval, and the interval fails as
  often as it says it does.
- Another meter: what it learned are the habits and appliances of this one.
- A time in which the building's use changed (new heating, new tenants, an empty house) before it was trained again.
- Single switching events: which minute a kettle is switched on is not in the readings before it.
"""


def card(
    *,
    meter: Annotated[str, typer.Option(help="The meter. Without it, the one registered last.")] = "",
    out: Annotated[Path | None, typer.Option(help="Write the card to this file instead of printing it.")] = None,
    notes: Annotated[Path | None, typer.Option(help="A Markdown file with what a person saw when looking at the largest errors.")] = None,
    store: Store = None,
) -> None:
    """Write the model card of a registered meter, as Markdown."""
    from wattcast.adapters.files import write_atomically
    from wattcast.adapters.wiring import connect
    from wattcast.forecasting.bundle import open_bundle

    kept = connect(settings_of(store=store)).store
    serving = kept.manifest()
    name = meter or serving.latest_meter
    slots = [slot for slot in serving.slots.values() if slot.meter == name]
    if not slots:
        raise Unavailable(f'meter "{name}" is not registered' if name else "no meter is registered yet", "make run, or wattcast models")
    parts = [
        f"# Model card of meter {name}\n",
        _about(serving.meters[name].simulated, max(slots, key=lambda slot: len(slot.families)).task),
    ]
    for slot in slots:
        answering = {family: kept.record(bundle) for family, bundle in slot.families.items()}
        manifests = {family: open_bundle(kept.bundle(bundle)).manifest for family, bundle in slot.families.items()}
        parts += _task(slot, answering, manifests)
    if notes is not None:
        parts.append(notes.read_text("utf-8"))
    text = "\n".join([*parts, _NOT_FOR])
    if out is None:
        print(text)
        return
    write_atomically(out, text.encode())
    say(f"{out}: the model card of meter {name}")


def _about(simulated: bool, task: str) -> str:
    made_up = " The readings are SIMULATED." if simulated else ""
    return (
        f"Written by `wattcast card`.{made_up} kW throughout. Errors are those of the last part of the file, which no choice has seen;\n"
        "MAE is the median's, RMSE the mean's. Who answers was chosen inside the training span.\n"
        f"`wattcast forecast FILE --task {task} --why` takes one forecast apart.\n"
    )


def _task(slot: Slot, records: dict[str, Record], manifests: dict[str, Manifest]) -> Iterator[str]:
    yield f"## {slot.task.replace('_', ' ').capitalize()}\n"
    if slot.skipped or not records:
        yield f"Not trained: {slot.skipped or 'no family'}.\n"
        return
    from wattcast.forecasting.forecast import iso

    best = slot.champion_family or next(iter(records))
    manifest, record = manifests[best], records[best]
    zone = manifest.meter.zone
    yield "\n".join(f"- {line}" for line in slot.in_words()) + "\n"
    yield (
        f"Trained {record.trained_at} on {manifest.train_rows:,} readings of {manifest.step_s} s, "
        f"{iso(manifest.train_start_s, zone)} to {iso(manifest.train_end_s, zone)}. {' '.join(record.quality.reasons)}\n"
    )
    for facts in manifest.models:
        yield from _model(facts.name, slot, records, manifest)


def _model(name: str, slot: Slot, records: dict[str, Record], manifest: Manifest) -> Iterator[str]:
    from wattcast.cli.listing import in_words
    from wattcast.forecasting.baselines import TITLES
    from wattcast.forecasting.families import family_of
    from wattcast.forecasting.forecast import iso

    facts = next(model for model in manifest.models if model.name == name)
    yield f"### From {name.replace('_', ' ')}\n\nIt looks at:\n"
    yield "\n".join(f"- {line}" for line in in_words(facts.spec)) + "\n"
    score = next(iter(records.values())).tests[name]
    lines = [f"| {score.n:,} rows | MAE | RMSE | R2 | {score.nominal:.0%} interval holds |", "|---|---|---|---|---|"]
    for family, record in records.items():
        own = record.tests[name]
        lines.append(f"| {family_of(family).title} | {own.mae:.4f} | {own.rmse:.4f} | {own.r2:.4f} | {own.coverage:.1%} |")
    lines += [f"| *{TITLES[beside]}* | {errors['mae']:.4f} | {errors['rmse']:.4f} | | |" for beside, errors in score.baselines.items()]
    yield "\n".join(lines) + "\n"
    record = records[slot.champion_family or next(iter(records))]
    if importance := record.importance.get(name):
        told = ", ".join(f"{feature} ({value:.3f})" for feature, value in list(importance.items())[:8])
        yield f"Shuffled among the rows of the test, these features cost most, kW of MAE: {told}.\n"
    if misses := record.worst.get(name):
        zone = manifest.meter.zone
        lines = ["Its largest errors, one for each day:\n", "| from | actual | forecast | interval |", "|---|---|---|---|"]
        lines += [
            f"| {iso(miss.target_s, zone)} | {miss.actual:.2f} | {miss.mean:.2f} | {miss.low:.2f} to {miss.high:.2f} |" for miss in misses
        ]
        yield "\n".join(lines) + "\n"
