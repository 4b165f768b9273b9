"""Who takes over from whom, as pure steps from one manifest to the next."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import tiny

from wattcast.errors import BadParams, RegistryConflict
from wattcast.forecasting.choosing import application
from wattcast.forecasting.registry import Record, ServingManifest, Slot
from wattcast.forecasting.star import STAR
from wattcast.forecasting.succession import Application, Step, challenge, end_challenge, name, promote, register, retire, rollback
from wattcast.meter.table import Meter

HOUSE = Meter("house", zone="Europe/Paris")


def slot(champion: str, **changes: Any) -> Slot:
    """A slot whose families are this champion and another one."""
    bare = Slot("day_ahead", "house", 3600, 24, tiny.LEVELS, ("daily_naive",), {"xgb": champion, "rf": f"{champion}-rf"}, champion)
    return replace(bare, standby=champion, **changes)


def record(bundle: str, family: str = "xgb") -> Record:
    """What is known of a bundle, as far as succession asks."""
    return replace(tiny.record(tiny.bundle("day_ahead", "xgb")), bundle=bundle, family=family)


def of(step: Step | ServingManifest) -> Slot:
    """The house's slot."""
    manifest = step.manifest if isinstance(step, Step) else step
    return manifest.slots["day_ahead/house"]


def applying(*applications: Application, after: ServingManifest | None = None) -> Step:
    """The house's registration."""
    return register(after or ServingManifest(), HOUSE, list(applications))


FIRST = applying(Application(slot("a"), "", accepted=True, reasons=("the first",))).manifest


def test_the_first_registration_answers() -> None:
    """Where nobody answered the candidate does, and the step says from nothing to whom, and why."""
    assert (of(FIRST).champion, of(FIRST).previous, FIRST.latest_meter) == ("a", "", "house")
    moves = applying(Application(slot("a"), "", accepted=True, reasons=("the first",))).moves
    assert [(move.before, move.after, move.reasons) for move in moves] == [("", "a", ("the first",))]


def test_an_accepted_one_takes_the_whole_slot() -> None:
    """Its families come with it, and the slot before is remembered whole."""
    second = applying(Application(slot("b"), "a", accepted=True, reasons=("better",)), after=FIRST)
    assert (of(second).champion, of(second).previous) == ("b", "a")
    assert of(second).before == slot("a")
    assert dict(of(second).families) == {"xgb": "b", "rf": "b-rf"}


def test_a_refused_one_changes_nobody() -> None:
    """Champion, families and memory stay; the candidate is remembered, and kept."""
    second = applying(Application(slot("b"), "a", accepted=True, reasons=()), after=FIRST).manifest
    third = applying(Application(slot("c"), "b", accepted=False, reasons=("no gain",)), after=second)
    assert of(third) == replace(of(second), candidate="c")
    assert [(move.before, move.after, move.reasons) for move in third.moves] == [("b", "b", ("no gain",))]
    assert {"a", "a-rf", "b", "b-rf", "c"} == third.manifest.kept()


def test_judged_beside_another_champion_is_a_conflict() -> None:
    """Somebody else published since: the judgement is void."""
    with pytest.raises(RegistryConflict, match="someone else published in between"):
        applying(Application(slot("c"), "b", accepted=True, reasons=()), after=FIRST)


def test_promote_and_roll_back() -> None:
    """A family becomes champion; rolled back, the slot is as it was before, families and all, and the one that left is the candidate."""
    promoted = promote(FIRST, record("a-rf", "rf"), ("forced",))
    assert (of(promoted).champion, of(promoted).previous) == ("a-rf", "a")
    back = rollback(promoted.manifest, "day_ahead", "house")
    assert of(back) == replace(of(FIRST), candidate="a-rf")
    with pytest.raises(RegistryConflict, match="no other champion before"):
        rollback(back.manifest, "day_ahead", "house")
    with pytest.raises(RegistryConflict, match="is the champion"):
        promote(FIRST, record("a"), ())
    with pytest.raises(RegistryConflict, match="nothing answers week_ahead"):
        rollback(FIRST, "week_ahead", "house")


def test_a_promoted_veto_counts_no_more() -> None:
    """Forced into office, a family that was vetoed answers."""
    vetoed = FIRST.with_slot(slot("a", vetoed={"rf": "it lost"}))
    assert dict(of(promote(vetoed, record("a-rf", "rf"), ("forced",))).vetoed) == {}


