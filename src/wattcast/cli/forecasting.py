"""The command that forecasts: the readings of a file in, a curve with its quantiles out."""

# ruff: noqa: PLC0415 (a command loads what it needs when it runs)

from __future__ import annotations

import csv
import io
import json
import sys
import time
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wattcast.cli.console import AsJson, print_json, say, say_aside, stdout, table
from wattcast.cli.looking import MeterFile
from wattcast.cli.options import Store, params_here, settings_of
from wattcast.errors import BadParams, BadRequest

if TYPE_CHECKING:
    from wattcast.config import Params
    from wattcast.forecasting.forecast import Forecast
    from wattcast.meter.table import MeterTable
    from wattcast.ports import ModelStore
    from wattcast.serving import ForecastService

_SUFFIXES = (".csv", ".parquet", ".json")


def _suffix(out: Path | None) -> Path | None:
    if out is not None and out.suffix not in _SUFFIXES:
        raise typer.BadParameter(f"{out} must end in {', '.join(_SUFFIXES)}")
    return out


def forecast(  # noqa: PLR0913 (each is an option of the command)
    file: MeterFile,
    *,
    task: Annotated[str, typer.Option(help="What is forecast, as params.yaml calls it.")] = "day_ahead",
    origin: Annotated[str, typer.Option(help="Moment to forecast from, ISO 8601. Without it, the end of the readings.")] = "",
    family: Annotated[str, typer.Option(help="xgb, rf, lgbm, extra, ridge or blend. Without it, the champion.")] = "",
    meter: Annotated[str, typer.Option(help="Registered meter that the readings are of. Without it, the file's name.")] = "",
    yearly_kwh: Annotated[
        float | None, typer.Option("--yearly-kwh", help="What the meter uses in a year, for the model of all meters (wattcast pool).")
    ] = None,
    why: Annotated[bool, typer.Option("--why", help="Show what yesterday, the calendar, ... add to the mean, in kW.")] = False,
    out: Annotated[Path | None, typer.Option(callback=_suffix, help="Write the curve to FILE.csv, .parquet or .json.")] = None,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Forecast from the end of a meter file. Prints JSON, on a terminal a table.

    A registered meter is answered by its champion; any other one by the model of all meters, else by a baseline; the answer says which.
    """
    from wattcast.adapters.wiring import connect
    from wattcast.config import nearest
    from wattcast.forecasting.families import family_keys
    from wattcast.serving import Ask, ForecastService

    params = params_here()
    services = connect(settings_of(store=store))
    service = ForecastService(services.store, services.snapshots)
    service.load()
    readings, origin_s = _readings(file, service, params, meter, origin)
    if service.manifest.slot(task, readings.meter.id) is None:
        _introduce(service, task, readings, params)
    step_s = service.slot(task, readings.meter.id).step_s
    if family and family not in family_keys():
        raise BadParams(f'"{family}" is no family{nearest(family, family_keys())}', "leave --family out for the champion")
    asked = at_resolution(step_s, readings, task, params)
    answer = service.forecast(Ask(readings.meter.id, task, int(time.time()), asked, origin_s, family, yearly_kwh))
    whole = answer.to_json() | ({"why": _taken_apart(answer, services.store, asked, yearly_kwh)} if why else {})
    _tell(answer, whole, out, as_json=as_json)


def _readings(file: Path, service: ForecastService, params: Params, meter: str, origin: str) -> tuple[MeterTable, int | None]:
    """What the file says was known at the origin, at its own resolution, and the origin; of the registered meter where there is one."""
    from wattcast.meter.cleaning import to_table
    from wattcast.meter.readers import read
    from wattcast.stages.readings import read_options

    options = read_options(params, Path(service.meter(meter).id) if meter else file)
    registered = service.manifest.meters.get(options.meter.id, options.meter)
    readings = read(file, replace(options, meter=registered))
    if not origin:
        return to_table(readings), None
    origin_s = _epoch(origin, registered.zone)
    known = readings.frame.filter(readings.frame["start"] <= origin_s - readings.step_s)
    if known.is_empty():
        raise BadRequest(f"--origin {origin} lies before the first reading of {file}", "give an origin within or after the readings")
    return to_table(replace(readings, frame=known)), origin_s


def at_resolution(step_s: int, readings: MeterTable, task: str, params: Params) -> MeterTable:
    """The readings at the task's resolution, as preprocess makes them. Raises BadRequest where they are too coarse for it."""
    from wattcast.stages.preprocess import at_step

    if step_s % readings.step_s:
        raise BadRequest(f"{task} needs readings of {step_s} s or finer, these are {readings.step_s} s apart", "forecast another task")
    return at_step(readings, step_s, params)


def _epoch(moment: str, zone: str) -> int:
    """The moment in UTC epoch seconds; one without an offset is on the clock of the meter."""
    from wattcast.meter.clock import zone_of

    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError:
        raise typer.BadParameter(f"--origin {moment} is not a moment; write it like 2010-11-26T21:00") from None
    return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=zone_of(zone))).timestamp())


