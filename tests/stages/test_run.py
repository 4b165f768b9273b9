"""Whatever ends a stage is said in a line: never a trace on the console, and never a trace that is lost."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from wattcast.errors import BadParams
from wattcast.stages import run

SAID = r"error: this should not have happened: KeyError: 'watts' in (.+):\d+\nhint: report it, with the trace in (.+\.txt)\n?"


def fail() -> None:
    """A stage with a fault."""
    raise KeyError("watts")


def refuse() -> None:
    """A stage that refuses."""
    raise BadParams("seed: no", "mend it")


def miss() -> None:
    """A stage whose file is not there."""
    Path("/nowhere/at/all").read_bytes()


def stop() -> None:
    """A stage that is stopped."""
    raise KeyboardInterrupt


def test_a_fault_is_a_line_and_its_trace_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What happened and where, that it is to be reported, and the trace with it."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(SystemExit) as end:
        run(fail)
    said = re.fullmatch(SAID, str(end.value.code))
    assert said
    assert said[1] == __file__
    assert Path(said[2]).parent == tmp_path
    trace = Path(said[2]).read_text("utf-8")
    assert trace.startswith("Traceback")
    assert trace.endswith("KeyError: 'watts'\n")


@pytest.mark.parametrize(
    ("stage", "words"),
    [
        (refuse, "error: seed: no\nhint: mend it"),
        (miss, "error: /nowhere/at/all: No such file or directory\nhint: check disk space and permissions, then run it again"),
        (stop, "stopped: what was finished is kept, the next run goes on from there"),
    ],
)
def test_an_end_that_was_foreseen_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: object, words: str) -> None:
    """A refusal, a missing file and Ctrl-C are said, and nothing is kept."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(SystemExit) as end:
        run(stage)  # type: ignore[arg-type]
    assert end.value.code == words
    assert not list(tmp_path.iterdir())


def test_a_fault_before_the_stage_begins_is_a_line_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that fails while `python -m` imports it: the same words, exit 1."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    code = "import sys; sys.argv = ['-m']; import wattcast.stages; {}['watts']"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    said = re.fullmatch(SAID, ended.stderr)
    assert said
    assert Path(said[2]).parent == tmp_path
