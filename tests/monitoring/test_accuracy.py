"""What the scores of forecasts that were given out promise: the arithmetic of every other score, beside baselines on the same hours."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import numpy as np
import pytest
import tiny
from simulated import CHALLENGER, CHAMPION, DAY_S, HOUR_S, START_S, days_of_rivals, logged

from wattcast.forecasting.backtest import Frame, scored
from wattcast.forecasting.baselines import baseline_names
from wattcast.forecasting.features import Features
from wattcast.forecasting.forecast import LoggedForecast
from wattcast.forecasting.metrics import Array, score
from wattcast.forecasting.spec import FeatureSpec
from wattcast.meter.table import MeterTable
from wattcast.monitoring.accuracy import EVERY_LEAD, Accuracy, accuracy

NAMES = ("persistence", "daily_naive", "mean_7_days")
# The days of the table of these tests at their fixed offset.
TABLE = days_of_rivals(60, 3, zone="+00:00")[0]


def forecasts(first_day: int, days: int, kw: float = 1.0, hours: int = 24, **changes: str) -> list[LoggedForecast]:
    """One forecast of so many hours at each midnight."""
    return [logged(START_S + day * DAY_S, np.full(hours, kw), **changes) for day in range(first_day, first_day + days)]


def over_all(found: list[Accuracy], window_days: int = 7, **who: str) -> Accuracy:
    """The only row at every lead of this window and forecaster."""
    (own,) = (
        one
        for one in found
        if (one.leads, one.window_s) == (EVERY_LEAD, window_days * DAY_S)
        and all(getattr(one.who, name) == value for name, value in who.items())
    )
    return own


@pytest.mark.parametrize("gate_s", [None, 6 * HOUR_S])
def test_the_score_is_that_of_the_backtest(gate_s: int | None) -> None:
    """Every figure and every baseline, the usual day with its holidays among them, of readings with gaps, over a change of the clock."""
    power = days_of_rivals(420, 3)[0].power_kw.copy()
    power[np.random.default_rng(1).random(len(power)) < 0.02] = np.nan
    table = replace(TABLE, meter=replace(TABLE.meter, zone="Europe/Paris"), power_kw=power)
    holidays = tuple(date(2010, 1, 1).toordinal() + day for day in (330, 341, 352, 377, 390))
    spec = FeatureSpec(HOUR_S, 24, "Europe/Paris", holidays=holidays, gate_s=gate_s)
    origins = np.arange(370 * 24, 420 * 24)

    def constant(features: Features) -> tuple[Array, Array]:
        rows = len(features.lead)
        return np.full(rows, 1.05, np.float32), np.tile(np.array([2 / 3, 1, 4 / 3], np.float32), (rows, 1))

    rows = scored({"it": constant}, table, origins, Frame(spec, baseline_names(), (0.1, 0.5, 0.9)))["it"]
    expected = score(rows)
    by_origin = {int(origin): rows.target_s[rows.origin == origin] for origin in np.unique(rows.origin)}
    given = []
    for origin, targets in by_origin.items():
        one = logged(START_S + origin * HOUR_S, np.ones(len(targets)))
        given.append(replace(one, steps=replace(one.steps, starts_s=targets)))
    np.random.default_rng(2).shuffle(given)
    whole = over_all(accuracy(given, table, baseline_names(), table.end_s, windows_s=(60 * DAY_S,), holidays=holidays), 60)
    assert whole.score is not None
    assert (whole.score.n, whole.waiting, whole.missing, whole.alone) == (expected.n, 0, 0, 0)
    assert whole.score.baselines == {name: pytest.approx(errors, rel=1e-9) for name, errors in expected.baselines.items()}
    for name in ("mae", "rmse", "r2", "pinball", "coverage", "nominal"):
        assert getattr(whole.score, name) == pytest.approx(getattr(expected, name), rel=1e-5)
    assert whole.score.skill == pytest.approx(expected.skill, rel=1e-4)
    assert whole.bias == pytest.approx(float(np.mean(rows.mean.astype(np.float64) - rows.actual)), rel=1e-4)


def test_what_is_not_scored_is_counted() -> None:
    """Hours to come, hours whose reading is late, hours never measured, and hours without every baseline."""
    power = TABLE.power_kw.copy()
    now_s = START_S + 40 * DAY_S + 12 * HOUR_S
    power[40 * 24 + 8 :] = np.nan  # measured up to 08:00, four hours late
    power[40 * 24 + 3] = np.nan
    table = replace(TABLE, power_kw=power)
    row = over_all(accuracy(forecasts(40, 1), table, NAMES, now_s))
    assert row.score is not None
    assert (row.score.n, row.missing, row.waiting, row.alone) == (7, 1, 16, 0)
    assert set(row.score.baselines) == set(NAMES)
    young = replace(table, start_s=START_S + 39 * DAY_S + 12 * HOUR_S, power_kw=power[39 * 24 + 12 :])
    (alone,) = {one.alone for one in accuracy(forecasts(40, 1), young, NAMES, now_s) if one.leads == EVERY_LEAD}
    assert alone == 7
    begun = replace(TABLE, start_s=START_S + 40 * DAY_S + 2 * HOUR_S, power_kw=TABLE.power_kw[40 * 24 + 2 : 41 * 24])
    assert over_all(accuracy(forecasts(40, 1), begun, ("persistence",), begun.end_s)).alone == 22
    (nothing,) = (one for one in accuracy(forecasts(40, 1), young, NAMES, now_s, windows_s=(DAY_S,)) if one.leads == EVERY_LEAD)
    assert (nothing.score, str(nothing.bias)) == (None, "nan")


def test_nothing_after_now_is_looked_at() -> None:
    """A table that knows more gives the same; what cannot be known is waited for."""
    now_s = START_S + 40 * DAY_S + 12 * HOUR_S
    later = TABLE.power_kw.copy()
    later[40 * 24 + 12 :] = 1e9
    found = [accuracy(forecasts(35, 6), replace(TABLE, power_kw=values), NAMES, now_s) for values in (TABLE.power_kw, later)]
    assert found[0] == found[1]
    assert over_all(found[0]).waiting == 12


def test_a_window_holds_the_hours_that_ended_in_it() -> None:
    """Seven days and 28, each scored by itself; forecasts of before are none of it."""
    found = accuracy(forecasts(10, 50), TABLE, NAMES, TABLE.end_s)
    assert [over_all(found, days).score.n for days in (7, 28)] == [7 * 24, 28 * 24]  # type: ignore[union-attr]
    assert accuracy(forecasts(10, 5), TABLE, NAMES, TABLE.end_s) == []


def test_leads_are_told_apart_by_the_hours_ahead() -> None:
    """Up to an hour, six, twelve, a day and two; together they are all of them."""
    found = accuracy(forecasts(50, 3, hours=30), TABLE, NAMES, TABLE.end_s, windows_s=(14 * DAY_S,))
    assert {one.leads: one.score.n for one in found if one.score} == {
        "0 to 1 h": 3, "1 to 6 h": 15, "6 to 12 h": 18, "12 to 24 h": 36, "24 to 48 h": 18, EVERY_LEAD: 90,
    }  # fmt: skip


def test_the_last_of_one_origin_and_version_counts() -> None:
    """By when it was given out last, whatever its place in the log and its tier; other versions and models are others."""
    origin_s = START_S + 50 * DAY_S
    first = logged(origin_s, np.full(24, 3.0))
    second = logged(origin_s, np.full(24, 2.0), last_served_s=origin_s + 60)
    again = replace(first, last_served_s=origin_s + 120)
    for given, kw in (([first, second], 2.0), ([second, first], 2.0), ([again, second], 3.0)):
        found = over_all(accuracy(given, TABLE, NAMES, TABLE.end_s, windows_s=(28 * DAY_S,)), 28)
        assert found.score is not None
        actual = TABLE.power_kw[50 * 24 : 51 * 24]
        assert (found.score.n, found.score.mae) == (24, pytest.approx(float(np.abs(actual - kw).mean()), rel=1e-5))
    without = [logged(origin_s, np.ones(24), "", "baseline", model=model) for model in ("this", "that")]
    found = accuracy([first, *without], TABLE, NAMES, TABLE.end_s, windows_s=(28 * DAY_S,))
    assert [one.who.model for one in found if one.leads == EVERY_LEAD] == ["that", "this", "LightGBM Regressor"]


def test_tiers_and_versions_are_kept_apart() -> None:
    """The champion in the light and in the shadow, the challenger in both: four forecasters, each scored like any other."""
    table, found = days_of_rivals(60, 3)
    rows = [one for one in accuracy(found, table, NAMES, table.end_s) if (one.leads, one.window_s) == (EVERY_LEAD, 28 * DAY_S)]
    assert {(one.who.version, one.who.tier) for one in rows} == {
        (CHAMPION, "champion"), (CHAMPION, "shadow"), (CHALLENGER, "challenger"), (CHALLENGER, "shadow"),
    }  # fmt: skip
    assert {one.score.n for one in rows if one.score} == {14 * 24}


def test_what_does_not_fit_the_table_is_left_out() -> None:
    """Forecasts at another resolution; hours with other bounds than the readings' were never measured; no quantile counts as the mean."""
    one = logged(START_S + 55 * DAY_S, np.ones(24))
    assert accuracy([replace(one, step_s=900)], TABLE, NAMES, TABLE.end_s) == []
    aside = replace(one, steps=replace(one.steps, starts_s=one.steps.starts_s + 600))
    assert over_all(accuracy([aside], TABLE, NAMES, TABLE.end_s)).missing == 24
    bare = replace(one, steps=replace(one.steps, levels=(), values=one.steps.values[:, :1]))
    score_of = over_all(accuracy([bare], TABLE, NAMES, TABLE.end_s)).score
    assert score_of is not None
    assert (score_of.coverage, score_of.nominal) == (0.0, 0.0)
    assert score_of.mae == pytest.approx(float(np.abs(TABLE.power_kw[55 * 24 : 56 * 24] - 1.05).mean()), rel=1e-5)


def test_minutes_are_scored_too() -> None:
    """One step ahead, at the resolution of the table."""
    table: MeterTable = tiny.minute_table()
    rows = np.arange(5_000, 5_700)
    given = [replace(logged(tiny.START_S + row * 60, table.power_kw[row : row + 1] + 0.5), step_s=60) for row in rows]
    row = over_all(accuracy(given, table, ("persistence",), table.end_s))
    assert row.score is not None
    assert row.score.n + row.missing + row.alone == 700
    assert (row.score.mae, row.score.baselines["persistence"]["mae"]) == (pytest.approx(0.5, rel=1e-3), pytest.approx(0.05, abs=0.04))


def test_a_long_log_is_let_go_of_as_it_is_read() -> None:
    """Of 500 forecasts never more than a handful are there at once."""
    read: list[weakref.ref[LoggedForecast]] = []
    most = 0

    def reading() -> Iterator[LoggedForecast]:
        nonlocal most
        for number in range(500):
            one = logged(START_S + number // 10 * DAY_S, np.ones(24))
            read.append(weakref.ref(one))
            yield one
            most = max(most, sum(each() is not None for each in read))

    assert accuracy(reading(), TABLE, NAMES, TABLE.end_s)
    assert 0 < most < 10
