"""Columns known ahead, such as a temperature forecast: every value with the moment from which it was known. Numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wattcast.meter.clock import Instants

Values = npt.NDArray[np.float32]

# 1900: what has no moment from which it was known, such as a plan, was known before every origin.
ALWAYS_S = -2_208_988_800


@dataclass(frozen=True, eq=False)
class KnownColumn:
    """Value i covers the step_s seconds from start_s[i] on (1: that instant alone) and was known from available_s[i] on.

    Sorted by (start_s, available_s), UTC epoch seconds, no pair twice; a step may stand several times, forecast anew. values: float32,
    finite.
    """

    start_s: Instants
    available_s: Instants
    values: Values
    step_s: int = 1

    @classmethod
    def of(cls, start_s: Instants, available_s: Instants, values: Values, step_s: int = 1) -> KnownColumn:
        """The column of entries in any order, all shape (n,): the last of two for one step and moment counts, NaN is left out.

        Raises ValueError where the shapes differ.
        """
        if not start_s.shape == available_s.shape == values.shape:
            raise ValueError("a column known ahead needs as many starts and moments as values")
        order = np.lexsort((available_s, start_s))
        order = order[np.isfinite(values[order])]
        starts, moments = start_s[order], available_s[order]
        last = np.ones(len(order), dtype=bool)
        last[:-1] = (np.diff(starts) > 0) | (np.diff(moments) > 0)
        return cls(starts[last], moments[last], values[order][last].astype(np.float32, copy=False), step_s)

    def as_of(self, targets: Instants, origins: Instants) -> Values:
        """For each target the latest value that was known at its origin, shape as both; NaN where none was or no step covers it.

        Of steps that overlap, the one that began last and was known counts.
        """
        found = np.full(len(targets), np.nan, dtype=np.float32)
        place = np.searchsorted(self.start_s, targets, side="right") - 1
        asking = np.flatnonzero(place >= 0)
        while asking.size:
            asking = asking[targets[asking] - self.start_s[place[asking]] < self.step_s]
            first = np.searchsorted(self.start_s, self.start_s[place[asking]], side="left")
            latest = self._latest_known(first, place[asking], origins[asking])
            known = latest >= first
            found[asking[known]] = self.values[latest[known]]
            place[asking] = first - 1
            asking = asking[~known & (first > 0)]
        return found

    def _latest_known(self, first: Instants, last: Instants, origins: Instants) -> Instants:
        """The last of the entries `first` to `last` that was known at each origin; first - 1 where none was."""
        low, high = first, last + 1
        while (undecided := low < high).any():
            middle = (low + high) // 2
            known = self.available_s[np.where(undecided, middle, 0)] <= origins
            low, high = np.where(undecided & known, middle + 1, low), np.where(undecided & ~known, middle, high)
        return low - 1

    def share_of(self, instants: Instants) -> float:
        """The share of these instants for which a value stands, whenever it became known."""
        found = self.as_of(instants, np.full(len(instants), np.iinfo(np.int64).max))
        return float(np.isfinite(found).mean()) if len(instants) else 0.0

    def known_by(self, instant: int) -> KnownColumn:
        """What was known at this instant: no origin up to it sees a difference."""
        known = self.available_s <= instant
        if known.all():
            return self
        return KnownColumn(self.start_s[known], self.available_s[known], self.values[known], self.step_s)

    def since(self, instant: int) -> KnownColumn:
        """The steps that end after this instant."""
        first = int(np.searchsorted(self.start_s, instant - self.step_s, side="right"))
        return KnownColumn(self.start_s[first:], self.available_s[first:], self.values[first:], self.step_s)

    def at_step(self, step_s: int, phase_s: int = 0, least_share: float = 0.5) -> KnownColumn:
        """The column for readings `step_s` apart, one of whose rows begins at phase_s.

        Coarser readings: at every moment at which anything about a step became known, the mean of what was known then of its parts, where
        that is at least `least_share` of them. Finer ones or equal: unchanged, for a value holds for all of the step that it covers.
        """
        if step_s <= self.step_s:
            return self
        starts = (self.start_s - phase_s) // step_s * step_s + phase_s
        parts = (self.start_s - starts) // self.step_s
        news = KnownColumn.of(starts, self.available_s, np.zeros_like(self.values))
        sums, counts = np.zeros(len(news.values)), np.zeros(len(news.values))
        for part in np.unique(parts):
            own = parts == part
            known = KnownColumn.of(starts[own], self.available_s[own], self.values[own]).as_of(news.start_s, news.available_s)
            sums += np.nan_to_num(known)
            counts += np.isfinite(known)
        enough = counts >= max(least_share * -(-step_s // self.step_s), 1)
        means = (sums[enough] / counts[enough]).astype(np.float32)
        return KnownColumn(news.start_s[enough], news.available_s[enough], means, step_s)
