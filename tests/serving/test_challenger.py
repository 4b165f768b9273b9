"""A challenger forecasts beside the champion, answers on its share of the days, and every answer has the other one's in the shadow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from registered import DAY_S, HOURS, ask, bundle_path, flip, serving, slot_in

from wattcast.adapters.model_store import FileModelStore
from wattcast.forecasting.experiment import answers_by_challenger
from wattcast.forecasting.succession import challenge
from wattcast.meter.clock import utc_offset_s

WHO = {"at": "2010-03-01T00:00:00+00:00", "by": "tests"}


def contested(store: Path, share: float) -> tuple[str, str]:
    """The champion of the day ahead, and a family of it that challenges from now on."""
    models, slot = FileModelStore(store), slot_in(store)
    challenger = next(bundle for bundle in slot.families.values() if bundle != slot.champion)
    models.change(lambda manifest: challenge(manifest, models.record(challenger), share), **WHO)
    return slot.champion, challenger


def origins(days: int) -> list[int]:
    """Noon of so many days at the end of the readings."""
    return [HOURS.end_s - HOURS.end_s % DAY_S - day * DAY_S + DAY_S // 2 for day in range(1, days + 1)]


def test_in_the_shadow_it_never_answers(store: Path) -> None:
    """Without a share the champion answers every day, and the challenger's forecast of the same moment is the one beside it."""
    champion, challenger = contested(store, 0.0)
    service = serving(store)
    alone = serving(store).forecast(ask(family=service.loaded[challenger].manifest.family))
    for origin_s in origins(5):
        asked = ask(origin_s=origin_s)
        made = service.forecast(asked)
        assert (made.tier, made.version) == ("champion", champion)
        assert service.is_contested(made)
        beside = service.beside(asked, made)
        assert beside is not None
        assert (beside.tier, beside.version, beside.origin_s) == ("shadow", challenger, origin_s)
    made = service.forecast(ask())
    beside = service.beside(ask(), made)
    assert beside is not None
    assert np.array_equal(beside.steps.values, alone.steps.values)


def test_it_answers_on_its_days(store: Path) -> None:
    """Which days are whose follows from meter and local day alone; on the challenger's the champion is in the shadow."""
    champion, challenger = contested(store, 0.5)
    service = serving(store)
    seen = set()
    for origin_s in origins(20):
        asked = ask(origin_s=origin_s)
        made = service.forecast(asked)
        day = int((origin_s + utc_offset_s("Europe/Paris", np.array([origin_s]))[0]) // DAY_S)
        whose = answers_by_challenger("house", day, 0.5)
        assert (made.tier, made.version) == (("challenger", challenger) if whose else ("champion", champion))
        beside = service.beside(asked, made)
        assert beside is not None
        assert beside.version == (champion if whose else challenger)
        seen.add(whose)
    assert seen == {True, False}


def test_a_family_asked_for_is_no_contest(store: Path) -> None:
    """Who asks for a family gets it, every day."""
    _, challenger = contested(store, 1.0)
    service = serving(store)
    third = next(family for family, bundle in slot_in(store).families.items() if bundle not in (slot_in(store).champion, challenger))
    made = service.forecast(ask(family=third))
    assert made.tier == "family"
    assert not service.is_contested(made)


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_challenger_that_is_refused_costs_nothing(store: Path, share: float) -> None:
    """The champion answers and says why, where the challenger should have; beside it is nothing."""
    champion, challenger = contested(store, share)
    flip(bundle_path(store, challenger))
    service = serving(store)
    made = service.forecast(replace(ask(), origin_s=origins(1)[0]))
    assert (made.tier, made.version) == ("champion", champion)
    assert ("altered or torn" in made.reason) == (share == 1.0)
    assert service.beside(ask(), made) is None
