"""Small trained models in a store: two meters, three families, made in seconds."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import tiny
from flask.testing import FlaskClient

from wattcast.adapters.files import FileSnapshots
from wattcast.adapters.model_store import FileModelStore
from wattcast.forecasting.backtest import first_test_row, scored_test
from wattcast.forecasting.baselines import Fallback, climatological_profile, residual_spread
from wattcast.forecasting.bundle import open_bundle
from wattcast.forecasting.choosing import slot_of
from wattcast.forecasting.families import learner_of
from wattcast.forecasting.metrics import score
from wattcast.forecasting.model import Model
from wattcast.forecasting.registry import Record, ServingManifest, Slot
from wattcast.forecasting.spec import Recent, Seasonal
from wattcast.forecasting.tasks import Effort, ModelPlan, Task
from wattcast.forecasting.training import Recipe, train
from wattcast.meter.cleaning import resample
from wattcast.meter.quality import QualityReport
from wattcast.meter.table import Meter, MeterTable

HOUSE = Meter("house", "Europe/Paris", holidays="", simulated=True)
HOURLY = Meter("hourly", "+01:00")
LEVELS = (0.1, 0.5, 0.9)
TITLES = {"xgb": "XGBoost Regressor", "rf": "Random Forest Regressor", "lgbm": "LightGBM Regressor"}
# Two days after the readings' end: 26 Nov 2010 22:00 in Paris.
END_S = int(datetime(2010, 11, 26, 21, tzinfo=UTC).timestamp())
NOW_S = END_S + 2 * 86_400
SECONDS = 60

_COLUMNS = ("power_kw", "reactive_power_kvar", "voltage_v", "current_a", "sub1_wh", "sub2_wh", "sub3_wh")
_EFFORT = {"fast": Effort(max_rows=4_000, validation_blocks=1, validation_max_rows=2_000)}
_ONE_READING = tuple(Recent(name, offsets=(0,)) for name in _COLUMNS)
TASKS = {
    "next_minute": Task(
        resolution_s=60,
        horizon=1,
        target="change",
        models=(
            ModelPlan("history", 60, (Recent("power_kw", offsets=(0, 1, 2), means=(60,)), *_ONE_READING[1:])),
            ModelPlan("one_reading", 1, _ONE_READING),
        ),
        baselines=("persistence",),
        embargo_steps=10,
        efforts=_EFFORT,
    ),
    "day_ahead": Task(
        resolution_s=3_600,
        horizon=24,
        target="level",
        models=(ModelPlan("history", 168, (Recent("power_kw", offsets=(0,)),), (Seasonal(days=(1, 7)),)),),
        baselines=("mean_7_days", "daily_naive"),
        embargo_steps=24,
        efforts=_EFFORT,
        leads_per_origin=6,
    ),
}
_SETTINGS: dict[str, dict[str, Any]] = {
    "xgb": {"rounds": 12, "eta": 0.3, "max_depth": 4},
    "rf": {"trees": 6, "max_depth": 5},
    "lgbm": {"rounds": 12, "learning_rate": 0.3, "num_leaves": 8},
}
# browse(store, **settings) -> a client of the app over a store.
Browse = Callable[..., FlaskClient]
READING = {
    "model_choice": "XGBoost Regressor",
    "datetime": "2010-11-26T21:05",
    "Global_reactive_power": "0.12",
    "Voltage": "240.5",
    "Global_intensity": "5.2",
    "Sub_metering_1": "0",
    "Sub_metering_2": "1",
    "Sub_metering_3": "17",
}


def house_readings(days: int = 30) -> MeterTable:
    """Minutes of a house that follows the clock, with noise."""
    start_s = END_S - days * 86_400
    minutes = np.arange(days * 1_440)
    rng = np.random.default_rng(7)
    power = 1.0 + 0.6 * np.sin(2 * np.pi * (minutes % 1_440) / 1_440) + rng.normal(0, 0.2, len(minutes))
    power = np.maximum(power, 0.05)
    voltage = 240 + rng.normal(0, 1, len(minutes))
    third = np.where(minutes % 1_440 > 1_000, 17.0, 0.0)
    columns = [power, 0.1 + 0 * power, voltage, power * 1_000 / voltage, 0 * power, 1 + 0 * power, third]
    table = dict(zip(_COLUMNS, (np.asarray(values, dtype=np.float32) for values in columns), strict=True))
    return MeterTable(HOUSE, start_s, 60, table.pop("power_kw"), table)


def _publish(store: Path, tables: dict[str, MeterTable], meter: Meter, families: tuple[str, ...], vetoed: tuple[str, ...]) -> list[Slot]:
    models, readings = FileModelStore(store), FileSnapshots(store)
    records = []
    for name, table in tables.items():
        for key in families:
            recipe = Recipe(name, TASKS[name], learner_of(key), _SETTINGS[key], _EFFORT["fast"], LEVELS, 0.8, 1, 1)
            data = train(table, first_test_row(table, 0.8), recipe, lambda _: None).data
            models.put_bundle(data)
            veto = ("from history, daily_naive has MAE 0.1000 kW, the family 0.2000",) if f"{name}/{key}" in vetoed else ()
            records.append(record_of(data, table, veto))
            models.put_record(records[-1])
        readings.put(table.rows(len(table) - 2_000, len(table)))
    reasons = {name: "" if name in tables else "the readings are 3600 s apart, it needs 60 s or finer" for name in TASKS}
    return [slot_of(name, task, meter.id, LEVELS, records, reasons[name]) for name, task in TASKS.items()]


def record_of(data: bytes, table: MeterTable, veto: tuple[str, ...] = ()) -> Record:
    """The record of a bundle, as register writes it."""
    bundle = open_bundle(data)
    manifest, first = bundle.manifest, first_test_row(table, 0.8)
    tests = {model.facts.name: score(scored_test({"": model}, table, first, manifest.baselines, LEVELS)[""]) for model in bundle.models}
    return Record(
        bundle=bundle.id,
        task=manifest.task,
        family=manifest.family,
        meter=manifest.meter.id,
        tests=tests,
        validation={model.name: model.validation for model in manifest.models},
        veto=veto,
        golden=bundle.golden_forecasts(),
        fallback=Fallback(
            residual_spread(table, manifest.models[0].spec, manifest.baselines, LEVELS), climatological_profile(table, LEVELS)
        ),
        quality=QualityReport("usable", ("30.0 days at 1 min.", "The longest gap lasts <3> days."), {}),
        trained_at="2026-11-24T20:58:00+00:00",
        trained_by="tester",
        revision="",
    )


def publish_two_meters(store: Path) -> None:
    """`hourly`, which has no next minute, and then `house`: simulated, both tasks, one family vetoed for the day ahead."""
    minutes = house_readings()
    hours = resample(minutes, 3_600)
    hourly = replace(hours, meter=HOURLY, covariates={})
    manifest = ServingManifest()
    for meter, tables, families in (
        (HOURLY, {"day_ahead": hourly}, ("xgb",)),
        (HOUSE, {"next_minute": minutes, "day_ahead": hours}, ("xgb", "rf", "lgbm")),
    ):
        manifest = manifest.with_slots(meter, _publish(store, tables, meter, families, ("day_ahead/lgbm",)))
        tiny.put_manifest(FileModelStore(store), manifest)


def next_minute_model(store: Path, family: str, name: str) -> Model:
    """One model of the house's next-minute bundle of a family."""
    models = FileModelStore(store)
    slot = models.manifest().slots["next_minute/house"]
    bundle = open_bundle(models.bundle(slot.families[family]))
    return next(model for model in bundle.models if model.facts.name == name)


def flip_one_byte(store: Path, bundle_id: str) -> None:
    """Alter the middle of a bundle's file by one bit."""
    path = store / "bundles" / f"{bundle_id}.wattcast"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def wait_for(happened: Callable[[], bool]) -> None:
    """Wait until it has, for a minute at most."""
    deadline = time.monotonic() + SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)
