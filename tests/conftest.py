"""Where tests find the real meter data, and the one rule for its absence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real meter files; it is never part of the repository."""
    folder = Path(os.environ.get("WATTCAST_SHARED_DATA", ROOT.parent / "shared" / "data")).resolve()
    if not (folder / "household_hourly_kw.csv").exists():
        reason = f"the real meter files are not in {folder} (set WATTCAST_SHARED_DATA)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    return folder


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of a server that speaks as S3 does."""
    import buckets  # noqa: PLC0415 (moto takes a second, and most tests do without)

    with buckets.serving() as endpoint:
        yield endpoint


@pytest.fixture
def s3_asker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks has a key, and nothing else of this machine counts."""
    import buckets  # noqa: PLC0415

    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in (buckets.CREDENTIALS | buckets.BARE).items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(s3_server: str, s3_asker: None) -> str:
    """The URL of a folder in an empty bucket of `s3_server`."""
    import buckets  # noqa: PLC0415

    return buckets.new_bucket(s3_server)
