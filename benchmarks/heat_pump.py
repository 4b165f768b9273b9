"""`make bench-heat-pump`: what a temperature forecast is worth to a simulated house with a heat pump, and what its loss costs.

The same families on the same rows: without temperature, with its forecast, and with a forecast that stopped arriving where the test begins.
Writes results/heat_pump.json and docs/accuracy.md.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from page import write_page
from rich.console import Console
from rich.table import Table

import wattcast
from wattcast.config import load_params
from wattcast.forecasting.backtest import Frame, first_test_row, folds, joined, origins_within, walk_forward
from wattcast.forecasting.blending import plain_families
from wattcast.forecasting.breakdown import skill_interval
from wattcast.forecasting.metrics import Scored, mae, rmse
from wattcast.forecasting.spec import Known
from wattcast.meter.cleaning import resample
from wattcast.meter.readers.known_file import join_known
from wattcast.meter.sample import House, as_uci_text, simulate
from wattcast.meter.table import MeterTable
from wattcast.meter.weather import as_csv, temperature_forecast
from wattcast.stages.train import recipe_of

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "heat_pump.json"
DAYS, SEED, FAMILIES = 730, 20_240_101, ("xgb", "lgbm", "extra")
TEMPERATURE = Known("temperature_c", offsets=(0, 3), means=(24,))


def main() -> None:
    """Walk forward through the last fifth of two years, with and without."""
    table = house()
    rows = {
        "without temperature": walked(replace(table, known={}), ()),
        "with its forecast": walked(table, (TEMPERATURE,)),
        "forecast stopped at the test": walked(stopped(table), (TEMPERATURE,)),
    }
    before = rows["without temperature"]["blend"]
    found: dict[str, Any] = {"rows": len(before.actual), "days": DAYS, "cases": {}}
    for case, by_family in rows.items():
        found["cases"][case] = {
            key: {"MAE": mae(own.actual, own.median), "RMSE": rmse(own.actual, own.mean)} for key, own in by_family.items()
        }
        beside = replace(by_family["blend"], baselines={"without": before.median})
        found["cases"][case]["gain"] = skill_interval(beside, table.meter.zone, "without", "mae")
    found["baseline"] = {
        "MAE": mae(before.actual, before.baselines["mean_7_days"]),
        "RMSE": rmse(before.actual, before.baselines["mean_7_days"]),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1))
    write_page()
    show(found)


def house() -> MeterTable:
    """Two years of hours of the simulated house with a heat pump, and the temperature forecast beside it."""
    with tempfile.TemporaryDirectory() as folder:
        readings, weather = Path(folder) / "heat-pump.txt", Path(folder) / "weather.csv"
        readings.write_bytes(as_uci_text(simulate(DAYS, SEED, heat_pump=True)))
        weather.write_bytes(as_csv(temperature_forecast(House().first_day, DAYS, SEED)))
        return join_known(resample(wattcast.read(readings, meter="heat-pump"), 3_600), weather)


def stopped(table: MeterTable) -> MeterTable:
    """The table whose temperature forecasts end where the test begins."""
    until = table.start_s + first_test_row(table, 0.8) * table.step_s
    return replace(table, known={name: column.known_by(until) for name, column in table.known.items()})


def walked(table: MeterTable, known: tuple[Known, ...]) -> Mapping[str, Scored]:
    """Every family and the blend on the last fifth, fitted once before it."""
    params = load_params()
    task = params.tasks["day_ahead"]
    plan = replace(task.models[0], known=known)
    recipes = {key: replace(recipe_of(params, "day_ahead", key, "best"), levels=(0.5,), threads=os.cpu_count() or 1) for key in FAMILIES}
    first = first_test_row(table, 0.8)
    spec = task.spec(plan, table, ())
    origins = origins_within(table, spec, first, len(table))
    learn: Any = plain_families(spec, recipes, FAMILIES, lambda share: None)  # noqa: ARG005
    parts: list[Mapping[str, Scored]] = list(
        walk_forward(table, folds(origins, np.array([first]), task.embargo_steps), learn, Frame(spec, task.baselines, (0.5,)))
    )
    return {who: joined([part[who] for part in parts]) for who in parts[0]}


def show(found: Mapping[str, Any]) -> None:
    """The table for a person."""
    shown = Table(title=f"Simulated house with a heat pump, day ahead, {found['rows']:,} rows", title_justify="left")
    for heading in ("", *(f"{key} MAE / RMSE" for key in (*FAMILIES, "blend")), "blend's MAE against without, 95 %"):
        shown.add_column(heading, justify="right" if heading else "left")
    for number, (case, by_family) in enumerate(found["cases"].items()):
        low, high = by_family["gain"]
        figures = [f"{by_family[key]['MAE']:.4f} / {by_family[key]['RMSE']:.4f}" for key in (*FAMILIES, "blend")]
        shown.add_row(case, *figures, f"{-high:+.1%} to {-low:+.1%}" if number else "")
    shown.add_row("the 7-day mean", f"{found['baseline']['MAE']:.4f} / {found['baseline']['RMSE']:.4f}")
    Console(width=140).print(shown)


if __name__ == "__main__":
    main()
