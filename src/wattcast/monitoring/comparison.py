"""Champion against challenger on what came: both forecast from the same origins, one answers and the other runs in the shadow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from wattcast.errors import BadParams
from wattcast.forecasting.forecast import LoggedForecast
from wattcast.forecasting.metrics import absolute_errors, coverage, mae, pinball
from wattcast.meter.clock import DAY_S, HOUR_S, Instants, local_midnight_s, utc_offset_s
from wattcast.meter.table import MeterTable, Values
from wattcast.monitoring.logged import Columns, columns_of, joined, measured
from wattcast.monitoring.sequential import Numbers, decided_at, e_values, mean_between

Winner = Literal["champion", "challenger"]

# A week holds each kind of day: nothing is decided on fewer.
LEAST_DAYS = 7
# More seconds than lie between an origin and an interval: an origin and what follows it make one number.
_AHEAD = 1 << 29


@dataclass(frozen=True)
class Contest:
    """Which two versions are compared, on forecasts made from `since_s` on, and how surely.

    promised_mae_kw: what the champion's record says of its error, known before the contest: the scale of the test. alpha: the chance at
    most that a winner is named where neither is better. Raises BadParams for what cannot be compared.
    """

    champion: str
    challenger: str
    since_s: int
    promised_mae_kw: float
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if not (self.champion and self.challenger) or self.champion == self.challenger:
            raise BadParams("a contest is between two versions", "name the champion's and the challenger's")
        if not (0 < self.promised_mae_kw < np.inf and 0 < self.alpha < 1):
            said = f"no contest has a promised error of {self.promised_mae_kw:g} kW and alpha {self.alpha:g}"
            raise BadParams(said, "give both above 0, and alpha below 1")


@dataclass(frozen=True)
class Side:
    """One of both on the pairs of all complete days: MAE of the median and pinball loss in kW, coverage of the outermost interval."""

    mae: float
    pinball: float
    coverage: float
    nominal: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """What is known by now. All arrays have one value for each day that is complete for both, in the order of days.

    days: local days since 1970-01-01; differences: the champion's mean absolute error less the challenger's on that day, kW; e: what the
    test has reached by then. decided: on how many days the winner was named, None while it is open. low_kw, high_kw: what the mean
    difference lies between, at every look at once. pairs: intervals forecast by both and measured, on these days; unpaired: those of every
    day that only one of both has forecast. champion, challenger: None without a complete day.
    """

    contest: Contest
    days: Instants
    differences: Numbers
    e: Numbers
    decided: int | None
    low_kw: float
    high_kw: float
    pairs: int
    unpaired: int
    champion: Side | None
    challenger: Side | None

    @property
    def winner(self) -> Winner | None:
        """The better one at the first look at which that was sure: the look that decides."""
        if self.decided is None:
            return None
        return "challenger" if self.differences[: self.decided].sum() > 0 else "champion"

    @property
    def better(self) -> float:
        """The share of the champion's mean absolute error that the challenger saves, over all pairs; NaN without any."""
        if self.champion is None or self.challenger is None or self.champion.mae == 0:
            return float("nan")
        return 1 - self.challenger.mae / self.champion.mae

    @property
    def verdict(self) -> str:
        """Who won, in one word, or how far it has come."""
        if self.winner is not None:
            return self.winner
        if not len(self.days):
            return "undecided: no day is complete for both yet"
        after = f"undecided after {len(self.days)} day{'s' if len(self.days) > 1 else ''}"
        so_far = f"{abs(self.better):.1%}".replace("%", " %") + (" worse" if self.better < 0 else " better")
        return f"{after}: {so_far} so far, E = {self.e[-1]:.1f} of the {1 / self.contest.alpha:g} that a verdict needs"


