"""Where tests find what is not part of the repository, the real meter data and a browser, and the one rule for its absence."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder with the real meter files; it is never part of the repository."""
    folder = Path(os.environ.get("WATTCAST_SHARED_DATA", ROOT.parent / "shared" / "data")).resolve()
    if not (folder / "household_hourly_kw.csv").exists():
        _absent(f"the real meter files are not in {folder} (set WATTCAST_SHARED_DATA)")
    return folder


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A headless Chromium from the system's packages."""
    found = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    if found is None:
        _absent("no Chromium is installed (apt-get install chromium)")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 (few tests need it)

    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=found, args=QUIET)
        yield browser
        browser.close()


def _absent(reason: str) -> None:
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


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
