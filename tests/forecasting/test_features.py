"""Nothing leaks, and every feature is what its name says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from wattcast.errors import LeakingSpec
from wattcast.forecasting import spec as spec_module
from wattcast.forecasting.baselines import baselines
from wattcast.forecasting.features import build_features, features_at, features_of_each, glance, leads_of
from wattcast.forecasting.lookback import available_columns
from wattcast.forecasting.spec import USUAL_DAY, FeatureSpec, Known, Recent, Scale, Seasonal, Target
from wattcast.meter.clock import DAY_S, HOUR_S
from wattcast.meter.known import KnownColumn
from wattcast.meter.table import Meter, MeterTable

MINUTE = FeatureSpec(
    60,
    1,
    "UTC",
    recent=(
        Recent(
            "power_kw", offsets=(0, 1, 5), means=(3, 60), spreads=(15,), extremes=(5, 20), changes=(1, 7), event=0.3, events=3, counts=(10,)
        ),
        Recent("power_kw", level=1.2, runs=2),
        Recent("rest_kw", offsets=(0,), event=0.2),
        Recent("apparent_excess_kw", offsets=(0,)),
        Recent("conductance_kw", offsets=(0,)),
        Recent("power_factor", offsets=(0,)),
        Recent("voltage_v", offsets=(0, 2), means=(10,)),
    ),
    target="change",
    event_memory=40,
)
HOUR = FeatureSpec(
    3600,
    30,
    "Europe/Paris",
    recent=(Recent("power_kw", offsets=(0, 1), means=(24,)),),
    seasonal=(
        Seasonal(days=(1, 2, 7), hours=(24, 48), means=((1, 2, 3), (7, 14)), kinds=(7, 14)),
        Seasonal(days=(1, 7), hours=(30,), means=((1, 2, 3),), nearby=2, half_life=2),
        Seasonal("current_a", days=(1,), means=((1, 2, 3),)),
    ),
    holidays=(datetime(2010, 3, 29, tzinfo=UTC).toordinal(),),
)


def minutes(count: int = 400, seed: int = 3) -> MeterTable:
    """Minutes with steps, noise and gaps, and the UCI channels."""
    chance = np.random.default_rng(seed)
    power = (0.3 + np.repeat(chance.integers(0, 3, count // 20 + 1), 20)[:count] + chance.normal(0, 0.02, count)).astype(np.float32)
    columns = {name: chance.uniform(0, 20, count).astype(np.float32) for name in ("sub1_wh", "sub2_wh", "sub3_wh", "current_a")}
    columns["voltage_v"] = chance.normal(240, 2, count).astype(np.float32)
    holes = chance.random(count) < 0.1
    power[holes] = np.nan
    columns["voltage_v"][holes] = np.nan
    return MeterTable(Meter("house"), 1_262_304_000, 60, power, columns)


def hours(start: datetime, count: int = 24 * 40, zone: str = "Europe/Paris", seed: int = 5) -> MeterTable:
    """Hours with gaps, in a zone whose clock changes."""
    power = np.random.default_rng(seed).uniform(0, 3, count).astype(np.float32)
    power[::17] = np.nan
    return MeterTable(Meter("house", zone=zone), int(start.timestamp()), 3600, power, {"current_a": 4 * power})


USUAL = replace(HOUR, seasonal=(*HOUR.seasonal, *USUAL_DAY), target="deviation")
SCALED = replace(HOUR, recent=(Recent("power_kw", offsets=(0, 3), means=(24,)),), scale=Scale(days=3, prior_kw=1.0, prior_days=1.0))
SPRING, AUTUMN = datetime(2010, 3, 1, tzinfo=UTC), datetime(2010, 10, 5, tzinfo=UTC)
CASES = [pytest.param(minutes(), MINUTE, id="minutes")] + [
    pytest.param(hours(start, zone=zone), replace(spec, zone=zone), id=f"{zone}-{name}-{kind}")
    for zone in ("Europe/Paris", "America/New_York", "UTC")
    for name, start in (("spring", SPRING), ("autumn", AUTUMN))
    for kind, spec in (("kw", HOUR), ("scaled", SCALED), ("usual", USUAL))
]


@pytest.mark.parametrize(("table", "spec"), CASES)
def test_many_origins_equal_each_origin_from_its_own_past(table: MeterTable, spec: FeatureSpec) -> None:
    """Rows built for many origins at once are the rows built from only that origin's past."""
    origins = np.arange(0, len(table) + 1, 7)
    together = build_features(table, origins, spec).matrix.reshape(len(origins), spec.horizon, -1)
    for number, origin in enumerate(origins):
        alone = build_features(table.rows(0, int(origin)), np.array([origin]), spec).matrix
        assert_allclose(alone, together[number], rtol=1e-5, atol=1e-6)


