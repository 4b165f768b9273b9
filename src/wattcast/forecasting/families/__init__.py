"""The families of models: one file each, one line here. A family learns a mean head and one head per quantile level.

Importing this loads no learner: each family imports its library when it fits.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from wattcast.errors import BadParams
from wattcast.forecasting.families.blend import Blend
from wattcast.forecasting.graph import Graph

Matrix = npt.NDArray[np.float32]
Parts = npt.NDArray[np.float64]
Progress = Callable[[float], None]

BLEND = Blend()

# Of a head that has few rows to learn from.
_LEAST_ROUNDS = 20


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted family: one output per head in `graph`, the mean first, then the levels in order.

    native: the same heads in the library's own format, file name -> bytes. predict_native: the heads from the library itself,
    shape (rows, heads), to check `graph` against. library: its name and version.
    """

    graph: Graph
    native: Mapping[str, bytes]
    library: tuple[str, str]
    predict_native: Callable[[Matrix], Matrix]


@dataclass(frozen=True)
class Head:
    """One head to boost: its quantile level (None: the mean), its rounds, and what to call with the number of rounds done."""

    level: float | None
    rounds: int
    report: Callable[[int], None]

    @property
    def name(self) -> str:
        """What its file in the bundle is called."""
        return "mean" if self.level is None else f"quantile_{self.level:g}"


def heads_to_boost(
    settings: Mapping[str, Any], levels: tuple[float, ...], rows: int, progress: Progress
) -> tuple[list[Head], dict[str, Any]]:
    """The heads in their order, and the settings that the library itself knows. rows: how many there are to learn from.

    The mean gets `rounds`, the median `median_rounds`, which may be more; calibration corrects the other quantiles, so `tail_rounds` may
    be fewer. Where `rounds_for_rows` is stated and there are fewer rows, every head gets as many times fewer rounds, but a few.
    """
    shared = dict(settings)
    share = min(rows / shared.pop("rounds_for_rows", rows), 1.0)
    stated = int(shared.pop("rounds"))
    stated_median, stated_tail = (int(shared.pop(name, stated)) for name in ("median_rounds", "tail_rounds"))
    of_head = [
        (level, min(max(round(most * share), _LEAST_ROUNDS), most))
        for level in (None, *levels)
        for most in [stated if level is None else stated_median if level == 0.5 else stated_tail]
    ]
    before = list(accumulate((own for _, own in of_head), initial=0))

    def reporter(start: int) -> Callable[[int], None]:
        return lambda done: progress((start + done) / before[-1])

    return [Head(level, own, reporter(start)) for (level, own), start in zip(of_head, before, strict=False)], shared


@contextmanager
def settings_checked_by(title: str, refusal: type[Exception]) -> Iterator[None]:
    """What the library raises over its settings becomes one BadParams with its first line."""
    try:
        yield
    except refusal as cause:
        said = re.sub(r"^\[[\d:]+\] \S+: ", "", str(cause).strip().splitlines()[0])
        raise BadParams(f"{title} refuses its settings: {said}", "correct them under families in params.yaml") from cause


class Named(Protocol):
    """What a family is called. key: in params.yaml and commands; title: on the page; file_stem: in metrics/."""

    key: str
    title: str
    file_stem: str


class Family(Named, Protocol):
    """One kind of model that learns.

    settings: the names it knows in params.yaml, as its library spells them; the first one (how many trees a head grows) is required.
    """

    settings: tuple[str, ...]

    def fit(
        self,
        matrix: Matrix,
        targets: Matrix,
        levels: tuple[float, ...],
        settings: Mapping[str, Any],
        *,
        threads: int,
        seed: int,
        progress: Progress,
    ) -> Fitted:
        """Fit every head on rows without NaN targets. Deterministic for the same inputs, threads and library."""
        ...

    def contributions(self, native: bytes, matrix: Matrix) -> Parts:
        """What every feature adds to each row of the head in `native`, and last the base value; they sum to what the head answers.

        native: the head's file as `fit` gave it. matrix: shape (rows, features), NaN = not known. Returns shape (rows, features + 1).
        Raises ImportError where the family's library is not installed, and whatever the library raises over a file that is none of its own.
        """
        ...


@cache
def _learners() -> dict[str, Family]:
    from wattcast.forecasting.families import extra, lgbm, rf, ridge, xgb  # noqa: PLC0415 (they import this module)

    known = (xgb.XGBoost(), rf.RandomForest(), lgbm.LightGBM(), extra.ExtraTrees(), ridge.Ridge())
    return {family.key: family for family in known}


def learner_of(key: str) -> Family:
    """The family called `key`, which learns. Raises KeyError: callers check against `learner_keys` first."""
    return _learners()[key]


def learner_keys() -> tuple[str, ...]:
    """The keys of the families that learn, in the order in which they are offered."""
    return tuple(_learners())


def family_of(key: str) -> Named:
    """What the family called `key` is called elsewhere, the blend among them. Raises KeyError."""
    return BLEND if key == BLEND.key else _learners()[key]


def family_keys() -> tuple[str, ...]:
    """The keys of all families, in the order in which they are offered."""
    return (*_learners(), BLEND.key)
