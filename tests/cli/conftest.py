"""A project trained once for two houses, and the ways to use it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import tiny
from small_project import Trained, make_project, wattcast, write_csv


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """A project whose pipeline ran for a house of minutes, then for one of hours. Tests that change anything take a `copy`."""
    outside = tmp_path_factory.mktemp("exports")
    folder = make_project(tmp_path_factory.mktemp("trained") / "project")
    minutes, hours = write_csv(outside / "minutes.csv", tiny.minute_table(16)), write_csv(outside / "hours.csv", tiny.hour_table(60))
    first, second = (wattcast(folder, "pipeline", "--data", path) for path in (minutes, hours))
    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    return Trained(folder, minutes, hours, first, second)


@pytest.fixture
def copy(trained: Trained, tmp_path: Path) -> Path:
    """A copy of the trained project, free to change."""
    return Path(shutil.copytree(trained.folder, tmp_path / "project"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 256 kB; where this user cannot mount one, the test is skipped."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("this user cannot mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)
