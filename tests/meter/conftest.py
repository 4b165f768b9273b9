"""Meter files written for one test, and how they are read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from wattcast.meter.readers import Readings, ReadOptions, read
from wattcast.meter.table import Meter

Load = Callable[..., Readings]
Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """write(text or bytes, name) -> the path of a new file."""

    def write_file(content: str | bytes, name: str = "house.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write_file


@pytest.fixture
def load(write: Write) -> Load:
    """load(text, zone=..., flow=..., and any read option) -> Readings of a file with that content."""

    def load_text(
        content: str | bytes, *, zone: str = "UTC", flow: Any = "consumption", name: str = "house.csv", **options: Any
    ) -> Readings:
        return read(write(content, name), ReadOptions(Meter("house", zone=zone, flow=flow), **options))

    return load_text


@pytest.fixture
def rows() -> Callable[..., str]:
    """rows(values, start, step_s, pattern, delimiter) -> CSV lines of consecutive times with these values."""

    def lines(
        values: Any, start: str = "2024-01-15 00:00", step_s: int = 3600, pattern: str = "%Y-%m-%d %H:%M:%S", delimiter: str = ","
    ) -> str:
        first = datetime.fromisoformat(start)
        return "".join(f"{first + timedelta(seconds=step_s * place):{pattern}}{delimiter}{value}\n" for place, value in enumerate(values))

    return lines
