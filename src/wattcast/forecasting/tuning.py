"""What may be tuned, and what settings are worth: each family's search space as data, and the error of one trial inside the training span.

Who proposes settings, and where trials are kept, is not known here.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from typing import Any, Literal

from wattcast.errors import NothingToScore
from wattcast.forecasting.backtest import Frame, Predict, first_test_row, joined, validation_folds, walk_forward
from wattcast.forecasting.calendars import frozen_holidays
from wattcast.forecasting.metrics import Scored, score
from wattcast.forecasting.spec import FeatureSpec
from wattcast.forecasting.training import Recipe, fit, predictor
from wattcast.meter.table import MeterTable

Settings = Mapping[str, Any]
Point = Mapping[str, float]
State = Literal["complete", "pruned", "failed", "unfinished"]

# A trial walks this many blocks, as far as they fill no more than this share of the training span.
_BLOCKS, _SHARE_WALKED = 4, 0.5
# Mean and median are what families are compared by; outer quantiles would only cost time.
_LEVELS = (0.5,)


@dataclass(frozen=True)
class Range:
    """Where one setting is looked for, both ends included. whole: whole numbers; log: evenly in its logarithm.

    default: the library's; None for a setting that is searched only where it is stated.
    """

    name: str
    low: float
    high: float
    default: float | None
    whole: bool = False
    log: bool = False

    def holding(self, value: float) -> Range:
        """This range, or one that reaches to `value`: evenly spread where a logarithm cannot."""
        return replace(self, low=min(self.low, value), high=max(self.high, value), log=self.log and value > 0)


# Without an end where the number is what a preset costs: as many as it grows, or as the caller allows, a third of that at least.
_LEAFWISE = (
    Range("rounds", 1, math.inf, 100, whole=True, log=True),
    Range("median_rounds", 1, math.inf, None, whole=True, log=True),
    Range("learning_rate", 0.01, 0.5, 0.1, log=True),
    Range("num_leaves", 7, 127, 31, whole=True, log=True),
    Range("min_data_in_leaf", 5, 500, 20, whole=True, log=True),
    Range("feature_fraction", 0.15, 1, 1),
    Range("lambda_l2", 0, 50, 0),
    Range("path_smooth", 0, 50, 0),
)
SPACES: Mapping[str, tuple[Range, ...]] = {
    "xgb": (
        Range("rounds", 1, math.inf, 100, whole=True, log=True),
        Range("median_rounds", 1, math.inf, None, whole=True, log=True),
        Range("eta", 0.01, 0.5, 0.3, log=True),
        Range("max_depth", 3, 9, 6, whole=True),
        Range("min_child_weight", 1, 400, 1, log=True),
        Range("subsample", 0.4, 1, 1),
        Range("colsample_bynode", 0.15, 1, 1),
        Range("reg_lambda", 0, 50, 1),
    ),
    "rf": (
        Range("trees", 1, math.inf, 100, whole=True, log=True),
        Range("max_depth", 5, 18, 6, whole=True),
        Range("min_child_weight", 2, 200, 1, log=True),
        Range("colsample_bynode", 0.1, 1, 1),
        Range("subsample", 0.3, 1, 1),
    ),
    "lgbm": _LEAFWISE,
    "extra": _LEAFWISE,
    "ridge": (Range("penalty", 0.01, 100_000, 1, log=True),),
}


@dataclass(frozen=True, eq=False)
class Search:
    """What is searched: settings for the recipe's family, worth what they would have been worth inside the training span.

    known: the training span, all that a trial sees; recipe: that of the model; space: where settings are looked for, its own inside it.
    """

    known: MeterTable
    spec: FeatureSpec
    recipe: Recipe
    space: tuple[Range, ...]

    @property
    def here(self) -> Point:
        """The recipe's own settings as a point of the space."""
        return {each.name: self.recipe.settings.get(each.name, each.default) for each in self.space}

    @property
    def blocks(self) -> int:
        """How many blocks a trial walks through: as training does, more where there is room, for a smoother figure."""
        return max(self.recipe.effort.validation_blocks, min(_BLOCKS, int(_SHARE_WALKED / self.recipe.task.validation_share)))

    @property
    def digest(self) -> str:
        """A hash of all that errors of trials depend on beside the settings searched: only trials that share it compare."""
        searched = {*(each.name for each in self.space), "tail_rounds"}
        task, recipe = self.recipe.task, self.recipe
        said = [
            self.known.sha256(),
            asdict(self.spec),
            [task.baselines, task.embargo_steps, task.leads_per_origin, task.validation_share, self.blocks],
            [asdict(recipe.effort), recipe.seed, version("wattcast")],
            {name: value for name, value in recipe.settings.items() if name not in searched},
            [(each.name, each.log) for each in self.space],
        ]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]

    def settings_at(self, point: Point) -> dict[str, Any]:
        """The recipe's settings with this point's over them where they differ, which are rounded first: what is tried can be written.

        Fractions have three digits. Outer quantiles keep their share of the rounds.
        """
        settings = dict(self.recipe.settings)
        for each in self.space:
            if point[each.name] != self.here[each.name]:
                settings[each.name] = int(point[each.name]) if each.whole else float(f"{point[each.name]:.3g}")
        if "tail_rounds" in settings:
            share = self.recipe.settings["tail_rounds"] / self.recipe.settings["rounds"]
            settings["tail_rounds"] = max(round(settings["rounds"] * share), 1)
        return settings

    def errors(self, settings: Settings) -> Iterator[float]:
        """The running error of a trial of these settings (`trial_error`)."""
        return trial_error(self.known, self.spec, replace(self.recipe, settings=settings), self.blocks)


