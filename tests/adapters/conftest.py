"""A bucket that can be away, and a folder beside it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import buckets
import pytest

from wattcast.adapters.files import FileBlobs


@pytest.fixture
def far(s3_asker: None) -> Iterator[buckets.Far]:
    """A server of the test's own."""
    there = buckets.Far()
    yield there
    there.leave()


@pytest.fixture
def near(tmp_path: Path) -> FileBlobs:
    """The folder of the copies."""
    return FileBlobs(tmp_path)