def test_a_challenger_stays_through_a_succession_and_ends() -> None:
    """It goes on beside a new champion, not beside itself, and is the candidate when it ends."""
    contested = challenge(FIRST, record("x"), 0.25).manifest
    assert (of(contested).challenger, of(contested).share) == ("x", 0.25)
    assert "x" in of(contested).bundles()
    followed = applying(Application(slot("b"), "a", accepted=True, reasons=()), after=contested).manifest
    assert (of(followed).challenger, of(followed).share) == ("x", 0.25)
    won = promote(followed, record("x"), ("it won",)).manifest
    assert (of(won).champion, of(won).challenger, of(won).share) == ("x", "", 0.0)
    ended = end_challenge(contested, "day_ahead", "house").manifest
    assert (of(ended).challenger, of(ended).candidate) == ("", "x")
    with pytest.raises(RegistryConflict, match="no challenger"):
        end_challenge(ended, "day_ahead", "house")
    with pytest.raises(RegistryConflict, match="is the champion"):
        challenge(FIRST, record("a"), 0.0)


def test_retired_is_named_nowhere() -> None:
    """As family, challenger, candidate and as the one before; a champion is not retired, nor somebody unknown."""
    second = applying(Application(slot("b"), "a", accepted=True, reasons=()), after=FIRST).manifest
    for bundle in ("b-rf", "a"):
        assert bundle in second.kept()
        assert bundle not in retire(second, bundle).manifest.kept()
    contested = challenge(second, record("x"), 0.25).manifest
    assert "x" not in retire(contested, "x").manifest.kept()
    # A family that only the slot before names does not come back with it.
    gone = retire(second, "a-rf")
    assert gone.moves[0].before == gone.moves[0].after == "b"
    assert dict(of(rollback(gone.manifest, "day_ahead", "house")).families) == {"xgb": "a"}
    # Who contends goes on through a rollback.
    assert of(rollback(contested, "day_ahead", "house")).challenger == "x"
    with pytest.raises(RegistryConflict, match="is the champion of day_ahead/house"):
        retire(second, "b")
    with pytest.raises(RegistryConflict, match="no slot names"):
        retire(second, "nobody")


def test_names_keep() -> None:
    """A named bundle is kept for as long as it has its name."""
    named = name(FIRST, "winter", "old").manifest
    assert "old" in named.kept()
    assert "old" not in name(named, "winter", "").manifest.kept()
    for word in ("", "a b", "two\nlines", "0123456789ab"):
        with pytest.raises(RegistryConflict, match="is no name for a model"):
            name(FIRST, word, "old")
    with pytest.raises(RegistryConflict, match='no bundle is named "summer"'):
        name(named, "summer", "")


def test_a_task_that_was_not_trained_goes_on() -> None:
    """One that is skipped this time, and one that was not asked for, keep their champions; why is told."""
    both = FIRST.with_slot(replace(slot("w"), task="week_ahead"))
    skipped = Slot("day_ahead", "house", 3600, 24, tiny.LEVELS, ("daily_naive",), skipped="the file is too coarse")
    step = applying(application(skipped, of(both), None), after=both)
    assert (of(step).champion, step.manifest.slots["week_ahead/house"].champion) == ("a", "w")
    assert step.moves[0].reasons == ("Not trained: the file is too coarse.",)


def test_three_before_are_remembered() -> None:
    """A service that holds bad champions back goes on with one of them: it is kept, and can be rolled back to."""
    manifest = FIRST
    for champion, against in (("b", "a"), ("c", "b"), ("d", "c"), ("e", "d")):
        manifest = applying(Application(slot(champion), against, accepted=True, reasons=()), after=manifest).manifest
    assert {"b", "c", "d", "e"} <= manifest.kept()
    assert "a" not in manifest.kept()
    for champion in ("d", "c", "b"):
        manifest = rollback(manifest, "day_ahead", "house").manifest
        assert of(manifest).champion == champion


@pytest.mark.parametrize("share", [float("nan"), -0.1, 1.1])
def test_a_share_is_a_share(share: float) -> None:
    """Nothing else is written into a manifest."""
    with pytest.raises(BadParams, match="cannot answer on"):
        challenge(FIRST, record("x"), share)


def test_who_cannot_be_challenged() -> None:
    """Neither the model of all meters nor a slot where a baseline answers."""
    with pytest.raises(RegistryConflict, match="where a baseline answers"):
        challenge(FIRST.with_slot(replace(slot("a"), champion="")), record("x"), 0.0)
    star = replace(slot("s"), meter=STAR)
    with pytest.raises(RegistryConflict, match="the model of all meters cannot be challenged"):
        challenge(FIRST.with_slot(star), replace(record("x"), meter=STAR), 0.0)
