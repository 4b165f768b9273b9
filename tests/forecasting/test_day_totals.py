"""Energy and peak of a day: quantiles of their own, narrower than the sum of the hours', that hold on days never seen."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import TypeAdapter

from wattcast.errors import BadBundle
from wattcast.forecasting.day_totals import DayTotals, Total, day_steps, fit_day_totals
from wattcast.forecasting.metrics import Scored
from wattcast.meter.clock import DAY_S, HOUR_S

LEVELS = (0.05, 0.1, 0.5, 0.9, 0.95)
# The quantiles of a standard normal.
NORMAL = np.array([-1.6449, -1.2816, 0.0, 1.2816, 1.6449])

Array = npt.NDArray[np.floating]


def forecasts(days: int, *, shared: float = 0.0, seed: int = 1, leads: int = 24) -> Scored:
    """One right forecast a day, hour by hour: normal errors whose size differs by hour, of which a share goes together all day."""
    chance = np.random.default_rng(seed)
    mean = 1 + np.sin(np.arange(leads) / 24 * 2 * np.pi) ** 2 + chance.gamma(4, 0.25, size=(days, 1))
    spread = 0.2 + 0.1 * mean
    noise = np.sqrt(1 - shared) * chance.normal(size=(days, leads)) + np.sqrt(shared) * chance.normal(size=(days, 1))
    quantiles = mean[..., None] + spread[..., None] * NORMAL
    lead = np.tile(np.arange(1, leads + 1), days)
    origin = np.repeat(np.arange(days) * leads, leads)
    return Scored(
        levels=LEVELS,
        actual=(mean + spread * noise).ravel().astype(np.float32),
        mean=mean.ravel().astype(np.float32),
        quantiles=quantiles.reshape(-1, len(LEVELS)).astype(np.float32),
        baselines={},
        target_s=(origin + lead - 1) * HOUR_S,
        origin=origin,
        lead=lead,
    )


def fitted(rows: Scored) -> DayTotals:
    """The totals fitted on these rows, of which there are enough."""
    totals = fit_day_totals(rows, HOUR_S)
    assert totals is not None
    return totals


def by_day(totals: DayTotals, rows: Scored) -> dict[str, Array]:
    """Mean, then quantiles of both totals for every day, shape (days, 1 + levels)."""
    days = [totals.apply(mean, quantiles, HOUR_S) for mean, quantiles in zip(of_day(rows.mean), of_day(rows.quantiles), strict=True)]
    return {name: np.array([_values(day[name]) for day in days if day]) for name in ("energy_kwh", "peak_kw")}


def _values(total: Total) -> list[float]:
    return [total["mean"], *total["quantiles"].values()]


def of_day(values: Array) -> Array:
    """The rows of a day of 24 hours together."""
    return values.reshape(-1, 24, *values.shape[1:])


@pytest.mark.parametrize("shared", [0.0, 0.6], ids=["hours apart", "hours together"])
def test_quantiles_of_energy_and_peak_hold_on_days_never_seen(shared: float) -> None:
    """Whether a day's errors cancel out or add up, each quantile has its share of the days below it, and the mean is right on average."""
    totals = fitted(forecasts(1500, shared=shared))
    after = forecasts(1500, shared=shared, seed=2)
    came = {"energy_kwh": of_day(after.actual).sum(axis=1), "peak_kw": of_day(after.actual).max(axis=1)}
    for name, said in by_day(totals, after).items():
        below = (came[name][:, None] <= said[:, 1:]).mean(axis=0)
        assert below == pytest.approx(LEVELS, abs=0.03), name
        assert said[:, 0].mean() == pytest.approx(came[name].mean(), rel=0.01), name


def test_the_energy_of_independent_hours_is_surer_than_the_sum_of_their_quantiles() -> None:
    """Errors that cancel out: the interval of the day is about a fifth (1 / sqrt(24)) of the hours' intervals added up."""
    rows = forecasts(1500)
    energy = by_day(fitted(rows), rows)["energy_kwh"]
    summed = of_day(rows.quantiles).sum(axis=1)
    assert np.mean(energy[:, -1] - energy[:, 1]) == pytest.approx(np.mean(summed[:, -1] - summed[:, 0]) / np.sqrt(24), rel=0.1)


def test_the_peak_lies_above_the_largest_mean() -> None:
    """The largest of 24 uncertain hours is larger than the largest of their means."""
    rows = forecasts(300)
    peak = by_day(fitted(rows), rows)["peak_kw"]
    assert (peak[:, 0] > of_day(rows.mean).max(axis=1)).all()


def test_a_wider_forecast_gives_wider_totals() -> None:
    """A day whose hours are less certain than usual has a less certain energy and peak."""
    totals = fitted(forecasts(300))
    mean = np.full(24, 2.0)
    narrow, wide = (totals.apply(mean, mean[:, None] + size * NORMAL, HOUR_S) for size in (0.1, 1.0))
    assert narrow
    assert wide
    for name in ("energy_kwh", "peak_kw"):
        low, high = (np.ptp(list(day[name]["quantiles"].values())) for day in (narrow, wide))
        assert low < high
    assert narrow["energy_kwh"]["mean"] == wide["energy_kwh"]["mean"] == pytest.approx(48)


def test_quantiles_of_totals_never_cross() -> None:
    """On 1,000 random curves, those of a net meter among them, the quantiles rise with their level."""
    chance = np.random.default_rng(5)
    totals = fitted(forecasts(30))
    for _ in range(1_000):
        curve = chance.normal(size=24)
        day = totals.apply(curve, curve[:, None] + chance.exponential() * NORMAL, HOUR_S)
        assert day
        for total in day.values():
            values = list(total["quantiles"].values())
            assert values == sorted(values)


