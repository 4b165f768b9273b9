"""Where tests find the real meter data, and the one rule for its absence."""

from __future__ import annotations

import os
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
