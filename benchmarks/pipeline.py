"""`make bench-pipeline`: the whole pipeline against the yardstick, step by step and each step in a process of its own.

Time and memory on a file of the full UCI size, errors on the real half year, both in one table and in results/pipeline.json.
Exit 1 when a step fails or when the yardstick's steps are no fair copy of the original's.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import yaml
from big_file import build_big_file
from environments import environment_of
from measure import BUSY_CORES, Measured, machine_facts, run_measured
from rich.console import Console
from rich.table import Table

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
RESULTS = HERE / "results"
LOG = RESULTS / "pipeline.log"
HALF_YEAR = "household_power_consumption_2007h1.zip"
TOLERANCE = 0.25
YARDSTICK_FAMILIES = ("xgb", "rf", "lgbm")


@dataclass(frozen=True)
class Step:
    """A step of both pipelines: the yardstick's name of it, our stages (run one after the other), what the original took."""

    title: str
    yardstick: str
    ours: tuple[str, ...]
    original_seconds: float = 0.0
    original_gb: float = 0.0


STEPS = (
    Step("preprocess", "preprocess", ("preprocess",), 38.2, 1.25),
    Step("train XGBoost", "train-xgb", ("train next_minute xgb", "train day_ahead xgb"), 16.2, 0.59),
    Step("train LightGBM", "train-lgbm", ("train next_minute lgbm", "train day_ahead lgbm"), 23.7, 0.59),
    Step("train random forest", "train-rf", ("train next_minute rf", "train day_ahead rf"), 192.2, 0.59),
    Step("evaluate", "evaluate", ("blend next_minute", "blend day_ahead", "evaluate"), 30.2, 0.37),
    Step("register", "", ("register",)),
)


@dataclass(frozen=True)
class Row:
    """One step, measured on both sides."""

    step: Step
    yardstick: Measured
    ours: Measured


def main() -> int:
    """Measure, print, write; the exit code."""
    console = Console(width=None if sys.stdout.isatty() else 120)
    half_year = Path(os.environ.get("WATTCAST_SHARED_DATA", ROOT.parent / "shared" / "data")).resolve() / HALF_YEAR
    if not half_year.exists():
        console.print(f"error: {half_year} is not there\nset WATTCAST_SHARED_DATA to the folder with {HALF_YEAR}", soft_wrap=True)
        return 1
    # Ends like Ctrl-C: the step is stopped and its gigabytes of files go.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    RESULTS.mkdir(exist_ok=True)
    LOG.write_bytes(b"")
    with tempfile.TemporaryDirectory(prefix="scratch-", dir=RESULTS) as scratch:
        work = Path(scratch)
        console.print("errors: the real half year")
        python = run_environment()
        run_both(half_year, work / "half", python, console)
        errors = compare_errors(work / "half")
        console.print("time and memory: a file of the full size")
        rows = run_both(build_big_file(half_year, RESULTS / "cache"), work / "full", python, console)
    problems = unfair(rows)
    write_results(rows, errors, problems)
    console.print(cost_table(rows), error_table(errors))
    for problem in problems:
        console.print(f"no fair copy: {problem}", soft_wrap=True)
    if (busy := max(row.yardstick.other_cores for row in rows)) > BUSY_CORES:
        console.print(f"other work kept up to {busy:.1f} cores busy meanwhile: measure again on a quiet machine")
    return 1 if problems else 0


def run_both(data: Path, work: Path, python: Path, console: Console) -> list[Row]:
    """Run every step on both sides in turn, under `work`. The yardstick's folder there is `yardstick`, ours is `ours`."""
    yardstick, ours = work / "yardstick", work / "ours"
    yardstick.mkdir(parents=True)
    lay_out(ours, data)
    rows = []
    for step in STEPS:
        theirs, own = Measured(), Measured()
        if step.yardstick:
            theirs += measured(
                [sys.executable, str(HERE / "yardstick.py"), step.yardstick, "--data", str(data), "--work", str(yardstick)], yardstick
            )
        for stage in step.ours:
            own += measured([str(python), "-m", *f"wattcast.stages.{stage}".split()], ours)
        rows.append(Row(step, theirs, own))
        console.print(f"  {step.title}: yardstick {theirs.wall_seconds:.1f} s, ours {own.wall_seconds:.1f} s", highlight=False)
    return rows


def lay_out(folder: Path, data: Path) -> None:
    """Make `folder` a copy of the project as its stages see it, with `data` as the meter's file and the preset fast."""
    raw = folder / "data" / "raw"
    raw.mkdir(parents=True)
    (raw / data.name).symlink_to(data)
    shutil.copy(ROOT / "dvc.yaml", folder)
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    params["preset"] = "fast"
    params["meter"]["file"] = f"data/raw/{data.name}"
    (folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))


def run_environment() -> Path:
    """The Python of an environment as `make run` makes it: beside the yardstick's libraries ours would import those too."""
    return environment_of(RESULTS / "run-environment", "run.txt", with_wattcast=True)


