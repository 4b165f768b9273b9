"""Which of two forecasters is better on the same rows, and how far that could be luck: the test of Diebold and Mariano on whole days.

Losses of one day go together, so days are what is compared; neighbouring days do too, so their covariances count (Bartlett's weights,
Newey and West 1987, never a negative variance) over as many days as one forecast spans, and at least the square root of the days, which
holds the size of the test in short samples (Coroneo and Iacone 2020). Harvey, Leybourne and Newbold (1997) correct what is still too
narrow, and Student's t stands for the normal. Unlike a block bootstrap this draws no number, so the same rows give the same digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import isqrt, sqrt
from statistics import NormalDist
from typing import Protocol

import numpy as np

from wattcast.forecasting.metrics import Losses
from wattcast.meter.clock import Instants


class Limits(Protocol):
    """A difference of two forecasters, negative where the first is better, with its one-sided limits at a confidence such as 0.95."""

    def upper(self, confidence: float) -> float:
        """The difference lies below this."""

    def lower(self, confidence: float) -> float:
        """The difference lies above this."""


@dataclass(frozen=True)
class Difference:
    """The mean difference of two losses over all rows, its standard error, and how many days it comes from."""

    mean: float
    error: float
    days: int

    def upper(self, confidence: float) -> float:
        """The difference lies below this."""
        return self.mean + t_quantile(confidence, self.days - 1) * self.error

    def lower(self, confidence: float) -> float:
        """The difference lies above this."""
        return self.mean - t_quantile(confidence, self.days - 1) * self.error


@dataclass(frozen=True)
class DistanceDifference:
    """How much farther one share lies from its nominal value than another: two distances, each with the sign that it has over all rows.

    apart: the difference of the shares themselves. Distances never differ by more than the shares do, which is the sharper limit where
    the shares lie on both sides of the nominal value and the signs are hardly known.
    """

    signed: Difference
    apart: Difference

    def upper(self, confidence: float) -> float:
        """The difference of distances lies below this."""
        return min(self.signed.upper(confidence), max(self.apart.upper(confidence), -self.apart.lower(confidence)))

    def lower(self, confidence: float) -> float:
        """The difference of distances lies above this."""
        return self.signed.lower(confidence)


def difference(losses: Losses, day: Instants, span: int) -> Difference:
    """The mean of these differences of losses, one for each row, and how sure it is. Needs rows of four days or more.

    day: the local day of each row; span: days that one forecast spans. A day counts by its rows, so that the mean is that of all rows.
    """
    place = day - day.min()
    rows, total = np.bincount(place), np.bincount(place, losses)
    days, mean = int(np.count_nonzero(rows)), float(total.sum() / rows.sum())
    off = (total - mean * rows) * (days / rows.sum())
    lags = min(max(span, isqrt(days)), days // 2)
    covariances = [float(np.sum(off[lag:] * off[: len(off) - lag])) / days for lag in range(min(lags, len(off) - 1) + 1)]
    variance = covariances[0] + 2 * sum((1 - lag / (lags + 1)) * value for lag, value in enumerate(covariances) if lag)
    left = days - lags - 1
    return Difference(mean, sqrt(max(variance, 0.0) * days / (left * (left + 1))), days)


def distance_difference(first: Losses, second: Losses, nominal: float, day: Instants, span: int) -> DistanceDifference:
    """How much farther the mean of `first` lies from the nominal value than that of `second`, both 0 or 1 for each row."""
    signed = np.sign(first.mean() - nominal) * (first - nominal) - np.sign(second.mean() - nominal) * (second - nominal)
    return DistanceDifference(difference(signed, day, span), difference(first - second, day, span))


@lru_cache(maxsize=1_024)
def t_quantile(confidence: float, freedom: int) -> float:
    """The quantile of Student's t, to 0.0001 from ten degrees of freedom on (Abramowitz and Stegun 1964, 26.7.5)."""
    x = NormalDist().inv_cdf(confidence)
    terms = (
        x,
        (x**3 + x) / 4,
        (5 * x**5 + 16 * x**3 + 3 * x) / 96,
        (3 * x**7 + 19 * x**5 + 17 * x**3 - 15 * x) / 384,
        (79 * x**9 + 776 * x**7 + 1_482 * x**5 - 1_920 * x**3 - 945 * x) / 92_160,
    )
    return float(sum(term / freedom**power for power, term in enumerate(terms)))
