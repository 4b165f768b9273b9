"""A store in a folder holds when several processes use it at once, and when one of them is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import tiny
from pairs import make_pair

from wattcast.adapters.model_store import FileModelStore
from wattcast.forecasting.registry import ServingManifest
from wattcast.meter.table import Meter

FIRST = ServingManifest().with_slots(Meter("house"), [])


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A process of its own that runs this code, its input and output at hand."""
    words = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


PUBLISH = """
import sys
from pathlib import Path
from wattcast.adapters.model_store import FileModelStore
from wattcast.forecasting.registry import Slot
from wattcast.forecasting.succession import Step
from wattcast.meter.table import Meter
store, name = FileModelStore(Path(sys.argv[1])), sys.argv[2]
def one_more(there):
    count = len([key for key in there.slots if key.endswith("/" + name)])
    slots = [Slot(f"task_{number}", name, 3600, 24, (0.5,), ()) for number in range(count + 1)]
    return Step(there.with_slots(Meter(name), slots), "register")
print("ready", flush=True)
sys.stdin.readline()
for _ in range(40):
    store.change(one_more, at="now", by=name)
"""


def test_two_who_publish_at_once_lose_nothing(tmp_path: Path) -> None:
    """Two processes that publish as fast as they can: every change of both is in the manifest at the end, and in its history."""
    rivals = [python(PUBLISH, tmp_path, name) for name in ("barn", "house")]
    for rival in rivals:
        assert rival.stdout is not None
        assert rival.stdout.readline() == "ready\n"
    for rival in rivals:
        assert rival.stdin is not None
        rival.stdin.write("go\n")
        rival.stdin.flush()
    for rival in rivals:
        rival.communicate(timeout=60)
    assert [rival.returncode for rival in rivals] == [0, 0]
    store = FileModelStore(tmp_path)
    assert set(store.manifest().slots) == {f"task_{number}/{name}" for number in range(40) for name in ("barn", "house")}
    assert [change.serial for change in store.history()] == list(range(80, 0, -1))


HOLD = """
import sys
from pathlib import Path
from wattcast.adapters.files import FileBlobs
with FileBlobs(Path(sys.argv[1]))._locked():
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_publisher_that_is_killed_locks_nobody_out(tmp_path: Path) -> None:
    """The lock dies with the process that holds it."""
    holder = python(HOLD, tmp_path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    waiting = threading.Thread(target=tiny.put_manifest, args=(FileModelStore(tmp_path), FIRST))
    waiting.start()
    waiting.join(timeout=0.3)
    assert waiting.is_alive()
    assert FileModelStore(tmp_path).manifest() == ServingManifest()
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    waiting.join(timeout=30)
    assert FileModelStore(tmp_path).manifest().meters == FIRST.meters


SIGNED = """
import sys
from pathlib import Path
from wattcast.adapters.wiring import connect
from wattcast.config import load_settings
from wattcast.forecasting.succession import Step
store = connect(load_settings()).store
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    store.change(lambda there: Step(there, "name"), at="now", by=sys.argv[1])
"""


def test_who_trusts_keys_loses_nothing_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Four processes that sign and verify: the serial that one has seen is no reason to refuse what another is reading."""
    private, public = make_pair(tmp_path, "ours")
    for name, value in (("STORE", tmp_path / "store"), ("SIGNING_KEY", private), ("TRUSTED_KEYS", public)):
        monkeypatch.setenv(f"WATTCAST_{name}", str(value))
    rivals = [python(SIGNED, name) for name in ("anna", "bert", "carl", "dora")]
    for rival in rivals:
        assert rival.stdout is not None
        assert rival.stdout.readline() == "ready\n"
    for rival in rivals:
        assert rival.stdin is not None
        rival.stdin.write("go\n")
        rival.stdin.flush()
    for rival in rivals:
        rival.communicate(timeout=60)
    assert [rival.returncode for rival in rivals] == [0] * 4
    assert [change.serial for change in FileModelStore(tmp_path / "store").history()] == list(range(80, 0, -1))
    assert (tmp_path / "store" / ".seen-serial").read_text() in ("79", "80")