def measured(command: list[str], cwd: Path) -> Measured:
    """Run the command; a step that fails ends the benchmark with the end of its output."""
    result = run_measured(command, cwd, LOG)
    if result.exit_code:
        tail = "\n".join(LOG.read_text(errors="replace").splitlines()[-15:])
        sys.exit(f"{tail}\nerror: {' '.join(command)} ended with exit code {result.exit_code}; all output is in {LOG}")
    return result


def total(rows: list[Row]) -> Row:
    """All steps of both sides together, beside the original's."""
    timed = Step("whole pipeline", "", (), sum(step.original_seconds for step in STEPS), max(step.original_gb for step in STEPS))
    return Row(timed, sum((row.yardstick for row in rows), Measured()), sum((row.ours for row in rows), Measured()))


def unfair(rows: list[Row]) -> list[str]:
    """Where the yardstick's shares of time, or its peaks as parts of the largest one, are over TOLERANCE away from the original's."""
    whole, problems = total(rows), []
    for row in (row for row in rows if row.step.yardstick):
        for what, part, original in (
            ("time", row.yardstick.wall_seconds / whole.yardstick.wall_seconds, row.step.original_seconds / whole.step.original_seconds),
            ("memory", row.yardstick.peak_bytes / whole.yardstick.peak_bytes, row.step.original_gb / whole.step.original_gb),
        ):
            if abs(part / original - 1) > TOLERANCE:
                problems.append(f"{row.step.title} has {part:.1%} of the yardstick's {what}, in the original {original:.1%}")
    return problems


def compare_errors(work: Path) -> list[dict[str, Any]]:
    """Errors in kW on the last 20 % of the half year: next_minute of both sides, and our day_ahead beside its baselines."""
    rows = json.loads((work / "ours" / "metrics" / "scorecard.json").read_text())["rows"]
    for row in rows:
        if row["task"] == "next_minute" and row["family"] in YARDSTICK_FAMILIES:
            row["yardstick"] = json.loads((work / "yardstick" / "metrics" / f"{row['family']}_metrics.json").read_text())
    return list(rows)


def write_results(rows: list[Row], errors: list[dict[str, Any]], problems: list[str]) -> None:
    """Write results/pipeline.json, whole or not at all."""
    whole = total(rows)
    figures = {
        "wall_ratio": whole.yardstick.wall_seconds / whole.ours.wall_seconds,
        "memory_ratio": whole.ours.peak_bytes / whole.yardstick.peak_bytes,
    }
    for row in errors:
        for metric in ("mae", "rmse"):
            figures[f"{row['task']}_{row['family']}_{metric}"] = row[metric]
            if "yardstick" in row:
                figures[f"yardstick_{row['family']}_{metric}"] = row["yardstick"][metric]
    steps = [asdict(row) for row in (*rows, whole)]
    result = {"machine": machine_facts(), "figures": figures, "problems": problems, "rows": steps, "errors": errors}
    unfinished = RESULTS / "pipeline.json.part"
    unfinished.write_text(json.dumps(result, indent=1))
    unfinished.replace(RESULTS / "pipeline.json")


def cost_table(rows: list[Row]) -> Table:
    """Wall time and peak memory of each step, the yardstick's beside ours."""
    table = Table(title="Full-size file: wall time and peak memory")
    for heading in ("step", "original", "yardstick", "ours", "yardstick / ours", "yardstick", "ours", "ours / yardstick"):
        table.add_column(heading, justify="left" if heading == "step" else "right")
    for row in (*rows, total(rows)):
        step, theirs, own = row.step, row.yardstick, row.ours
        cells = [step.title, "", "", f"{own.wall_seconds:.1f} s", "", "", f"{own.peak_bytes / 1e9:.2f} GB", ""]
        if theirs.peak_bytes:
            cells[1:3] = f"{step.original_seconds:.1f} s", f"{theirs.wall_seconds:.1f} s"
            cells[4:6] = f"{theirs.wall_seconds / own.wall_seconds:.1f}", f"{theirs.peak_bytes / 1e9:.2f} GB"
            cells[7] = f"{own.peak_bytes / theirs.peak_bytes:.2f}"
        table.add_row(*cells, end_section=row is rows[-1])
    return table


def error_table(errors: list[dict[str, Any]]) -> Table:
    """MAE and RMSE in kW of each family, beside the yardstick's and the best baseline's (all baselines are in the JSON)."""
    table = Table(title="Real half year, last 20 %: MAE / RMSE in kW")
    for heading in ("task", "family", "ours", "yardstick", "best baseline"):
        table.add_column(heading)
    for row in errors:
        name, baseline = min(row["baselines"].items(), key=lambda named: float(named[1]["mae"]))
        theirs = pair(row["yardstick"]) if "yardstick" in row else ""
        table.add_row(row["task"], row["family"], pair(row), theirs, f"{pair(baseline)} {name}")
    return table


def pair(scores: dict[str, float]) -> str:
    """MAE and RMSE as text."""
    return f"{scores['mae']:.4f} / {scores['rmse']:.4f}"


if __name__ == "__main__":
    sys.exit(main())
