"""The command that walks forward through a meter file: what would the forecasts of each family have been worth?"""

# ruff: noqa: PLC0415 (a command loads what it needs when it runs)

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from wattcast.cli.console import AsJson, print_json, say, say_aside, stdout, table
from wattcast.cli.forecasting import at_resolution
from wattcast.cli.looking import MeterFile
from wattcast.cli.options import params_here
from wattcast.errors import BadParams, BadRequest, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

    from wattcast.config import Params
    from wattcast.forecasting.backtest import Fold, Frame
    from wattcast.forecasting.metrics import Scored
    from wattcast.forecasting.training import Recipe
    from wattcast.meter.table import MeterTable

_DAY_S = 86_400


@dataclass(frozen=True)
class _Plan:
    """What is walked: the readings, who learns, the folds, what is scored, and where it is kept."""

    table: MeterTable
    recipes: Mapping[str, Recipe]
    folds: list[Fold]
    frame: Frame
    kept: Path


def backtest(  # noqa: PLR0913 (each is an option of the command)
    file: MeterFile,
    *,
    task: Annotated[str, typer.Option(help="What is forecast, as params.yaml calls it.")] = "day_ahead",
    family: Annotated[str, typer.Option(help="Families, with commas between them. Without it, all in params.yaml, and their blend.")] = "",
    test_share: Annotated[float, typer.Option(min=0.01, max=0.9, help="The last part of the file, which is forecast.")] = 0.2,
    refit_days: Annotated[int, typer.Option(min=1, help="Days after which the models are fitted anew.")] = 56,
    window_days: Annotated[int, typer.Option(min=0, help="Days that each fit looks back on; 0: all, an expanding window.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for the JSON, the plots, and what is done so far.")] = Path("metrics/backtest"),
    as_json: AsJson = False,
) -> None:
    """Walk forward through a meter file: fit, forecast what follows, fit anew; errors beside the baselines.

    What is done is kept: an interrupted backtest goes on where it stopped, a changed one (or a changed wattcast) starts anew.
    """
    params = params_here()
    plan = _planned(file, params, task, family, (test_share, refit_days, window_days), out)
    rows = _walked(plan)
    report = _report(plan, rows)
    from wattcast.adapters.files import write_atomically
    from wattcast.adapters.plots import draw

    write_atomically(plan.kept / "backtest.json", json.dumps(report, indent=1).encode())
    for key, own in rows.items():
        draw(plan.kept / "plots", f"{key}_{task}", f"{key}, {task}, walk forward", own)
    if as_json:
        print_json(report)
    else:
        _show(report)
    (say_aside if as_json else say)(f"{plan.kept}: backtest.json and plots")


