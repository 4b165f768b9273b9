"""The blend: the mean of families as one more bundle, only where it did better on rows held out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny
from numpy.testing import assert_allclose

from wattcast.errors import BadBundle
from wattcast.forecasting import blending
from wattcast.forecasting.backtest import first_test_row
from wattcast.forecasting.blending import best_members, blend, mean_forecast
from wattcast.forecasting.bundle import Bundle, open_bundle
from wattcast.forecasting.features import build_features
from wattcast.forecasting.metrics import Scored
from wattcast.forecasting.training import train

TABLE = tiny.hour_table()
FIRST = first_test_row(TABLE, tiny.TRAIN_SHARE)


@pytest.fixture(scope="module")
def trained() -> dict[str, tuple[Bundle, dict[str, Scored]]]:
    """Three families of one task: bundle, and what each forecast of the rows held out."""
    made = {key: train(TABLE, FIRST, tiny.recipe("day_ahead", key), lambda _: None) for key in ("xgb", "rf", "lgbm")}
    return {key: (open_bundle(each.data, native=True), dict(each.held_out)) for key, each in made.items()}


def held_out(actual: np.ndarray, forecast: np.ndarray) -> Scored:
    """Rows held out with this forecast as mean and median, beside a baseline that is far off."""
    rows = np.arange(len(actual), dtype=np.int64)
    quantiles = np.stack([forecast - 0.1, forecast, forecast + 0.1], axis=1).astype(np.float32)
    return Scored(tiny.LEVELS, actual, forecast.astype(np.float32), quantiles, {"naive": actual + 3}, rows * 3_600, rows, rows * 0 + 1)


def test_a_blend_forecasts_the_mean_of_its_members(trained: dict[str, tuple[Bundle, dict[str, Scored]]]) -> None:
    """One graph gives the mean of the members' heads; its record of who they are, its native files and its calibration are its own."""
    made = blend(
        {key: bundle for key, (bundle, _) in trained.items()}, {key: rows for key, (_, rows) in trained.items()}, TABLE.rows(0, FIRST)
    )
    assert not isinstance(made, str), made
    blended = open_bundle(made.data, native=True)
    members = list(blended.manifest.params["members"])
    assert len(members) >= 2
    assert blended.manifest.family == "blend"
    assert {name.split("/")[1] for name in blended.manifest.models[0].native} == set(members)
    features = build_features(TABLE, np.arange(FIRST, FIRST + 50), blended.manifest.models[0].spec)
    each = [trained[key][0].models[0].heads(features.matrix) for key in members]
    assert_allclose(blended.models[0].heads(features.matrix), np.mean(each, axis=0), atol=1e-4)
    assert set(made.held_out) == {"history"}
    assert blended.manifest.models[0].validation.n == len(made.held_out["history"].actual)


def test_a_mean_that_is_no_better_is_not_made(trained: dict[str, tuple[Bundle, dict[str, Scored]]]) -> None:
    """Where one family alone did best on the rows held out, the reason stands in place of a bundle."""
    held = {key: dict(rows) for key, (_, rows) in trained.items()}
    exact = held["lgbm"]["history"]
    held["lgbm"]["history"] = replace(exact, mean=exact.actual, quantiles=np.repeat(exact.actual[:, None], 3, axis=1))
    said = blend({key: bundle for key, (bundle, _) in trained.items()}, held, TABLE.rows(0, FIRST))
    assert said == "no mean of families did better than lgbm alone on the rows held out"


def test_members_are_those_whose_mean_did_best() -> None:
    """Errors that cancel make a pair of poor families better than a good one; a family that only harms is left out."""
    actual = np.random.default_rng(1).uniform(1, 2, 500).astype(np.float32)
    rows = {"high": held_out(actual, actual + 0.5), "low": held_out(actual, actual - 0.5), "fair": held_out(actual, actual + 0.2)}
    assert best_members(rows) == ("high", "low")
    assert_allclose(mean_forecast([rows["high"], rows["low"]]).mean, actual, atol=1e-5)


def test_a_merged_graph_that_disagrees_is_no_blend(
    trained: dict[str, tuple[Bundle, dict[str, Scored]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the merged heads do not give the mean within 1e-4 kW, there is an error with the figure."""
    monkeypatch.setattr(blending, "disagreement", lambda *_: 0.01)
    members = {key: bundle for key, (bundle, _) in trained.items()}
    with pytest.raises(BadBundle, match="the blend and the mean of its members differ"):
        blend(members, {key: rows for key, (_, rows) in trained.items()}, TABLE.rows(0, FIRST))
