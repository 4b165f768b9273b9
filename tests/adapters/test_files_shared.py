"""A store in a folder holds when several processes use it at once, and when one of them is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from wattcast.adapters.files import FileModelStore
from wattcast.forecasting.registry import ServingManifest
from wattcast.meter.table import Meter

FIRST = ServingManifest().with_slots(Meter("house"), [])


def python(code: str, *arguments: object) -> subprocess.Popen[str]:
    """A process of its own that runs this code, its input and output at hand."""
    words = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


PUBLISH = """
import sys
from wattcast.adapters.files import FileModelStore
from wattcast.errors import RegistryConflict
from wattcast.forecasting.registry import Slot
from wattcast.meter.table import Meter
store, name = FileModelStore(__import__("pathlib").Path(sys.argv[1])), sys.argv[2]
print("ready", flush=True)
sys.stdin.readline()
done = told = 0
while done < 40:
    there = store.manifest()
    count = len([key for key in there.slots if key.endswith("/" + name)])
    slots = [Slot(f"task_{number}", name, 3600, 24, (0.5,), ()) for number in range(count + 1)]
    try:
        store.publish(there.with_slots(Meter(name), slots))
        done += 1
    except RegistryConflict:
        told += 1
print(done, told)
"""


def test_two_who_publish_at_once_lose_nothing(tmp_path: Path) -> None:
    """Two processes that publish as fast as they can: every success is in the manifest at the end, every conflict was told."""
    rivals = [python(PUBLISH, tmp_path, name) for name in ("barn", "house")]
    for rival in rivals:
        assert rival.stdout is not None
        assert rival.stdout.readline() == "ready\n"
    for rival in rivals:
        assert rival.stdin is not None
        rival.stdin.write("go\n")
        rival.stdin.flush()
    counted = [rival.communicate(timeout=60)[0].split() for rival in rivals]
    assert [rival.returncode for rival in rivals] == [0, 0]
    manifest = FileModelStore(tmp_path).manifest()
    assert manifest.serial == 80
    assert set(manifest.slots) == {f"task_{number}/{name}" for number in range(40) for name in ("barn", "house")}
    assert [int(done) for done, _ in counted] == [40, 40]
    assert sum(int(told) for _, told in counted) > 0


HOLD = """
import sys
from pathlib import Path
from wattcast.adapters.files import FileModelStore
with FileModelStore(Path(sys.argv[1]))._locked():
    print("held", flush=True)
    sys.stdin.readline()
"""


def test_a_publisher_that_is_killed_locks_nobody_out(tmp_path: Path) -> None:
    """The lock dies with the process that holds it."""
    holder = python(HOLD, tmp_path)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    waiting = threading.Thread(target=FileModelStore(tmp_path).publish, args=(FIRST,))
    waiting.start()
    waiting.join(timeout=0.3)
    assert waiting.is_alive()
    assert FileModelStore(tmp_path).manifest() == ServingManifest()
    os.kill(holder.pid, signal.SIGKILL)
    holder.communicate()
    waiting.join(timeout=30)
    assert FileModelStore(tmp_path).manifest() == FIRST
