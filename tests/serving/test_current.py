"""What is published while a service runs is loaded beside it and swapped in; what is refused leaves who answered before."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from registered import BARN, HOUSE, ask, bundle_path, flip, publish, slot_in

from wattcast.adapters.files import FileSnapshots
from wattcast.adapters.model_store import FileModelStore
from wattcast.serving import Current


@pytest.fixture
def current(store: Path) -> Current:
    """What answers from the store."""
    started = Current(FileModelStore(store), FileSnapshots(store))
    started.start()
    return started


def answers(current: Current, meter: str = "house") -> tuple[str, str]:
    """The tier and the version that answer for the day ahead."""
    forecast = current.service.forecast(replace(ask(), meter=meter))
    return forecast.tier, forecast.version


def test_what_is_published_answers_at_the_next_look(store: Path, current: Current) -> None:
    """Another champion answers after `refresh`, without a restart; a look at what is known already changes nothing."""
    before = answers(current)
    assert not current.refresh(0)
    publish(store, HOUSE, {name: [tiny.bundle(name, "lgbm", seed=3)] for name in tiny.TASKS})
    assert answers(current) == before
    assert current.refresh(0)
    assert answers(current) == ("champion", slot_in(store).champion) != before
    assert (current.fault, current.service.health()["held_back"]) == ("", {})
    assert not current.refresh(0)


def test_who_took_a_service_keeps_it(store: Path, current: Current) -> None:
    """An answer under way goes on with the models that it began with."""
    taken, before = current.service, answers(current)
    publish(store, HOUSE, {name: [tiny.bundle(name, "lgbm", seed=3)] for name in tiny.TASKS})
    assert current.refresh(0)
    forecast = taken.forecast(ask())
    assert (forecast.tier, forecast.version) == before


def test_models_that_stay_are_not_loaded_again(store: Path, current: Current) -> None:
    """What another meter answers from is the very same object after a swap: its memory is not doubled, its file not read."""
    champion = slot_in(store, meter="barn").champion
    there = current.service.loaded[champion].models()
    publish(store, HOUSE, {name: [tiny.bundle(name, "lgbm", seed=3)] for name in tiny.TASKS})
    bundle_path(store, champion).unlink()
    assert current.refresh(0)
    assert current.service.loaded[champion].models() is there
    assert answers(current, "barn") == ("champion", champion)


def test_a_family_that_was_asked_for_is_loaded_before_it_is_asked_for_again(store: Path, current: Current) -> None:
    """Who asks for it after the swap does not wait for its file; where nobody asked for it, it waits."""
    family = "rf"
    assert slot_in(store).families[family] != slot_in(store).champion
    never_asked = Current(FileModelStore(store), FileSnapshots(store))
    never_asked.start()
    current.service.forecast(ask(family=family))
    publish(store, HOUSE, {name: [tiny.bundle(name, key, seed=3) for key in ("xgb", "rf", "lgbm")] for name in tiny.TASKS})
    bundle = slot_in(store).families[family]
    assert bundle != slot_in(store).champion
    for each, opened in ((current, True), (never_asked, False)):
        assert each.refresh(0)
        assert each.service.loaded[bundle].opened == opened


def test_a_bad_champion_is_held_back_and_the_others_swap(store: Path, current: Current) -> None:
    """For the house goes on who answered, with its families, and why is told; the barn has its new champion."""
    before, old = answers(current), slot_in(store)
    publish(store, HOUSE, {"day_ahead": [tiny.bundle("day_ahead", "lgbm", seed=3)], "next_minute": [tiny.bundle("next_minute", "rf")]})
    publish(store, BARN, {"day_ahead": [tiny.bundle("day_ahead", "xgb", seed=3)]})
    flip(bundle_path(store, slot_in(store).champion))
    assert current.refresh(0)
    assert answers(current) == before
    family = next(family for family, bundle in old.families.items() if bundle != old.champion)
    assert current.service.forecast(ask(family=family)).version == old.families[family]
    assert "altered or torn" in current.fault
    assert list(current.service.held_back) == ["day_ahead/house"]
    assert answers(current, "barn") == ("champion", slot_in(store, meter="barn").champion)


def test_a_mended_champion_is_taken_after_a_while(store: Path, current: Current) -> None:
    """A file that was torn and is whole again serves without another change, at a look half a minute later."""
    publish(store, HOUSE, {name: [tiny.bundle(name, "lgbm", seed=3)] for name in tiny.TASKS})
    champion = slot_in(store).champion
    whole = bundle_path(store, champion).read_bytes()
    flip(bundle_path(store, champion))
    current.refresh(0)
    assert current.fault
    bundle_path(store, champion).write_bytes(whole)
    assert not current.refresh(1)
    assert current.refresh(31)
    assert (answers(current), current.fault) == (("champion", champion), "")


@pytest.mark.parametrize("spoil", ["torn", "gone"])
def test_a_store_that_cannot_be_read_changes_nothing(store: Path, current: Current, spoil: str) -> None:
    """Everything goes on as it was where the manifest is torn; and where there is no manifest any more."""
    before = answers(current)
    if spoil == "torn":
        (store / "serving.json").write_bytes(b"{")
    else:
        shutil.rmtree(store / "bundles")
        (store / "serving.json").unlink()
    assert not current.refresh(0)
    assert answers(current) == before
    assert current.fault
