"""A test of paired differences that may be looked at every day: the self-normalised test martingale.

Let d_1, d_2, .. be differences each of which, given those before it, is distributed symmetrically about zero. Then for every real a
E[exp(a d - a^2 d^2 / 2) | before] <= 1: of d and -d, equally likely, the mean is exp(-a^2 d^2 / 2) cosh(a d), and cosh(x) <= exp(x^2 / 2).
So exp(a S - a^2 V / 2), with S the sum of the d and V that of their squares, is a supermartingale that begins at 1 (de la Pena, "A general
class of exponential inequalities for martingales and ratios", Annals of Probability 27, 1999). No moment need exist, no bound be known.
Mixed over a ~ N(0, rho^2) it is exp(rho^2 S^2 / (2 (1 + rho^2 V))) / sqrt(1 + rho^2 V) (Howard, Ramdas, McAuliffe and Sekhon, "Time-uniform
Chernoff bounds via nonnegative supermartingales", Probability Surveys 17, 2020). So is E, the mean of that over several rho, provided that
they were fixed before the first difference: here by a scale that is known beforehand.

By Ville's inequality the chance that E ever reaches 1 / alpha is at most alpha, at however many looks. So the first look at which it does
decides, whatever E does later; to begin looking on a later day only leaves out chances to be wrong.

What it rests on is symmetry, given the past. Two models that are equally good have it as long as neither is better by much on a few days
and worse by little on many, and as long as what one gains on a day says nothing of the next. Where it says something E rises more often
than it should: over simulated days whose differences are autocorrelated by 0.15 it stays below alpha, by 0.3 it does not. And a verdict
is of the days that were seen: a model that is better all summer wins in summer.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]

# Times 1 / scale. The most telling a is mean / mean square: 1.3 where differences are 3 % of the scale and spread by 15 %, 6 at 10 and 8 %.
_RHO = np.array([1.0, 2.0, 4.0, 8.0, 16.0])
# Of the logarithm of E: more than that is no number.
_MOST = 700.0
# How far from the mean the true one is looked for, times the scale.
_AWAY = np.geomspace(1e-3, 10.0, 500)


def e_values(differences: Numbers, scale: float) -> Numbers:
    """E after each difference, those of one test along the last axis. scale: their unit, such as a usual loss, fixed before the first."""
    total, square = np.cumsum(differences, axis=-1), np.cumsum(np.square(differences), axis=-1)
    return np.exp(np.minimum(_log_e(total, square, scale), _MOST))


def decided_at(e: Numbers, alpha: float, least: int) -> int | None:
    """How many differences there were when E, looked at from the `least`-th on, first reached 1 / alpha; None where it has not."""
    reached = np.flatnonzero(e[least - 1 :] >= 1 / alpha)
    return least + int(reached[0]) if reached.size else None


def mean_between(differences: Numbers, scale: float, alpha: float) -> tuple[float, float]:
    """The least and the most that the mean difference can be, at every look at once: a confidence sequence of level 1 - alpha.

    All m within ten times the scale of the mean so far for which the test of the differences less m has not reached 1 / alpha now,
    rounded outward by 2 %; infinite where it has not for the farthest.
    """
    count, total, square = len(differences), float(np.sum(differences)), float(np.sum(np.square(differences)))
    if count == 0:
        return -np.inf, np.inf
    middle = total / count

    def farthest(sign: int) -> float:
        m = middle + sign * scale * _AWAY
        kept = np.flatnonzero(_log_e(total - count * m, square - 2 * m * total + count * np.square(m), scale) < -np.log(alpha))
        first_out = int(kept[-1]) + 1 if kept.size else 0
        return float(m[first_out]) if first_out < len(m) else sign * np.inf

    return farthest(-1), farthest(1)


def _log_e(total: Numbers, square: Numbers, scale: float) -> Numbers:
    rho2 = np.square(_RHO / scale)
    widened = 1 + np.multiply.outer(np.maximum(square, 0.0), rho2)
    logs = rho2 * np.square(total)[..., None] / (2 * widened) - np.log(widened) / 2
    mean: Numbers = np.logaddexp.reduce(logs, axis=-1) - np.log(len(_RHO))
    return mean
