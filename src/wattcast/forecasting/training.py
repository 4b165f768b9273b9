"""Training: a meter table and settings in, the bytes of a bundle out. Sees the training span only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
import numpy.typing as npt

from wattcast.errors import BadBundle, BadParams, NotEnoughHistory
from wattcast.forecasting.backtest import origins_within, scored
from wattcast.forecasting.bundle import FORMAT, Manifest, ModelFacts, pack
from wattcast.forecasting.families import Family, Fitted, Progress
from wattcast.forecasting.features import Features, Rows, build_features
from wattcast.forecasting.heads import Heads
from wattcast.forecasting.intervals import calibrate
from wattcast.forecasting.metrics import Scored, score
from wattcast.forecasting.spec import FeatureSpec
from wattcast.forecasting.tasks import Effort, ModelPlan, Task
from wattcast.forecasting.trees import to_onnx
from wattcast.meter.clock import DAY_S
from wattcast.meter.table import MeterTable

Array = npt.NDArray[np.float32]

# How many origins a validation block is scored on, how many rows native and ONNX heads are compared on, and how closely (kW).
_SCORED_ORIGINS = 20_000
_COMPARED_ROWS = 10_000
_AGREEMENT_KW = 1e-4
_LEAST_TRAINING_ROWS = 200
_AS_GOOD_AS_ZERO = 1e-30


@dataclass(frozen=True)
class Recipe:
    """Everything a training depends on beside the readings. settings: the family's; train_share: of the table, in time order."""

    task_name: str
    task: Task
    family: Family
    settings: Mapping[str, Any]
    effort: Effort
    levels: tuple[float, ...]
    train_share: float
    seed: int
    threads: int


def train(table: MeterTable, first_test: int, recipe: Recipe, progress: Progress) -> bytes:
    """The bytes of a bundle whose models were fitted, validated and calibrated on rows before `first_test` alone.

    table: at the task's resolution. Raises NotEnoughHistory where the span holds too few rows to learn from, BadBundle where the
    ONNX heads do not answer as the library's own.
    """
    known = table.rows(0, first_test)
    holidays = _holidays(known)
    plans = recipe.task.models
    built = [
        _build_model(known, plan, recipe.task.spec(plan, known, holidays), recipe, _part(progress, number, len(plans)))
        for number, plan in enumerate(plans)
    ]
    members = {name: data for model in built for name, data in model.members.items()}
    history = max(model.facts.spec.history_steps for model in built)
    manifest = Manifest(
        format=FORMAT,
        task=recipe.task_name,
        family=recipe.family.key,
        meter=table.meter,
        step_s=table.step_s,
        horizon=recipe.task.horizon,
        levels=recipe.levels,
        models=tuple(model.facts for model in built),
        baselines=recipe.task.baselines,
        train_start_s=known.start_s,
        train_end_s=known.end_s,
        train_rows=int(np.isfinite(known.power_kw).sum()),
        largest_kw=float(np.nanmax(np.abs(known.power_kw))),
        data_sha256=known.sha256(),
        params={"settings": dict(recipe.settings), "seed": recipe.seed, "threads": recipe.threads, "train_share": recipe.train_share},
        versions={"numpy": version("numpy"), "onnx": version("onnx"), **dict([built[0].library])},
        files={},
    )
    return pack(manifest, members, known.rows(len(known) - history, len(known)))


@dataclass(frozen=True)
class _Built:
    facts: ModelFacts
    members: Mapping[str, bytes]
    library: tuple[str, str]


def _build_model(known: MeterTable, plan: ModelPlan, spec: FeatureSpec, recipe: Recipe, progress: Progress) -> _Built:
    """Validate, calibrate and fit one model."""
    sample = _sample(known, spec, recipe, int(recipe.effort.max_rows * plan.rows_share))
    blocks = recipe.effort.validation_blocks
    rows = _joined([_held_out(known, sample, recipe, block, _part(progress, block, blocks + 1)) for block in range(blocks)])
    calibration = calibrate(rows.actual, rows.quantiles, recipe.levels)
    validation = score(replace(rows, quantiles=calibration.apply(rows.quantiles)))
    fitted = sample.fit(len(known) - recipe.task.embargo_steps, recipe, _part(progress, blocks, blocks + 1))
    graph = to_onnx(fitted.trees, len(spec.names))
    _refuse_disagreement(fitted, graph, sample.features.matrix[sample.usable], recipe)
    native = {f"{plan.name}/{name}": data for name, data in fitted.native.items()}
    facts = ModelFacts(plan.name, plan.least_readings, spec, calibration, validation, tuple(native))
    return _Built(facts, {facts.graph: graph, **native}, fitted.library)