def changed_after(table: MeterTable, origin: int) -> MeterTable:
    """The table with everything after the origin replaced by an absurd value, gaps included."""
    columns = {name: np.where(np.arange(len(table)) < origin, values, np.float32(1e9)) for name, values in table.columns().items()}
    return replace(table, power_kw=columns.pop("power_kw"), covariates=columns)


def leaks(table: MeterTable, spec: FeatureSpec) -> bool:
    """Whether a row of features differs when what comes after its origin is replaced."""
    for origin in range(1, len(table), 13):
        at = np.array([origin])
        before, after = (build_features(each, at, spec).matrix for each in (table, changed_after(table, origin)))
        if not np.array_equal(before, after, equal_nan=True):
            return True
    return False


@pytest.mark.parametrize(("table", "spec"), CASES)
def test_nothing_after_the_origin_changes_a_feature(table: MeterTable, spec: FeatureSpec) -> None:
    """Replacing every value after the origin by 1e9 changes no feature, over days of 23 and 25 hours too."""
    assert not leaks(table, spec)


LEAKS = [
    pytest.param({"recent": (Recent("power_kw", offsets=(-1,)),)}, id="offset"),
    pytest.param({"recent": (Recent("voltage_v", offsets=(0, -1)),)}, id="covariate"),
    pytest.param({"recent": (Recent("power_kw", changes=(-1,)),)}, id="change"),
]


