"""What a model leans on is found by shuffling it, on rows the model never saw."""

from __future__ import annotations

import numpy as np
import tiny

from wattcast.forecasting.backtest import first_test_row
from wattcast.forecasting.bundle import open_bundle
from wattcast.forecasting.importance import permutation_importance
from wattcast.meter.table import MeterTable


def test_the_features_that_matter_come_first() -> None:
    """A load that follows the clock and the week leans on the hour and the lags, and hardly on the weekday's neighbour."""
    table = tiny.hour_table()
    model = open_bundle(tiny.bundle("day_ahead", "lgbm")).models[0]
    found = permutation_importance(model, table, first_test_row(table, tiny.TRAIN_SHARE))
    assert list(found) == sorted(found, key=lambda name: -found[name])
    assert next(iter(found)) in {"hour", "days1", "days7", "mean_days1to3by1"}
    assert next(iter(found.values())) > 0.05
    assert set(found) <= set(model.facts.spec.names)


def test_the_same_rows_give_the_same_importance() -> None:
    """The shuffle is seeded: evaluate twice, and DVC sees no change."""
    table = tiny.hour_table()
    model = open_bundle(tiny.bundle("day_ahead", "lgbm")).models[0]
    assert permutation_importance(model, table, 900) == permutation_importance(model, table, 900)


def test_without_a_row_to_score_nothing_is_said() -> None:
    """A span without targets has no importance."""
    table = tiny.hour_table()
    blank = MeterTable(table.meter, table.start_s, table.step_s, np.full(len(table), np.nan, dtype=np.float32))
    assert permutation_importance(open_bundle(tiny.bundle("day_ahead", "lgbm")).models[0], blank, 900) == {}
