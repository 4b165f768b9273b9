"""What the comparison of two models promises: the better one is named, neither where none is, however often it is looked at."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from simulated import CHALLENGER, CHAMPION, DAY_S, HOUR_S, PROMISED_KW, START_S, days_of_rivals, logged

from wattcast.errors import BadParams
from wattcast.forecasting.forecast import LoggedForecast, Steps
from wattcast.meter.table import Meter, MeterTable
from wattcast.monitoring.comparison import LEAST_DAYS, Comparison, Contest, compare

CONTEST = Contest(CHAMPION, CHALLENGER, START_S, PROMISED_KW)


def compared(days: int, seed: int, better: float = 0.0) -> Comparison:
    """What is known of a simulated contest after so many days."""
    table, found = days_of_rivals(days, seed, better)
    return compare(found, table, CONTEST, table.end_s)


@cache
def alike() -> list[Comparison]:
    """200 contests of two models that differ and are equally good, 120 days each."""
    return [compared(120, seed) for seed in range(200)]


def test_of_two_equally_good_models_none_wins() -> None:
    """In 200 contests of 120 days that are looked at every day, at most 18 name a winner: 5 % and three standard deviations."""
    assert sum(one.winner is not None for one in alike()) <= 18


def test_these_models_differ_as_real_ones_do() -> None:
    """From day to day by an eighth of the error, and so that a day says something of the next: figures of the real house's models."""
    spread = [one.differences.std() / one.champion.mae for one in alike() if one.champion is not None]
    lasting = [np.corrcoef(one.differences[1:], one.differences[:-1])[0, 1] for one in alike()]
    assert 0.1 < np.mean(spread) < 0.15
    assert 0.08 < np.mean(lasting) < 0.16


def test_the_mean_difference_lies_where_it_is_said_to() -> None:
    """Zero among it, in nearly all of 200 contests."""
    outside = sum(not one.low_kw < 0 < one.high_kw for one in alike())
    assert outside <= 18
    for one in alike():
        assert one.low_kw < one.differences.mean() < one.high_kw


@pytest.mark.parametrize(("better", "days", "named"), [(0.1, 90, "challenger"), (-0.1, 90, "champion"), (0.03, 400, "challenger")])
def test_the_better_model_is_named(better: float, days: int, named: str) -> None:
    """By 10 % within a season, by 3 % within a year or so, whichever of both it is."""
    contests = [compared(days, 1_000 + seed, better) for seed in range(20)]
    counted = Counter(one.winner for one in contests)
    assert counted[named] >= 18  # type: ignore[index]
    assert counted[named] + counted[None] == 20  # type: ignore[index]
    assert all(one.decided is None or one.decided >= LEAST_DAYS for one in contests)
    assert {one.verdict for one in contests if one.winner} == {named}


def test_the_first_sure_look_decides() -> None:
    """What a look of day n knows is what later looks say of day n, and the winner of then stays, whatever comes."""
    table, found = days_of_rivals(60, 1_003, 0.1)
    whole = compare(found, table, CONTEST, table.end_s)
    assert whole.decided is not None
    for day in range(1, 61):
        look = compare(found, table, CONTEST, START_S + day * DAY_S)
        np.testing.assert_allclose(look.e, whole.e[: len(look.e)])
        assert (len(look.days), look.winner is not None) == (day - 1, day > whole.decided)
    turned = [replace(one, version={CHAMPION: CHALLENGER, CHALLENGER: CHAMPION}[one.version]) for one in found]
    later = [moved(one, days * DAY_S) for days in (60, 120) for one in turned]
    longer = replace(table, power_kw=np.tile(table.power_kw, 3))
    turning = compare([*found, *later], longer, CONTEST, longer.end_s)
    assert (turning.winner, turning.decided) == ("challenger", whole.decided)
    assert turning.better < 0


def moved(one: LoggedForecast, by_s: int) -> LoggedForecast:
    """The forecast, made so much later."""
    return replace(one, origin_s=one.origin_s + by_s, steps=replace(one.steps, starts_s=one.steps.starts_s + by_s))


def test_a_day_whose_end_is_not_measured_is_not_complete() -> None:
    """Quarters of an hour, the last hour of the day measured in part: the day waits."""
    power = np.full(2 * 96, 1.0, np.float32)
    table = MeterTable(Meter("house"), START_S, 900, power)
    found = [
        replace(logged(START_S, np.full(192, kw), version), step_s=900, steps=Steps(table.instants(), (0.5,), np.full((192, 2), kw)))
        for version, kw in ((CHAMPION, 1.2), (CHALLENGER, 1.1))
    ]
    assert [len(compare(found, table, CONTEST, START_S + DAY_S + late_s).days) for late_s in (-900, 0, DAY_S - 900, DAY_S)] == [0, 1, 1, 2]


