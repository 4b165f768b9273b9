"""Whom and when: meters, tasks, origins and resolutions that can be asked for, and those that are the caller's error."""

from __future__ import annotations

from pathlib import Path

import pytest
from registered import DAY_S, HOURS, MINUTES, ask, serving

from wattcast.errors import BadRequest


def test_an_unknown_meter_or_task_is_the_callers_error(registered: Path) -> None:
    """Neither is guessed: the refusal names the field and what is known; no meter named is the one registered last."""
    service = serving(registered)
    assert service.forecast(ask(meter="")).meter == "house"
    with pytest.raises(BadRequest, match='meter "attic" is not known') as refusal:
        service.forecast(ask(meter="attic"))
    assert (refusal.value.hint, list(refusal.value.fields)) == ("known meters: barn, house", ["meter"])
    with pytest.raises(BadRequest, match='task "week_ahead" is not known') as refusal:
        service.forecast(ask("week_ahead"))
    assert (refusal.value.hint, list(refusal.value.fields)) == ("known tasks: day_ahead, next_minute", ["task"])


def test_an_empty_store_says_so(tmp_path: Path) -> None:
    """Before anything was registered nothing is ready, and the refusal is the caller's to read."""
    service = serving(tmp_path / "store")
    assert service.health() == {"ready": False, "serial": 0, "meters": [], "loaded": 0, "refused": {}, "held_back": {}}
    with pytest.raises(BadRequest) as refusal:
        service.forecast(ask(meter=""))
    assert refusal.value.hint == "known meters: none yet"
    with pytest.raises(BadRequest) as refusal:
        service.slot("day_ahead", "house")
    assert refusal.value.hint == "known tasks: none"


def test_an_origin_in_the_past_knows_nothing_later(registered: Path) -> None:
    """Asked for a moment within the readings, the forecast is the one that was possible then."""
    service, row = serving(registered), 700
    origin_s = HOURS.start_s + row * 3_600
    forecast = service.forecast(ask(origin_s=origin_s + 1_799))
    assert forecast.steps == service.forecast(ask(readings=HOURS.rows(0, row))).steps
    assert (forecast.origin_s, forecast.tier) == (origin_s, "champion")
    assert forecast.data_age_s == HOURS.end_s + 3_600 - origin_s


def test_an_origin_after_the_readings_is_answered_as_far_as_they_reach(registered: Path) -> None:
    """Three days after the last reading a model may still answer; a month after, a lower tier does, and the age of the data is said."""
    service = serving(registered)
    near = service.forecast(ask(origin_s=HOURS.end_s + 3 * DAY_S, now_s=HOURS.end_s + 3 * DAY_S))
    assert (near.tier, near.data_age_s, near.steps[0].start_s) == ("champion", 3 * DAY_S, HOURS.end_s + 3 * DAY_S)
    far = service.forecast(ask(origin_s=HOURS.end_s + 30 * DAY_S))
    assert far.tier == "profile"
    minute = service.forecast(ask("next_minute", origin_s=MINUTES.end_s + 3_600))
    assert minute.tier == "profile"


@pytest.mark.parametrize("origin_s", [0, -(10**12), HOURS.start_s - 1, HOURS.end_s + 371 * DAY_S, 253_402_300_799, 10**30])
def test_an_origin_out_of_reach_is_the_callers_error(registered: Path, origin_s: int) -> None:
    """Before the first reading or more than a year after the last, in the year 9999 too: the refusal names the field."""
    with pytest.raises(BadRequest, match="the origin lies before the first reading, or more than a year after the last") as refusal:
        serving(registered).forecast(ask(origin_s=origin_s))
    assert list(refusal.value.fields) == ["origin"]


@pytest.mark.parametrize("row", [0, 1])
def test_the_first_moment_of_the_readings_is_an_origin(registered: Path, row: int) -> None:
    """At the start of the table nothing is known yet, and that is answered as such."""
    forecast = serving(registered).forecast(ask(origin_s=HOURS.start_s + row * 3_600))
    assert forecast.tier == ("baseline" if row else "profile")


def test_readings_of_another_resolution_are_the_callers_error(registered: Path) -> None:
    """Minutes where hours are needed are not silently taken for them."""
    with pytest.raises(BadRequest, match="readings are at 60 s, day_ahead works at 3600 s") as refusal:
        serving(registered).forecast(ask(readings=MINUTES))
    assert list(refusal.value.fields) == ["readings"]