def compare(logged: Iterable[LoggedForecast], table: MeterTable, contest: Contest, now_s: int) -> Comparison:
    """Both versions on the intervals that both forecast from one origin, from the readings known now.

    logged: forecasts of one meter and task, all since the contest began: a log that forgets its first days gives chance another try.
    The loss that names the winner is the absolute error of the median. Its differences are taken by the local day of the interval, so that
    one reading counts on one day alone, as the mean over the pairs of that day: hours of a day go together, days are near to independent. A
    day is complete when it is over and each of its hours (23 to 25) holds a pair that was measured; what is left out must not depend on who
    was better. The test and what it rests on: `monitoring.sequential`. Readings that are corrected, or come when later days are complete,
    change E of the days since: a verdict that was acted on is not undone.
    """
    table = table.until(now_s)
    mine, theirs, unpaired = _paired(logged, table.step_s, contest)
    actual = measured(table, mine.target_s)
    came = np.isfinite(actual)
    mine, theirs, actual = mine.where(came), theirs.where(came), actual[came]
    days = (mine.target_s + utc_offset_s(table.meter.zone, mine.target_s)) // DAY_S
    own = _complete(mine.target_s, days, table)
    mine, theirs, actual, days = mine.where(own), theirs.where(own), actual[own], days[own]
    return _compared(contest, (mine, theirs), actual, days, unpaired)


def _paired(logged: Iterable[LoggedForecast], step_s: int, contest: Contest) -> tuple[Columns, Columns, int]:
    """The intervals that both forecast from one origin, row by row, and how many only one of both did."""
    found = columns_of((one for one in logged if one.origin_s >= contest.since_s), step_s)
    sides = [joined([own for who, own in found if who.version == version]) for version in (contest.champion, contest.challenger)]
    keys = [side.origin_s * _AHEAD + side.target_s - side.origin_s for side in sides]
    both, first, second = np.intersect1d(keys[0], keys[1], assume_unique=True, return_indices=True)
    return sides[0].where(first), sides[1].where(second), sum(len(side) for side in sides) - 2 * len(both)


def _complete(target_s: Instants, days: Instants, table: MeterTable) -> npt.NDArray[np.bool_]:
    """The rows of days that ended before the last reading, and each of whose hours (or longer intervals) holds a row."""
    _, first, number = np.unique(days, return_index=True, return_inverse=True)
    begins, ends = (local_midnight_s(table.meter.zone, target_s[first], ahead) for ahead in (0, 1))
    unit_s = max(table.step_s, HOUR_S)
    hour = (target_s - begins[number]) // unit_s
    held = np.bincount(np.unique(number * 25 + hour) // 25, minlength=len(first))
    whole = (held >= (ends - begins) // unit_s) & (ends <= (table.last_measured_s() or table.start_s))
    return np.asarray(whole[number])


def _compared(contest: Contest, sides: tuple[Columns, Columns], actual: Values, days: Instants, unpaired: int) -> Comparison:
    errors = [absolute_errors(actual, side.median) for side in sides]
    each, number = np.unique(days, return_inverse=True)
    differences = np.bincount(number, errors[0] - errors[1]) / np.maximum(np.bincount(number), 1)
    e = e_values(differences, contest.promised_mae_kw)
    low_kw, high_kw = mean_between(differences, contest.promised_mae_kw, contest.alpha)
    decided = decided_at(e, contest.alpha, LEAST_DAYS)
    champion, challenger = (_side(side, actual) for side in sides)
    return Comparison(contest, each, differences, e, decided, low_kw, high_kw, len(actual), unpaired, champion, challenger)


def _side(side: Columns, actual: Values) -> Side | None:
    if len(actual) == 0:
        return None
    levels, quantiles = (side.levels, side.values[:, 1:]) if side.levels else ((0.5,), side.values)
    losses = [pinball(actual, quantiles[:, column], level) for column, level in enumerate(levels)]
    inside = coverage(actual, quantiles[:, 0], quantiles[:, -1])
    return Side(mae(actual, side.median), float(np.mean(losses)), inside, levels[-1] - levels[0])
