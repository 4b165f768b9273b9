"""Local time for arrays of instants, against the standard library's own answer."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wattcast.errors import BadParams
from wattcast.meter.clock import DAY_S, HOUR_S, utc_offset_s, wall_clock_days_before, zone_of

ZONES = ["UTC", "Europe/Paris", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo"]


@given(st.lists(st.integers(0, 4_000_000_000), min_size=1, max_size=20), st.sampled_from(ZONES))
def test_offsets_are_those_of_the_zone_database(instants, zone):
    """Every instant of every zone has the offset that zoneinfo gives it."""
    expected = [datetime.fromtimestamp(instant, ZoneInfo(zone)).utcoffset().total_seconds() for instant in instants]
    np.testing.assert_array_equal(utc_offset_s(zone, np.array(instants)), expected)


def test_fixed_offsets_and_nothing_have_offsets_too():
    """+05:30 and -03:00 are zones; no instants have no offsets."""
    assert utc_offset_s("+05:30", np.array([0])).tolist() == [19_800]
    assert utc_offset_s("-03:00", np.array([[0, 1]])).tolist() == [[-10_800, -10_800]]
    assert utc_offset_s("UTC", np.array([], dtype=np.int64)).size == 0


@pytest.mark.parametrize("name", ["Nowhere", "", "+1", "../etc/passwd", "\0", "+25:00", "+01:60", "posixrules", "localtime", "right/UTC"])
def test_zones_that_do_not_exist_are_refused(name):
    """The hint shows both forms; nor is a zone that each machine has its own of, or an offset beyond a day."""
    with pytest.raises(BadParams, match="not known") as refusal:
        zone_of(name)
    assert "Europe/Paris" in refusal.value.hint


@pytest.mark.parametrize(
    ("moment", "earlier"),
    [
        ("2024-04-01 10:00", "2024-03-31 10:00"),
        ("2024-03-31 12:00", "2024-03-30 13:00"),
        ("2024-10-27 12:00", "2024-10-26 11:00"),
        ("2024-06-02 12:00", "2024-06-01 12:00"),
    ],
)
def test_yesterday_at_the_same_local_hour_crosses_clock_changes(moment, earlier):
    """In Paris the same wall clock time lies 23, 24 or 25 hours back."""
    at, before = (int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) for text in (moment, earlier))
    assert wall_clock_days_before("Europe/Paris", np.array([at]), 1).tolist() == [before]


@given(st.integers(0, 2**31), st.integers(1, 14), st.sampled_from(ZONES))
def test_the_same_wall_clock_time_lies_whole_days_back_give_or_take_an_hour(instant, days, zone):
    """However the clock changed in between, never further off than the change."""
    back = instant - int(wall_clock_days_before(zone, np.array([instant]), days)[0])
    assert abs(back - days * DAY_S) <= HOUR_S
