"""A bucket's copies in a folder hold when several processes fetch at once, and when one of them is killed."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from buckets import Far
from buckets import bundle_name as bundle

from wattcast.adapters.files import FileBlobs
from wattcast.adapters.mirror import Mirrored

DOWNLOAD = """
import hashlib, sys
from pathlib import Path
from wattcast.adapters.files import FileBlobs
from wattcast.adapters.mirror import Mirrored
from wattcast.adapters.s3 import S3Blobs
url, endpoint, folder, name = sys.argv[1:]
mirrored = Mirrored(S3Blobs(url, endpoint=endpoint), FileBlobs(Path(folder)), 10**9)
print("ready", flush=True)
sys.stdin.readline()
print(hashlib.sha256(mirrored.get(name).data).hexdigest(), flush=True)
"""


def downloading(far: Far, folder: Path, name: str) -> subprocess.Popen[str]:
    """A process that fetches a blob once it is told to."""
    words = [sys.executable, "-c", DOWNLOAD, far.url, far.endpoint, str(folder), name]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def begin(process: subprocess.Popen[str]) -> None:
    """Tell it to."""
    assert process.stdin is not None
    process.stdin.write("go\n")
    process.stdin.flush()


def test_two_who_download_the_same_at_once(far: Far, tmp_path: Path, near: FileBlobs) -> None:
    """Both have it whole, and so does the folder."""
    data = random.Random(1).randbytes(8_000_000)
    far.blobs.put(bundle(data), data)
    both = [downloading(far, tmp_path, bundle(data)) for _ in range(2)]
    for one in both:
        begin(one)
    assert [one.communicate(timeout=60)[0].strip() for one in both] == [hashlib.sha256(data).hexdigest()] * 2
    assert near.get(bundle(data)).data == data
    assert [path.name for path in (tmp_path / "bundles").iterdir()] == [Path(bundle(data)).name]


def test_a_download_that_is_killed_leaves_nothing_that_is_believed(far: Far, tmp_path: Path, near: FileBlobs) -> None:
    """Killed as the copy is written, the name has all of it or nothing, and no listing shows a part."""
    data = random.Random(2).randbytes(60_000_000)
    far.blobs.put(bundle(data), data)
    process = downloading(far, tmp_path, bundle(data))
    begin(process)
    deadline = time.monotonic() + 60
    while not any((tmp_path / "bundles").glob("*")) and not any((tmp_path / "bundles").glob(".*")):
        assert time.monotonic() < deadline
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert {entry.size for entry in near.entries("")} <= {len(data)}
    assert near.version(bundle(data)) in ("", hashlib.sha256(data).hexdigest())
    assert Mirrored(far.blobs, near, 10**9).get(bundle(data)).data == data
    assert near.get(bundle(data)).data == data
