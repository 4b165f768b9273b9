"""What the choice of who answers promises: the same everywhere, as often as was said, another for every meter."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from wattcast.errors import BadParams
from wattcast.forecasting.experiment import answers_by_challenger

DAYS = range(14_000, 18_000)


def chosen(meter: str, share: float) -> np.ndarray:
    """The choice of every day."""
    return np.array([answers_by_challenger(meter, day, share) for day in DAYS])


def test_the_choice_is_the_same_in_every_release() -> None:
    """Whoever changes the hash changes who answered yesterday."""
    days = "".join("01"[answers_by_challenger("house", day, 0.5)] for day in range(14_600, 14_640))
    assert days == "1000010100101110111001000111101000010010"
    assert (
        "".join("01"[answers_by_challenger("barn", f"2026-03-{day:02d}", 0.2)] for day in range(1, 32)) == "0000001000000000000010100000111"
    )


def test_a_day_is_the_same_however_it_is_written() -> None:
    """Its date, or days since 1970-01-01, of numpy too."""
    for day in (0, 14_600, 20_000):
        written = {answers_by_challenger("house", each, 0.5) for each in (day, np.int64(day), str(np.datetime64(day, "D")))}
        assert len(written) == 1


@pytest.mark.parametrize("share", [0.05, 0.2, 0.5, 0.9])
def test_the_challenger_answers_as_often_as_was_said(share: float) -> None:
    """Of one meter's days, and of one day's meters, within four standard deviations; each day by itself, whatever the one before was."""
    own = chosen("house", share)
    meters = np.array([answers_by_challenger(f"meter-{number}", "2026-03-01", share) for number in range(4_000)])
    spread = 4 * np.sqrt(share * (1 - share) / 4_000)
    assert abs(own.mean() - share) < spread
    assert abs(meters.mean() - share) < spread
    assert abs((own[1:] & own[:-1]).mean() - share**2) < 4 * np.sqrt(share**2 * (1 - share**2) / 2_000)


def test_a_greater_share_keeps_the_days_of_a_smaller_one() -> None:
    """Nothing at none, everything at all."""
    shares = [chosen("house", share) for share in (0.0, 0.1, 0.3, 0.7, 1.0)]
    assert not shares[0].any()
    assert shares[-1].all()
    assert all((less <= more).all() for less, more in pairwise(shares))


def test_one_meter_says_nothing_of_another() -> None:
    """Both are the challenger's on as many days as chance would have it."""
    for first, second in (("house", "barn"), ("meter-1", "meter-11"), ("a", "a1")):
        both = (chosen(first, 0.5) & chosen(second, 0.5)).mean()
        assert abs(both - 0.25) < 4 * np.sqrt(0.25 * 0.75 / len(DAYS))


@pytest.mark.parametrize(("day", "share"), [(1, -0.1), (1, 1.1), (1, float("nan")), ("yesterday", 0.5), (10**12, 0.5)])
def test_what_is_no_share_or_no_day_is_refused(day: str | int, share: float) -> None:
    """With what to write instead."""
    with pytest.raises(BadParams) as refusal:
        answers_by_challenger("house", day, share)
    assert refusal.value.hint
