"""Tiny meters, tasks and a bundle, trained once in each test process."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import tiny

from wattcast.forecasting.tasks import Task
from wattcast.forecasting.training import Recipe
from wattcast.meter.table import MeterTable


@pytest.fixture
def minute_table() -> MeterTable:
    """Four days of minutes with the UCI channels and a few gaps."""
    return tiny.minute_table()


@pytest.fixture
def hour_table() -> MeterTable:
    """Sixty days of hours."""
    return tiny.hour_table()


@pytest.fixture
def tiny_task() -> Callable[[str], Task]:
    """tiny_task("next_minute" or "day_ahead") -> the task, its target a change or a level."""
    return tiny.TASKS.__getitem__


@pytest.fixture
def tiny_recipe() -> Callable[..., Recipe]:
    """tiny_recipe(task name, family key, and any field to change) -> a recipe that trains in a fraction of a second."""
    return tiny.recipe


@pytest.fixture(scope="session")
def tiny_bundle() -> bytes:
    """A trained bundle: the next minute by XGBoost, two models."""
    return tiny.bundle("next_minute", "xgb")
