"""A bundle is data: the same inputs give the same bytes, and what it forecasts is what its record says."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np
import pytest
import tiny
import xgboost

from wattcast.errors import BadBundle
from wattcast.forecasting import bundle as bundle_module
from wattcast.forecasting.bundle import Bundle, open_bundle
from wattcast.forecasting.families import learner_keys
from wattcast.forecasting.features import build_features
from wattcast.forecasting.registry import record_from_json, record_to_json
from wattcast.meter.table import MeterTable

EVERY = [(task, family) for task in tiny.TASKS for family in learner_keys()]


@pytest.mark.parametrize(("task", "family"), EVERY)
def test_the_same_inputs_give_the_same_bytes(task: str, family: str) -> None:
    """Training twice gives one file; another seed gives another."""
    again = tiny.train_on(tiny.table_of(task), tiny.recipe(task, family))
    assert again == tiny.bundle(task, family)
    if family != "lgbm":
        assert tiny.bundle(task, family, seed=2) != again


def test_another_process_gives_the_same_bytes() -> None:
    """Nothing of a process ends in the file: its hash seed, its clock, its folder."""
    code = "import hashlib, sys, tiny\nfor line in sys.stdin: print(hashlib.sha256(tiny.bundle(*line.split())).hexdigest())"
    asked = "".join(f"{task} {family}\n" for task, family in EVERY)
    environment = os.environ | {"PYTHONHASHSEED": "77", "TZ": "Asia/Tokyo", "PYTHONPATH": str(Path(tiny.__file__).parent)}
    told = subprocess.run([sys.executable, "-c", code], input=asked, capture_output=True, text=True, check=True, env=environment, cwd="/")
    assert told.stdout.split() == [hashlib.sha256(tiny.bundle(task, family)).hexdigest() for task, family in EVERY]


def test_a_bundle_says_what_it_is(tiny_bundle: bytes) -> None:
    """Task, family, meter, span and settings come back as they went in."""
    opened = open_bundle(tiny_bundle, expected_id=hashlib.sha256(tiny_bundle).hexdigest())
    manifest = opened.manifest
    table = tiny.minute_table()
    assert (manifest.format, manifest.task, manifest.family, manifest.meter) == (1, "next_minute", "xgb", table.meter)
    assert (manifest.step_s, manifest.horizon, manifest.levels) == (60, 1, tiny.LEVELS)
    assert (manifest.train_start_s, manifest.train_end_s) == (table.start_s, table.start_s + len(table) * 48)
    assert [model.facts.name for model in opened.models] == ["history", "one_reading"]
    assert manifest.params["settings"] == tiny.SETTINGS["xgb"]
    assert {"numpy", "onnx", "xgboost"} <= set(manifest.versions)


def test_replay_sees_other_heads(tiny_bundle: bytes) -> None:
    """A bundle that forecasts something else than its record says is refused, its own record is met."""
    golden = tiny.record(tiny_bundle).golden
    opened = open_bundle(tiny_bundle)
    opened.replay(golden)
    nudged = {name: [[value + 2e-4 for value in step] for step in steps] for name, steps in golden.items()}
    for expected in (nudged, {}, {"history": golden["history"]}, {**golden, "third": golden["history"]}, {key: [[1.0]] for key in golden}):
        with pytest.raises(BadBundle, match="does not forecast what its record says"):
            opened.replay(expected)


def with_gap_at(end: int, length: int) -> MeterTable:
    """Minutes of which `length` before row `end` are missing."""
    table = tiny.minute_table()
    columns = {name: values.copy() for name, values in table.columns().items()}
    for values in columns.values():
        values[end - length : end] = np.nan
    return replace(table, power_kw=columns.pop("power_kw"), covariates=columns)


@pytest.mark.parametrize(("length", "known"), [(7, True), (300, False)])
def test_a_training_span_that_ends_in_a_gap_can_be_replayed(length: int, known: bool) -> None:
    """Golden forecasts start from the last reading there is; where none is near, there is no forecast to meet."""
    table = with_gap_at(int(4 * 1_440 * tiny.TRAIN_SHARE), length)
    data = tiny.train_on(table, tiny.recipe())
    golden = tiny.record(data, table).golden
    assert bool(np.isfinite(np.array(golden["history"])).all()) is known
    open_bundle(data).replay(record_from_json(record_to_json(tiny.record(data, table))).golden)


def test_golden_forecasts_of_a_day_are_a_day(tiny_bundle: bytes) -> None:
    """One list per lead: the mean, then the quantiles, which never cross."""
    golden = open_bundle(tiny.bundle("day_ahead", "rf")).golden_forecasts()["history"]
    assert np.array(golden).shape == (24, 4)
    assert (np.diff(np.array(golden)[:, 1:], axis=1) >= 0).all()
    assert np.array(open_bundle(tiny_bundle).golden_forecasts()["one_reading"]).shape == (1, 4)


def native_heads(opened: Bundle, model: str, matrix: Any) -> Any:
    """The heads as their own library answers from the native members."""
    columns = []
    for name in next(facts.native for facts in opened.manifest.models if facts.name == model):
        content = opened.members[name]
        if name.endswith(".ubj"):
            booster = xgboost.Booster()
            booster.load_model(bytearray(content))
            columns.append(booster.inplace_predict(matrix).reshape(len(matrix), -1))
        else:
            columns.append(lightgbm.Booster(model_str=content.decode()).predict(matrix, num_threads=1).reshape(-1, 1))
    return np.concatenate(columns, axis=1)


@pytest.mark.parametrize(("task", "family"), [(task, family) for task, family in EVERY if family != "ridge"])
def test_native_heads_are_there_and_agree(task: str, family: str) -> None:
    """Asked for, the learners' own files are read, their libraries load them, and they answer as what serves does."""
    opened = open_bundle(tiny.bundle(task, family), native=True)
    table = tiny.table_of(task)
    for model in opened.models:
        matrix = build_features(table, np.arange(200, 400), model.facts.spec).matrix
        np.testing.assert_allclose(native_heads(opened, model.facts.name, matrix), model.heads(matrix), atol=1e-4)
    assert set(open_bundle(tiny.bundle(task, family)).members) == {"golden.npz", *(facts.graph for facts in opened.manifest.models)}


