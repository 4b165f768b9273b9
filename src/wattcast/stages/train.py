"""Stage train TASK FAMILY: processed readings to one bundle, or to a note on why the task was skipped."""

from __future__ import annotations

import shutil
import sys

from wattcast.adapters.files import write_atomically
from wattcast.adapters.provenance import provenance
from wattcast.config import Params, load_params, nearest
from wattcast.errors import BadParams
from wattcast.forecasting.backtest import first_test_row
from wattcast.forecasting.families import learner_keys, learner_of
from wattcast.forecasting.tasks import Preset
from wattcast.forecasting.training import Recipe, train
from wattcast.stages import run
from wattcast.stages.outputs import model_folder, read_facts, read_table, write_trained
from wattcast.stages.progress import progress


def main() -> None:
    """Train what the two arguments name."""
    if len(sys.argv) != 3:
        raise BadParams("give a task and a family", "python -m wattcast.stages.train next_minute xgb")
    task_name, family = sys.argv[1:]
    params, facts = load_params(), read_facts()
    folder = model_folder(task_name, family)
    shutil.rmtree(folder, ignore_errors=True)
    if task_name in facts.skipped or (family in learner_keys() and not params.has_settings(family, task_name, facts.preset)):
        why = facts.skipped.get(task_name, f"params.yaml has no settings of {family} for it at preset {facts.preset}")
        write_atomically(folder / "skipped.txt", why.encode() + b"\n")
        return
    recipe, table = recipe_of(params, task_name, family, facts.preset), read_table(params.tasks[task_name].resolution_s)
    with progress(f"training {task_name}, {recipe.family.title} ({facts.preset})") as report:
        trained = train(table, first_test_row(table, params.train_share), recipe, report)
    write_trained(task_name, family, trained, provenance())


def recipe_of(params: Params, task_name: str, family: str, preset: Preset) -> Recipe:
    """What params.yaml says of this training. Raises BadParams for a task or family that it does not know, or has no settings for."""
    for kind, name, known in (("task", task_name, list(params.tasks)), ("family", family, list(learner_keys()))):
        if name not in known:
            raise BadParams(f'"{name}" is no {kind}{nearest(name, known)}', "see params.yaml")
    if not params.has_settings(family, task_name, preset):
        raise BadParams(f"params.yaml has no settings of {family} for {task_name} at preset {preset}", "state them under families")
    return Recipe(
        task_name=task_name,
        task=params.tasks[task_name].at(preset),
        family=learner_of(family),
        settings=params.families[family][task_name][preset],
        effort=params.tasks[task_name].efforts[preset],
        levels=params.quantiles,
        train_share=params.train_share,
        seed=params.seed,
        threads=params.training_threads(),
    )


if __name__ == "__main__":
    run(main)
