"""DVC's adapter: where it cannot work it says so in a line, and what stops it is said once."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tiny
from small_project import ROOT, environment, in_process, make_project, wattcast, write_csv


@pytest.fixture(scope="module")
def brought(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project into which a meter file was brought, and which never ran."""
    folder = make_project(tmp_path_factory.mktemp("brought") / "project")
    write_csv(folder / "hours.csv", tiny.hour_table(20))
    stages(folder, "preprocess: {cmd: 'true'}")
    assert wattcast(folder, "pipeline", "--data", "hours.csv").returncode == 1  # there is no scorecard to print
    return folder


@pytest.fixture
def project(brought: Path, tmp_path: Path) -> Path:
    """A copy of it, free to change."""
    return Path(shutil.copytree(brought, tmp_path / "project"))


def stages(folder: Path, text: str) -> None:
    """Put other stages into dvc.yaml."""
    (folder / "dvc.yaml").write_text(f"stages: {{{text}}}\n")


def test_outside_the_project_a_line_says_where_to_go(tmp_path: Path) -> None:
    """No dvc.yaml: the folder is not the project's."""
    told = in_process(tmp_path, "pipeline")
    assert told.returncode == 1
    assert told.stderr.startswith("error: this folder has no dvc.yaml")


def test_without_git_a_line_says_what_to_do(project: Path) -> None:
    """A copy of the files without their repository."""
    shutil.rmtree(project / ".git")
    told = in_process(project, "pipeline")
    assert told.returncode == 1
    assert "hint: run git init" in told.stderr


def test_without_dvc_a_line_says_what_to_install(project: Path, tmp_path: Path) -> None:
    """An environment that only serves."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['dvc'] = None\n")
    told = wattcast(project, "pipeline", PYTHONPATH=str(tmp_path))
    assert told.returncode == 1
    assert told.stderr.startswith("error: DVC, which runs the pipeline, is not installed\nhint: ")


def test_dvc_itself_finds_the_environment_that_make_set_up(project: Path) -> None:
    """`.venv/bin/dvc repro` in a shell that activated nothing: a stage runs with the Python of .venv."""
    shutil.copy(ROOT / "dvc.yaml", project)
    (project / ".venv").symlink_to(sys.prefix)
    bare = {name: value for name, value in environment().items() if name != "VIRTUAL_ENV"} | {"PATH": os.defpath}
    command = [sys.executable, "-m", "dvc", "repro", "preprocess"]
    told = subprocess.run(command, cwd=project, env=bare, capture_output=True, text=True, timeout=120, check=False)
    assert told.returncode == 0, told.stderr
    assert (project / "data" / "processed" / "meter.json").exists()


def test_a_stage_that_refuses_says_so_once(project: Path) -> None:
    """The stage's own error and hint are all: nothing of DVC around them."""
    stages(project, "train: {cmd: python -m wattcast.stages.train}")
    told = wattcast(project, "pipeline")
    assert told.returncode == 1
    assert [line.split(":")[0] for line in told.stderr.splitlines()] == ["error", "hint"]


def test_a_stage_that_was_killed_is_named(project: Path) -> None:
    """Where memory runs out nobody says anything: we do."""
    stages(project, "train: {cmd: kill -9 $$}")
    told = wattcast(project, "pipeline")
    assert told.returncode == 1
    assert told.stderr.startswith("error: stage train was killed")


def test_a_pipeline_that_dvc_cannot_read_is_one_line(project: Path) -> None:
    """A fault in dvc.yaml: DVC's words on one line, and where there are more."""
    (project / "dvc.yaml").write_text("stages: {train: {cmd: 'true', depss: []}}\n")
    told = wattcast(project, "pipeline")
    assert told.returncode == 1
    assert [line.split(":")[0] for line in told.stderr.splitlines()] == ["error", "hint"]
    assert "dvc.yaml" in told.stderr


def test_a_second_run_at_a_time_is_told_of_the_first(project: Path) -> None:
    """DVC's own lock is held by another process."""
    code = "import sys\nfrom dvc.repo import Repo\nwith Repo().lock:\n    print('held', flush=True)\n    sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=project, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        told = wattcast(project, "pipeline")
        other.communicate("")
    assert told.returncode == 1
    assert told.stderr.startswith("error: another run is at work in this folder\nhint: ")


def test_a_second_run_changes_nothing_of_the_first(project: Path, tmp_path: Path) -> None:
    """While one works, another file is neither brought in nor named in params.yaml."""
    write_csv(tmp_path / "other.csv", tiny.hour_table(20))
    before = (project / "params.yaml").read_bytes()
    (project / ".dvc/tmp").mkdir(exist_ok=True)
    with (project / ".dvc/tmp/wattcast.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        told = wattcast(project, "pipeline", "--data", str(tmp_path / "other.csv"))
    assert told.returncode == 1
    assert told.stderr.startswith("error: another run is at work in this folder\nhint: ")
    assert (project / "params.yaml").read_bytes() == before
    assert not (project / "data/raw/other.csv").exists()
