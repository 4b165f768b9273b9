"""Training: a meter table and settings in, the bytes of a bundle out. Sees the training span only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from wattcast.errors import BadBundle, NotEnoughHistory
from wattcast.forecasting.backtest import Frame, Predict, joined, origins_within, validation_folds, walk_forward
from wattcast.forecasting.bundle import FORMAT, Manifest, pack
from wattcast.forecasting.calendars import frozen_holidays
from wattcast.forecasting.day_totals import fit_day_totals
from wattcast.forecasting.families import Family, Fitted, Progress
from wattcast.forecasting.features import Features, build_features, leads_of
from wattcast.forecasting.graph import to_onnx
from wattcast.forecasting.heads import AGREEMENT_KW, Heads, disagreement
from wattcast.forecasting.intervals import calibrate
from wattcast.forecasting.lookback import Rows
from wattcast.forecasting.metrics import Scored, score
from wattcast.forecasting.model import ModelFacts
from wattcast.forecasting.spec import FeatureSpec
from wattcast.forecasting.tasks import Effort, ModelPlan, Task
from wattcast.meter.table import MeterTable

Array = npt.NDArray[np.float32]

# How many rows native and ONNX heads are compared on.
_COMPARED_ROWS = 10_000
_LEAST_TRAINING_ROWS = 200
_AS_GOOD_AS_ZERO = 1e-30
# The share of origins that are trained on without what was known ahead.
_OUTAGES = 0.15


@dataclass(frozen=True)
class Recipe:
    """Everything a training depends on beside the readings. train_share: of the table, in time order.

    settings: the family's; under the name of a model stand those that it has otherwise.
    """

    task_name: str
    task: Task
    family: Family
    settings: Mapping[str, Any]
    effort: Effort
    levels: tuple[float, ...]
    train_share: float
    seed: int
    threads: int

    def of_model(self, name: str) -> Recipe:
        """The recipe with the settings of this model."""
        shared = {key: value for key, value in self.settings.items() if not isinstance(value, Mapping)}
        return replace(self, settings={**shared, **self.settings.get(name, {})})


@dataclass(frozen=True, eq=False)
class Trained:
    """What training leaves. data: the bytes of the bundle; held_out: by model, what its heads forecast of rows they were not fitted to."""

    data: bytes
    held_out: Mapping[str, Scored]


@dataclass(frozen=True, eq=False)
class TrainedModel:
    """One model before it is packed. members: the files that hold it; library: the learner's name and version."""

    facts: ModelFacts
    members: Mapping[str, bytes]
    held_out: Scored
    library: tuple[str, str]


def train(table: MeterTable, first_test: int, recipe: Recipe, progress: Progress) -> Trained:
    """A bundle whose models were fitted, validated and calibrated on rows before `first_test` alone.

    table: at the task's resolution. Raises NotEnoughHistory where the span holds too few rows to learn from, BadBundle where the
    ONNX heads do not answer as the library's own.
    """
    known = table.rows(0, first_test)
    specs = [recipe.task.spec(plan, known, frozen_holidays(known)) for plan in recipe.task.models]
    built = [
        train_model(known, plan, spec, recipe, part(progress, number, len(specs)))
        for number, (plan, spec) in enumerate(zip(recipe.task.models, specs, strict=True))
    ]
    params = {"settings": dict(recipe.settings), "seed": recipe.seed, "threads": recipe.threads, "train_share": recipe.train_share}
    return packed(known, built, recipe.task_name, recipe.family.key, recipe.task.baselines, params)


