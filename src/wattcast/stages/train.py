"""Stage train TASK FAMILY: processed readings to one bundle, or to a note on why the task was skipped."""

from __future__ import annotations

import shutil
import sys

from wattcast.adapters.files import write_atomically
from wattcast.adapters.provenance import provenance
from wattcast.config import Params, Preset, load_params, nearest
from wattcast.errors import BadParams
from wattcast.forecasting.backtest import first_test_row
from wattcast.forecasting.bundle import SUFFIX
from wattcast.forecasting.families import family_keys, family_of
from wattcast.forecasting.training import Recipe, train
from wattcast.stages import run
from wattcast.stages.outputs import model_folder, read_facts, read_table, write_made
from wattcast.stages.progress import progress


def main() -> None:
    """Train what the two arguments name."""
    if len(sys.argv) != 3:
        raise BadParams("give a task and a family", "python -m wattcast.stages.train next_minute xgb")
    task_name, family = sys.argv[1:]
    params, facts = load_params(), read_facts()
    recipe = recipe_of(params, task_name, family, facts.preset)
    folder = model_folder(task_name, family)
    shutil.rmtree(folder, ignore_errors=True)
    if task_name in facts.skipped:
        write_atomically(folder / "skipped.txt", facts.skipped[task_name].encode() + b"\n")
        return
    table = read_table(recipe.task.resolution_s)
    with progress(f"training {task_name}, {recipe.family.title} ({facts.preset})") as report:
        data = train(table, first_test_row(table, params.train_share), recipe, report)
    write_atomically(folder / f"model{SUFFIX}", data)
    write_made(task_name, family, provenance())


def recipe_of(params: Params, task_name: str, family: str, preset: Preset) -> Recipe:
    """What params.yaml says of this training. Raises BadParams for a task or family that it does not know."""
    for kind, name, known in (("task", task_name, list(params.tasks)), ("family", family, list(family_keys()))):
        if name not in known:
            raise BadParams(f'"{name}" is no {kind}{nearest(name, known)}', "see params.yaml")
    task = params.tasks[task_name]
    return Recipe(
        task_name=task_name,
        task=task,
        family=family_of(family),
        settings=params.families[family][task_name][preset],
        effort=task.efforts[preset],
        levels=params.quantiles,
        train_share=params.train_share,
        seed=params.seed,
        threads=params.training_threads(),
    )


if __name__ == "__main__":
    run(main)