@dataclass(frozen=True, eq=False)
class _Sample:
    """The rows that a model may learn from: features of some (origin, lead) pairs; origins: per row; usable: target and base measured."""

    spec: FeatureSpec
    features: Features
    origins: Rows
    usable: npt.NDArray[np.bool_]

    def fit(self, before: int, recipe: Recipe, progress: Progress, most: int = 0) -> Fitted:
        """Fit on the rows whose origin and whole horizon lie before row `before`, evenly thinned to at most `most` (0: all).

        Raises NotEnoughHistory where they are too few.
        """
        rows = np.flatnonzero(self.usable & (self.origins + self.spec.horizon <= before))
        if most and len(rows) > most:
            rows = rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
        if len(rows) < _LEAST_TRAINING_ROWS:
            found = f"{len(rows)} rows are left to learn {recipe.task_name} from, at least {_LEAST_TRAINING_ROWS} are needed"
            raise NotEnoughHistory(found, "give a longer file, or one with fewer gaps")
        return recipe.family.fit(
            self.features.matrix[rows],
            self.features.targets[rows],
            recipe.levels,
            recipe.settings,
            threads=recipe.threads,
            seed=recipe.seed,
            progress=progress,
        )


def _sample(known: MeterTable, spec: FeatureSpec, recipe: Recipe, max_rows: int) -> _Sample:
    """At most `max_rows` rows in all, origins and their leads drawn with the recipe's seed."""
    chance = np.random.default_rng(recipe.seed)
    per_origin = min(recipe.task.leads_per_origin or spec.horizon, spec.horizon)
    origins = origins_within(1, len(known), spec.horizon)
    most = max(max_rows // per_origin, 1)
    if len(origins) > most:
        origins = np.sort(chance.choice(origins, most, replace=False))
    every = np.broadcast_to(np.arange(1, spec.horizon + 1), (len(origins), spec.horizon))
    leads = every if per_origin == spec.horizon else np.sort(chance.permuted(every, axis=1)[:, :per_origin], axis=1)
    features = build_features(known, origins, spec, leads)
    return _Sample(spec, features, np.repeat(origins, per_origin), features.trainable)


def _held_out(known: MeterTable, sample: _Sample, recipe: Recipe, block: int, progress: Progress) -> Scored:
    """One step of the walk forward: fit before the block less the embargo, predict the block. The last block ends the training span."""
    spec, blocks, share = sample.spec, recipe.effort.validation_blocks, recipe.task.validation_share
    first, stop = (int(len(known) * (1 - share * (blocks - number))) for number in (block, block + 1))
    fitted = sample.fit(first - recipe.task.embargo_steps, recipe, progress, most=recipe.effort.validation_max_rows)
    heads = Heads(to_onnx(fitted.trees, len(spec.names)), threads=recipe.threads)

    def predict(features: Features) -> tuple[Array, Array]:
        outputs = heads(features.matrix)
        return outputs[:, 0] + features.base_kw, outputs[:, 1:] + features.base_kw[:, None]

    origins = origins_within(first, stop, spec.horizon, _SCORED_ORIGINS)
    return scored({"held out": predict}, known, origins, spec, recipe.task.baselines, recipe.levels)["held out"]


def _joined(parts: list[Scored]) -> Scored:
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in ("actual", "mean", "quantiles", "target_s", "lead")}
    beside = {name: np.concatenate([part.baselines[name] for part in parts]) for name in parts[0].baselines}
    return Scored(levels=parts[0].levels, baselines=beside, **arrays)


def _refuse_disagreement(fitted: Fitted, graph: bytes, matrix: Array, recipe: Recipe) -> None:
    """Raise BadBundle unless native and ONNX heads agree, on training rows and on rows that sit on the trees' own thresholds."""
    chance = np.random.default_rng(recipe.seed)
    rows = matrix[chance.integers(0, len(matrix), _COMPARED_ROWS)]
    splits = (
        chance.integers(0, len(fitted.trees.feature), _COMPARED_ROWS // 2) if len(fitted.trees.feature) else np.empty(0, dtype=np.int64)
    )
    rows[np.arange(len(splits)), fitted.trees.feature[splits]] = fitted.trees.threshold[splits]
    # LightGBM itself reads a value this close to zero as zero; no reading is.
    rows[np.abs(rows) < _AS_GOOD_AS_ZERO] = 0
    furthest = float(np.max(np.abs(fitted.predict_native(rows) - Heads(graph, threads=recipe.threads)(rows))))
    if not furthest <= _AGREEMENT_KW:
        found = f"{recipe.family.title}: ONNX and native heads differ by {furthest:.2g} kW for {recipe.task_name}"
        raise BadBundle(found, f"at most {_AGREEMENT_KW:g} kW is allowed: report it with the library versions")


def _part(progress: Progress, number: int, count: int) -> Progress:
    """The progress of part `number` of `count` equal parts."""
    return lambda share: progress((number + share) / count)


def _holidays(known: MeterTable) -> tuple[int, ...]:
    """The holidays of the meter's country from a year before its readings to ten years after, as ordinals; none where none is named."""
    if not known.meter.holidays:
        return ()
    import holidays  # noqa: PLC0415 (training only: the dates travel in the bundle)

    first = datetime.fromtimestamp(known.start_s, UTC).year - 1
    last = datetime.fromtimestamp(known.end_s + 10 * 366 * DAY_S, UTC).year
    country, _, subdivision = known.meter.holidays.partition("-")
    try:
        days: list[date] = list(holidays.country_holidays(country, subdiv=subdivision or None, years=range(first, last + 1)))
    except NotImplementedError as cause:
        hint = "use a country or country-subdivision code such as FR or US-CA under meters in params.yaml"
        raise BadParams(f'holidays of "{known.meter.holidays}" are not known', hint) from cause
    return tuple(sorted(day.toordinal() for day in days))
