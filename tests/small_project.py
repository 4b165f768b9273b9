"""A project folder like a fresh clone, whose pipeline takes seconds: tiny tasks and settings, and meter files made of tiny meters."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from contextlib import chdir
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import tiny
from typer.testing import CliRunner

from wattcast.cli import app
from wattcast.meter.table import MeterTable

ROOT = Path(__file__).resolve().parent.parent
FAMILIES = "family: [xgb, rf, lgbm, extra]"
LEFT_OUT = ("rf", "extra")
HEAD = "# Science, in small.\n\nmeter:\n  file: data/raw/simulated-house.txt   # `make run DATA=...` sets this line\n\n# The rest.\n"


@dataclass(frozen=True)
class Trained:
    """The project's folder, the meter files of both houses, and how the pipeline ended for each."""

    folder: Path
    minutes: Path
    hours: Path
    first: subprocess.CompletedProcess[str]
    second: subprocess.CompletedProcess[str]


def make_project(folder: Path) -> Path:
    """A git repository with DVC's configuration, the real dvc.yaml less some families, the sources it names, and small params."""
    folder.mkdir(parents=True)
    for name in (".gitignore", ".dvcignore"):
        shutil.copy(ROOT / name, folder / name)
    stages = (ROOT / "dvc.yaml").read_text()
    assert stages.count(FAMILIES) == 1
    stages = stages.replace(FAMILIES, "family: [xgb, lgbm]")
    for family in LEFT_OUT:
        assert stages.count(f"      - models/${{item.task}}/{family}\n") == 1
        stages = stages.replace(f"      - models/${{item.task}}/{family}\n", "")
    (folder / "dvc.yaml").write_text(stages)
    (folder / ".dvc").mkdir()
    for name in ("config", ".gitignore"):
        shutil.copy(ROOT / ".dvc" / name, folder / ".dvc" / name)
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "params.yaml", "*.egg-info"))
    (folder / "params.yaml").write_text(HEAD + small_params())
    subprocess.run(["git", "init", "--quiet", str(folder)], check=True)
    return folder


def small_params() -> str:
    """Everything in params.yaml but the meter: JSON, which is YAML too."""
    tasks = {name: asdict(task) for name, task in tiny.TASKS.items()}
    for task in tasks.values():
        task["efforts"]["best"] = task["efforts"]["fast"]
    families = {
        key: {name: {preset: dict(settings) for preset in ("fast", "best")} for name in tasks} for key, settings in tiny.SETTINGS.items()
    }
    facts = {
        "meters": {name: {"zone": "Europe/Paris"} for name in ("minutes", "hours")} | {"simulated-house": {"simulated": True}},
        "preset": "fast",
        "seed": 1,
        "threads": 1,
        "quantiles": list(tiny.LEVELS),
        "least_share_measured": 0.5,
        "train_share": tiny.TRAIN_SHARE,
        "tasks": tasks,
        "families": families,
    }
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in facts.items())


def write_csv(path: Path, table: MeterTable) -> Path:
    """The table as a CSV with times in UTC; rows not measured are left out."""
    lines = ["time,power_kw" + "".join(f",{name}" for name in table.covariates)]
    columns = np.stack(list(table.columns().values()), axis=1)
    for instant, row in zip(table.instants(), columns, strict=True):
        if np.isfinite(row[0]):
            moment = datetime.fromtimestamp(int(instant), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            lines.append(moment + "".join(f",{value:.3f}" for value in row))
    path.write_text("\n".join(lines) + "\n")
    return path


def wattcast(folder: Path, *words: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command line in this folder, as a user does, and wait for it."""
    return subprocess.run(
        command(*words), cwd=folder, env=environment(**variables), capture_output=True, text=True, check=False, timeout=300
    )


def in_process(folder: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """The same in this process, which saves the start: for commands that start and load nothing that stays."""
    with chdir(folder):
        told = CliRunner().invoke(app, [str(word) for word in words], prog_name="wattcast")
    return subprocess.CompletedProcess(words, told.exit_code, told.stdout, told.stderr)


def command(*words: str | Path) -> Sequence[str]:
    """The words that start it."""
    return [sys.executable, "-m", "wattcast.cli", *map(str, words)]


def environment(**variables: str) -> dict[str, str]:
    """Ours without its wattcast settings and without what only benchmarks need, with these variables."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WATTCAST_")}
    return kept | {"PYTHONPATH": str(Path(__file__).parent / "lean")} | variables
