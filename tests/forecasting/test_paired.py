"""The paired test: right in its figures, no surer than it may be, and the same whenever it is asked."""

from __future__ import annotations

import numpy as np
import pytest
from rivals import Rival, errors, judged, steady_days

from wattcast.forecasting.paired import Difference, difference, distance_difference, t_quantile
from wattcast.forecasting.windows import GAIN_CONFIDENCE, HARM_CONFIDENCE, PART_CONFIDENCE

DAY = np.repeat(np.arange(17_000, 17_030), 24)


@pytest.mark.parametrize("confidence", [HARM_CONFIDENCE, GAIN_CONFIDENCE, PART_CONFIDENCE])
def test_the_quantiles_are_students(confidence: float) -> None:
    """They are scipy's, from the fewest days that are judged to many."""
    students = pytest.importorskip("scipy.stats").t
    for freedom in (10, 13, 29, 364, 5_000):
        assert t_quantile(confidence, freedom) == pytest.approx(students.ppf(confidence, freedom), abs=1e-4)


def test_the_error_is_that_of_daily_means_with_their_covariances() -> None:
    """On whole days it is Newey and West's over five days with Harvey's correction, worked out here day by day."""
    losses = np.random.default_rng(1).normal(1, 1, 30 * 24) + np.repeat(steady_days(np.random.default_rng(2), 30), 24)
    daily = losses.reshape(30, 24).mean(axis=1)
    off = daily - daily.mean()
    variance = sum((1 - abs(lag) / 6) * np.mean(np.correlate(off, off, "full")[29 + lag]) / 30 for lag in range(-5, 6))
    harvey = (30 + 1 - 2 * 6 + 6 * 5 / 30) / 30
    found = difference(losses, DAY, span=1)
    assert (found.mean, found.days) == (pytest.approx(daily.mean()), 30)
    assert found.error == pytest.approx(np.sqrt(variance / 30 / harvey))
    assert found.upper(0.95) - found.mean == pytest.approx(t_quantile(0.95, 29) * found.error)
    assert found.mean - found.lower(0.95) == pytest.approx(t_quantile(0.95, 29) * found.error)


def test_a_day_counts_by_its_rows_and_a_day_without_any_keeps_its_place() -> None:
    """The mean is that of all rows; two days around a gap are no neighbours, so that it matters where the gap lies."""
    losses = errors(np.random.default_rng(3), 30)
    kept = np.ones(len(DAY), dtype=bool)
    kept[5 : 10 * 24] = False
    found = difference(losses[kept], DAY[kept], span=1)
    assert (found.mean, found.days) == (pytest.approx(losses[kept].mean()), 21)
    closed = np.where(DAY > 17_000, DAY - 9, DAY)
    assert difference(losses[kept], closed[kept], span=1).error != found.error


def test_forecasts_that_span_many_days_make_it_less_sure() -> None:
    """Errors that last for a week weigh as the few weeks that they are, where one forecast spans a week."""
    day = np.repeat(np.arange(70), 24)

    def error(span: int) -> float:
        weeks = (np.repeat(np.random.default_rng(seed).normal(size=10), 7 * 24) for seed in range(20))
        return float(np.mean([difference(losses, day, span).error for losses in weeks]))

    assert error(span=1) == error(span=8) < error(span=14) < error(span=400)


def test_distances_never_differ_by_more_than_the_shares() -> None:
    """Of 79 % and 81 % beside 80 % neither is surely nearer, and both are surely within what they are apart."""
    chance = np.random.default_rng(5)
    sure = chance.uniform(size=len(DAY)) + 0.05 * np.repeat(chance.normal(size=30), 24)
    first, second = (np.array(sure <= np.quantile(sure, share), dtype=float) for share in (0.81, 0.79))
    apart = difference(first - second, DAY, 1)
    found = distance_difference(first, second, 0.8, DAY, 1)
    assert found.signed.mean == pytest.approx(abs(first.mean() - 0.8) - abs(second.mean() - 0.8))
    assert found.upper(0.95) == apart.upper(0.95) < found.signed.upper(0.95)
    nearer = distance_difference(second, first, 0.7, DAY, 1)
    assert nearer.upper(0.95) == nearer.signed.upper(0.95) == difference(second - first, DAY, 1).upper(0.95) < 0


def test_no_difference_is_no_difference() -> None:
    """Two forecasts that are the same lie nowhere but at zero."""
    assert difference(np.zeros(len(DAY)), DAY, 1) == Difference(0.0, 0.0, 30)


@pytest.mark.parametrize(("days", "shared"), [(14, 0.9999), (60, 0.9999), (60, 0.995)])
def test_one_that_is_no_better_takes_over_once_in_twenty_times_at_most(days: int, shared: float) -> None:
    """Of 400 pairs that are as good as each other, with errors that last for days, no more than 5 % are promoted."""
    taken = [judged(Rival(), Rival(), days=days, shared=shared, seed=seed).promote for seed in range(400)]
    assert np.mean(taken) <= 0.05


def test_one_that_is_better_by_a_little_mostly_takes_over() -> None:
    """Three percent better on sixty days: two in three are found."""
    taken = [judged(Rival(scale=0.97), Rival(), days=60, shared=0.995, seed=seed).promote for seed in range(100)]
    assert np.mean(taken) > 0.6