def packed(
    known: MeterTable,
    built: list[TrainedModel],
    task_name: str,
    family: str,
    baselines: tuple[str, ...],
    params: Mapping[str, Any],
    about: Mapping[str, Any] = MappingProxyType({}),
) -> Trained:
    """The models in one bundle, with the facts of the readings they were trained on. known: the training span.

    about: facts of the manifest that are others, where there were more readings than `known`, which is then kept for replay alone.
    """
    history = max(model.facts.spec.history_steps for model in built)
    first = built[0]
    manifest = Manifest(
        format=FORMAT,
        task=task_name,
        family=family,
        meter=known.meter,
        step_s=known.step_s,
        horizon=first.facts.spec.horizon,
        levels=first.held_out.levels,
        models=tuple(model.facts for model in built),
        baselines=baselines,
        train_start_s=known.start_s,
        train_end_s=known.end_s,
        train_rows=int(np.isfinite(known.power_kw).sum()),
        largest_kw=float(np.nanmax(np.abs(known.power_kw))),
        data_sha256=known.sha256(),
        params=params,
        versions={"numpy": version("numpy"), "onnx": version("onnx"), **dict(model.library for model in built)},
        files={},
    )
    members = {name: data for model in built for name, data in model.members.items()}
    data = pack(replace(manifest, **about), members, known.last(history))
    return Trained(data, {model.facts.name: model.held_out for model in built})


