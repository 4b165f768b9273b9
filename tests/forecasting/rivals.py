"""Two forecasters of the same hours whose errors are as a test wants them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from wattcast.forecasting.metrics import Scored
from wattcast.forecasting.promotion import Verdict, verdict
from wattcast.forecasting.windows import Windows

START_S = 1_262_304_000  # 2010-01-01: January and February are winter
LEVELS = (0.1, 0.5, 0.9)
_STEADY = 0.4
_Z = 1.2816


@dataclass(frozen=True)
class Rival:
    """One of the two. scale: of its errors, 1 as they come; winter, far: the same in winter and from lead 13 on; width: of its interval."""

    scale: float = 1.0
    winter: float = 1.0
    far: float = 1.0
    width: float = 1.0


def steady_days(chance: np.random.Generator, days: int, steady: float = _STEADY) -> npt.NDArray[np.float64]:
    """A number for each day, of variance 1, each leaning on the one of the day before."""
    drawn = chance.normal(size=days + 50)
    for day in range(1, days + 50):
        drawn[day] = steady * drawn[day - 1] + np.sqrt(1 - steady**2) * drawn[day]
    return drawn[50:]


def windows(candidate: Rival, champion: Rival | None, *, days: int = 120, seed: int = 1, shared: float = 0.9) -> Windows:
    """Day-ahead forecasts of so many days by both, whose errors have this much in common and last for days."""
    chance = np.random.default_rng(seed)
    count = days * 24
    lead = np.tile(np.arange(1, 25, dtype=np.int64), days)
    actual = chance.uniform(1, 3, count)
    rows = Scored(
        levels=LEVELS,
        actual=actual.astype(np.float32),
        mean=np.empty(0, np.float32),
        quantiles=np.empty((0, 3), np.float32),
        baselines={"persistence": (actual + chance.normal(0, 1, count)).astype(np.float32)},
        target_s=START_S + np.arange(count, dtype=np.int64) * 3_600,
        origin=np.repeat(np.arange(days, dtype=np.int64) * 24, 24),
        lead=lead,
    )
    common = errors(chance, days)
    both = [shared * common + np.sqrt(1 - shared**2) * errors(chance, days) for _ in range(2)]
    forecasts = [_of(rows, rival, error) for rival, error in zip((candidate, champion or Rival()), both, strict=True)]
    spread = {"persistence": {"0.1": -_Z, "0.5": 0.0, "0.9": _Z}}
    return Windows(forecasts[0], forecasts[1] if champion else None, spread, "UTC", 3_600)


def errors(chance: np.random.Generator, days: int) -> npt.NDArray[np.float64]:
    """Errors of standard deviation 0.5, half of it the day's own."""
    return 0.25 * np.sqrt(2) * (np.repeat(steady_days(chance, days), 24) + chance.normal(size=days * 24))


def _of(rows: Scored, rival: Rival, error: npt.NDArray[np.float64]) -> Scored:
    winter = rows.target_s < START_S + 59 * 86_400
    scale = rival.scale * np.where(winter, rival.winter, 1.0) * np.where(rows.lead > 12, rival.far, 1.0)
    median = rows.actual + error * scale
    away = _Z * 0.5 * rival.width * scale[:, None] * np.array([-1.0, 0.0, 1.0])
    return replace(rows, mean=median.astype(np.float32), quantiles=(median[:, None] + away).astype(np.float32))


def judged(candidate: Rival, champion: Rival | None, **how: float) -> Verdict:
    """The verdict on these two."""
    made = windows(candidate, champion, **how)  # type: ignore[arg-type]
    return verdict(made, "new", "old" if champion else "", "" if champion else "There is no champion.")
