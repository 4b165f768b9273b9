"""Readings at the steps that tasks need, with what params.yaml says of their meter beside them."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import tiny
from small_project import small_params

from wattcast.cli.forecasting import at_resolution
from wattcast.config import Params, load_params
from wattcast.errors import BadRequest
from wattcast.stages.preprocess import at_step


@pytest.fixture
def params(tmp_path: Path) -> Params:
    """Params that name a file of what is known ahead for the meter `house`: an hour's temperature, known a day before."""
    start = tiny.START_S
    rows = [(start + hour * 3_600, start + (hour - 24) * 3_600, hour % 24) for hour in range(120)]
    times = [(*(datetime.fromtimestamp(instant, UTC).isoformat() for instant in row[:2]), row[2]) for row in rows]
    weather = tmp_path / "weather.csv"
    weather.write_text("time,available_at,temperature_c\n" + "".join(f"{time},{at},{value}\n" for time, at, value in times))
    path = tmp_path / "params.yaml"
    stated = small_params().replace('"simulated-house"', f'"house": {{"zone": "Europe/Paris", "known": "{weather}"}}, "simulated-house"')
    path.write_text("meter: {file: x}\n" + stated)
    return load_params(path)


def test_what_is_known_ahead_stands_beside_the_readings_at_every_step(params: Params) -> None:
    """The pipeline and the commands make the same table: minutes as they are, hours averaged, both with the temperature."""
    minutes = tiny.minute_table(4)
    for step_s in (60, 3_600):
        made = at_step(minutes, step_s, params)
        assert made.step_s == step_s
        assert list(made.known) == ["temperature_c"]
        assert at_resolution(step_s, minutes, "day_ahead", params).to_bytes() == made.to_bytes()


def test_readings_coarser_than_the_task_are_refused(params: Params) -> None:
    """Hours hold no minutes."""
    with pytest.raises(BadRequest, match="next_minute needs readings of 60 s or finer, these are 3600 s apart"):
        at_resolution(60, tiny.hour_table(4), "next_minute", params)
