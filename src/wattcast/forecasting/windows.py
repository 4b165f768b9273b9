"""Candidate and champion on the same rows, beside the best baseline: their errors by lead and season, and what a paired test says.

No harm is shown where the limit of the difference lies below a margin; a gain where it lies below zero. One of three gains is enough, so
that each has to be three times as sure: a candidate that is no better takes over by luck at most once in twenty times.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from wattcast.forecasting.lookback import Rows
from wattcast.forecasting.metrics import Losses, Scored, absolute_errors, mae, pinball_losses
from wattcast.forecasting.paired import Limits, difference, distance_difference
from wattcast.meter.clock import DAY_S, SEASONS, Instants, season_and_third

# Fewer days say nothing, of all rows or of a season.
LEAST_DAYS = 14
# How much worse still counts as no harm: as a share of the champion's MAE and pinball loss, and of all readings in coverage.
MARGIN, COVERAGE_MARGIN = 0.01, 0.02
HARM_CONFIDENCE = 0.95
GAIN_CONFIDENCE = 1 - (1 - HARM_CONFIDENCE) / 3
# Leads and seasons are many, so that one of them looks bad by luck more often.
PART_CONFIDENCE = 0.99
# The last lead of each group of leads.
_LAST_LEADS = (1, 6, 12, 24, 48, 168)
_DIGITS = 6


@dataclass(frozen=True)
class Errors:
    """The errors of one forecaster on `n` rows: MAE of the median and mean pinball loss in kW, coverage of the outermost interval."""

    n: int
    mae: float
    pinball: float
    coverage: float


@dataclass(frozen=True, eq=False)
class Windows:
    """What candidate and champion forecast of the same targets, row by row. champion: None where there is none to compare with.

    spread: how far actuals lie from each baseline, as `residual_spread` gives; zone: of the meter; step_s: of its readings.
    """

    candidate: Scored
    champion: Scored | None
    spread: Mapping[str, Mapping[str, float]]
    zone: str
    step_s: int

    @cached_property
    def day(self) -> Instants:
        """The local day of every target."""
        return season_and_third(self.zone, self.candidate.target_s)[0]

    @cached_property
    def days(self) -> int:
        """How many local days have a row."""
        return len(np.unique(self.day))

    @cached_property
    def span(self) -> int:
        """How many days one forecast reaches ahead."""
        return -(-int(self.candidate.lead.max(initial=0)) * self.step_s // DAY_S)

    @cached_property
    def nominal(self) -> float:
        """The share of readings that the outermost interval promises to hold."""
        return round(self.candidate.levels[-1] - self.candidate.levels[0], _DIGITS)

    @cached_property
    def baseline(self) -> str:
        """The baseline with the least MAE, an empty string without any."""
        beside = self.candidate.baselines
        return min(sorted(beside), key=lambda name: mae(self.candidate.actual, beside[name]), default="")

    @cached_property
    def losses(self) -> dict[str, Losses]:
        """By "candidate", "champion" and "baseline" the three losses of every row, shape (3, rows)."""
        everyone = {"candidate": self.candidate} | ({"champion": self.champion} if self.champion is not None else {})
        if self.baseline:
            everyone["baseline"] = _as_it_answers(self.candidate, self.baseline, self.spread[self.baseline])
        return {who: _losses(rows) for who, rows in everyone.items()}

    @cached_property
    def parts(self) -> dict[str, Rows]:
        """The rows of each group of leads, where there are several, and of each season, by its name."""
        lead, season = self.candidate.lead, season_and_third(self.zone, self.candidate.target_s)[1]
        group = np.searchsorted(_LAST_LEADS, lead)
        by_lead = [np.flatnonzero(group == number) for number in np.unique(group)]
        by_season = {name: np.flatnonzero(season == number) for number, name in enumerate(SEASONS)}
        leads = {_lead_name(lead[own]): own for own in by_lead} if len(by_lead) > 1 else {}
        return leads | {name: own for name, own in by_season.items() if own.size}

    def errors(self) -> dict[str, dict[str, Errors]]:
        """For "all" rows, each group of leads and each season, the errors of candidate, champion and the best baseline."""
        every = {"all": np.arange(len(self.day)), **self.parts} if len(self.day) else {}
        return {name: {who: _errors(losses[:, own]) for who, losses in self.losses.items()} for name, own in every.items()}

    def compared(self, own: Rows | None = None) -> list[Compared]:
        """The three measures of candidate and champion, on these rows or on all."""
        rows = slice(None) if own is None else own
        ours, theirs, day = self.losses["candidate"][:, rows], self.losses["champion"][:, rows], self.day[rows]
        measures = []
        for number, name in enumerate(("MAE", "pinball loss")):
            known = float(ours[number].mean()), float(theirs[number].mean())
            limits = difference(ours[number] - theirs[number], day, self.span)
            measures.append(Compared(name, *known, MARGIN * known[1], limits))
        known = float(ours[2].mean()), float(theirs[2].mean())
        limits_of_coverage = distance_difference(ours[2], theirs[2], self.nominal, day, self.span)
        return [*measures, Compared("coverage", *known, COVERAGE_MARGIN, limits_of_coverage, self.nominal)]

    def harms(self) -> dict[str, str]:
        """The groups of leads and the seasons in which harm beyond the margin is shown: their names, and by which measure and how much."""
        found: dict[str, str] = {}
        for name, own in self.parts.items():
            if len(np.unique(self.day[own])) >= LEAST_DAYS:
                harmed = [measure.harm_in_words() for measure in self.compared(own) if measure.harmed]
                found |= {name: "; ".join(harmed)} if harmed else {}
        return found


@dataclass(frozen=True)
class Compared:
    """One measure of candidate and champion, in kW; of coverage (a share, beside its nominal one) the distance to nominal is compared."""

    name: str
    candidate: float
    champion: float
    margin: float
    limits: Limits
    nominal: float | None = None

    @property
    def harmless(self) -> bool:
        """Whether it is shown that the candidate is no worse, give or take the margin."""
        return self.limits.upper(HARM_CONFIDENCE) < max(self.margin, np.finfo(float).tiny)

    @property
    def gained(self) -> bool:
        """Whether it is shown that the candidate is better."""
        return self.limits.upper(GAIN_CONFIDENCE) < 0

    @property
    def harmed(self) -> bool:
        """Whether it is shown, of a part of the rows, that the candidate is worse by more than the margin."""
        return self.limits.lower(PART_CONFIDENCE) > self.margin

    def in_words(self, where: str) -> str:
        """Both figures, and what the test says of them. where: the rows, in words."""
        if self.gained:
            said = f"better ({self._below(GAIN_CONFIDENCE)})"
        elif self.harmless:
            said = f"no harm ({self._below(HARM_CONFIDENCE)}, allowed is {self._amount(self.margin)})"
        elif self.limits.lower(HARM_CONFIDENCE) > 0:
            said = f"worse ({self._above(HARM_CONFIDENCE)}, allowed is {self._amount(self.margin)})"
        else:
            said = f"harm is not ruled out ({self._below(HARM_CONFIDENCE)}, allowed is {self._amount(self.margin)})"
        figures = self._figures()
        return f"{figures[0].upper()}{figures[1:]} on the same {where}: {said}"

    def harm_in_words(self) -> str:
        """Both figures, and how much worse the candidate surely is."""
        return f"{self._figures()} ({self._above(PART_CONFIDENCE)}, allowed is {self._amount(self.margin)})"

    def _figures(self) -> str:
        if self.nominal is None:
            return f"{self.name} {self.candidate:.4f} kW against the champion's {self.champion:.4f}"
        return f"coverage of the {self.nominal:.0%} interval {self.candidate:.1%} against the champion's {self.champion:.1%}"

    def _below(self, confidence: float) -> str:
        return f"the difference{self._kind()} lies below {self._amount(self.limits.upper(confidence))} with {confidence:.0%} confidence"

    def _above(self, confidence: float) -> str:
        return f"the difference{self._kind()} lies above {self._amount(self.limits.lower(confidence))} with {confidence:.0%} confidence"

    def _kind(self) -> str:
        return "" if self.nominal is None else f" of the distances to {self.nominal:.0%}"

    def _amount(self, value: float) -> str:
        return f"{value:+.5f}" if self.nominal is None else f"{100 * value:+.1f} points"


def same_rows(one: Scored, other: Scored) -> tuple[Scored, Scored]:
    """Of both the rows of the same origin and lead for which both have a forecast, in the order of origins and leads."""
    kept = [np.flatnonzero(np.isfinite(rows.quantiles).all(axis=1) & np.isfinite(rows.mean)) for rows in (one, other)]
    leads = 1 + max(int(rows.lead.max(initial=0)) for rows in (one, other))
    first, second = (rows.origin[own] * leads + rows.lead[own] for rows, own in zip((one, other), kept, strict=True))
    _, ours, theirs = np.intersect1d(first, second, assume_unique=True, return_indices=True)
    return one.where(kept[0][ours]), other.where(kept[1][theirs])


def _losses(rows: Scored) -> Losses:
    """Of every row the absolute error of the median, the mean pinball loss, and 1 where the outermost interval holds the reading."""
    pinball = np.mean([pinball_losses(rows.actual, rows.quantiles[:, column], level) for column, level in enumerate(rows.levels)], axis=0)
    inside = (rows.actual >= rows.quantiles[:, 0]) & (rows.actual <= rows.quantiles[:, -1])
    return np.stack([absolute_errors(rows.actual, rows.median), pinball, inside.astype(np.float64)])


def _as_it_answers(rows: Scored, name: str, spread: Mapping[str, float]) -> Scored:
    """The rows as a baseline forecasts them: itself as the median, the other quantiles as far from it as actuals used to be."""
    away = np.array([0.0 if level == 0.5 else spread[f"{level:g}"] for level in rows.levels], dtype=np.float32)
    return replace(rows, mean=rows.baselines[name], quantiles=rows.baselines[name][:, None] + away)


def _errors(losses: Losses) -> Errors:
    means = (round(float(mean), _DIGITS) for mean in losses.mean(axis=1))
    return Errors(losses.shape[1], *means)


def _lead_name(leads: Rows) -> str:
    first, last = int(leads.min()), int(leads.max())
    return f"lead {first}" if first == last else f"leads {first}-{last}"
