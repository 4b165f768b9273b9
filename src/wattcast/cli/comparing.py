"""`wattcast registry compare`: champion against challenger on what came, as often as one likes."""

# ruff: noqa: PLC0415 (a command loads what it needs when it runs)

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wattcast.cli.console import AsJson, print_json, say, say_aside
from wattcast.cli.options import Store, settings_of
from wattcast.cli.registering import changed
from wattcast.errors import RegistryConflict, Unavailable, WattcastError, explain

if TYPE_CHECKING:
    from wattcast.adapters.wiring import Live, Services
    from wattcast.forecasting.registry import ServingManifest, Slot
    from wattcast.monitoring.comparison import Comparison

Task = Annotated[str, typer.Option(help="Task, as params.yaml calls it. Without it, every one with a challenger.")]
OfMeter = Annotated[str, typer.Option("--meter", help="Meter. Without it, every one with a challenger.")]
Plots = Annotated[Path | None, typer.Option("--plots", help="Folder for the plots: the differences by day, and how far the test has come.")]


def compare(*, task: Task = "", meter: OfMeter = "", plots: Plots = None, store: Store = None, json: AsJson = False) -> None:
    """Compare champion and challenger on the readings that came since. The test may be looked at every day.

    With WATTCAST_PROMOTE_WINNERS=1 a challenger that won takes over, and one that lost challenges no more.
    """
    from wattcast.adapters.wiring import connect, connect_live

    settings = settings_of(store=store)
    services = connect(settings)
    slots = [slot for slot in services.store.manifest().slots.values() if slot.challenger]
    slots = [slot for slot in slots if task in ("", slot.task) and meter in ("", slot.meter)]
    if not slots:
        raise RegistryConflict("nobody challenges a champion here", "wattcast registry challenge ID names a challenger")
    live = connect_live(settings, services.snapshots)
    speak, found = say_aside if json else say, {}
    try:
        for slot in slots:
            try:
                found[slot.key] = slot, _compared(slot, services, live)
            except WattcastError as refusal:
                # One that cannot be compared keeps no other from it.
                say_aside(f"{slot.key}: {explain(refusal)}")
    finally:
        live.close()
    if not found:
        raise Unavailable("nothing could be compared", "the lines above say why")
    for slot, comparison in found.values():
        _tell(slot, comparison, plots, speak)
        if settings.promote_winners and comparison.winner:
            _follow_up(slot, comparison, services, speak)
    if json:
        print_json([_values(slot, comparison) for slot, comparison in found.values()])


def _compared(slot: Slot, services: Services, live: Live) -> Comparison:
    from wattcast.monitoring.comparison import compare as compared
    from wattcast.monitoring.contests import contest_of

    contest = contest_of(slot, services.store.record(slot.champion), services.store.history())
    readings, now_s = live.known.latest(slot.meter, slot.step_s), int(time.time())
    if readings is None:
        raise Unavailable(live.known.fault or f"no reading of meter {slot.meter} is known", "send readings to the service first")
    return compared(live.log.between(slot.meter, slot.task, contest.since_s, now_s), readings, contest, now_s)


def _tell(slot: Slot, comparison: Comparison, plots: Path | None, speak: Callable[[str], None]) -> None:
    from wattcast.monitoring.contests import in_words

    speak(f"{slot.task} of {slot.meter}: {slot.champion[:12]} (champion) and {slot.challenger[:12]} (challenger)")
    speak("\n".join(f"  {line}" for line in in_words(comparison)))
    if plots is not None and len(comparison.days):
        from wattcast.adapters.plots import draw_comparison

        draw_comparison(plots, f"{slot.task}_{slot.meter}", f"{slot.task} of {slot.meter}", comparison)
        speak(f"  plots are in {plots}")


def _follow_up(slot: Slot, comparison: Comparison, services: Services, speak: Callable[[str], None]) -> None:
    """Have a challenger that won take over, and end the challenge of one that lost."""
    from wattcast.forecasting.succession import Step, end_challenge, promote

    record, kept = services.store.record(slot.challenger), services.store
    why = f"{comparison.verdict} won after {len(comparison.days)} days: {comparison.better:+.1%} of the champion's error saved"

    def transition(manifest: ServingManifest) -> Step:
        now = manifest.slot(slot.task, slot.meter)
        if now is None or (now.champion, now.challenger) != (slot.champion, slot.challenger):
            raise RegistryConflict(f"others contend for {slot.key} meanwhile", "compare again")
        return promote(manifest, record, (why,)) if comparison.winner == "challenger" else end_challenge(manifest, slot.task, slot.meter)

    changed(kept, transition, why, speak)
    speak(f"  {slot.challenger[:12]} {'is the champion now' if comparison.winner == 'challenger' else 'challenges no more'}")


def _values(slot: Slot, comparison: Comparison) -> dict[str, Any]:
    from dataclasses import asdict

    figures = {name: value if math.isfinite(value) else None for name, value in (("better", comparison.better), *_between(comparison))}
    return {
        "task": slot.task,
        "meter": slot.meter,
        "since_s": comparison.contest.since_s,
        "days": len(comparison.days),
        "pairs": comparison.pairs,
        "winner": comparison.winner,
        "verdict": comparison.verdict,
        "e": float(comparison.e[-1]) if len(comparison.e) else None,
        **figures,
        **{name: side and asdict(side) for name, side in (("champion", comparison.champion), ("challenger", comparison.challenger))},
    }


def _between(comparison: Comparison) -> list[tuple[str, float]]:
    return [("low_kw", comparison.low_kw), ("high_kw", comparison.high_kw)]
