"""The life of a model as docs/operations.md tells it: every line of it is run, and what it promises is what happens."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
import tiny
from small_project import ROOT, environment, make_project, write_csv

pytestmark = pytest.mark.system


def the_walk() -> str:
    """The block of the section, as it stands."""
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    return re.findall(r"(?ms)^## The life of a model.*?^```sh\n(.*?)^```$", text)[0]


def test_the_life_of_a_model(tmp_path: Path) -> None:
    """Trained, published, served; a worse one refused with reasons, forced, seen by the service and its page, and rolled back."""
    folder = make_project(tmp_path / "project")
    write_csv(folder / "house.csv", tiny.hour_table(130))
    with closing(socket.create_server(("127.0.0.1", 0))) as free:
        port = free.getsockname()[1]
    script = the_walk()
    assert script.count("5000") == 4
    script = script.replace("5000", str(port))
    assert "train_share: 0.8" in (folder / "params.yaml").read_text()
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    command = bin_folder / "wattcast"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m wattcast.cli "$@"\n')
    command.chmod(0o755)
    variables = environment(PATH=f"{bin_folder}{os.pathsep}{os.environ['PATH']}")
    # Whatever happens, no service is left behind to hold the output open.
    words = ["bash", "-e", "-c", f"trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}"]
    done = subprocess.run(words, cwd=folder, env=variables, capture_output=True, text=True, check=False, timeout=200)
    assert done.returncode == 0, done.stdout + done.stderr
    first, again, forced, back = re.findall(r'"version":"([0-9a-f]{12})', done.stdout)
    assert first == again == back != forced
    assert "error: " + forced in done.stderr
    assert "was not found better" in done.stderr
    assert "day_ahead: The champion stays" in done.stdout or "day_ahead: It loses to a baseline" in done.stdout
    # By promote, by the page, and by the history.
    assert done.stdout.count("forced: a drill") == 3
    assert f"{forced} -> {first}" in done.stdout
    assert re.search(r"(?m)^4 .*rollback \(the drill is over\)$", done.stdout)
