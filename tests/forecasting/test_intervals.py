"""Intervals hold what they say, adapt to season and hour as far as days prove it, and quantiles never cross."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import numpy.typing as npt
import pytest
from pydantic import TypeAdapter

from wattcast.errors import BadBundle, BadParams
from wattcast.forecasting.intervals import Calibration, calibrate, conformal_share
from wattcast.meter.clock import DAY_S, HOUR_S, season_and_third

LEVELS = (0.1, 0.5, 0.9)
ZONE = "+01:00"
# 2007-01-01 00:00 in the zone.
NEW_YEAR_S = 1_167_606_000

Array = npt.NDArray[np.float32]


def hours(days: int, first_day: int = 0) -> npt.NDArray[np.int64]:
    """The start of every hour of so many local days from New Year on."""
    return NEW_YEAR_S + first_day * DAY_S + np.arange(days * 24, dtype=np.int64) * HOUR_S


def every(factors: tuple[float, ...]) -> Calibration:
    """The same factors in every cell."""
    return Calibration(LEVELS, ZONE, ((factors,) * 3,) * 4)


def shares_below(actual: Array, quantiles: Array) -> list[float]:
    """For each level the share of actuals at or below its quantile."""
    return [float(share) for share in (actual[:, None] <= quantiles).mean(axis=0)]


def test_narrow_intervals_are_widened_until_they_cover() -> None:
    """Heads that are too sure are stretched to their share, on days that calibration never saw."""
    chance = np.random.default_rng(1)
    held_out, after = hours(1500), hours(700, first_day=1500)
    count = len(held_out) + len(after)
    scale = np.exp(chance.normal(size=count)).astype(np.float32)
    actual = (scale * chance.normal(size=count)).astype(np.float32)
    narrow = np.stack([-0.3 * scale, 0 * scale, 0.3 * scale], axis=1)
    first = len(held_out)
    calibration = calibrate(actual[:first], narrow[:first], held_out, LEVELS, ZONE)
    assert np.array(calibration.factors)[..., 1].tolist() == [[1.0] * 3] * 4
    assert shares_below(actual[first:], narrow[first:])[2] < 0.65
    assert shares_below(actual[first:], calibration.apply(narrow[first:], after)) == pytest.approx(LEVELS, abs=0.02)


def test_quantiles_never_cross() -> None:
    """On 10,000 random forecasts, crossing ones among them, the calibrated quantiles rise with their level."""
    chance = np.random.default_rng(2)
    raw = chance.normal(size=(10_000, 5)).astype(np.float32)
    levels = (0.05, 0.25, 0.5, 0.75, 0.95)
    targets = hours(417)[:10_000]
    calibration = calibrate(chance.normal(size=10_000).astype(np.float32), raw, targets, levels, ZONE)
    assert (np.diff(raw, axis=1) < 0).any()
    assert (np.diff(calibration.apply(raw, targets), axis=1) >= 0).all()


def test_the_median_is_left_as_it_is_and_a_collapsed_interval_gets_a_width() -> None:
    """Where the outer heads stand on the median, the interval still has a width in the end."""
    quantiles = every((1.0, 1.0, 2.0)).apply(np.array([[1.0, 1.0, 1.0]], dtype=np.float32), hours(1)[:1])
    assert quantiles[0] == pytest.approx([0.999, 1.0, 1.002])


def test_the_median_stands_among_heads_that_cross_it() -> None:
    """However the outer heads lie, the median forecast is that of its own head."""
    raw = np.random.default_rng(3).normal(size=(500, 3)).astype(np.float32)
    assert (every((2.0, 1.0, 0.0)).apply(raw, hours(21)[:500])[:, 1] == raw[:, 1]).all()


def test_of_few_scores_a_larger_share_must_be_held() -> None:
    """Below the largest of nine the tenth lies nine times in ten; of fewer no share is enough, and the largest is taken."""
    assert conformal_share(0.9, 9) == conformal_share(0.9, 3) == 1.0
    assert conformal_share(0.9, 90) == pytest.approx(0.91)


def test_without_rows_nothing_is_stretched() -> None:
    """No held-out row, no change."""
    empty = np.empty((0, 3), dtype=np.float32)
    assert calibrate(empty[:, 0], empty, hours(0), LEVELS, ZONE) == every((1.0, 1.0, 1.0))


def seasonal_errors(targets: npt.NDArray[np.int64], winter: float, evening: float = 1.0) -> tuple[Array, Array]:
    """Actuals around zero whose spread is wider in winter and in the evening, and heads that know nothing of it: a normal's quantiles."""
    _, season, third = season_and_third(ZONE, targets)
    spread = np.where(season == 0, winter, 1.0) * np.where(third == 2, evening, 1.0)
    actual = (spread * np.random.default_rng(4).normal(size=len(targets))).astype(np.float32)
    return actual, np.tile(np.array([-1.2816, 0, 1.2816], dtype=np.float32), (len(targets), 1))


