"""The one engine: a learner sees only the rows it may learn from, and everybody is scored on the same rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import tiny
from numpy.testing import assert_allclose, assert_array_equal

from wattcast.forecasting.backtest import Frame, Predict, folds, origins_within, scored, walk_forward
from wattcast.forecasting.features import Features
from wattcast.forecasting.spec import FeatureSpec, Recent
from wattcast.meter.table import MeterTable

SPEC = FeatureSpec(3600, 24, "Europe/Paris", recent=(Recent("power_kw", offsets=(0,)),), calendar=("hour",))
FRAME = Frame(SPEC, ("daily_naive", "persistence"), (0.1, 0.5, 0.9))


def constant(value: float) -> Predict:
    """A forecaster that always says the same."""

    def predict(features: Features) -> tuple[np.ndarray, np.ndarray]:
        return np.full(len(features.targets), value, np.float32), np.full((len(features.targets), 3), value, np.float32)

    return predict


def test_each_fold_learns_from_what_lies_an_embargo_before_it() -> None:
    """Expanding: all rows before the refit less the embargo; rolling: only so many of them; every origin is forecast once."""
    origins = np.arange(1_000, 1_400)
    expanding = folds(origins, np.array([1_000, 1_168, 1_336]), embargo=24)
    assert [(fold.learn_from, fold.learn_before) for fold in expanding] == [(0, 976), (0, 1_144), (0, 1_312)]
    assert_array_equal(np.concatenate([fold.origins for fold in expanding]), origins)
    rolling = folds(origins, np.array([1_000, 1_168]), embargo=24, window=500)
    assert [(fold.learn_from, fold.learn_before) for fold in rolling] == [(476, 976), (644, 1_144)]


def test_a_refit_without_an_origin_is_left_out() -> None:
    """Nothing is fitted that would forecast nothing."""
    assert [fold.learn_before for fold in folds(np.array([500]), np.array([100, 400, 600]), embargo=0)] == [400]


def test_a_learner_is_handed_nothing_but_the_rows_it_may_learn_from() -> None:
    """The table it gets ends an embargo before the first origin of its fold."""
    table = tiny.hour_table()
    seen: list[MeterTable] = []

    def learn(known: MeterTable) -> Mapping[str, Predict]:
        seen.append(known)
        return {"one": constant(1.0)}

    walked = folds(np.arange(700, 900), np.array([700, 800]), embargo=24)
    list(walk_forward(table, walked, learn, FRAME))
    assert [known.end_s for known in seen] == [table.start_s + row * 3_600 for row in (676, 776)]


def test_everybody_is_scored_on_the_same_rows() -> None:
    """Rows whose target or a baseline is missing count for nobody; each row names its origin, lead and target."""
    whole = tiny.hour_table()
    power = whole.power_kw.copy()
    power[750:760] = np.nan
    rows = scored({"one": constant(1.0), "two": constant(2.0)}, replace(whole, power_kw=power), np.arange(740, 790), FRAME)
    assert_array_equal(rows["one"].actual, rows["two"].actual)
    assert_array_equal(rows["one"].baselines["daily_naive"], rows["two"].baselines["daily_naive"])
    assert_allclose(rows["one"].actual, power[rows["one"].origin + rows["one"].lead - 1])
    assert_array_equal(rows["one"].target_s, whole.start_s + (rows["one"].origin + rows["one"].lead - 1) * 3_600)
    assert np.isfinite(rows["one"].actual).all()
    # Persistence is not known where the last reading is missing, and then nobody is scored.
    assert not set(rows["one"].origin.tolist()) & set(range(751, 761))


def test_a_protocol_may_score_against_readings_that_features_never_see() -> None:
    """Targets come from `against`, baselines from `beside`; what the features are made of stays as it was measured."""
    table = tiny.hour_table()
    seen: list[Features] = []

    def predict(features: Features) -> tuple[np.ndarray, np.ndarray]:
        seen.append(features)
        return constant(0.0)(features)

    against, beside = (replace(table, power_kw=np.full(len(table), value, np.float32)) for value in (5.0, 7.0))
    rows = scored({"one": predict}, table, np.arange(740, 745), replace(FRAME, against=against, beside=beside))["one"]
    assert set(rows.actual.tolist()) == {5.0}
    assert set(rows.baselines["persistence"].tolist()) == {7.0}
    assert_array_equal(seen[0].matrix[::24, 1], table.power_kw[739:744])


def test_with_a_gate_only_its_origins_are_scored() -> None:
    """Origins lie at the gate, and all their targets in the span."""
    table = tiny.hour_table()
    spec = replace(SPEC, gate_s=6 * 3_600)
    origins = origins_within(table, spec, 100, 400)
    assert len(origins) in range(9, 13)
    assert_array_equal(np.diff(origins), 24)
    rows = scored({"one": constant(1.0)}, table, origins, replace(FRAME, spec=spec))["one"]
    assert (int(rows.lead.min()), int(rows.lead.max())) == (19, 42)
    assert int((rows.origin + rows.lead).max()) <= 400


@pytest.mark.parametrize("most", [0, 3])
def test_origins_are_those_whose_targets_lie_in_the_span(most: int) -> None:
    """From the first row to the last that leaves room for the horizon, evenly thinned where asked for."""
    origins = origins_within(tiny.hour_table(), SPEC, 10, 44, most)
    assert origins.tolist() == (list(range(10, 21)) if not most else [10, 15, 20])