def test_who_can_answer() -> None:
    """A model answers from the number of measured readings it needs; one that counts from the last reading needs that one too."""
    history, one_reading = open_bundle(tiny.bundle()).models
    table = tiny.minute_table().rows(0, 500)
    power = np.full(500, np.nan, dtype=np.float32)
    reach = history.facts.spec.history_steps

    def measured(*rows: int) -> MeterTable:
        values = power.copy()
        values[list(rows)] = 1.0
        return replace(table, power_kw=values)

    last = [*range(491, 500)]
    assert not one_reading.can_answer(table.rows(0, 0), 0)
    assert one_reading.can_answer(measured(499), 500)
    assert not history.can_answer(measured(*last), 500)
    assert history.can_answer(measured(490, *last), 500)
    assert history.can_answer(measured(500 - reach, *last), 500)
    assert not history.can_answer(measured(499 - reach, *last), 500)
    assert not one_reading.can_answer(measured(*range(490, 499)), 500)
    assert one_reading.can_answer(measured(*range(490, 499)), 499)


def test_a_level_needs_no_last_reading() -> None:
    """The day ahead answers though the last hours are missing, and not with fewer readings than it needs."""
    (day,) = open_bundle(tiny.bundle("day_ahead", "xgb")).models
    table = tiny.hour_table().rows(0, 100)
    late = replace(table, power_kw=np.where(np.arange(100) < 60, table.power_kw, np.float32(np.nan)))
    assert day.can_answer(late, 100)
    assert not day.can_answer(table, 47)
    assert np.isfinite(day.forecast(late, 100)[0]).all()


def test_the_format_number_is_pinned() -> None:
    """Changing what a bundle holds means changing its number."""
    assert (bundle_module.FORMAT, bundle_module.SUFFIX) == (1, ".wattcast")