@pytest.mark.parametrize("change", LEAKS)
def test_a_leaking_spec_is_refused_and_would_leak(change: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    """A spec that reaches past the origin cannot be built; with the refusal switched off, the leak test finds it."""
    with pytest.raises(LeakingSpec, match="after the origin"):
        replace(MINUTE, **change)
    monkeypatch.setattr(spec_module, "_refuse_leaks", lambda _: None)
    assert leaks(minutes(), replace(MINUTE, **change))


@pytest.mark.parametrize(
    "change",
    [
        {"recent": (Recent("power_kw", means=(0,)),)},
        {"recent": (Recent("power_kw", extremes=(5, -1)),)},
        {"seasonal": (Seasonal(days=(0,)),)},
        {"seasonal": (Seasonal(hours=(-24,)),)},
        {"seasonal": (Seasonal(means=((1, 0),)),)},
        {"seasonal": (Seasonal(kinds=(0,)),)},
        {"seasonal": (Seasonal("voltage_v", days=(0,)),)},
        {"gate_s": 86_400},
        {"known": (Known("temperature_c", means=(0,)),)},
        {"calendar": ("hour", "temperature")},
    ],
)
def test_a_spec_that_names_no_moment_before_is_refused(change: dict[str, object]) -> None:
    """Empty windows, lags that do not go back and columns not known ahead are refused too."""
    with pytest.raises(LeakingSpec):
        replace(MINUTE, **change)


def test_recent_features_count_back_from_the_last_reading_known() -> None:
    """Offset 0 is the last reading before the origin; means, spreads and extremes skip what was not measured."""
    power = np.array([1, 2, np.nan, 4, 5, 9], dtype=np.float32)
    table = MeterTable(Meter("house"), 0, 60, power)
    spec = FeatureSpec(60, 1, "UTC", recent=(Recent("power_kw", offsets=(0, 2, 9), means=(3,), spreads=(3,), extremes=(4,)),), calendar=())
    features = build_features(table, np.array([5]), spec)
    assert spec.names == (
        "power_kw[-0]",
        "power_kw[-2]",
        "power_kw[-9]",
        "power_kw.mean3",
        "power_kw.spread3",
        "power_kw.min4",
        "power_kw.max4",
    )
    assert_allclose(features.matrix[0], [5, np.nan, np.nan, 4.5, 0.5, 2, 5])
    assert features.targets[0] == 9


def test_events_tell_age_size_and_the_run_before() -> None:
    """The last change beyond the threshold: how long ago, how large, and how long the load had been steady before it."""
    power = np.array([1, 1, 3, 3, 3, 1, 1], dtype=np.float32)
    spec = FeatureSpec(60, 1, "UTC", recent=(Recent("power_kw", event=0.5),), calendar=(), event_memory=5)
    matrix = build_features(MeterTable(Meter("house"), 0, 60, power), np.array([2, 3, 5, 6, 7]), spec).matrix
    assert_array_equal(matrix, np.array([[5, np.nan, np.nan], [0, 2, np.nan], [2, 2, np.nan], [0, -2, 3], [1, -2, 3]], dtype=np.float32))


def test_a_seasonal_lag_serves_the_leads_it_reaches_back_past() -> None:
    """Yesterday is known for leads 1 to 24 and null beyond, where the day before yesterday takes over."""
    table = MeterTable(Meter("house"), 0, 3600, np.arange(24 * 20, dtype=np.float32))
    spec = FeatureSpec(3600, 30, "UTC", seasonal=(Seasonal(days=(1, 2), hours=(24,), means=((1, 2),)),), calendar=())
    matrix = build_features(table, np.array([240]), spec).matrix
    targets = np.arange(240, 270)
    assert_array_equal(matrix[:, 0], np.arange(1, 31))
    assert_array_equal(matrix[:, 1], np.where(np.arange(30) < 24, targets - 24, np.nan))
    assert_array_equal(matrix[:, 2], targets - 48)
    assert_array_equal(matrix[:, 1], matrix[:, 3])
    assert_array_equal(matrix[:, 4], np.where(np.arange(30) < 24, targets - 36, targets - 48))


def test_days_of_a_kind_count_with_their_own() -> None:
    """A mean over days of the target's kind takes workdays for a workday, Sundays for a holiday; half_life weighs the nearer day more."""
    monday = int(datetime(2010, 3, 1, tzinfo=UTC).timestamp())
    days = np.repeat(np.arange(28, dtype=np.float32), 24)
    table = MeterTable(Meter("house"), monday, 3600, days)
    spec = FeatureSpec(3600, 1, "UTC", seasonal=(Seasonal(kinds=(7,)), Seasonal(means=((1, 2),), half_life=1)), calendar=())
    tuesday = np.array([22 * 24])
    own = build_features(table, tuesday, spec).matrix[0]
    assert_allclose(own, [np.mean([21, 18, 17, 16, 15]), (0.5 * 21 + 0.25 * 20) / 0.75])
    holiday = replace(spec, holidays=(datetime(2010, 3, 23, tzinfo=UTC).toordinal(),))
    assert build_features(table, tuesday, holiday).matrix[0, 0] == 20


def test_nearby_steps_count_only_as_far_as_they_are_known() -> None:
    """A smoothed lag averages the steps around it; what lies past the origin is left out of the average, not guessed."""
    table = MeterTable(Meter("house"), 0, 3600, np.arange(24 * 5, dtype=np.float32))
    spec = FeatureSpec(3600, 24, "UTC", seasonal=(Seasonal(days=(1,), nearby=1),), calendar=())
    matrix = build_features(table, np.array([72]), spec).matrix
    assert_allclose(matrix[:, 1], [*np.arange(48, 71), 70.5])


def test_a_scaled_row_does_not_depend_on_the_size_of_the_house() -> None:
    """Ten times the load gives the same features and targets once the prior is outweighed, and heads come back in kW."""
    small = hours(SPRING)
    large = replace(small, power_kw=small.power_kw * 10)
    spec = replace(SCALED, scale=Scale(days=7, prior_kw=1.0, prior_days=1e-6))
    origins = np.arange(24 * 20, len(small) - 30, 50)
    one, ten = (build_features(table, origins, spec) for table in (small, large))
    assert_allclose(one.matrix, ten.matrix, rtol=1e-4)
    assert_allclose(one.targets, ten.targets, rtol=1e-4)
    assert_allclose(ten.in_kw(ten.targets[:, None])[:, 0], large.power_kw[ten.origin + ten.lead - 1], rtol=1e-4)


def test_without_a_reading_the_scale_is_the_prior() -> None:
    """A meter that was never measured is as large as it is said to be, and the row says that nothing is known."""
    empty = MeterTable(Meter("house", zone="Europe/Paris"), int(SPRING.timestamp()), 3600, np.empty(0, dtype=np.float32))
    features = build_features(empty, np.array([0]), replace(SCALED, scale=Scale(days=7, prior_kw=0.7, prior_days=3.0)))
    assert_allclose(features.scale_kw, 0.7)
    assert_array_equal(features.matrix[:, features.names.index("measured_days")], 0)


@pytest.mark.parametrize(
    ("zone", "eve", "length"),
    [
        ("Europe/Paris", datetime(2010, 3, 27, tzinfo=UTC), 23),
        ("Europe/Paris", datetime(2010, 10, 30, tzinfo=UTC), 25),
        ("Europe/Paris", datetime(2010, 6, 1, tzinfo=UTC), 24),
        ("America/New_York", datetime(2010, 3, 13, tzinfo=UTC), 23),
        ("America/New_York", datetime(2010, 11, 6, tzinfo=UTC), 25),
    ],
)
def test_with_a_gate_the_targets_are_the_next_local_day(zone: str, eve: datetime, length: int) -> None:
    """At 06:00 local time the steps are those of the next local day, 23 to 25, each with its hour and the same hour a week before."""
    start = eve.timestamp() - 20 * DAY_S
    table = replace(hours(datetime.fromtimestamp(start, UTC), 24 * 30, zone), power_kw=np.arange(24 * 30, dtype=np.float32))
    spec = FeatureSpec(3600, 24, zone, seasonal=(Seasonal(days=(7,)),), calendar=("hour",), gate_s=6 * HOUR_S)
    local = [datetime.fromtimestamp(instant, ZoneInfo(zone)) for instant in table.instants().tolist()]
    origin = next(row for row, at in enumerate(local) if (at.date(), at.hour) == (eve.date(), 6))
    features = build_features(table, np.array([origin, origin + 1]), spec)
    tomorrow = [row for row, at in enumerate(local) if at.date() == eve.date() + timedelta(days=1)]
    assert features.lead.tolist() == [row - origin + 1 for row in tomorrow]
    assert len(tomorrow) == length
    assert features.matrix[:, features.names.index("hour")].tolist() == [local[row].hour for row in tomorrow]
    for row, lag in zip(tomorrow, features.matrix[:, features.names.index("days7")].tolist(), strict=True):
        before = local[int(lag)]
        # The hour that the clock skipped a week later, or shows twice, has one reading a week before.
        assert (before.date() - local[row].date()).days == -7
        assert before.hour == local[row].hour


def test_without_a_gate_every_origin_has_every_lead() -> None:
    """The leads count from 1 to the horizon."""
    assert leads_of(FeatureSpec(3600, 3, "UTC"), np.array([0, 7_200])).tolist() == [[1, 2, 3], [1, 2, 3]]


@pytest.mark.parametrize(
    ("zone", "day", "length"),
    [
        ("Europe/Paris", datetime(2010, 3, 28, tzinfo=UTC), 23),
        ("Europe/Paris", datetime(2010, 10, 31, tzinfo=UTC), 25),
        ("America/New_York", datetime(2010, 3, 14, tzinfo=UTC), 23),
        ("America/New_York", datetime(2010, 11, 7, tzinfo=UTC), 25),
    ],
)
def test_wall_clock_lags_keep_the_local_hour_over_a_clock_change(zone: str, day: datetime, length: int) -> None:
    """The day after a change of the clock, yesterday at the same local hour is 23 or 25 hours back, and the hour feature is local."""
    noon = int(day.timestamp()) + DAY_S + (12 - {"Europe/Paris": 1, "America/New_York": -5}[zone]) * HOUR_S
    noon -= HOUR_S if length == 23 else 0
    start = noon - 10 * DAY_S
    table = MeterTable(Meter("house", zone=zone), start, 3600, np.arange(24 * 12, dtype=np.float32))
    # From noon on the day of the change to noon the day after lie 24 hours; the change lies in the night before.
    origin = (noon - DAY_S - start) // HOUR_S
    spec = FeatureSpec(3600, 1, zone, seasonal=(Seasonal(days=(1,)),), calendar=("hour", "weekday"))
    matrix = build_features(table, np.array([origin]), spec).matrix
    assert_array_equal(matrix[0], [origin - length, 12, 6])


def test_original_fault_2_the_hour_is_the_targets_and_no_lag_runs_across_a_gap() -> None:
    """Training and serving take the hour of the target minute from one function, and a gap stays a gap instead of an older value."""
    power = np.array([1, 2, np.nan, np.nan, 5], dtype=np.float32)
    table = MeterTable(Meter("house"), 3600 * 9 - 60 * 3, 60, power)
    spec = FeatureSpec(60, 1, "UTC", recent=(Recent("power_kw", offsets=(0,)),), calendar=("hour",))
    training = build_features(table, np.array([2, 3, 4]), spec)
    assert_allclose(training.matrix, [[2, 8 + 59 / 60], [np.nan, 9], [np.nan, 9 + 1 / 60]], rtol=1e-6)
    serving = build_features(table.rows(1, 2), np.array([1]), spec)
    assert_array_equal(serving.matrix[0], training.matrix[0])


def test_calendar_knows_the_local_day() -> None:
    """Weekday, day of the year and holiday are those of the meter's zone."""
    start = int(datetime(2009, 12, 31, 23, tzinfo=UTC).timestamp())
    table = MeterTable(Meter("house", zone="Europe/Paris"), start, 3600, np.zeros(1, dtype=np.float32))
    spec = FeatureSpec(3600, 1, "Europe/Paris", holidays=(datetime(2010, 1, 1, tzinfo=UTC).toordinal(),))
    assert_array_equal(build_features(table, np.array([0]), spec).matrix[0], [0, 4, 0, 1])


def test_a_change_counts_from_the_last_reading_and_needs_it() -> None:
    """Targets are differences from the last reading known; without one the row cannot be trained on."""
    table = MeterTable(Meter("house"), 0, 60, np.array([1, 3, np.nan, 4], dtype=np.float32))
    features = build_features(table, np.array([1, 2, 3]), replace(MINUTE, recent=(Recent("power_kw", offsets=(0,)),)))
    assert_array_equal(features.targets[:1], [2])
    assert_array_equal(features.base_kw, [1, 3, np.nan])
    assert_array_equal(features.trainable, [True, False, False])


def test_a_deviation_counts_from_the_usual_day() -> None:
    """Targets are differences from the baseline of that name; in kW the rows are what they were, and without a usual day none is."""
    table = hours(SPRING)
    origins = np.array([0, 800])
    usual = baselines(table, origins, USUAL, ("usual_day",))["usual_day"]
    features = build_features(table, origins, USUAL)
    assert_array_equal(features.base_kw, usual)
    assert np.isnan(usual[0])
    assert not features.trainable[:30].any()
    level = build_features(table, origins, replace(USUAL, target="level"))
    np.testing.assert_allclose(features.in_kw(features.targets[:, None])[30:, 0], level.targets[30:], rtol=1e-5, atol=1e-6)


def test_chosen_leads_are_the_same_rows() -> None:
    """Rows for some leads are the rows of all leads, picked out."""
    table = hours(SPRING)
    origins = np.array([500, 501])
    every = build_features(table, origins, HOUR).matrix.reshape(2, 30, -1)
    some = build_features(table, origins, HOUR, np.array([[3, 30], [1, 24]])).matrix
    assert_array_equal(some, np.stack([every[0, 2], every[0, 29], every[1, 0], every[1, 23]]))


def test_history_is_as_long_as_said() -> None:
    """A row built from the last `history_steps` readings is the row built from all of them."""
    for table, spec, origin in ((minutes(), MINUTE, 300), (hours(SPRING), HOUR, 900)):
        first = origin - spec.history_steps
        short = build_features(table.rows(first, origin), np.array([origin - first]), spec).matrix
        assert_allclose(short, build_features(table, np.array([origin]), spec).matrix, rtol=1e-5, atol=1e-6)


def test_derived_columns_need_what_they_are_made_of() -> None:
    """What sub-meters leave unexplained is there for a meter that has them, and null for a reading without."""
    electric = {"power_kw", "voltage_v", "current_a"}
    assert available_columns(electric) - electric == {"apparent_excess_kw", "conductance_kw", "power_factor"}
    table = MeterTable(
        Meter("house"),
        0,
        60,
        np.array([2.0], dtype=np.float32),
        {name: np.array([10.0], dtype=np.float32) for name in ("sub1_wh", "sub2_wh", "sub3_wh")},
    )
    spec = FeatureSpec(60, 1, "UTC", recent=(Recent("rest_kw", offsets=(0,)), Recent("apparent_excess_kw", offsets=(0,))), calendar=())
    assert_allclose(build_features(table, np.array([1]), spec).matrix, [[0.2, np.nan]], atol=1e-6)


KNOWN = (Known("temperature_c", offsets=(0, 3, -2), means=(1, 6)), Known("away"))
KNOWN_CASES = [pytest.param(*case.values, id=case.id) for case in CASES[:3]]


def knowing(table: MeterTable, seed: int = 7) -> MeterTable:
    """The table with a forecast issued every 6 steps for 40 steps on, some of its values missing, and a plan of steps 4 times as long."""
    chance = np.random.default_rng(seed)
    step, count = table.step_s, len(table) + 40
    issue, ahead = (each.ravel() for each in np.meshgrid(np.arange(-6, count, 6), np.arange(40)))
    there = chance.random(len(issue)) < 0.9
    starts, moments = table.start_s + (issue + ahead) * step, table.start_s + issue * step + chance.integers(-step, step, len(issue))
    temperature = KnownColumn.of(starts[there], moments[there], chance.uniform(-5, 30, there.sum()).astype(np.float32), step)
    days = np.arange(0, count, 4)
    entered = table.start_s + (days - chance.integers(-5, 60, len(days))) * step
    away = KnownColumn.of(table.start_s + days * step, entered, chance.integers(0, 2, len(days)).astype(np.float32), 4 * step)
    return table.with_known({"temperature_c": temperature, "away": away})


def without_later(table: MeterTable, origin_s: int, absurd: float | None = None) -> MeterTable:
    """The table without anything that became known after the origin, or with an absurd value in its place."""
    known = {}
    for name, column in table.known.items():
        later = column.available_s > origin_s
        values = np.where(later, np.float32(np.nan if absurd is None else absurd), column.values)
        known[name] = KnownColumn.of(column.start_s, column.available_s, values, column.step_s)
    return replace(table, known=known)


def known_leaks(table: MeterTable, spec: FeatureSpec) -> bool:
    """Whether a row of features differs when what became known after its origin is replaced."""
    for origin in range(1, len(table), 13):
        at = np.array([origin])
        changed = without_later(table, table.start_s + origin * table.step_s, absurd=1e9)
        before, after = (build_features(each, at, spec).matrix for each in (table, changed))
        if not np.array_equal(before, after, equal_nan=True):
            return True
    return False


@pytest.mark.parametrize(("table", "spec"), KNOWN_CASES)
def test_many_origins_equal_each_origin_from_what_was_known_ahead_at_it(table: MeterTable, spec: FeatureSpec) -> None:
    """Rows built for many origins are the rows built from that origin's past, everything taken away that became known later."""
    table, spec = knowing(table), replace(spec, known=KNOWN)
    origins = np.arange(0, len(table) + 1, 7)
    together = build_features(table, origins, spec).matrix.reshape(len(origins), spec.horizon, -1)
    for number, origin in enumerate(origins):
        past = without_later(table, table.start_s + int(origin) * table.step_s).rows(0, int(origin))
        alone = build_features(past, np.array([origin]), spec).matrix
        assert_allclose(alone, together[number], rtol=1e-5, atol=1e-6)
    columns = [spec.names.index(name) for name in ("temperature_c[+0]", "temperature_c[+2]", "temperature_c.known_mean6", "away[+0]")]
    assert (np.isfinite(together[:, :, columns]).mean(axis=(0, 1)) > 0.3).all()


@pytest.mark.parametrize(("table", "spec"), KNOWN_CASES)
def test_nothing_that_became_known_after_the_origin_changes_a_feature(
    table: MeterTable, spec: FeatureSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Replacing every such value by 1e9 changes no feature; asked for the newest value instead, this very test finds the leak."""
    table, spec = knowing(table), replace(spec, known=KNOWN)
    assert not known_leaks(table, spec)
    as_of = KnownColumn.as_of
    monkeypatch.setattr(KnownColumn, "as_of", lambda column, targets, origins: as_of(column, targets, origins + 7 * table.step_s))
    assert known_leaks(table, spec)


def test_a_value_not_known_yet_is_null_and_the_latest_known_one_counts() -> None:
    """A forecast of the target known a second after the origin is no feature; of two known ones the later issue is."""
    column = KnownColumn.of(
        np.array([3600, 3600, 7200]), np.array([-50, 3600, 3601]), np.array([1.0, 2.0, 3.0], dtype=np.float32), step_s=3600
    )
    table = MeterTable(Meter("house"), 0, 3600, np.zeros(3, dtype=np.float32), known={"temperature_c": column})
    spec = FeatureSpec(3600, 2, "UTC", known=(Known("temperature_c", offsets=(0, -1), means=(2,)),), calendar=())
    assert spec.names == ("lead", "temperature_c[+0]", "temperature_c[+1]", "temperature_c.known_mean2")
    expected = [
        [[1, np.nan, 1, np.nan], [2, 1, np.nan, np.nan]],
        [[1, 2, np.nan, np.nan], [2, np.nan, np.nan, np.nan]],
        [[1, 3, np.nan, 2.5], [2, np.nan, np.nan, np.nan]],
    ]
    assert_array_equal(build_features(table, np.array([0, 1, 2]), spec).matrix.reshape(3, 2, 4), np.array(expected, dtype=np.float32))


def test_a_column_that_nobody_knew_is_null() -> None:
    """A meter without the file, or whose forecast stopped arriving, has rows all the same."""
    spec = replace(HOUR, known=KNOWN)
    place = [number for number, name in enumerate(spec.names) if name.startswith(("temperature_c", "away"))]
    assert len(place) == 6
    for table in (hours(SPRING), without_later(knowing(hours(SPRING)), 0)):
        matrix = build_features(table, np.array([500]), spec).matrix
        assert np.isnan(matrix[:, place]).all()
        assert np.isfinite(np.delete(matrix, place, axis=1)).any(axis=0).all()


GLANCE = FeatureSpec(
    60,
    1,
    "Europe/Paris",
    recent=(
        Recent("power_kw", offsets=(0, 2)),
        *(
            Recent(name, offsets=(0,))
            for name in ("rest_kw", "apparent_rest_kva", "conductance_kw", "power_factor", "nowhere", "voltage_v")
        ),
    ),
    calendar=("hour", "weekday", "year"),
    target="change",
)


def electric(count: int, seed: int) -> MeterTable:
    """Minutes with all that a house measures, and gaps in each column."""
    chance = np.random.default_rng(seed)
    names = ("power_kw", "voltage_v", "current_a", "reactive_power_kvar", "sub1_wh", "sub2_wh", "sub3_wh")
    columns = {name: chance.uniform(0, 250, count).astype(np.float32) for name in names}
    for values in columns.values():
        values[chance.random(count) < 0.2] = np.nan
    return MeterTable(Meter("house"), 1_262_304_000, 60, columns.pop("power_kw"), columns)


@pytest.mark.parametrize("target", ["change", "level"])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 40])
def test_an_answer_that_needs_single_readings_reads_the_features_of_training(count: int, target: Target) -> None:
    """Bit for bit, derived columns too, from a table of any length and with fewer columns."""
    spec = replace(GLANCE, target=target)
    assert spec.glances
    for seed in range(8):
        table = electric(count, seed)
        for some in (table, replace(table, covariates={"voltage_v": table.covariates["voltage_v"]}), replace(table, covariates={})):
            matrix, base = glance(some, count, spec)
            known = {name: np.append(values, np.float32(1)) for name, values in some.columns().items()}
            whole = features_at(known, np.array([count]), np.array([some.end_s]), spec, {})
            assert_array_equal(matrix, whole.matrix)
            assert_array_equal(np.float32(base), whole.base_kw[0])


def test_readings_that_are_answered_together_have_the_features_of_each_alone() -> None:
    """Bit for bit, whatever the others are."""
    table = electric(300, 1)
    together = features_of_each(table.columns(), table.instants() + 60, GLANCE)
    for row in range(300):
        alone = build_features(table.rows(row, row + 1), np.array([1]), GLANCE)
        assert_array_equal(alone.matrix[0], together.matrix[row])
        assert (alone.target_s[0], len(alone.base_kw)) == (together.target_s[row], 1)
        assert_array_equal(alone.base_kw[0], together.base_kw[row])


def test_the_calendar_is_remembered_but_never_another_ones() -> None:
    """Many more moments than are remembered, asked for twice and in any order, have the columns that they have together."""
    table = electric(1, 1)
    moments = np.random.default_rng(3).integers(1_262_304_000, 1_462_304_000, 1_500) // 60 * 60
    together = features_of_each({"power_kw": np.ones(1_500, np.float32)}, moments, GLANCE).matrix
    for number in [*range(1_500), *range(0, 1_500, 7)]:
        alone = build_features(replace(table, start_s=int(moments[number]) - 60), np.array([1]), GLANCE).matrix
        assert_array_equal(alone[0, 8:], together[number, 8:])
