"""The registered house and barn, shared and as copies that can be spoiled."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from registered import BARN, HOURS, HOUSE, MINUTES, publish

from wattcast.adapters.files import FileSnapshots
from wattcast.forecasting.families import learner_keys


@pytest.fixture(scope="session")
def registered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The house with three families for both tasks and a champion of before, and a barn with hours alone."""
    folder = tmp_path_factory.mktemp("registered")
    readings = FileSnapshots(folder)
    publish(folder, BARN, {"day_ahead": [tiny.bundle("day_ahead", "lgbm")]})
    readings.put(replace(HOURS, meter=BARN))
    publish(folder, HOUSE, {name: [tiny.bundle(name, "xgb", seed=2)] for name in tiny.TASKS})
    publish(folder, HOUSE, {name: [tiny.bundle(name, key) for key in learner_keys()] for name in tiny.TASKS})
    for table in (MINUTES, HOURS):
        readings.put(table)
    return folder


@pytest.fixture
def store(registered: Path, tmp_path: Path) -> Path:
    """A copy of that store, to be spoiled."""
    return shutil.copytree(registered, tmp_path / "store")