def test_a_season_and_an_hour_with_wider_errors_get_wider_intervals() -> None:
    """Cells adapt: winter evenings are stretched most, and within each cell the interval comes nearer to its share."""
    targets = hours(1460)
    actual, heads = seasonal_errors(targets, winter=2.0, evening=1.5)
    quantiles = calibrate(actual, heads, targets, LEVELS, ZONE).apply(heads, targets)
    _, season, third = season_and_third(ZONE, targets)
    width = quantiles[:, 2] - quantiles[:, 0]
    winter_evening, winter_night = (width[(season == 0) & (third == part)][0] for part in (2, 0))
    summer_evening, summer_night = (width[(season == 2) & (third == part)][0] for part in (2, 0))
    assert winter_evening > max(winter_night, summer_evening)
    assert min(winter_night, summer_evening) > summer_night
    for cell in np.ndindex(4, 3):
        own = (season == cell[0]) & (third == cell[1])
        before, after = (shares_below(actual[own], each[own])[2] for each in (heads, quantiles))
        assert abs(after - 0.9) < max(0.6 * abs(before - 0.9), 0.05)


def test_few_days_are_believed_less() -> None:
    """The same wide winter counts less after five days of it than after ninety, and a season never held out has the stretch of all rows."""
    stretch = {}
    for days in (5, 90):
        # From 1 December, and the whole of the same spring.
        targets = np.concatenate([hours(days, first_day=-31), hours(92, first_day=59)])
        actual, heads = seasonal_errors(targets, winter=4.0)
        winter, spring, summer, autumn = calibrate(actual, heads, targets, LEVELS, ZONE).factors
        stretch[days] = winter[0][2]
        assert winter[0][2] > summer[0][2] > spring[0][2]
        assert summer == autumn
    assert 1.0 < stretch[5] < stretch[90] < 4.0


def test_rows_of_one_day_are_one_witness() -> None:
    """A thousand rows of one day prove no more than its 24 hours do: nearly nothing is stretched."""
    for copies in (1, 40):
        targets = np.repeat(hours(1), copies)
        actual = np.tile(np.array([-5, 5], dtype=np.float32), len(targets) // 2)
        heads = np.tile(np.array([-1, 0, 1], dtype=np.float32), (len(targets), 1))
        factors = np.array(calibrate(actual, heads, targets, LEVELS, ZONE).factors)
        assert factors.max() == pytest.approx(1 + 4 / 31, abs=0.05)


def test_calibration_is_a_pure_function_of_the_rows_given() -> None:
    """It never sees a test: the same held-out rows give the same factors, and none of its inputs is written to."""
    targets = hours(100)
    actual, heads = seasonal_errors(targets, winter=2.0)
    copies = actual.copy(), heads.copy()
    assert calibrate(actual, heads, targets, LEVELS, ZONE) == calibrate(*copies, targets.copy(), LEVELS, ZONE)
    assert (actual == copies[0]).all()
    assert (heads == copies[1]).all()


def test_cells_follow_the_local_clock_of_the_meter() -> None:
    """7 UTC is the second third of a winter's day in Paris from 8 h on; the last hour of November there is autumn, the next is winter."""
    instants = np.array([0, 7 * HOUR_S, 334 * DAY_S - 2 * HOUR_S, 334 * DAY_S - HOUR_S], dtype=np.int64)
    day, season, third = season_and_third("Europe/Paris", instants)
    assert day.tolist() == [0, 0, 333, 334]
    assert season.tolist() == [0, 0, 3, 0]
    assert third.tolist() == [0, 1, 2, 0]


def test_another_zone_takes_other_factors() -> None:
    """A calibration for a meter elsewhere is read on the clock of that meter."""
    night, day = (1.0, 1.0, 1.0), (3.0, 1.0, 3.0)
    here = Calibration(LEVELS, "UTC", ((night, day, night),) * 4)
    rows, targets = np.array([[-1, 0, 1]], dtype=np.float32), np.array([12 * HOUR_S], dtype=np.int64)
    assert here.apply(rows, targets)[0].tolist() == [-3, 0, 3]
    assert replace(here, zone="+12:00").apply(rows, targets)[0].tolist() == [-1, 0, 1]


def test_a_calibration_survives_the_manifest() -> None:
    """As JSON and back it is the same."""
    targets = hours(200)
    calibration = calibrate(*seasonal_errors(targets, winter=2.0), targets, LEVELS, ZONE)
    assert TypeAdapter(Calibration).validate_json(json.dumps(asdict(calibration))) == calibration


@pytest.mark.parametrize(
    "change",
    [{"levels": (0.1, 0.4, 0.9)}, {"levels": (0.5,)}, {"factors": ()}, {"factors": (((1.0, 1.0, 1.0),),) * 4}],
    ids=["no median", "other levels", "no factors", "one third"],
)
def test_a_calibration_that_fits_no_heads_is_refused(change: dict[str, object]) -> None:
    """A factor for every cell and level, a median among them: nothing else can be constructed."""
    with pytest.raises(BadBundle, match="factors"):
        replace(every((1.0, 1.0, 1.0)), **change)


def test_a_calibration_of_no_known_zone_is_refused() -> None:
    """It is found out when a bundle is opened, not when it answers."""
    with pytest.raises(BadParams, match="Europe/Pari"):
        replace(every((1.0, 1.0, 1.0)), zone="Europe/Pari")
