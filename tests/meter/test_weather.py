"""The simulated weather, the heat pump it drives, and a forecast of it whose worth can be measured."""

from __future__ import annotations

import hashlib
import json
from dataclasses import FrozenInstanceError
from datetime import date
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
from small_project import in_process

from wattcast.config import MeterFacts
from wattcast.meter.cleaning import resample, to_table
from wattcast.meter.clock import Instants
from wattcast.meter.known import KnownColumn
from wattcast.meter.quality import judge
from wattcast.meter.readers import ReadOptions, read
from wattcast.meter.readers.known_file import join_known, read_known
from wattcast.meter.sample import as_uci_text, simulate
from wattcast.meter.table import Meter, MeterTable
from wattcast.meter.weather import Climate, HeatPump, as_csv, heat_pump_kw, outdoor_c, temperature_forecast

FIRST, DAYS, SEED = date(2024, 1, 1), 140, 5
HOUR_S, DAY_S = 3_600, 86_400
Hours = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def truth() -> Hours:
    """The temperature outside, hour by hour, some days beyond the house."""
    return outdoor_c(FIRST, DAYS + 4, SEED).reshape(-1, 60).mean(axis=1)


@pytest.fixture(scope="module")
def forecast() -> pl.DataFrame:
    """What was forecast of it."""
    return temperature_forecast(FIRST, DAYS, SEED)


@pytest.fixture(scope="module")
def errors(truth: Hours, forecast: pl.DataFrame) -> Hours:
    """The forecast less the truth, shape (issues, 72)."""
    issues = DAYS * 4 + 1
    hours = np.arange(issues)[:, None] * 6 + np.arange(72)
    return forecast["temperature_c"].to_numpy().reshape(issues, 72) - truth[hours]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> MeterTable:
    """The house with a heat pump in hours, written and read again, with the forecast joined."""
    folder = tmp_path_factory.mktemp("house")
    (folder / "house.txt").write_bytes(as_uci_text(simulate(DAYS, SEED, heat_pump=True)))
    (folder / "weather.csv").write_bytes(as_csv(temperature_forecast(FIRST, DAYS, SEED)))
    readings = read(folder / "house.txt", ReadOptions(Meter("house")))
    table = to_table(readings)
    assert judge(readings, table).verdict == "good"
    return join_known(resample(table, HOUR_S), folder / "weather.csv")


@pytest.mark.parametrize(
    ("days", "seed", "sha256"),
    [
        (1, 1, "e789e529f02ad27f4e70df4d155ef2742fd12bd19c8e4a297020fa1e6f01c7c9"),
        (20, 2, "41bad29ecc7c884baddb05991112c7dac6d895e05fae8dc709f821949fa8b232"),
        (400, 20_240_101, "29d160eb0bf936dcb275fd260da5fa2039857f74aedaac6c89d11385d6b3c384"),
    ],
)
def test_the_house_without_a_heat_pump_is_what_it_always_was(days: int, seed: int, sha256: str) -> None:
    """The documented sample stays the same to the byte."""
    assert hashlib.sha256(as_uci_text(simulate(days, seed))).hexdigest() == sha256


def test_with_a_heat_pump_only_the_heating_differs() -> None:
    """The same people and appliances: the sub-meters of kitchen and laundry agree, the one of the heating does not."""
    plain, pumped = (simulate(20, 3, heat_pump=heat_pump) for heat_pump in (False, True))
    for meter, same in ((1, True), (2, True), (3, False)):
        assert plain[f"Sub_metering_{meter}"].equals(pumped[f"Sub_metering_{meter}"]) is same
    assert as_uci_text(pumped) == as_uci_text(simulate(20, 3, heat_pump=True))


def test_weather_has_seasons_days_and_systems() -> None:
    """Winters are colder than summers, nights than afternoons, and whole days differ from the days before by about two degrees."""
    by_day = outdoor_c(FIRST, 280, SEED).reshape(280, 24, 60).mean(axis=2)
    assert by_day[180:240].mean() > by_day[:60].mean() + 10
    assert by_day[:, 14:16].mean() > by_day[:, 2:4].mean() + 4
    assert 1.2 < np.diff(by_day.mean(axis=1)).std() < 3
    assert -20 < by_day.min() < by_day.max() < 40


def test_more_days_begin_with_the_same_days(truth: Hours) -> None:
    """The forecast looks beyond the house's last day at the weather that would have come."""
    np.testing.assert_array_equal(outdoor_c(FIRST, DAYS, SEED).reshape(-1, 60).mean(axis=1), truth[: DAYS * 24])
    assert not np.array_equal(outdoor_c(FIRST, DAYS, SEED + 1).reshape(-1, 60).mean(axis=1), truth[: DAYS * 24])


def test_the_heat_pump_draws_more_the_colder_it_is() -> None:
    """Nothing above 15 °C, half a kilowatt at 7, one to three below zero, never more than 3 kW; less while nobody is there."""
    at_home, away = np.ones(40, dtype=bool), np.zeros(40, dtype=bool)
    means = [heat_pump_kw(np.full(40 * 1_440, float(celsius)), at_home, 1).mean() for celsius in (16, 12, 7, 0, -8, -30)]
    assert means[0] == 0
    assert (np.diff(means) > 0).all()
    assert 0.35 < means[2] < 0.7
    assert 1 < means[3] < means[4] < 3
    assert heat_pump_kw(np.full(40 * 1_440, -40.0), at_home, 1).max() == HeatPump().most_kw
    assert heat_pump_kw(np.full(40 * 1_440, 2.0), away, 1).mean() < 0.75 * heat_pump_kw(np.full(40 * 1_440, 2.0), at_home, 1).mean()


