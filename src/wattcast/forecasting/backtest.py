"""Forecasts beside what came: the one place where predictions meet actuals and baselines on the same rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wattcast.forecasting.baselines import baselines
from wattcast.forecasting.bundle import Model
from wattcast.forecasting.features import Features, Rows, build_features
from wattcast.forecasting.metrics import Scored
from wattcast.forecasting.spec import FeatureSpec
from wattcast.meter.table import MeterTable

Array = npt.NDArray[np.float32]
Predict = Callable[[Features], tuple[Array, Array]]

_ROWS_AT_ONCE = 100_000


def first_test_row(table: MeterTable, train_share: float) -> int:
    """The row that splits the table in time order: rows before it may be trained on, the rest is the test."""
    return int(len(table) * train_share)


def origins_within(first: int, stop: int, horizon: int, most: int = 0) -> Rows:
    """The origins whose targets all lie in rows first to stop - 1; at most `most` of them (0: all), evenly spread."""
    origins = np.arange(first, max(stop - horizon + 1, first), dtype=np.int64)
    return origins if most <= 0 or len(origins) <= most else origins[np.linspace(0, len(origins) - 1, most).astype(np.int64)]


def scored(
    predictors: Mapping[str, Predict],
    table: MeterTable,
    origins: Rows,
    spec: FeatureSpec,
    names: tuple[str, ...],
    levels: tuple[float, ...],
) -> dict[str, Scored]:
    """Each predictor on every lead of these origins, on the rows where target, base and every baseline are there: the same for all.

    predictors: features built with `spec` -> mean (rows,) and quantiles (rows, levels) in kW. names: the baselines.
    """
    blocks = [_scored_block(predictors, table, block, spec, names) for block in _blocks(origins, spec.horizon)]
    actual, target_s, lead = (np.concatenate([getattr(block, column) for block in blocks]) for column in ("actual", "target_s", "lead"))
    beside = {name: np.concatenate([block.baselines[name] for block in blocks]) for name in names}
    predicted = {
        who: [np.concatenate(parts) for parts in zip(*(block.predicted[who] for block in blocks), strict=True)] for who in predictors
    }
    return {who: Scored(levels, actual, mean, quantiles, beside, target_s, lead) for who, (mean, quantiles) in predicted.items()}


@dataclass(frozen=True, eq=False)
class _Block:
    actual: Array
    target_s: Rows
    lead: Rows
    baselines: dict[str, Array]
    predicted: dict[str, tuple[Array, Array]]


def _scored_block(predictors: Mapping[str, Predict], table: MeterTable, origins: Rows, spec: FeatureSpec, names: tuple[str, ...]) -> _Block:
    features = build_features(table, origins, spec)
    beside = baselines(table, origins, spec.horizon, names)
    whole = features.trainable
    for values in beside.values():
        whole = whole & np.isfinite(values)
    predicted = {who: predict(features) for who, predict in predictors.items()}
    return _Block(
        actual=(features.targets + features.base_kw)[whole],
        target_s=features.target_s[whole],
        lead=np.tile(np.arange(1, spec.horizon + 1), len(origins))[whole],
        baselines={name: values[whole] for name, values in beside.items()},
        predicted={who: (mean[whole], quantiles[whole]) for who, (mean, quantiles) in predicted.items()},
    )


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
    origins = origins_within(first, len(table), spec.horizon)
    return scored({who: model.predict for who, model in models.items()}, table, origins, spec, names, levels)