def search_of(table: MeterTable, recipe: Recipe, most_rounds: int = 0) -> Search:
    """The search on the training span of a table at the task's resolution, for the task's first model, the one that families compete with.

    most_rounds: rounds or trees that a head may grow, at least as many as it grows now; 0: that many.
    """
    known, plan = table.rows(0, first_test_row(table, recipe.train_share)), recipe.task.models[0]
    spec, own = recipe.task.spec(plan, known, frozen_holidays(known)), recipe.of_model(plan.name)
    return Search(known, spec, own, space_of(recipe.family.key, own.settings, most_rounds))


def space_of(family: str, settings: Settings, most_rounds: int = 0) -> tuple[Range, ...]:
    """Where settings of the family are looked for: wide enough for these, without those that are stated as words."""
    ranges = []
    for each in SPACES[family]:
        stated = settings.get(each.name, each.default)
        if stated is not None and not isinstance(stated, str):
            if math.isinf(each.high):
                most = max(most_rounds, stated)
                each = replace(each, low=max(each.low, most // 3), high=most)  # noqa: PLW2901
            ranges.append(each.holding(stated))
    return tuple(ranges)


def trial_error(known: MeterTable, spec: FeatureSpec, recipe: Recipe, blocks: int) -> Iterator[float]:
    """After each block of the walk forward through `known`: MAE of the median and RMSE of the mean so far, each over the best baseline's.

    Their sum is 2 where no better than a baseline; the last is the trial's. Blocks where nothing was measured are passed over. Raises
    NotEnoughHistory where a fit has too few rows, NothingToScore where nothing can be compared.
    """
    recipe = replace(recipe, levels=_LEVELS)

    def learn(before: MeterTable) -> Mapping[str, Predict]:
        fitted = fit(before, spec, recipe, recipe.effort.validation_max_rows, lambda _: None)
        return {"trial": predictor(fitted, spec, recipe.threads)}

    walked = validation_folds(known, spec, recipe.task, blocks)
    parts: list[Scored] = []
    for scored in walk_forward(known, walked, learn, Frame(spec, recipe.task.baselines, _LEVELS)):
        if len(scored["trial"].actual):
            parts.append(scored["trial"])
            error = score(joined(parts)).relative_error
            if not math.isfinite(error):
                raise NothingToScore("a baseline makes no error here, so that nothing can be better", "tune on a file whose load varies")
            yield error
    if not parts:
        raise NothingToScore(f"no block of the training span holds a whole forecast of {recipe.task_name}", "give a longer file")


@dataclass(frozen=True)
class Trial:
    """One trial of a study. error: of all blocks, of those that it got through where it was pruned, None where it failed."""

    number: int
    state: State
    error: float | None
    settings: Settings
    seconds: float


@dataclass(frozen=True)
class Found:
    """What a study found so far. now: the trial of the settings in params.yaml; best: the best whole trial, `now` where none is better."""

    trials: tuple[Trial, ...]
    now: Trial | None
    best: Trial | None

    @property
    def gain(self) -> float | None:
        """By which share the best settings have less error than those in params.yaml; None before both are known."""
        if self.now is None or self.best is None or self.now.error is None or self.best.error is None:
            return None
        return 1 - self.best.error / self.now.error

    def count(self, state: State) -> int:
        """How many trials ended so."""
        return sum(trial.state == state for trial in self.trials)

    @property
    def counts(self) -> str:
        """How many trials there are, and how they ended."""
        whole, pruned = self.count("complete"), self.count("pruned")
        rest = len(self.trials) - whole - pruned
        return f"{len(self.trials)} trials: {whole} complete, {pruned} pruned" + (f", {rest} not finished" if rest else "")

    @property
    def in_words(self) -> str:
        """What was gained."""
        if self.gain is None or self.now is None or self.best is None:
            return "no settings can be compared with those in params.yaml yet"
        if self.best is self.now:
            return f"nothing better was found than what is in params.yaml, whose error is {self.now.error:.4f}"
        return f"params.yaml has error {self.now.error:.4f}, trial {self.best.number} has {self.best.error:.4f}: {self.gain:.2%} less"


def found_by(trials: list[Trial], now: Settings) -> Found:
    """What these trials say beside the settings in params.yaml."""
    whole = sorted((trial for trial in trials if trial.state == "complete"), key=lambda trial: (trial.error, trial.settings != now))
    own = next((trial for trial in whole if trial.settings == now), None)
    return Found(tuple(trials), own, whole[0] if whole else None)


def trace_lines(search: Search, found: Found) -> Iterator[str]:
    """What was searched on, what was gained and every trial, as lines of Markdown."""
    names = [each.name for each in search.space]
    yield f"{len(search.known):,} readings {search.known.step_s} s apart; the last {search.blocks} blocks of them were forecast, each after"
    yield "a fit on what lies before it. The error is MAE of the median plus RMSE of the mean, each over the best baseline's.\n"
    yield f"{found.counts}; {found.in_words}.\n"
    yield f"| trial | state | error | seconds | {' | '.join(names)} |"
    yield "|---" * (4 + len(names)) + "|"
    for trial in found.trials:
        error = "" if trial.error is None else f"{trial.error:.4f}"
        number = f"{trial.number} (params.yaml)" if trial is found.now else f"{trial.number}"
        figures = (f"{trial.settings.get(each.name, each.default):g}" if trial.settings else "" for each in search.space)
        yield f"| {number} | {trial.state} | {error} | {trial.seconds:.1f} | {' | '.join(figures)} |"
