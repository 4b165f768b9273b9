"""Tiny meters, tasks and bundles that several rooms' tests share: real ones, trained once in each test process."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from wattcast.forecasting.backtest import first_test_row
from wattcast.forecasting.baselines import Fallback, climatological_profile, residual_spread
from wattcast.forecasting.bundle import Bundle, open_bundle
from wattcast.forecasting.choosing import record_of
from wattcast.forecasting.families import learner_of
from wattcast.forecasting.registry import Record, ServingManifest
from wattcast.forecasting.runs import PipelineRun
from wattcast.forecasting.scorecard import ScoreRow
from wattcast.forecasting.spec import Recent, Seasonal
from wattcast.forecasting.succession import Step
from wattcast.forecasting.tasks import Effort, ModelPlan, Task
from wattcast.forecasting.training import Recipe, train
from wattcast.meter.quality import QualityReport
from wattcast.meter.table import Flow, Meter, MeterTable
from wattcast.ports import ModelStore

START_S = 1_262_304_000  # 2010-01-01, a Friday
LEVELS = (0.1, 0.5, 0.9)
TRAIN_SHARE = 0.8
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "xgb": {"rounds": 20, "eta": 0.3, "max_depth": 3, "max_bin": 31},
    "rf": {"trees": 5, "max_depth": 5, "max_bin": 31, "min_child_weight": 5, "subsample": 0.7, "reg_lambda": 0},
    "lgbm": {"rounds": 12, "learning_rate": 0.3, "num_leaves": 7, "max_bin": 31, "min_data_in_leaf": 10},
    "extra": {"rounds": 10, "learning_rate": 0.4, "num_leaves": 7, "max_bin": 31, "min_data_in_leaf": 10},
    "ridge": {"penalty": 0.01},
}
_EFFORT = Effort(max_rows=3_000, validation_blocks=1, validation_max_rows=1_500)
TASKS: Mapping[str, Task] = {
    "next_minute": Task(
        resolution_s=60,
        horizon=1,
        target="change",
        models=(
            ModelPlan(
                "history",
                least_readings=10,
                recent=(
                    Recent("power_kw", offsets=(0, 1, 2), means=(5, 30), spreads=(5,), extremes=(5,), event=0.3),
                    Recent("rest_kw", offsets=(0,)),
                    Recent("voltage_v", offsets=(0,)),
                ),
                calendar=("hour",),
            ),
            ModelPlan(
                "one_reading",
                least_readings=1,
                recent=tuple(Recent(column, offsets=(0,)) for column in ("power_kw", "rest_kw", "sub1_wh", "sub2_wh", "sub3_wh")),
                calendar=("hour",),
            ),
        ),
        baselines=("persistence",),
        embargo_steps=10,
        efforts={"fast": _EFFORT},
        event_memory=60,
    ),
    "day_ahead": Task(
        resolution_s=3600,
        horizon=24,
        target="level",
        models=(
            ModelPlan(
                "history",
                least_readings=48,
                recent=(Recent("power_kw", offsets=(0, 1), means=(24,)),),
                seasonal=(Seasonal(days=(1, 2, 7), means=((1, 2, 3),)),),
                calendar=("hour", "weekday"),
            ),
        ),
        baselines=("mean_7_days", "daily_naive", "persistence"),
        embargo_steps=24,
        efforts={"fast": _EFFORT},
        leads_per_origin=5,
    ),
}


def minute_table(days: int = 4, meter: Meter | None = None) -> MeterTable:
    """Days of minutes with appliances that run for a while, noise, a few gaps, and the UCI channels."""
    chance = np.random.default_rng(11)
    count = days * 1_440
    on = np.zeros((3, count), dtype=bool)
    for number, (length, runs_a_day) in enumerate(((20, 14), (45, 6), (90, 4))):
        for begin in chance.integers(0, count, runs_a_day * days):
            on[number, begin : begin + length] = True
    sub_wh = on * np.array([[18.0], [25.0], [17.0]])
    power = 0.25 + sub_wh.sum(axis=0) * 0.06 + 0.1 * np.sin(np.arange(count) * 2 * np.pi / 1_440) + chance.normal(0, 0.02, count)
    voltage = chance.normal(240, 2, count)
    columns = {
        "reactive_power_kvar": 0.1 + 0.05 * power,
        "voltage_v": voltage,
        "current_a": power * 1_000 / voltage,
        **{f"sub{number + 1}_wh": sub_wh[number] for number in range(3)},
    }
    gaps = chance.random(count) < 0.004
    gaps[-5:] = False

    def with_gaps(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
        return np.where(gaps, np.nan, values.round(3)).astype(np.float32)

    covariates = {name: with_gaps(values) for name, values in columns.items()}
    return MeterTable(meter or Meter("house", zone="Europe/Paris"), START_S, 60, with_gaps(power), covariates)


def hour_table(days: int = 60, flow: Flow = "consumption") -> MeterTable:
    """Days of hours with mornings, evenings and weekends, without covariates. net: it feeds in at noon."""
    chance = np.random.default_rng(12)
    hour = np.arange(days * 24) % 24
    weekend = (np.arange(days * 24) // 24 + 4) % 7 >= 5
    shape = 0.4 + 1.1 * np.exp(-(((hour - 7.5) / 1.5) ** 2)) + 1.6 * np.exp(-(((hour - 19.5) / 2.5) ** 2)) + 0.3 * weekend
    power = shape * chance.lognormal(0, 0.15, len(hour)) - (2.5 * np.exp(-(((hour - 12.5) / 2) ** 2)) if flow == "net" else 0.0)
    return MeterTable(Meter("house", zone="Europe/Paris", flow=flow), START_S, 3600, power.astype(np.float32))


def table_of(task_name: str) -> MeterTable:
    """The readings that the tiny task is trained and asked on."""
    return minute_table() if task_name == "next_minute" else hour_table()


def recipe(task_name: str = "next_minute", family: str = "xgb", **changes: Any) -> Recipe:
    """A recipe that trains in a fraction of a second, one thread."""
    whole = Recipe(
        task_name=task_name,
        task=TASKS[task_name],
        family=learner_of(family),
        settings=SETTINGS[family],
        effort=_EFFORT,
        levels=LEVELS,
        train_share=TRAIN_SHARE,
        seed=1,
        threads=1,
    )
    return replace(whole, **changes)


@cache
def bundle(task_name: str = "next_minute", family: str = "xgb", seed: int = 1) -> bytes:
    """The bytes of a trained bundle."""
    return train_on(table_of(task_name), recipe(task_name, family, seed=seed))


def train_on(table: MeterTable, recipe: Recipe) -> bytes:
    """The bytes of a bundle trained on the first part of these readings."""
    return train(table, first_test_row(table, recipe.train_share), recipe, lambda _: None).data


def fallback_of(opened: Bundle, table: MeterTable) -> Fallback:
    """What answers when the bundle cannot, from all these readings."""
    manifest = opened.manifest
    spread = residual_spread(table, manifest.models[0].spec, manifest.baselines, manifest.levels)
    return Fallback(spread, climatological_profile(table, manifest.levels))


def record(data: bytes, table: MeterTable | None = None, **changes: Any) -> Record:
    """What `register` would know of these bytes, the scores of the test taken from the validation."""
    opened = open_bundle(data)
    task, family = opened.manifest.task, opened.manifest.family
    rows = {model.name: ScoreRow(task, family, model.name, opened.id, model.validation) for model in opened.manifest.models}
    table = table if table is not None else table_of(opened.manifest.task)
    quality = QualityReport("good", ("A tiny house.",), {"rows": len(table)})
    known = record_of(opened, rows, fallback_of(opened, table), quality, at="2010-03-01T00:00:00+00:00", by="tests", revision="")
    return replace(known, **changes)


def put_manifest(models: ModelStore, manifest: ServingManifest) -> ServingManifest:
    """Have this manifest serve, whatever was there; as it was published."""
    return models.change(lambda _: Step(manifest, "register"), at="2010-03-01T00:00:00+00:00", by="tests")


def pipeline_run(*bundles: bytes, meter: str = "house", **changes: Any) -> PipelineRun:
    """What a run of the pipeline that made these bundles says of itself."""
    made = tuple((open_bundle(data).manifest, record(data, meter=meter)) for data in bundles)
    whole = PipelineRun(meter, made, {}, "f00d.dir", "2010-03-01T00:00:00+00:00", "tests", "abc123")
    return replace(whole, **changes)


def repacked(data: bytes, members: Mapping[str, bytes] | None = None, change: Callable[[Any], object] = lambda _: None) -> bytes:
    """The bundle with members replaced and its manifest changed, every hash right again: what somebody who writes the store can make."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        contents = {name: archive.read(name) for name in archive.namelist()} | dict(members or {})
    facts = json.loads(contents.pop("manifest.json"))
    facts["files"] = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    change(facts)
    return zipped({"manifest.json": json.dumps(facts).encode(), **contents})


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()
