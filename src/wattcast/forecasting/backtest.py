"""The one engine that lets forecasts meet what came: training validates with it, evaluate scores with it, every protocol walks with it.

Pure: a learner is handed nothing but the rows that it may learn from; what it returns forecasts rows it never saw.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from wattcast.forecasting.baselines import baselines
from wattcast.forecasting.features import Features, build_features, leads_of
from wattcast.forecasting.lookback import Rows
from wattcast.forecasting.metrics import Scored
from wattcast.forecasting.model import Model
from wattcast.forecasting.spec import FeatureSpec
from wattcast.forecasting.tasks import Task
from wattcast.meter.table import MeterTable

Array = npt.NDArray[np.float32]
Predict = Callable[[Features], tuple[Array, Array]]
# The rows that may be learned from -> forecasters by name.
Learn = Callable[[MeterTable], Mapping[str, Predict]]

_ROWS_AT_ONCE = 100_000
# How many origins a block of the validation is scored on at most.
_VALIDATED_ORIGINS = 20_000


@dataclass(frozen=True, eq=False)
class Fold:
    """One step of a walk forward: learn from rows learn_from to learn_before - 1, then forecast from these origins (rows of the table)."""

    learn_from: int
    learn_before: int
    origins: Rows


def first_test_row(table: MeterTable, train_share: float) -> int:
    """The row that splits the table in time order: rows before it may be trained on, the rest is the test."""
    return int(len(table) * train_share)


def origins_within(table: MeterTable, spec: FeatureSpec, first: int, stop: int, most: int = 0) -> Rows:
    """The origins (at the gate, if any) whose targets all lie in rows first to stop - 1; `most` of them (0: all), evenly spread."""
    origins = np.arange(first, max(stop - spec.horizon + 1, first), dtype=np.int64)
    if spec.gate_s is not None:
        leads = leads_of(spec, table.start_s + origins * table.step_s)
        origins = origins[(leads.max(axis=1, initial=0) > 0) & (origins + leads.max(axis=1, initial=0) <= stop)]
    return origins if most <= 0 or len(origins) <= most else origins[np.linspace(0, len(origins) - 1, most).astype(np.int64)]


def folds(origins: Rows, refits: Rows, embargo: int, window: int = 0) -> list[Fold]:
    """Folds over rising origins: a refit at each of the rising rows `refits`, on what lies `embargo` rows before it or earlier.

    window: rows that each refit may look back on, rolling; 0: all there are, expanding. Refits without an origin are left out.
    """
    walked = []
    for start, stop in pairwise([*refits.tolist(), np.inf]):
        own = origins[(origins >= start) & (origins < stop)]
        if len(own):
            before = max(start - embargo, 0)
            walked.append(Fold(max(before - window, 0) if window else 0, before, own))
    return walked


def validation_folds(known: MeterTable, spec: FeatureSpec, task: Task, blocks: int) -> list[Fold]:
    """The walk forward inside the training span: blocks that end with it, each after a fit on what lies before it less the embargo."""
    bounds = [int(len(known) * (1 - task.validation_share * (blocks - number))) for number in range(blocks + 1)]
    return [
        Fold(0, first - task.embargo_steps, origins_within(known, spec, first, stop, _VALIDATED_ORIGINS))
        for first, stop in pairwise(bounds)
    ]


@dataclass(frozen=True, eq=False)
class Frame:
    """What forecasts are scored on: the rows of `spec`, beside baselines `names`, with quantiles of `levels`.

    against: the readings that targets come from where a protocol fills gaps its own way; beside: those that baselines come from. Both
    on the grid of the table that features come from; None: that table itself, and `against`.
    """

    spec: FeatureSpec
    names: tuple[str, ...]
    levels: tuple[float, ...]
    against: MeterTable | None = None
    beside: MeterTable | None = None


def walk_forward(table: MeterTable, walked: list[Fold], learn: Learn, frame: Frame) -> Iterator[dict[str, Scored]]:
    """For each fold every forecaster that was learned for it, beside the baselines, on rows that are the same for all of them."""
    for fold in walked:
        yield scored(learn(table.rows(fold.learn_from, fold.learn_before)), table, fold.origins, frame)


def scored(predictors: Mapping[str, Predict], table: MeterTable, origins: Rows, frame: Frame) -> dict[str, Scored]:
    """Each predictor on every lead of these origins, on the rows where target, base and every baseline are there: the same for all.

    predictors: features built with the frame's spec -> mean (rows,) and quantiles (rows, levels) in kW.
    """
    parts = [_scored_block(predictors, table, block, frame) for block in _blocks(origins, frame.spec.last_lead)]
    return {who: joined([part[who] for part in parts]) for who in predictors}


def _scored_block(predictors: Mapping[str, Predict], table: MeterTable, origins: Rows, frame: Frame) -> dict[str, Scored]:
    features = build_features(table, origins, frame.spec)
    against = frame.against or table
    target = features.origin + features.lead - 1
    actual = np.where(target < len(against), against.power_kw[np.minimum(target, len(against) - 1)], np.float32(np.nan))
    beside = baselines(frame.beside or against, origins, frame.spec, frame.names)
    whole = np.isfinite(actual) & np.isfinite(features.base_kw)
    for values in beside.values():
        whole = whole & np.isfinite(values)
    rows = Scored(
        levels=frame.levels,
        actual=actual[whole],
        mean=np.empty(0, dtype=np.float32),
        quantiles=np.empty((0, len(frame.levels)), dtype=np.float32),
        baselines={name: values[whole] for name, values in beside.items()},
        target_s=features.target_s[whole],
        origin=features.origin[whole],
        lead=features.lead[whole],
    )
    predicted = {who: predict(features) for who, predict in predictors.items()}
    return {who: replace(rows, mean=mean[whole], quantiles=quantiles[whole]) for who, (mean, quantiles) in predicted.items()}


def joined(parts: list[Scored]) -> Scored:
    """The rows of all parts, one after the other."""
    columns = ("actual", "mean", "quantiles", "target_s", "origin", "lead")
    arrays = {name: np.concatenate([getattr(part, name) for part in parts]) for name in columns}
    beside = {name: np.concatenate([part.baselines[name] for part in parts]) for name in parts[0].baselines}
    return Scored(levels=parts[0].levels, baselines=beside, **arrays)


def _blocks(origins: Rows, horizon: int) -> Iterator[Rows]:
    """The origins in pieces whose features fit in memory; one empty piece where there are none."""
    at_once = max(_ROWS_AT_ONCE // horizon, 1)
    for first in range(0, max(len(origins), 1), at_once):
        yield origins[first : first + at_once]


def scored_test(
    models: Mapping[str, Model], table: MeterTable, first: int, names: tuple[str, ...], levels: tuple[float, ...]
) -> dict[str, Scored]:
    """Models that share one spec, by name, on every origin whose targets lie from row `first` to the table's end."""
    spec = next(iter(models.values())).facts.spec
    origins = origins_within(table, spec, first, len(table))
    return scored({who: model.predict for who, model in models.items()}, table, origins, Frame(spec, names, levels))
