"""Who takes over from whom: each function takes the serving manifest that is there and gives the one that may follow. Pure.

The serial and the history of a manifest are filled in where it is published.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from wattcast.errors import RegistryConflict
from wattcast.forecasting.changes import Action, Move
from wattcast.forecasting.registry import Record, ServingManifest, Slot
from wattcast.forecasting.star import STAR, with_star
from wattcast.meter.table import Meter


@dataclass(frozen=True)
class Step:
    """A manifest that may follow the one that is there, and what that changes."""

    manifest: ServingManifest
    action: Action
    moves: tuple[Move, ...] = ()


_WORD, _ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}"), re.compile(r"[0-9a-f]{12,}")
Transition = Callable[[ServingManifest], Step]


@dataclass(frozen=True)
class Application:
    """A slot that training would fill. against: the champion that it was judged beside, empty for none; accepted: whether it takes over."""

    slot: Slot
    against: str
    accepted: bool
    reasons: tuple[str, ...]

    def in_words(self) -> list[str]:
        """What was made of it where there was another champion before, a line each."""
        return [f"{self.slot.task}: {reason}" for reason in self.reasons] if self.against not in ("", self.slot.champion) else []


def register(manifest: ServingManifest, meter: Meter, applications: list[Application]) -> Step:
    """Slots that were accepted take their place; where one was not, who is there goes on, and remembers the candidate.

    Raises RegistryConflict where another champion answers meanwhile than the one that was judged beside.
    """
    slots, moves = [], []
    for one in applications:
        there = manifest.slot(one.slot.task, one.slot.meter)
        champion = there.champion if there else ""
        if champion != one.against:
            said = f"{one.slot.key} is answered by {champion[:12] or 'no champion'}, and was judged beside {one.against[:12] or 'none'}"
            raise RegistryConflict(f"{said}: someone else published in between", "register again: it is judged beside who is there now")
        if there is None or one.accepted:
            challenger = there.challenger if there and there.challenger != one.slot.champion else ""
            slots.append(replace(one.slot, challenger=challenger, share=there.share if there and challenger else 0.0))
        else:
            slots.append(replace(there, candidate=one.slot.champion))
        moves.append(Move(one.slot.task, one.slot.meter, champion, slots[-1].champion, one.reasons))
    tasks = {one.slot.task for one in applications}
    # A task that was not asked for this time goes on as it is.
    others = [slot for slot in manifest.slots.values() if slot.meter == meter.id and slot.task not in tasks]
    return Step(manifest.with_slots(meter, [*slots, *others]), "register", tuple(moves))


def register_star(manifest: ServingManifest, slot: Slot) -> Step:
    """The model of all meters for one task takes its place: it was scored on meters held out, and answers where a meter has no model."""
    there = manifest.slot(slot.task, slot.meter)
    move = Move(slot.task, slot.meter, there.champion if there else "", slot.champion)
    return Step(with_star(manifest, slot), "register", (move,))


def promote(manifest: ServingManifest, record: Record, reasons: tuple[str, ...]) -> Step:
    """The bundle of this record becomes champion of its task and meter. Raises RegistryConflict where it is, or there is no such slot."""
    slot = _slot(manifest, record.task, record.meter)
    if record.bundle == slot.champion:
        raise RegistryConflict(f"{record.bundle[:12]} is the champion of {slot.key} already", "wattcast registry list shows who is who")
    vetoed = {family: why for family, why in slot.vetoed.items() if family != record.family}
    following = replace(slot, families={**slot.families, record.family: record.bundle}, champion=record.bundle, vetoed=vetoed)
    following = replace(following, standby=following.standby or record.bundle).without(record.bundle).after(slot)
    return _moved(manifest, slot, following, "promote", reasons)


def rollback(manifest: ServingManifest, task: str, meter: str) -> Step:
    """The slot as it was before its champion. Who leaves is kept as the candidate. Raises RegistryConflict where nobody was before."""
    slot = _slot(manifest, task, meter)
    if slot.before is None:
        hint = "wattcast registry history shows who answered when, wattcast registry promote ID --force --reason brings one back"
        raise RegistryConflict(f"{slot.key} had no other champion before", hint)
    challenger = slot.challenger if slot.challenger != slot.before.champion else ""
    following = replace(slot.before, candidate=slot.champion, challenger=challenger, share=slot.share if challenger else 0.0)
    return _moved(manifest, slot, following, "rollback", ())


def retire(manifest: ServingManifest, bundle: str) -> Step:
    """A bundle answers no more and challenges no more. Raises RegistryConflict for a champion, which wants a successor first."""
    named = [slot for slot in manifest.slots.values() if bundle in slot.kept()]
    champion_of = [slot.key for slot in named if slot.champion == bundle]
    if champion_of:
        hint = "roll back, or promote another one, first"
        raise RegistryConflict(f"{bundle[:12]} is the champion of {', '.join(champion_of)} and cannot be retired", hint)
    if not named:
        raise RegistryConflict(f"no slot names {bundle[:12]}", "wattcast registry list shows those that are named")
    for slot in named:
        manifest = manifest.with_slot(_retired(slot, bundle))
    words = (f"{bundle[:12]} is retired",)
    return Step(manifest, "retire", tuple(Move(slot.task, slot.meter, slot.champion, slot.champion, words) for slot in named))


def _retired(slot: Slot, bundle: str) -> Slot:
    """The slot, and those before it, without this bundle anywhere; one before whose champion it was is left out."""
    families = {family: each for family, each in slot.families.items() if each != bundle}
    vetoed = {family: why for family, why in slot.vetoed.items() if family in families}
    standby = slot.standby if slot.standby != bundle else next(iter(families.values()), "")
    before = slot.before.before if slot.before and slot.before.champion == bundle else slot.before
    rest = replace(slot, families=families, vetoed=vetoed, standby=standby, before=before and _retired(before, bundle))
    return rest.without(bundle)


def challenge(manifest: ServingManifest, record: Record, share: float) -> Step:
    """The bundle forecasts beside the champion, and answers on this share of the days. Raises RegistryConflict where it is champion."""
    slot = _slot(manifest, record.task, record.meter)
    if record.meter == STAR or not slot.champion:
        said = "the model of all meters" if record.meter == STAR else f"{slot.key}, where a baseline answers,"
        raise RegistryConflict(f"{said} cannot be challenged", "challenge the champion of a meter")
    if record.bundle == slot.champion:
        raise RegistryConflict(f"{record.bundle[:12]} is the champion of {slot.key}", "name another one")
    words = (f"answers on {share:.0%} of the days" if share else "forecasts in the shadow",)
    following = replace(slot, challenger=record.bundle, share=share)
    return Step(manifest.with_slot(following), "challenge", (Move(slot.task, slot.meter, slot.champion, slot.champion, words),))


def end_challenge(manifest: ServingManifest, task: str, meter: str) -> Step:
    """Nobody forecasts beside the champion any more. Raises RegistryConflict where nobody did."""
    slot = _slot(manifest, task, meter)
    if not slot.challenger:
        raise RegistryConflict(f"{slot.key} has no challenger", "wattcast registry challenge ID names one")
    following = replace(slot, challenger="", share=0.0, candidate=slot.challenger)
    words = (f"{slot.challenger[:12]} challenges no more",)
    return Step(manifest.with_slot(following), "challenge", (Move(slot.task, slot.meter, slot.champion, slot.champion, words),))


def name(manifest: ServingManifest, word: str, bundle: str) -> Step:
    """A bundle is kept under a name; an empty one takes the name away. Raises RegistryConflict where there is no such name to take."""
    if not _WORD.fullmatch(word) or _ID.fullmatch(word):
        raise RegistryConflict(f'"{word[:40]}" is no name for a model', "letters, digits, - and _, at most 60, and no id")
    if not bundle and word not in manifest.names:
        raise RegistryConflict(f'no bundle is named "{word}"', f"names: {', '.join(manifest.names) or 'none'}")
    names = {other: each for other, each in manifest.names.items() if other != word} | ({word: bundle} if bundle else {})
    return Step(replace(manifest, names=names), "name", (Move("", "", manifest.names.get(word, ""), bundle, (word,)),))


def _slot(manifest: ServingManifest, task: str, meter: str) -> Slot:
    slot = manifest.slot(task, meter)
    if slot is None:
        known = ", ".join(sorted(manifest.slots)) or "none"
        raise RegistryConflict(f"nothing answers {task} for meter {meter}", f"known: {known}")
    return slot


def _moved(manifest: ServingManifest, old: Slot, new: Slot, action: Action, reasons: tuple[str, ...]) -> Step:
    return Step(manifest.with_slot(new), action, (Move(old.task, old.meter, old.champion, new.champion, reasons),))
