"""The settings that the protocols score the product with: tasks of params.yaml by name, or tasks of their own in settings.yaml."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, TypeAdapter

from wattcast.config import Params, load_params
from wattcast.forecasting.families import learner_of
from wattcast.forecasting.tasks import Effort, ModelPlan, Task
from wattcast.forecasting.training import Recipe

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SETTINGS, PARAMS = HERE / "settings.yaml", ROOT / "params.yaml"
_TASK = TypeAdapter(Task)
# Beside the product itself, what decides a score.
_SCORING = ("benchmarks/accuracy.py", "benchmarks/protocols")


class Stated(BaseModel):
    """One entry of settings.yaml. task: a name in params.yaml or a task; model: which of its models, by default the first.

    families: settings by family, by default those of params.yaml; blend: the members of the blend, by default all; chosen: for each
    figure who answers, chosen inside the training span.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    task: str | dict[str, Any]
    model: str = ""
    families: dict[str, dict[str, Any]] = {}
    blend: tuple[str, ...] = ()
    chosen: dict[str, str]


@dataclass(frozen=True)
class Chosen:
    """What is fitted for a protocol, and who answers for each figure."""

    task: Task
    plan: ModelPlan
    recipes: Mapping[str, Recipe]
    blend: tuple[str, ...]
    answers: Mapping[str, str]
    levels: tuple[float, ...]
    calibrated: bool

    @property
    def sha256(self) -> str:
        """A hash of every setting."""
        said = {
            key: [asdict(recipe.task), dict(recipe.settings), asdict(recipe.effort), recipe.seed] for key, recipe in self.recipes.items()
        }
        stated = [asdict(self.plan), said, self.blend, dict(self.answers), self.levels, self.calibrated]
        text = json.dumps(stated, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()


def settings_of(name: str, levels: tuple[float, ...], *, calibrated: bool) -> Chosen:
    """The settings called `name`, with heads for these quantile levels."""
    stated = Stated.model_validate(yaml.safe_load(SETTINGS.read_text("utf-8"))[name])
    params = load_params(PARAMS)
    task = params.tasks[stated.task] if isinstance(stated.task, str) else _TASK.validate_python(stated.task)
    plan = next(plan for plan in task.models if plan.name == (stated.model or task.models[0].name))
    families = stated.families or _shipped(params, str(stated.task))
    effort = task.efforts["best"]
    if not calibrated:
        effort = Effort(int(effort.max_rows * plan.rows_share), effort.validation_blocks, effort.validation_max_rows)
    recipes = {
        key: Recipe(
            task_name=name,
            task=task,
            family=learner_of(key),
            settings=settings,
            effort=effort,
            levels=levels,
            train_share=1.0,
            seed=params.seed,
            threads=os.cpu_count() or 1,
        ).of_model(plan.name)
        for key, settings in families.items()
    }
    return Chosen(task, plan, recipes, stated.blend or tuple(recipes), stated.chosen, levels, calibrated)


def _shipped(params: Params, task: str) -> dict[str, dict[str, Any]]:
    return {key: dict(tasks[task]["best"]) for key, tasks in params.families.items() if "best" in tasks[task]}


def revision() -> str:
    """The commit that the settings stand in. Exits where they, or the code that is scored, are not committed: a choice comes first.

    Which meter file the pipeline last ran for (`meter` in params.yaml) decides no score.
    """
    try:
        changed = _git("status", "--porcelain", "--", "src", *_SCORING).rstrip()
        stated = [yaml.safe_load(text) | {"meter": None} for text in (_git("show", "HEAD:./params.yaml"), PARAMS.read_text("utf-8"))]
    except subprocess.CalledProcessError as cause:
        raise SystemExit("accuracy: not a git checkout, so nobody could tell with which settings a test span was scored") from cause
    if stated[0] != stated[1]:
        changed = f" M {PARAMS.name}\n{changed}".rstrip()
    if changed:
        raise SystemExit(f"accuracy: commit first what decides a score, then score it:\n{changed}")
    return _git("rev-parse", "--short=12", "HEAD").strip()


def _git(*words: str) -> str:
    return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout
