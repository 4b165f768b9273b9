"""What every reading store promises: what was acknowledged is there, once, and what a correction replaced is kept."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import event, func, select

from wattcast.adapters.database import HEAD, Database, DatabaseReadings, schema
from wattcast.adapters.files import FileSnapshots
from wattcast.adapters.live import LiveReadings
from wattcast.errors import BadRequest, Unavailable
from wattcast.forecasting.forecast import Forecast, Served, Step, Steps
from wattcast.meter.arrivals import Batch, Counts
from wattcast.meter.table import Meter
from wattcast.ports import ForecastLog, ReadingStore

METER = Meter("barn", zone="Europe/Paris", flow="net", holidays="FR", simulated=True)
START_S = 1_262_304_000
NOW_S = 1_262_400_000
ALL = 10**10


def batch(hours: int = 48, first: int = 0, **columns: float) -> Batch:
    """Hours with a value of their own each, and further columns of one value."""
    start = START_S + 3600 * np.arange(first, first + hours)
    power = np.arange(first, first + hours) / 10 + 0.1
    return Batch.of(3600, start, {"power_kw": power, **{name: np.full(hours, value) for name, value in columns.items()}})


def test_readings_come_back_as_they_were(readings: ReadingStore, connect_database: Callable[[], Database]) -> None:
    """Values, gaps, covariates, times and the meter's facts, by whoever connects."""
    given = batch(voltage_v=240.1)
    given.power_kw[3] = np.nan
    given.covariates["voltage_v"][4] = np.nan
    assert readings.put(METER, given, NOW_S) == Counts(new=48)
    for store in (readings, DatabaseReadings(connect_database())):
        found = store.changes("barn", 0, ALL)
        assert found is not None
        assert found.batch is not None
        assert found.meter == METER
        assert found.batch.step_s == 3600
        np.testing.assert_array_equal(found.batch.start_s, given.start_s)
        for name, values in given.columns().items():
            np.testing.assert_array_equal(found.batch.columns()[name], values)
    (known,) = readings.meters()
    assert (known.readings, known.first_s, known.end_s) == (48, START_S, START_S + 48 * 3600)


def test_sent_twice_changes_nothing(readings: ReadingStore) -> None:
    """The same readings are counted as the same, gaps among them, and the revision stays."""
    given = batch(sub1_wh=3.3)
    given.power_kw[5] = np.nan
    readings.put(METER, given, NOW_S)
    before, at = readings.page("barn", 0, ALL, 100), readings.meter("barn")
    assert readings.put(METER, given, NOW_S + 60) == Counts(same=48)
    assert readings.put(METER, batch(5), NOW_S + 60) == Counts(same=5)
    assert readings.page("barn", 0, ALL, 100) == before
    assert readings.meter("barn") == at is not None


def test_a_correction_keeps_what_stood_before(readings: ReadingStore) -> None:
    """The new value counts; beside it stand those before, oldest first, and until when; covariates that are not sent stay."""
    readings.put(METER, batch(voltage_v=240.1), NOW_S)
    higher = replace(batch(3, 1), power_kw=np.array([7.5, 0.3, np.nan], dtype=np.float32))
    later = batch(1, 1)
    assert readings.put(METER, higher, NOW_S + 1) == Counts(same=0 + 1, corrected=2)
    assert readings.put(METER, later, NOW_S + 2) == Counts(corrected=1)
    page = readings.page("barn", START_S, START_S + 4 * 3600, 10)
    assert [row["power_kw"] for row in page] == [0.1, 0.2, 0.3, None]
    assert all(row["covariates"] == {"voltage_v": 240.1} for row in page)
    assert [[was["power_kw"] for was in row["before"]] for row in page] == [[], [0.2, 7.5], [], [0.4]]
    assert [was["covariates"] for row in page for was in row["before"]] == [{"voltage_v": 240.1}] * 3
    assert page[1]["before"][0]["until"] == "2010-01-02T02:40:01+00:00"


def test_a_covariate_that_was_not_measured_replaces_one_that_was(readings: ReadingStore) -> None:
    """Once, and what stood there is kept beside; sent again it is the same; a column that no reading of a batch has says nothing."""
    readings.put(METER, batch(3, voltage_v=240.0, sub1_wh=2.0), NOW_S)
    given = batch(3, voltage_v=240.0)
    given.covariates["voltage_v"][1] = np.nan
    assert readings.put(METER, given, NOW_S + 1) == Counts(same=2, corrected=1)
    assert readings.put(METER, given, NOW_S + 2) == Counts(same=3)
    assert readings.put(METER, batch(3, voltage_v=np.nan), NOW_S + 3) == Counts(same=3)
    page = readings.page("barn", 0, ALL, 10)
    assert [row["covariates"].get("voltage_v") for row in page] == [240.0, None, 240.0]
    assert all(row["covariates"]["sub1_wh"] == 2.0 for row in page)
    assert [[was["covariates"] for was in row["before"]] for row in page] == [[], [{"voltage_v": 240.0, "sub1_wh": 2.0}], []]


def test_what_changed_is_told_by_revision(readings: ReadingStore) -> None:
    """From a revision on: the span that was touched since and all readings in it; nothing where nothing was."""
    assert readings.changes("barn", 0, ALL) is None
    readings.put(METER, batch(), NOW_S)
    first = readings.meter("barn")
    assert first is not None
    readings.put(METER, batch(2, 48), NOW_S)
    readings.put(METER, replace(batch(1, 10), power_kw=np.array([9.0], dtype=np.float32)), NOW_S)
    since = readings.changes("barn", first.revision, ALL)
    assert since is not None
    assert (since.revision, since.whole, since.span) == (first.revision + 2, False, (START_S + 10 * 3600, START_S + 50 * 3600))
    assert since.batch is not None
    assert len(since.batch) == 40
    unchanged = readings.changes("barn", first.revision + 2, ALL)
    assert unchanged is not None
    assert unchanged.batch is None
    recent = readings.changes("barn", 0, 5 * 3600)
    assert recent is not None
    assert recent.batch is not None
    assert len(recent.batch) == 6


def test_pages_are_cut_where_they_are_asked_to(readings: ReadingStore) -> None:
    """From inclusive, to exclusive, at most the limit."""
    readings.put(METER, batch(), NOW_S)
    hour = [START_S + 3600 * number for number in range(48)]
    assert [row["start_s"] for row in readings.page("barn", hour[2], hour[6], 100)] == hour[2:6]
    assert [row["start_s"] for row in readings.page("barn", hour[2], ALL, 3)] == hour[2:5]
    assert readings.page("house", 0, ALL, 3) == []


@pytest.mark.parametrize(
    ("meter", "given"),
    [
        (METER, Batch.of(60, np.array([START_S]), {"power_kw": np.array([1.0])})),
        (replace(METER, zone="UTC"), batch(1)),
        (replace(METER, flow="consumption"), batch(1)),
    ],
)
def test_other_facts_of_a_known_meter_are_refused(readings: ReadingStore, meter: Meter, given: Batch) -> None:
    """Another resolution, zone or flow is another meter's: nothing is kept of it."""
    readings.put(METER, batch(), NOW_S)
    with pytest.raises(BadRequest, match='meter "barn"'):
        readings.put(meter, given, NOW_S)
    assert len(readings.page("barn", 0, ALL, 100)) == 48


def test_a_deleted_meter_is_gone(readings: ReadingStore, log: ForecastLog) -> None:
    """Readings, the meter and its forecasts; others stay, and the id may begin anew with other facts."""
    for meter in (METER, replace(METER, id="house")):
        readings.put(meter, batch(), NOW_S)
        log.add([served(forecast(meter.id), NOW_S)])
    assert readings.delete("barn")
    assert not readings.delete("barn")
    assert readings.meter("barn") is None
    assert readings.page("barn", 0, ALL, 1) == []
    assert log.latest("barn", "", 10) == []
    assert len(log.latest("house", "", 10)) == 1
    assert readings.put(replace(METER, zone="UTC"), batch(2), NOW_S) == Counts(new=2)


def test_many_writers_at_once_lose_nothing(connect_database: Callable[[], Database]) -> None:
    """Eight connections write overlapping readings of one new meter: every one is there once, and every change has its revision."""
    stores = [DatabaseReadings(connect_database()) for _ in range(8)]
    counted: list[Counts] = []

    def write(number: int) -> None:
        counted.extend(stores[number].put(METER, batch(24, 12 * (number + part)), NOW_S) for part in range(4))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counted) == 32
    assert sum(each.new for each in counted) == 12 * 11 + 12
    (known,) = stores[0].meters()
    changes = stores[0].changes("barn", 0, ALL)
    assert changes is not None
    assert changes.whole
    assert (known.readings, known.revision) == (144, changes.revision)


def test_a_database_of_another_time_is_refused(database: Database, connect_database: Callable[[], Database]) -> None:
    """Tables that this code does not know are said to be so, and left alone."""
    assert database.version() == HEAD
    with database.writing() as connection:
        connection.exec_driver_sql("update alembic_version set version_num = '0000'")
    with pytest.raises(Unavailable, match=f"expects {HEAD}") as refusal:
        DatabaseReadings(connect_database()).meters()
    assert "wattcast db upgrade" in refusal.value.hint


def forecast(meter: str = "barn", origin_s: int = START_S, kw: float = 1.5, version: str = "a" * 64) -> Forecast:
    """A forecast of two hours."""
    steps = Steps.of(Step(origin_s + 3600 * number, kw + number, {0.1: kw, 0.5: kw + 0.2, 0.9: kw + 0.5}) for number in range(2))
    return Forecast(meter, "UTC", "day_ahead", origin_s, 3600, steps, "champion", "", "LightGBM Regressor", version, 60)


def served(one: Forecast, at_s: int) -> Served:
    """The forecast as it was given out once."""
    return Served(one, at_s, at_s)


def test_forecasts_are_kept_as_they_were_given_out(log: ForecastLog) -> None:
    """Steps, quantiles, tier, version and moment; latest first, by task, page after page."""
    given = [forecast(origin_s=START_S + 3600 * number) for number in range(5)]
    log.add([served(each, NOW_S + number) for number, each in enumerate(given)])
    log.add([served(forecast("house"), NOW_S)])
    kept = log.latest("barn", "day_ahead", 2)
    assert [each.origin_s for each in kept] == [START_S + 4 * 3600, START_S + 3 * 3600]
    assert kept[0].steps == given[4].steps
    assert (kept[0].tier, kept[0].version, kept[0].first_served_s, kept[0].served) == ("champion", "a" * 64, NOW_S + 4, 1)
    assert [each.origin_s for each in log.latest("barn", "", 10, before=kept[1].key)] == [START_S + 3600 * number for number in (2, 1, 0)]
    assert log.latest("barn", "next_minute", 10) == []


def test_the_same_forecast_is_kept_once_and_counted(log: ForecastLog) -> None:
    """Given out again, in one write or another: one row with its count; with other values or another version it is another."""
    log.add([served(forecast(), NOW_S), served(forecast(), NOW_S + 5)])
    log.add([served(forecast(), NOW_S + 3), served(forecast(kw=1.6), NOW_S), served(forecast(version="b" * 64), NOW_S)])
    assert [(each.served, each.first_served_s, each.last_served_s) for each in log.latest("barn", "", 9)][-1] == (3, NOW_S, NOW_S + 5)
    assert len(log.latest("barn", "", 9)) == 3
    log.add([])


def test_memory_follows_the_database(readings: ReadingStore, tmp_path: Path) -> None:
    """What is answered from is what a fresh reader would see, after every arrival, correction and deletion, at any coarser step."""
    live = LiveReadings(FileSnapshots(tmp_path), readings)
    chance = np.random.default_rng(3)
    for _ in range(12):
        first, hours = int(chance.integers(0, 60)), int(chance.integers(1, 30))
        given = replace(batch(hours, first, voltage_v=240.0), power_kw=chance.random(hours).astype(np.float32))
        readings.put(METER, given, NOW_S)
        for step_s in (3600, 7200):
            fresh = LiveReadings(FileSnapshots(tmp_path), readings).latest("barn", step_s)
            kept = live.latest("barn", step_s)
            assert fresh is not None
            assert kept is not None
            assert kept.sha256() == fresh.sha256()
    assert live.latest("barn", 1800) is None
    assert live.latest("house", 3600) is None
    readings.delete("barn")
    readings.put(METER, batch(3, 7), NOW_S)
    anew = live.latest("barn", 3600)
    assert anew is not None
    assert (len(anew), anew.start_s) == (3, START_S + 7 * 3600)
    readings.delete("barn")
    assert live.latest("barn", 3600) is None
    readings.put(replace(METER, zone="UTC"), batch(2), NOW_S)
    again = live.latest("barn", 3600)
    assert again is not None
    assert (again.meter.zone, len(again)) == ("UTC", 2)


def test_who_reads_sees_one_moment(database: Database, connect_database: Callable[[], Database]) -> None:
    """What another writes meanwhile is there for the next who reads: a backup never has readings without their meter."""
    DatabaseReadings(database).put(METER, batch(), NOW_S)
    count = select(func.count()).select_from(schema.readings)
    with database.reading() as connection:
        assert connection.execute(count).scalar() == 48
        DatabaseReadings(connect_database()).put(replace(METER, id="attic"), batch(), NOW_S)
        assert connection.execute(count).scalar() == 48
    with database.reading() as connection:
        assert connection.execute(count).scalar() == 96


def test_one_meter_is_told_alone(readings: ReadingStore) -> None:
    """With the count and the span of its own readings, or of none."""
    readings.put(METER, batch(), NOW_S)
    readings.put(replace(METER, id="attic"), batch(24), NOW_S)
    assert readings.meters(only="attic") == readings.meters()[:1]
    assert readings.meters(only="house") == ()


def test_a_file_that_another_is_writing_to_is_waited_for(tmp_path: Path) -> None:
    """SQLite refuses at once to change a file over to writing ahead that another has begun to write to."""
    file = tmp_path / "wattcast.db"
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as other:
        other.execute("create table theirs (number)")
        other.execute("begin immediate")
        threading.Timer(0.2, lambda: other.execute("rollback")).start()
        assert Database(f"sqlite:///{file}").upgrade() == ""


def test_a_connection_that_is_lost_as_it_is_taken_is_one_that_does_not_answer(database: Database) -> None:
    """Whatever the driver says of it; who asks again gets another."""
    readings = DatabaseReadings(database)
    readings.put(METER, batch(), NOW_S)

    def lost(connection: Any, *_: Any) -> None:
        connection.close()

    event.listen(database._engine, "checkout", lost)
    with pytest.raises(Unavailable, match=r"does not answer|refuses"):
        readings.meters()
    event.remove(database._engine, "checkout", lost)
    assert len(readings.meters()) == 1
