"""The Python API: what `import wattcast` offers, light to import, typed, and shown in the README as it works."""

from __future__ import annotations

import contextlib
import io
import re
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
import tiny
from small_project import ROOT, small_params, write_csv

import wattcast
from wattcast.config import Params, load_params
from wattcast.errors import BadBundle, BadMeterFile, BadParams, BadRequest, NotEnoughHistory, Unavailable
from wattcast.forecasting.bundle import Bundle
from wattcast.meter.sample import as_uci_text, simulate


@pytest.fixture
def params(tmp_path: Path) -> Path:
    """A params.yaml whose trainings take a moment."""
    path = tmp_path / "small.yaml"
    path.write_text("meter: {file: x}\n" + small_params())
    return path


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    """A small day-ahead bundle."""
    return wattcast.load(tiny.bundle("day_ahead", "lgbm"))


def test_importing_costs_nothing() -> None:
    """Neither numpy nor any other library is loaded before a function is called."""
    code = (
        "import sys, wattcast; print(sorted(name for name in sys.modules if name.split('.')[0] in ('numpy', 'polars', 'pydantic', 'yaml')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_everything_exported_is_there_and_says_what_it_does() -> None:
    """Each name of `__all__` has a docstring."""
    assert {"read", "check", "fit", "load", "forecast"} <= set(wattcast.__all__)
    assert all(getattr(wattcast, name).__doc__ for name in wattcast.__all__)


def test_read_takes_what_the_file_does_not_say(tmp_path: Path) -> None:
    """Options reach the reader; the meter's id is the file's name unless it is given; a wrong file is a BadMeterFile."""
    path = write_csv(tmp_path / "My House.csv", tiny.hour_table(20))
    assert wattcast.read(path).meter.id == "my-house"
    table = wattcast.read(str(path), meter="other", zone="Europe/Paris", unit="W")
    assert (table.meter.id, table.meter.zone, table.step_s) == ("other", "Europe/Paris", 3600)
    assert table.power_kw == pytest.approx(wattcast.read(path).power_kw / 1000)
    with pytest.raises(BadMeterFile, match="no such file"):
        wattcast.read(tmp_path / "none.csv")


def test_check_gives_a_verdict(tmp_path: Path) -> None:
    """A verdict is a value, a refusal too."""
    assert wattcast.check(write_csv(tmp_path / "house.csv", tiny.hour_table(20))).verdict == "good"
    assert wattcast.check(write_csv(tmp_path / "short.csv", tiny.hour_table(2))).verdict == "refused"


@pytest.mark.parametrize(("resolution_s", "horizon"), [(900, 96), (1_800, 48), (86_400, 7)])
def test_a_task_works_at_whatever_resolution_params_state(params: Path, resolution_s: int, horizon: int) -> None:
    """A day of quarters or half hours, a week of days: by params alone, from readings at a finer step, on local time."""
    table = tiny.minute_table(16) if resolution_s < 3_600 else tiny.hour_table(400)
    models = tuple(replace(plan, least_readings=7) for plan in tiny.TASKS["day_ahead"].models)
    stated = with_day_ahead(params, resolution_s=resolution_s, horizon=horizon, leads_per_origin=0, models=models)
    forecast = wattcast.forecast(wattcast.fit(table, family="lgbm", params=stated), table)
    starts = [step.start_s for step in forecast.steps]
    assert len(starts) == horizon
    assert np.diff([forecast.origin_s - resolution_s, *starts]).tolist() == [resolution_s] * horizon
    assert all(step.quantiles[0.1] <= step.quantiles[0.5] <= step.quantiles[0.9] for step in forecast.steps)


def test_a_task_with_a_gate_forecasts_the_next_local_day_from_it(params: Path) -> None:
    """Without an origin from the last closing; from another moment it is refused."""
    table = tiny.hour_table(60)
    fitted = wattcast.fit(table, family="lgbm", params=with_day_ahead(params, gate="06:00"))
    forecast = wattcast.forecast(fitted, table.until(table.end_s - 3_600))
    assert datetime.fromtimestamp(forecast.origin_s, ZoneInfo("Europe/Paris")).strftime("%H:%M") == "06:00"
    local = [datetime.fromtimestamp(step.start_s, ZoneInfo("Europe/Paris")) for step in forecast.steps]
    assert [moment.hour for moment in local] == list(range(24))
    assert {moment.date() for moment in local} == {date(2010, 3, 2)}
    with pytest.raises(BadRequest, match="from 06:00 local time"):
        wattcast.forecast(fitted, table, "2010-02-20T07:00")


def with_day_ahead(params: Path, **changes: Any) -> Params:
    """The params with these changes of the task day_ahead."""
    stated = load_params(params)
    return stated.model_copy(update={"tasks": {**stated.tasks, "day_ahead": replace(stated.tasks["day_ahead"], **changes)}})


def test_fit_uses_all_of_the_table_and_the_forecast_starts_at_its_end(params: Path) -> None:
    """What was fitted spans the table; the same inputs give the same bundle; minutes are averaged to the task's hours."""
    table = tiny.minute_table(16)
    fitted = wattcast.fit(table, family="lgbm", params=params)
    again = wattcast.fit(table, family="lgbm", params=load_params(params))
    assert fitted.id == again.id
    assert (fitted.manifest.train_start_s, fitted.manifest.train_end_s) == (table.start_s, table.end_s)
    forecast = wattcast.forecast(fitted, table)
    assert (forecast.steps[0].start_s, len(forecast.steps), forecast.version) == (table.end_s, 24, fitted.id)


def test_forecast_knows_nothing_after_its_origin(bundle: Bundle) -> None:
    """An origin as text, on the meter's clock, or as a datetime; what follows it changes nothing."""
    table = tiny.hour_table()
    origin = datetime(2010, 2, 20, 11, tzinfo=UTC)
    known = wattcast.forecast(bundle, table.until(int(origin.timestamp())))
    assert known == wattcast.forecast(bundle, table, origin) == wattcast.forecast(bundle, table, "2010-02-20T12:00")
    assert all(step.quantiles[0.1] <= step.quantiles[0.5] <= step.quantiles[0.9] for step in known.steps)


def test_what_cannot_be_forecast_is_refused(bundle: Bundle) -> None:
    """Too few readings, none, an origin outside them, no moment at all, a table that is too coarse."""
    table = tiny.hour_table()
    with pytest.raises(NotEnoughHistory, match="at least 48 readings"):
        wattcast.forecast(bundle, table.rows(0, 24))
    for origin in ("2009-01-01", "2011-01-01", "soon"):
        with pytest.raises(BadRequest):
            wattcast.forecast(bundle, table, origin)
    with pytest.raises(BadRequest):
        wattcast.forecast(bundle, tiny.hour_table(1).rows(0, 0))
    with pytest.raises(BadParams):
        wattcast.forecast(wattcast.load(tiny.bundle()), table)


def test_fit_refuses_what_it_does_not_know(params: Path) -> None:
    """An unknown task or family with the nearest name."""
    with pytest.raises(BadParams, match='did you mean "day_ahead"'):
        wattcast.fit(tiny.hour_table(), task="dayahead", params=params)
    with pytest.raises(BadParams, match='did you mean "lgbm"'):
        wattcast.fit(tiny.hour_table(), family="lgb", params=params)  # type: ignore[arg-type]


def test_load_takes_a_path_or_bytes_and_refuses_the_rest(tmp_path: Path) -> None:
    """A whole bundle opens; half of one does not; no file is said."""
    data = tiny.bundle()
    path = tmp_path / "model.wattcast"
    path.write_bytes(data)
    assert wattcast.load(path).id == wattcast.load(data).id == wattcast.load(str(path)).id
    with pytest.raises(BadBundle):
        wattcast.load(data[:-100])
    with pytest.raises(Unavailable, match="cannot be read"):
        wattcast.load(tmp_path / "none.wattcast")


def test_the_params_that_ship_are_those_of_the_project() -> None:
    """One copy: what an installed wattcast fits with is the project's params.yaml."""
    assert wattcast.shipped_params() == load_params(ROOT / "params.yaml")


def test_the_readmes_python_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The block under "Python" in the README runs as it stands, in a folder with the simulated house."""
    blocks = re.findall(r"(?ms)^## Python$.*?^```python\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"))
    assert len(blocks) == 1
    monkeypatch.chdir(tmp_path)
    Path("data/raw").mkdir(parents=True)
    Path("data/raw/simulated-house.txt").write_bytes(as_uci_text(simulate(60)))
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(blocks[0], "README.md", "exec"), {})
    assert np.isfinite([float(number) for number in re.findall(r"mean=([\d.]+)", printed.getvalue())]).all()
    assert "mean=" in printed.getvalue()
