"""The command that trains the model of all meters: meter files and simulated houses in, the slot `*` of the store out."""

# ruff: noqa: PLC0415 (a command loads what it needs when it runs)

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wattcast.cli.console import AsJson, print_json, say
from wattcast.cli.forecasting import at_resolution
from wattcast.cli.options import Store, params_here, settings_of

if TYPE_CHECKING:
    from wattcast.config import Params
    from wattcast.forecasting.registry import Record
    from wattcast.meter.table import MeterTable

# The first house of the pool: benchmarks draw theirs elsewhere.
_FIRST_HOUSE = 1


def pool(
    files: Annotated[list[Path] | None, typer.Argument(metavar="[FILE]...", help="Meter files to learn from.", show_default=False)] = None,
    *,
    simulated: Annotated[int, typer.Option(min=0, max=1_000, help="How many simulated houses to learn from too.")] = 40,
    days: Annotated[int, typer.Option(min=61, max=4_000, help="How many days of each simulated house.")] = 300,
    task: Annotated[str, typer.Option(help="What is forecast, as params.yaml calls it.")] = "day_ahead",
    family: Annotated[str, typer.Option(help="Which family learns: xgb, rf or lgbm.")] = "lgbm",
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Train one model of normalised load over many meters; it answers for meters without a model of their own."""
    from wattcast.adapters.wiring import connect
    from wattcast.forecasting.bundle import open_bundle
    from wattcast.forecasting.choosing import slot_of
    from wattcast.forecasting.pooling import train
    from wattcast.forecasting.star import STAR
    from wattcast.forecasting.succession import register_star
    from wattcast.meter.neighbourhood import simulated_meters
    from wattcast.stages.progress import progress
    from wattcast.stages.train import recipe_of

    params = params_here()
    recipe = recipe_of(params, task, family, "fast" if params.preset == "fast" else "best")
    tables = [_table(file, task, params) for file in files or []]
    with progress(f"{len(tables)} meters and {simulated} simulated houses, {recipe.family.title}") as report:
        tables += simulated_meters(simulated, days, _FIRST_HOUSE, recipe.task.resolution_s)
        bundle = open_bundle(train(tables, recipe, report).data)
    kept = connect(settings_of(store=store)).store
    kept.put_bundle(bundle.data)
    record = _record(bundle, tables, params)
    kept.put_record(record)
    slot = slot_of(task, recipe.task, STAR, params.quantiles, [record], "")
    manifest = kept.change(partial(register_star, slot=slot), at=record.trained_at, by=record.trained_by)
    if as_json:
        print_json({**_values(record), "meters": len(tables), "simulated": simulated, "champion": slot.champion, "serial": manifest.serial})
    else:
        say(f"{task} of any meter, from {len(tables)} meters, {simulated} simulated houses among them; on meters held out:")
        say("\n".join([*_in_words(record), *slot.in_words(), f"serving manifest {manifest.serial}"]))


def _table(file: Path, task: str, params: Params) -> MeterTable:
    """The readings of a file that is to be believed, at the task's resolution."""
    from wattcast.cli.looking import refuse_unbelievable
    from wattcast.meter.cleaning import to_table
    from wattcast.meter.readers import read
    from wattcast.stages.readings import read_options

    refuse_unbelievable(file, params)
    readings = to_table(read(file, read_options(params, file)))
    return at_resolution(params.tasks[task].resolution_s, readings, task, params)


def _record(bundle: Any, tables: list[MeterTable], params: Params) -> Record:
    """What is known of the model: how it did on meters it was not fitted to, and the typical day of all of them."""
    from wattcast.adapters.provenance import provenance
    from wattcast.forecasting.baselines import Fallback
    from wattcast.forecasting.choosing import record_of
    from wattcast.forecasting.pooling import population_profile
    from wattcast.forecasting.scorecard import ScoreRow
    from wattcast.meter.quality import QualityReport

    (facts,) = bundle.manifest.models
    simulated = sum(table.meter.simulated for table in tables)
    quality = QualityReport("usable", (f"Learned from {len(tables)} meters, {simulated} of them simulated.",))
    fallback = Fallback({}, population_profile(tables, params.quantiles, facts.spec.scale.prior_kw))
    row = ScoreRow(bundle.manifest.task, bundle.manifest.family, facts.name, bundle.id, facts.validation)
    return record_of(bundle, {facts.name: row}, fallback, quality, **provenance())


def _values(record: Record) -> dict[str, Any]:
    """The score on meters held out, beside its baseline."""
    from wattcast.cli.listing import score_as_values

    (score,) = record.tests.values()
    return {"task": record.task, "family": record.family, "held_out": score_as_values(score)}


def _in_words(record: Record) -> list[str]:
    from wattcast.forecasting.baselines import TITLES

    (score,) = record.tests.values()
    beside = [(TITLES[name], errors["mae"], errors["rmse"]) for name, errors in score.baselines.items()]
    return [f"  {who}: MAE {mae:.4f} kW, RMSE {rmse:.4f} kW" for who, mae, rmse in [("the model", score.mae, score.rmse), *beside]]