def test_only_days_measured_whole_count() -> None:
    """A day with an unmeasured hour, its first or last among them, teaches nothing."""
    rows = forecasts(40)
    spoiled = replace(rows, actual=np.where(rows.origin < 30 * 24, np.float32(99), rows.actual))
    kept = np.ones(len(rows.lead), dtype=bool)
    kept[np.arange(30) * 24 + np.array([0, 11, 23] * 10)] = False
    left = fitted(_only(spoiled, kept))
    assert left == fitted(_only(rows, rows.origin >= 30 * 24))
    assert left.days == 10


def test_halves_of_two_days_are_no_day() -> None:
    """The morning of one forecast and the evening of the next, the rest of both unmeasured, teach nothing together."""
    rows = forecasts(20)
    day = rows.origin // 24
    kept = (day > 1) | ((day == 0) & (rows.lead <= 12)) | ((day == 1) & (rows.lead > 12))
    assert fitted(_only(rows, kept)) == fitted(_only(rows, day > 1))


def _only(rows: Scored, kept: npt.NDArray[np.bool_]) -> Scored:
    columns = ("actual", "mean", "quantiles", "target_s", "origin", "lead")
    return replace(rows, **{name: getattr(rows, name)[kept] for name in columns})


def test_joined_blocks_that_repeat_an_origin_are_kept_apart() -> None:
    """The last day of one block and the first of the next are two days, though both tables count their rows from zero."""
    rows = forecasts(14)
    same = replace(rows, origin=rows.origin * 0)
    assert fitted(same) == fitted(rows)


def test_a_gate_and_a_longer_horizon_have_a_first_day() -> None:
    """Leads 19 to 42 are a whole day as leads 1 to 24 are; of 36 hours the first 24 count."""
    rows = forecasts(20)
    assert fitted(replace(rows, lead=rows.lead + 18)) == fitted(rows)
    longer = forecasts(20, leads=36)
    first = _only(longer, longer.lead <= 24)
    totals = fitted(longer)
    assert totals == fitted(first)
    assert totals.apply(longer.mean[:36], longer.quantiles[:36], HOUR_S) == totals.apply(longer.mean[:24], longer.quantiles[:24], HOUR_S)


def test_without_whole_days_there_are_no_totals() -> None:
    """None where a forecast is shorter than a day, where no row was held out, and where fewer than seven days were."""
    rows = forecasts(20)
    assert fit_day_totals(_only(rows, rows.lead <= 12), HOUR_S) is None
    assert fit_day_totals(_only(rows, rows.lead < 0), HOUR_S) is None
    assert fit_day_totals(forecasts(6), HOUR_S) is None
    assert fitted(rows).apply(rows.mean[:1], rows.quantiles[:1], HOUR_S) is None


def test_a_day_has_23_to_25_hours() -> None:
    """Local days of the clock change are days; a minute is none; two days have a first one."""
    assert [day_steps(steps, HOUR_S) for steps in (1, 22, 23, 24, 25, 26, 48)] == [0, 0, 23, 24, 25, 24, 24]
    assert [day_steps(steps, 900) for steps in (1, 96, 192)] == [0, 96, 96]


def test_energy_is_power_times_time_at_any_resolution() -> None:
    """A steady 2 kW is 48 kWh a day in steps of 15 minutes, and 50 kWh over the 25 hours of a clock change."""
    totals = fitted(forecasts(20))
    for steps, step_s, energy in ((96, 900, 48.0), (25, HOUR_S, 50.0)):
        curve = np.full(steps, 2.0)
        day = totals.apply(curve, curve[:, None] + NORMAL, step_s)
        assert day
        assert day["energy_kwh"]["mean"] == pytest.approx(energy)


def test_a_median_alone_is_enough() -> None:
    """With no interval to measure a day by, its errors count as they are."""
    rows = forecasts(60)
    alone = fitted(replace(rows, levels=(0.5,), quantiles=rows.quantiles[:, [2]]))
    day = alone.apply(rows.mean[:24], rows.quantiles[:24, [2]], HOUR_S)
    assert day
    assert day["energy_kwh"]["quantiles"]["0.5"] == pytest.approx(float(rows.mean[:24].sum()), abs=0.5)


def test_fitting_sees_nothing_but_the_rows_given() -> None:
    """A pure function: the same held-out rows give the same totals, whatever days they were."""
    rows = forecasts(30)
    assert fitted(rows) == fitted(replace(rows, target_s=rows.target_s + 1000 * DAY_S))


def test_totals_survive_the_manifest_and_are_json_themselves() -> None:
    """What is fitted goes into the bundle's JSON and back; what is answered is ready for JSON."""
    rows = forecasts(30)
    totals = fitted(rows)
    assert TypeAdapter(DayTotals).validate_json(json.dumps(asdict(totals))) == totals
    day = totals.apply(rows.mean[:24], rows.quantiles[:24], HOUR_S)
    assert day
    assert json.loads(json.dumps(day)) == day
    assert list(day["peak_kw"]["quantiles"]) == ["0.05", "0.1", "0.5", "0.9", "0.95"]


def test_totals_without_a_quantile_for_every_level_are_refused() -> None:
    """They are found out when a bundle is opened, not when it answers."""
    with pytest.raises(BadBundle, match="1 and 5 quantiles"):
        replace(fitted(forecasts(20)), energy=(0.0,))
