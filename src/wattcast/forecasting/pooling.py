"""Training one model of normalised load over many meters, for meters without a model of their own: `*`.

Every meter is learned from as if it had just been installed: beginnings drawn at random, few days known more often than many, so that the
model finds out what little history is worth. Houses are held out, not times: what is judged is a house that was never seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from wattcast.errors import BadParams, NotEnoughHistory
from wattcast.forecasting.backtest import Frame, Predict, joined, scored
from wattcast.forecasting.baselines import Profile, climatological_profile
from wattcast.forecasting.families import Fitted, Progress
from wattcast.forecasting.features import build_features, leads_of
from wattcast.forecasting.graph import to_onnx
from wattcast.forecasting.lookback import Rows
from wattcast.forecasting.metrics import Scored, score
from wattcast.forecasting.spec import FeatureSpec, Recent, Scale, Seasonal
from wattcast.forecasting.star import STAR
from wattcast.forecasting.tasks import ModelPlan, Task
from wattcast.forecasting.training import (
    Recipe,
    Trained,
    TrainedModel,
    calibrated,
    drawn_leads,
    fit_rows,
    packed,
    part,
    predictor,
    refuse_disagreement,
)
from wattcast.meter.clock import DAY_S, HOUR_S, utc_offset_s
from wattcast.meter.table import Meter, MeterTable

Array = npt.NDArray[np.float32]

MODEL = "many_meters"
LEAST_METERS = 8
_LONGEST_KNOWN_DAYS = 60
_ORIGINS_OF_BEGINNING = 20
_HELD_OUT_SHARE = 0.25
_HELD_OUT_BEGINNINGS = 5
# How many of a meter's origins know nothing at all, and how little the others may know.
_NOTHING_KNOWN_SHARE = 0.1
_LEAST_KNOWN_DAYS = 0.25


@dataclass(frozen=True, eq=False)
class Newcomer:
    """A meter as if it had just been installed. table: from its beginning on; origins: the rows of it that are forecast from."""

    table: MeterTable
    origins: Rows


def plan_of(task: Task, prior_kw: float) -> ModelPlan:
    """What the model of many meters looks at: the load of the last hours and days, the calendar without holidays, all of it scaled.

    prior_kw: the mean load of a meter that nothing is known of. Raises BadParams for a task that forecasts changes of the load.
    """
    if task.target == "change" or DAY_S % task.resolution_s:
        raise BadParams("a task that forecasts changes of the load has no model of many meters", "pool --task day_ahead")
    day, hours = DAY_S // task.resolution_s, max(HOUR_S // task.resolution_s, 1)
    return ModelPlan(
        name=MODEL,
        least_readings=0,
        recent=(Recent("power_kw", offsets=(0, 1), means=(3 * hours, 6 * hours, day, 7 * day)),),
        seasonal=(Seasonal(days=(1, 2, 3, 7, 14), means=(_last(3), _last(7), _last(14), _last(28), (7, 14, 21, 28)), kinds=(7, 14, 28)),),
        calendar=("hour", "weekday", "day_of_year"),
        scale=Scale(days=28, prior_kw=prior_kw, prior_days=0.5),
    )


def _last(days: int) -> tuple[int, ...]:
    return tuple(range(1, days + 1))


def newcomers(table: MeterTable, spec: FeatureSpec, beginnings: int, chance: np.random.Generator) -> Iterator[Newcomer]:
    """The meter installed at so many random moments, each with origins after a random time; none without a target.

    A tenth of the origins know nothing, the others a quarter of a day to two months, drawn on a logarithmic scale.
    """
    day, longest = DAY_S // table.step_s, _LONGEST_KNOWN_DAYS * DAY_S // table.step_s
    for first in chance.integers(0, max(len(table) - spec.last_lead, 1), beginnings).tolist():
        young = table.rows(first, first + longest + spec.last_lead)
        known = day * np.exp(chance.uniform(np.log(_LEAST_KNOWN_DAYS), np.log(_LONGEST_KNOWN_DAYS), _ORIGINS_OF_BEGINNING))
        known[chance.random(_ORIGINS_OF_BEGINNING) < _NOTHING_KNOWN_SHARE] = 0
        possible = _possible_origins(young, spec)
        at = np.searchsorted(possible, known.astype(np.int64))
        yield Newcomer(young, np.unique(possible[at[at < len(possible)]]))


def _possible_origins(table: MeterTable, spec: FeatureSpec) -> Rows:
    """The origins, the first row among them, whose targets all lie in the table."""
    origins = np.arange(0, max(len(table) - spec.last_lead + 1, 0), dtype=np.int64)
    possible: Rows = origins[leads_of(spec, table.start_s + origins * table.step_s).max(axis=1, initial=0) > 0]
    return possible


def train(tables: Sequence[MeterTable], recipe: Recipe, progress: Progress) -> Trained:
    """A bundle of one model for meters never seen, validated and calibrated on meters it was not fitted to, then fitted to all.

    tables: one of each meter, at the task's resolution. The last simulated one, or the last, is kept for replay. Raises
    NotEnoughHistory where there are too few meters, BadParams for a task that no model of many meters can be trained for.
    """
    if len(tables) < LEAST_METERS:
        found = f"{len(tables)} meters are too few to tell what meters have in common, at least {LEAST_METERS} are needed"
        raise NotEnoughHistory(found, "give more files, or simulate more houses")
    prior_kw = float(np.mean([_mean_kw(table) for table in tables]))
    plan = plan_of(recipe.task, prior_kw)
    recipe = recipe.of_model(plan.name)
    # Of a newcomer nobody knows the usual day.
    spec = replace(replace(recipe.task, target="level").spec(plan, tables[0], ()), zone="UTC")
    order = np.random.default_rng(recipe.seed).permutation(len(tables)).tolist()
    apart = [tables[number] for number in order[: max(round(_HELD_OUT_SHARE * len(tables)), 1)]]
    others = [tables[number] for number in order[len(apart) :]]
    judged, _ = fit(others, spec, recipe, recipe.effort.validation_max_rows, part(progress, 0, 2))
    predict = predictor(judged, spec, recipe.threads)
    fitted, matrix = fit(tables, spec, recipe, recipe.effort.max_rows, part(progress, 1, 2))
    graph = to_onnx(fitted.graph, len(spec.names))
    refuse_disagreement(fitted, graph, matrix, recipe)
    native = {f"{plan.name}/{name}": data for name, data in fitted.native.items()}
    rows, beside = (held_out(apart, predict, spec, recipe, names) for names in ((), recipe.task.baselines[:1]))
    model = _judged(calibrated(plan.name, plan.least_readings, spec, rows, graph, native, fitted.library), beside)
    params = {"settings": dict(recipe.settings), "seed": recipe.seed, "threads": recipe.threads, "meters": len(tables)}
    kept = next((table for table in reversed(tables) if table.meter.simulated), tables[-1])
    return packed(kept, [model], recipe.task_name, recipe.family.key, recipe.task.baselines, params, _about(tables, prior_kw))


def fit(tables: Sequence[MeterTable], spec: FeatureSpec, recipe: Recipe, max_rows: int, progress: Progress) -> tuple[Fitted, Array]:
    """Fit the recipe's family on about `max_rows` rows, as many of each meter; and the rows it learned from, shape (rows, features)."""
    chance = np.random.default_rng(recipe.seed)
    leads = min(recipe.task.leads_per_origin or spec.horizon, spec.horizon)
    beginnings = max(max_rows // (len(tables) * _ORIGINS_OF_BEGINNING * leads), 1)
    matrices, targets = [], []
    for table in tables:
        own = replace(spec, zone=table.meter.zone)
        for young in newcomers(table, own, beginnings, chance):
            rows = build_features(young.table, young.origins, own, drawn_leads(young.table, young.origins, own, leads, chance))
            matrices.append(rows.matrix[rows.trainable])
            targets.append(rows.targets[rows.trainable])
    matrix = np.concatenate(matrices)
    return fit_rows(matrix, np.concatenate(targets), recipe, progress), matrix


def held_out(tables: Sequence[MeterTable], predict: Predict, spec: FeatureSpec, recipe: Recipe, names: tuple[str, ...]) -> Scored:
    """What the heads forecast of meters they were not fitted to, on the rows where all these baselines are known.

    `target_s` is on each meter's own clock, as if that were UTC, so that an hour of the day means the same for all of them.
    """
    chance = np.random.default_rng([recipe.seed, 1])
    parts = []
    for table in tables:
        own = replace(spec, zone=table.meter.zone)
        for young in newcomers(table, own, _HELD_OUT_BEGINNINGS, chance):
            rows = scored({STAR: predict}, young.table, young.origins, Frame(own, names, recipe.levels))[STAR]
            parts.append(replace(rows, target_s=rows.target_s + utc_offset_s(own.zone, rows.target_s)))
    return joined(parts)


def population_profile(tables: Sequence[MeterTable], levels: tuple[float, ...], scale_kw: float) -> Profile:
    """The typical day of these meters, each divided by its own mean load, for a meter whose mean load is `scale_kw`; its clock is UTC."""
    cells = np.mean([climatological_profile(table, levels).cells for table in tables], axis=0).round(5)
    return Profile("UTC", scale_kw, levels, tuple(tuple(tuple(map(tuple, day)) for day in kinds) for kinds in cells.tolist()))


def _judged(model: TrainedModel, beside: Scored) -> TrainedModel:
    """The model with its score on the rows that have a baseline."""
    calibration = model.facts.calibration
    own = replace(beside, quantiles=calibration.apply(beside.quantiles, beside.target_s))
    return replace(model, facts=replace(model.facts, validation=score(own)))


def _about(tables: Sequence[MeterTable], prior_kw: float) -> dict[str, Any]:
    """What the manifest says of the readings of all meters. largest_kw: of a meter of the prior's mean load."""
    hashes = "".join(table.sha256() for table in tables)
    return {
        "meter": Meter(STAR, simulated=all(table.meter.simulated for table in tables)),
        "train_start_s": min(table.start_s for table in tables),
        "train_end_s": max(table.end_s for table in tables),
        "train_rows": sum(int(np.isfinite(table.power_kw).sum()) for table in tables),
        "largest_kw": prior_kw * max(float(np.nanmax(np.abs(table.power_kw))) / _mean_kw(table) for table in tables),
        "data_sha256": hashlib.sha256(hashes.encode()).hexdigest(),
    }


def _mean_kw(table: MeterTable) -> float:
    """The mean size of the load. Raises NotEnoughHistory where nothing was measured."""
    if not np.isfinite(table.power_kw).any():
        raise NotEnoughHistory(f"meter {table.meter.id} has no reading at all", "leave its file out")
    return float(np.nanmean(np.abs(table.power_kw), dtype=np.float64)) or 1.0
