"""Which contest is under way where champion and challenger forecast side by side, and what its outcome asks for."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from wattcast.errors import RegistryConflict
from wattcast.forecasting.changes import Change
from wattcast.forecasting.registry import Record, Slot
from wattcast.monitoring.comparison import Comparison, Contest


def contest_of(slot: Slot, champion: Record, changes: Iterable[Change]) -> Contest:
    """The contest of a slot: since its champion or its challenger last changed, at the scale of what the champion promised at its test.

    changes: of the registry, the latest first. Raises RegistryConflict where nobody challenges, or the history does not say since when.
    """
    if not (slot.challenger and slot.champion):
        raise RegistryConflict(f"nobody challenges the champion of {slot.key}", "wattcast registry challenge ID names a challenger")
    for change in changes:
        if any((move.task, move.meter) == (slot.task, slot.meter) and _begins(change, move.before != move.after) for move in change.moves):
            promised = next((score.mae for score in champion.tests.values()), float("nan"))
            return Contest(slot.champion, slot.challenger, int(datetime.fromisoformat(change.at).timestamp()), promised)
    raise RegistryConflict(f"the history does not say since when {slot.challenger[:12]} challenges", "name it once more")


def _begins(change: Change, succeeded: bool) -> bool:
    return succeeded or change.action == "challenge"


def in_words(comparison: Comparison) -> list[str]:
    """What is known by now, a line each: the verdict, and both sides on the same days."""
    lines = [f"{len(comparison.days)} complete days, {comparison.pairs:,} pairs: {comparison.verdict}"]
    if comparison.champion is None or comparison.challenger is None:
        return lines
    for name, side in (("champion", comparison.champion), ("challenger", comparison.challenger)):
        held = f"{side.coverage:.1%} in its {side.nominal:.0%} interval".replace("%", " %")
        lines.append(f"{name}: MAE {side.mae:.4f} kW, pinball loss {side.pinball:.4f} kW, {held}")
    low, high = comparison.low_kw, comparison.high_kw
    return [*lines, f"the champion's error less the challenger's lies between {low:+.4f} and {high:+.4f} kW, at every look at once"]