def _planned(file: Path, params: Params, task: str, family: str, spans: tuple[float, int, int], out: Path) -> _Plan:
    import numpy as np

    from wattcast.adapters.provenance import code_sha256
    from wattcast.cli.looking import refuse_unbelievable
    from wattcast.config import nearest
    from wattcast.forecasting.backtest import Frame, first_test_row, folds, origins_within
    from wattcast.forecasting.calendars import frozen_holidays
    from wattcast.meter.cleaning import to_table
    from wattcast.meter.readers import read
    from wattcast.stages.readings import read_options
    from wattcast.stages.train import recipe_of

    if task not in params.tasks:
        raise BadParams(f'"{task}" is no task{nearest(task, list(params.tasks))}', "params.yaml states what can be forecast")
    refuse_unbelievable(file, params)
    native = to_table(read(file, read_options(params, file)))
    preset = params.effort(len(native))
    keys = family.split(",") if family else [key for key in params.families if params.has_settings(key, task, preset)]
    recipes = {key.strip(): recipe_of(params, task, key.strip(), preset) for key in keys}
    facts = params.tasks[task].at(preset)
    readings = at_resolution(facts.resolution_s, native, task, params)
    share, refit_days, window_days = spans
    first, per_day = first_test_row(readings, 1 - share), max(_DAY_S // readings.step_s, 1)
    spec = facts.spec(facts.models[0], readings.rows(0, first), frozen_holidays(readings.rows(0, first)))
    origins = origins_within(readings, spec, first, len(readings))
    if not len(origins):
        raise BadRequest(f"the last {share:.0%} of {file} holds no whole forecast", "give a longer file, or a larger --test-share")
    refits = np.arange(first, len(readings), refit_days * per_day, dtype=np.int64)
    walked = folds(origins, refits, facts.embargo_steps, window_days * per_day)
    said = [
        code_sha256(),
        readings.sha256(),
        asdict(spec),
        list(spans),
        {key: [dict(recipe.settings), recipe.seed, recipe.levels] for key, recipe in recipes.items()},
    ]
    key = hashlib.sha256(json.dumps([*said, asdict(facts)], default=str).encode()).hexdigest()[:12]
    return _Plan(readings, recipes, walked, Frame(spec, facts.baselines, params.quantiles), out / f"{readings.meter.id}-{task}-{key}")


def _walked(plan: _Plan) -> dict[str, Scored]:
    """Every fold, those that were kept from before read back."""
    from wattcast.adapters.files import write_atomically
    from wattcast.forecasting.backtest import joined, walk_forward
    from wattcast.forecasting.blending import calibrated_families
    from wattcast.forecasting.metrics import Scored
    from wattcast.forecasting.training import part
    from wattcast.stages.progress import progress

    task = next(iter(plan.recipes.values())).task
    parts: list[dict[str, Scored]] = []
    names = [*plan.recipes, "blend"] if len(plan.recipes) > 1 else list(plan.recipes)
    with progress(f"{len(plan.folds)} fits of {', '.join(plan.recipes)}") as report:
        for number, fold in enumerate(plan.folds):
            paths = {name: plan.kept / "folds" / f"{number}-{name}.npz" for name in names}
            if not all(path.is_file() for path in paths.values()):
                learn = calibrated_families(task.models[0], plan.frame.spec, plan.recipes, part(report, number, len(plan.folds)))
                done = next(walk_forward(plan.table, [fold], learn, plan.frame))
                for name, path in paths.items():
                    write_atomically(path, done[name].to_bytes())
            try:
                parts.append({name: Scored.from_bytes(path.read_bytes()) for name, path in paths.items()})
            except (ValueError, OSError) as cause:
                raise Unavailable(
                    f"what was kept in {plan.kept} cannot be read ({cause})", f"delete {plan.kept} and start again"
                ) from cause
            report((number + 1) / len(plan.folds))
    return {name: joined([part[name] for part in parts]) for name in names}


def _report(plan: _Plan, rows: Mapping[str, Scored]) -> dict[str, Any]:
    from wattcast.cli.listing import score_as_values
    from wattcast.forecasting.breakdown import errors_by, skill_interval
    from wattcast.forecasting.metrics import score

    zone = plan.table.meter.zone
    families = {}
    for key, own in rows.items():
        best = min(own.baselines, key=lambda name: score(own).baselines[name]["mae"])
        families[key] = {
            **score_as_values(score(own)),
            "skill_interval": {
                "baseline": best,
                "mae": skill_interval(own, zone, best, "mae"),
                "rmse": skill_interval(own, zone, best, "rmse"),
            },
            "by": {part: errors_by(own, zone, part) for part in ("lead", "hour", "weekday", "season")},
        }
    return {
        "meter": plan.table.meter.id,
        "task": next(iter(plan.recipes.values())).task_name,
        "fits": len(plan.folds),
        "families": families,
    }


def _show(report: Mapping[str, Any]) -> None:
    from wattcast.forecasting.baselines import TITLES

    any_family = next(iter(report["families"].values()))
    shown = table(
        f"{report['task']}, {any_family['n']:,} rows, {report['fits']} fits", "MAE kW", "RMSE kW", "interval", "skill in MAE, 95 %"
    )
    for key, score in sorted(report["families"].items(), key=lambda each: each[1]["mae"]):
        low, high = score["skill_interval"]["mae"]
        shown.add_row(key, f"{score['mae']:.4f}", f"{score['rmse']:.4f}", f"{score['coverage']:.1%}", f"{low:+.1%} to {high:+.1%}")
    for name, errors in any_family["baselines"].items():
        shown.add_row(TITLES[name], f"{errors['mae']:.4f}", f"{errors['rmse']:.4f}", "", "")
    stdout().print(shown)
    by_season = table("season", *report["families"], any_family["skill_interval"]["baseline"])
    for season, errors in any_family["by"]["season"].items():
        own = [f"{report['families'][key]['by']['season'][season]['forecast']['mae']:.4f}" for key in report["families"]]
        by_season.add_row(season, *own, f"{errors[any_family['skill_interval']['baseline']]['mae']:.4f}")
    if "blend" in report["families"]:
        say("blend: the mean of those families that did best together on the rows held out, or the best of them alone")
    say("MAE in kW by season of the target; the JSON holds leads, hours and weekdays too")
    stdout().print(by_season)