def test_the_heat_pump_cycles_in_mild_weather_and_thaws_in_cold() -> None:
    """At 12 °C it is off for most of each cycle; at 0 °C it never stops, and drops to less than half every so often."""
    mild, cold = (heat_pump_kw(np.full(20 * 1_440, celsius), np.ones(20, dtype=bool), 1) for celsius in (12.0, 0.0))
    assert 0.5 < (mild == 0).mean() < 0.95
    assert (cold > 0).all()
    assert 0.02 < (cold < 0.5 * np.median(cold)).mean() < 0.1


def test_parameters_are_frozen() -> None:
    """Nobody tunes the weather to a model."""
    with pytest.raises(FrozenInstanceError):
        Climate().mean_c = 1  # type: ignore[misc]


def test_the_forecast_is_issued_every_six_hours_for_three_days(forecast: pl.DataFrame) -> None:
    """Every issue begins with its own hour; the last one is issued as the house's last reading ends."""
    assert forecast.columns == ["time", "available_at", "temperature_c"]
    assert forecast.height == (DAYS * 4 + 1) * 72
    assert forecast.row(72)[:2] == ("2024-01-01T06:00Z", "2024-01-01T06:00Z")
    assert forecast.row(-1)[:2] == ("2024-05-22T23:00Z", "2024-05-20T00:00Z")
    assert as_csv(forecast) == as_csv(temperature_forecast(FIRST, DAYS, SEED))


def test_its_error_grows_with_the_lead(errors: Hours) -> None:
    """Half a degree at first, three at the end, rising all the way, without a bias."""
    spread = errors.std(axis=0)
    assert spread[0] == pytest.approx(0.5, abs=0.05)
    assert spread[-1] == pytest.approx(3.0, abs=0.3)
    assert (np.diff(spread[::12]) > 0).all()
    assert np.abs(errors.mean(axis=0) / spread).max() < 0.2


def test_its_error_keeps_its_sign_for_hours(errors: Hours) -> None:
    """An issue that is too warm at one hour is so at the next; the issues' first errors are not each other's."""
    scaled = errors / errors.std(axis=0)
    assert np.mean(scaled[:, 30] * scaled[:, 31]) > 0.9
    assert np.mean(scaled[:, 30] * scaled[:, 42]) > 0.5
    assert abs(np.mean(scaled[:-1, 0] * scaled[1:, 0])) < 0.15


def degrees(column: KnownColumn, targets: Instants, origins: Instants) -> Hours:
    """What is to be heated for, as it was known: °C below 15, zero where nothing was known."""
    return np.nan_to_num(np.maximum(15 - column.as_of(targets, origins).astype(np.float64), 0))


def test_the_forecast_is_worth_having_and_its_loss_is_felt(house: MeterTable) -> None:
    """Tomorrow's load from the last week and the temperature: with a fresh forecast better than with none or with one two days old."""
    column = house.known["temperature_c"]
    origins = np.repeat(house.start_s + np.arange(10, DAYS - 1) * DAY_S, 24)
    targets = origins + np.tile(np.arange(24), DAYS - 11) * HOUR_S
    rows = (targets - house.start_s) // HOUR_S
    load = house.power_kw.astype(np.float64)
    week = np.nanmean([load[rows - 24 * day] for day in range(1, 8)], axis=0)
    past = np.mean([degrees(column, targets - day * DAY_S, origins) for day in range(1, 8)], axis=0)
    measured = np.isfinite(load[rows]) & np.isfinite(week)
    learned = measured & (rows < 75 * 24)
    fresh = degrees(column, targets, origins) - past
    weight = np.linalg.lstsq(np.stack([week, fresh], axis=1)[learned], load[rows][learned], rcond=None)[0]

    def error(change: Hours) -> float:
        return float(np.abs(np.stack([week, change], axis=1) @ weight - load[rows])[measured & (rows >= 75 * 24)].mean())

    stale = degrees(column, targets, origins - 2 * DAY_S) - past
    assert error(fresh) < 0.95 * min(error(stale), error(np.zeros_like(fresh)))


def test_the_command_writes_both_files_and_says_how_to_use_them(tmp_path: Path) -> None:
    """`wattcast sample --heat-pump`: the lines it prints are lines of params.yaml, and neither file is ever replaced."""
    told = in_process(tmp_path, "sample", "--heat-pump", "--days", "15")
    assert (told.returncode, told.stderr) == (0, "")
    meter, weather = Path("data/raw/simulated-heat-pump.txt"), Path("data/raw/simulated-heat-pump-weather.csv")
    assert f"simulated-heat-pump: {{simulated: true, known: {weather}}}" in told.stdout
    assert "known: [{column: temperature_c, offsets: [0], means: [6, 24]}]" in told.stdout
    assert MeterFacts(simulated=True, known=str(weather)).known == str(weather)
    assert read(tmp_path / meter, ReadOptions(Meter("house"))).rows == 15 * 1_440
    assert len(read_known(tmp_path / weather, "UTC", HOUR_S)["temperature_c"].values) == (15 * 4 + 1) * 72
    (tmp_path / meter).unlink()
    again = in_process(tmp_path, "sample", "--heat-pump", "--days", "15")
    assert (again.returncode, again.stderr.splitlines()[0]) == (1, f"error: {weather} is there already")
    other = in_process(tmp_path, "sample", "--heat-pump", "--out", "a/b.txt", "--days", "1", "--json")
    assert json.loads(other.stdout)["known"] == "a/b-weather.csv"