def test_a_verdict_needs_a_week() -> None:
    """However much better one is; until then the words say how far it has come."""
    six, seven, none = compared(7, 5, 0.9), compared(60, 5, 0.9), compared(1, 5)
    assert len(six.days) < LEAST_DAYS
    assert (six.winner, none.winner, none.champion) == (None, None, None)
    assert six.verdict.startswith(f"undecided after {len(six.days)} days: 90.7 % better so far, E = ")
    assert six.verdict.endswith(" of the 20 that a verdict needs")
    assert seven.decided is not None
    assert seven.decided >= LEAST_DAYS
    assert none.verdict == "undecided: no day is complete for both yet"
    long = compared(40, 7)
    better = f"{abs(long.better) * 100:.1f} % {'better' if long.better > 0 else 'worse'}"
    assert long.verdict == f"undecided after 39 days: {better} so far, E = {long.e[-1]:.1f} of the 20 that a verdict needs"


def test_only_what_both_forecast_counts() -> None:
    """By origin and interval, on local days that are over and measured in every hour: 23 of them when the clock goes forward."""
    table, found = days_of_rivals(120, 1)
    whole = compare(found, table, CONTEST, table.end_s)
    # Paris is ahead of UTC: the first day lacks its first hour, the last its last ones.
    assert (len(whole.days), int(whole.days[0])) == (119, START_S // DAY_S + 1)
    assert whole.pairs == 119 * 24 - 1
    gap = table.power_kw.copy()
    gap[24 * 50 + 5] = np.nan
    assert len(compare(found, replace(table, power_kw=gap), CONTEST, table.end_s).days) == 118
    alone = [one for one in found if one.version == CHAMPION or one.origin_s != START_S + 30 * DAY_S]
    less = compare(alone, table, CONTEST, table.end_s)
    assert (len(less.days), less.unpaired) == (117, 24)
    late = compare(found, table, replace(CONTEST, since_s=START_S + 20 * DAY_S), table.end_s)
    assert int(late.days[0]) == START_S // DAY_S + 21
    np.testing.assert_allclose(late.differences, whole.differences[20:])


def test_the_figures_beside_the_verdict_are_those_of_the_pairs() -> None:
    """MAE, pinball loss and coverage of each, by hand."""
    table = MeterTable(days_of_rivals(1, 1)[0].meter, START_S, HOUR_S, np.full(72, 1.0, np.float32))
    table = replace(table, meter=replace(table.meter, zone="UTC"))
    found = [
        logged(START_S + day * DAY_S, np.full(24, kw), version) for day in range(3) for version, kw in ((CHAMPION, 1.2), (CHALLENGER, 2.0))
    ]
    known = compare(found, table, CONTEST, table.end_s)
    assert known.champion is not None
    assert known.challenger is not None
    assert (known.champion.mae, known.challenger.mae) == (pytest.approx(0.2, rel=1e-5), pytest.approx(1.0, rel=1e-5))
    assert known.champion.pinball == pytest.approx((0.1 * 0.2 + 0.5 * 0.2 + 0.1 * 0.6) / 3, rel=1e-5)
    assert (known.champion.coverage, known.challenger.coverage, known.champion.nominal) == (1.0, 0.0, pytest.approx(0.8))
    assert known.better == pytest.approx(-4.0, rel=1e-4)
    np.testing.assert_allclose(known.differences, -0.8, rtol=1e-5)
    assert known.verdict.startswith("undecided after 3 days: 400.0 % worse so far")


def test_days_of_longer_intervals_are_complete_too() -> None:
    """Of a task at six hours each of the four is looked for."""
    table, found = days_of_rivals(40, 1, zone="+00:00")
    longer = replace(table, step_s=6 * HOUR_S, power_kw=table.power_kw[::6])
    six = [
        replace(one, step_s=6 * HOUR_S, steps=replace(one.steps, starts_s=one.steps.starts_s[::6], values=one.steps.values[::6]))
        for one in found
    ]
    assert len(compare(six, longer, CONTEST, longer.end_s).days) == 40


@pytest.mark.parametrize("changes", [{"challenger": CHAMPION}, {"champion": ""}, {"promised_mae_kw": 0.0}, {"alpha": 1.0}])
def test_what_is_no_contest_is_refused(changes: dict[str, object]) -> None:
    """With what to do."""
    with pytest.raises(BadParams) as refusal:
        replace(CONTEST, **changes)
    assert refusal.value.hint