def train_model(known: MeterTable, plan: ModelPlan, spec: FeatureSpec, recipe: Recipe, progress: Progress) -> TrainedModel:
    """Validate, calibrate and fit one model on the rows of `known`."""
    recipe = recipe.of_model(plan.name)
    walked = validation_folds(known, spec, recipe.task, recipe.effort.validation_blocks)
    steps = len(walked) + 1
    number = iter(range(steps))

    def learn(before: MeterTable) -> Mapping[str, Predict]:
        fitted = fit(before, spec, recipe, recipe.effort.validation_max_rows, part(progress, next(number), steps))
        return {"held out": predictor(fitted, spec, recipe.threads)}

    frame = Frame(spec, recipe.task.baselines, recipe.levels)
    parts = [scored["held out"] for scored in walk_forward(known, walked, learn, frame)]
    last = known.rows(0, len(known) - recipe.task.embargo_steps)
    fitted = fit(last, spec, recipe, int(recipe.effort.max_rows * plan.rows_share), part(progress, next(number), steps))
    graph = to_onnx(fitted.graph, len(spec.names))
    some = origins_within(last, spec, 1, len(last), _COMPARED_ROWS // spec.horizon)
    refuse_disagreement(fitted, graph, build_features(last, some, spec).matrix, recipe)
    native = {f"{plan.name}/{name}": data for name, data in fitted.native.items()}
    return calibrated(plan.name, plan.least_readings, spec, joined(parts), graph, native, fitted.library)


def calibrated(
    name: str,
    least_readings: int,
    spec: FeatureSpec,
    held_out: Scored,
    graph: bytes,
    native: Mapping[str, bytes],
    library: tuple[str, str],
) -> TrainedModel:
    """The model with its intervals fitted to the rows held out, and its score there."""
    calibration = calibrate(held_out.actual, held_out.quantiles, held_out.target_s, held_out.levels, spec.zone)
    rows = replace(held_out, quantiles=calibration.apply(held_out.quantiles, held_out.target_s))
    totals = fit_day_totals(rows, spec.step_s) if spec.last_lead > 1 else None
    facts = ModelFacts(name, least_readings, spec, calibration, score(rows), tuple(native), totals)
    return TrainedModel(facts, {facts.graph: graph, **native}, held_out, library)


def fit(known: MeterTable, spec: FeatureSpec, recipe: Recipe, max_rows: int, progress: Progress) -> Fitted:
    """Fit the recipe's family on at most `max_rows` rows (0: all), origins and their leads drawn with the recipe's seed.

    Raises NotEnoughHistory where they are too few.
    """
    features = _sample(known, spec, recipe, max_rows)
    rows = np.flatnonzero(features.trainable)
    _blank_outages(features, spec, recipe.seed)
    whole = len(rows) == len(features.targets)
    matrix, targets = (features.matrix, features.targets) if whole else (features.matrix[rows], features.targets[rows])
    return fit_rows(matrix, targets, recipe, progress)


def _blank_outages(features: Features, spec: FeatureSpec, seed: int) -> None:
    """Take what was known ahead from some origins: a model that never saw it missing guesses wildly on the day it fails to arrive."""
    columns = [features.names.index(name) for name in spec.known_names]
    origins = np.unique(features.origin)
    without = origins[np.random.default_rng(seed).random(len(origins)) < _OUTAGES]
    features.matrix[np.ix_(np.isin(features.origin, without), np.array(columns, dtype=np.int64))] = np.nan


def fit_rows(matrix: Array, targets: Array, recipe: Recipe, progress: Progress) -> Fitted:
    """Fit the recipe's family on these rows, none of them without a target. Raises NotEnoughHistory where they are too few."""
    if len(targets) < _LEAST_TRAINING_ROWS:
        found = f"{len(targets)} rows are left to learn {recipe.task_name} from, at least {_LEAST_TRAINING_ROWS} are needed"
        raise NotEnoughHistory(found, "give a longer file, or one with fewer gaps")
    learner, settings = recipe.family, recipe.settings
    return learner.fit(matrix, targets, recipe.levels, settings, threads=recipe.threads, seed=recipe.seed, progress=progress)


def predictor(fitted: Fitted, spec: FeatureSpec, threads: int) -> Predict:
    """What the heads forecast, before calibration: mean (rows,) and sorted quantiles (rows, levels) in kW."""
    heads = Heads(to_onnx(fitted.graph, len(spec.names)), threads=threads)

    def predict(features: Features) -> tuple[Array, Array]:
        outputs = features.in_kw(heads(features.matrix))
        return outputs[:, 0], outputs[:, 1:]

    return predict


def _sample(known: MeterTable, spec: FeatureSpec, recipe: Recipe, max_rows: int) -> Features:
    chance = np.random.default_rng(recipe.seed)
    origins = origins_within(known, spec, 1, len(known))
    per_origin = min(recipe.task.leads_per_origin or spec.horizon, spec.horizon)
    most = max(max_rows // per_origin, 1)
    if max_rows and len(origins) > most:
        origins = np.sort(chance.choice(origins, most, replace=False))
    return build_features(known, origins, spec, drawn_leads(known, origins, spec, per_origin, chance))


def drawn_leads(known: MeterTable, origins: Rows, spec: FeatureSpec, per_origin: int, chance: np.random.Generator) -> Rows:
    """So many leads of each origin, drawn at random, as `build_features` takes them."""
    leads = leads_of(spec, known.start_s + origins * known.step_s)
    return np.sort(chance.permuted(leads, axis=1)[:, :per_origin], axis=1) if per_origin < spec.horizon else leads


def refuse_disagreement(fitted: Fitted, graph: bytes, matrix: Array, recipe: Recipe) -> None:
    """Raise BadBundle unless native and ONNX heads agree, on training rows and on rows that sit on the trees' own thresholds."""
    chance = np.random.default_rng(recipe.seed)
    rows = matrix[chance.integers(0, len(matrix), _COMPARED_ROWS)]
    trees = fitted.graph.trees
    if trees is not None and len(trees.feature):
        splits = chance.integers(0, len(trees.feature), _COMPARED_ROWS // 2)
        rows[np.arange(len(splits)), trees.feature[splits]] = trees.threshold[splits]
    # LightGBM itself reads a value this close to zero as zero; no reading is.
    rows[np.abs(rows) < _AS_GOOD_AS_ZERO] = 0
    if furthest := disagreement(fitted.predict_native(rows), Heads(graph, threads=recipe.threads)(rows)):
        found = f"{recipe.family.title}: ONNX and native heads differ by {furthest:.2g} kW for {recipe.task_name}"
        raise BadBundle(found, f"at most {AGREEMENT_KW:g} kW, or a millionth of the largest load is allowed: report it")


def part(progress: Progress, number: int, count: int) -> Progress:
    """The progress of part `number` of `count` equal parts."""
    return lambda share: progress((number + share) / count)