def _introduce(service: ForecastService, task: str, known: MeterTable, params: Params) -> None:
    """Have the service answer for a meter that was never registered: no model, only what its own readings tell."""
    from wattcast.config import nearest
    from wattcast.forecasting.baselines import Fallback, climatological_profile, residual_spread
    from wattcast.forecasting.choosing import slot_of
    from wattcast.forecasting.registry import Record
    from wattcast.meter.quality import QualityReport

    if task not in params.tasks:
        raise BadParams(f'"{task}" is no task{nearest(task, list(params.tasks))}', "params.yaml states the tasks")
    plan, meter = params.tasks[task], known.meter
    table = at_resolution(plan.resolution_s, known, task, params)
    spread = residual_spread(table, plan.frame(meter.zone), plan.baselines, params.quantiles)
    record = Record(
        bundle="readings",
        task=task,
        family="",
        meter=meter.id,
        tests={},
        validation={},
        veto=(),
        golden={},
        fallback=Fallback(spread, climatological_profile(table, params.quantiles)),
        quality=QualityReport("usable", ()),
        trained_at="",
        trained_by="",
        revision="",
    )
    unknown = f'no model was trained for {task} of meter "{meter.id}" (make run trains them)'
    slot = slot_of(task, plan, meter.id, params.quantiles, [], unknown)
    service.manifest = service.manifest.with_slots(meter, [replace(slot, standby=record.bundle)])
    service.records[record.bundle] = record


def _taken_apart(answer: Forecast, store: ModelStore, readings: MeterTable, yearly_kwh: float | None) -> dict[str, Any]:
    """What each group adds to the mean of every step, or the reason why nothing is said of it."""
    from wattcast.forecasting.bundle import open_bundle
    from wattcast.forecasting.contributions import explain, unexplained

    if not answer.version:
        return unexplained(answer.model)
    bundle = open_bundle(store.bundle(answer.version), expected_id=answer.version, native=True)
    row = (answer.origin_s - readings.start_s) // readings.step_s
    return explain(bundle, readings, row, yearly_kwh).to_json()


def _tell(answer: Forecast, whole: dict[str, Any], out: Path | None, *, as_json: bool) -> None:
    """The curve in its file, as JSON or as a table, and beside a file and a table what makes it up."""
    if out is not None:
        _write(whole, out)
        (say_aside if as_json else say)(f"{out}: {len(answer.steps)} steps, {_about(answer)}")
    if as_json or (out is None and not sys.stdout.isatty()):
        print_json(whole)
        return
    if out is None:
        _show(answer, whole)
    if "why" in whole:
        _show_why(whole)


def _write(whole: dict[str, Any], out: Path) -> None:
    from wattcast.adapters.files import write_atomically

    write_atomically(out, {".json": _as_json, ".csv": _as_csv, ".parquet": _as_parquet}[out.suffix](whole))


def _as_json(whole: dict[str, Any]) -> bytes:
    return json.dumps(whole, indent=1, ensure_ascii=False).encode()


def _as_csv(whole: dict[str, Any]) -> bytes:
    text = io.StringIO(newline="")
    rows = _rows(whole)
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _as_parquet(whole: dict[str, Any]) -> bytes:
    import polars as pl

    frame = pl.DataFrame(_rows(whole)).with_columns(pl.col("start", "origin").str.to_datetime("%Y-%m-%dT%H:%M:%S%:z", time_zone="UTC"))
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()


def _rows(whole: dict[str, Any]) -> list[dict[str, Any]]:
    """One flat row per step, with what stands behind it repeated in each."""
    behind = {name: whole[name] for name in ("meter", "task", "origin", "tier", "model", "version")}
    return [
        {"start": step["start"], "mean_kw": step["mean"]}
        | {f"p{float(level) * 100:g}_kw": value for level, value in step["quantiles"].items()}
        | behind
        for step in whole["steps"]
    ]


def _about(answer: Forecast) -> str:
    from wattcast.forecasting.forecast import TIERS

    version = f" {answer.version[:12]}" if answer.version else ""
    return f"by {answer.model}{version}, {TIERS[answer.tier]}" + (f": {answer.reason}" if answer.reason else "")


def _show(answer: Forecast, whole: dict[str, Any]) -> None:
    say(f"{answer.task} of meter {answer.meter} from {whole['origin']}, kW")
    say(_about(answer))
    levels = [f"P{level * 100:g}" for level in answer.steps[0].quantiles]
    rows = table("start", "mean", *levels)
    for step in whole["steps"]:
        rows.add_row(step["start"], f"{step['mean']:.3f}", *(f"{value:.3f}" for value in step["quantiles"].values()))
    stdout().print(rows)


def _show_why(whole: dict[str, Any]) -> None:
    from wattcast.forecasting.contributions import STARTS

    why, steps = whole["why"], whole["steps"]
    if not why["groups"]:
        say(f"Why: {why['reason']}")
        return
    highest = max(range(len(steps)), key=lambda number: float(steps[number]["mean"]))
    parts = {**why["groups"], "in all": [sum(step) for step in zip(*why["groups"].values(), strict=True)]}
    at = [f"highest step, {steps[highest]['start']}"] if len(steps) > 1 else []
    rows = table("Why this forecast, kW", f"mean of {len(steps)} steps" if at else steps[0]["start"], *at)
    for name, kw in parts.items():
        sign = "" if name in (*STARTS, "in all") else "+"
        # Rounded first, and added to nothing: no minus before what rounds to zero.
        figures = [round(sum(kw) / len(kw), 3) + 0.0, *(round(kw[highest], 3) + 0.0 for _ in at)]
        rows.add_row(name, *(f"{figure:{sign}.3f}" for figure in figures))
    stdout().print(rows)
