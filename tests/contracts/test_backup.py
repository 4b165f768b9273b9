"""What a backup promises: every row comes back, into the same kind of database or the other, all or nothing."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from test_reading_store import METER, NOW_S, batch, forecast, served

from wattcast.adapters.database import Database, DatabaseForecasts, DatabaseReadings, pruned
from wattcast.adapters.database.backup import backup, restore
from wattcast.errors import BadRequest, Unavailable
from wattcast.meter.arrivals import Batch

ALL = 10**10


def filled(database: Database) -> tuple[DatabaseReadings, DatabaseForecasts]:
    """A meter with a corrected reading and two forecasts."""
    readings, log = DatabaseReadings(database), DatabaseForecasts(database)
    readings.put(METER, batch(voltage_v=240.0), NOW_S)
    readings.put(METER, Batch(3600, batch(1).start_s, np.array([9.0], dtype=np.float32)), NOW_S)
    log.add([served(forecast(), NOW_S), served(forecast(kw=2.0), NOW_S + 90_000)])
    return readings, log


@pytest.fixture
def elsewhere(tmp_path: Path) -> Database:
    """An empty SQLite database, wherever the other one is."""
    return Database(f"sqlite:///{tmp_path / 'elsewhere.db'}")


def test_every_row_comes_back(database: Database, elsewhere: Database, tmp_path: Path) -> None:
    """Readings with what stood before, forecasts and meters; and what arrives afterwards is numbered after them."""
    readings, log = filled(database)
    path = tmp_path / "backup.jsonl.gz"
    rows = backup(database, path)
    assert restore(elsewhere, path) == rows == 1 + 48 + 2 + 2
    there, logged = DatabaseReadings(elsewhere), DatabaseForecasts(elsewhere)
    assert there.page("barn", 0, ALL, 100) == readings.page("barn", 0, ALL, 100)
    assert there.meters() == readings.meters()
    assert logged.latest("barn", "", 9) == log.latest("barn", "", 9)
    logged.add([served(forecast(kw=3.0), NOW_S)])
    there.put(METER, batch(2, 48), NOW_S)
    assert len(logged.latest("barn", "", 9)) == 3


def test_a_backup_of_one_kind_is_restored_into_the_other(database: Database, elsewhere: Database, tmp_path: Path) -> None:
    """From SQLite, and new keys do not collide with those that came."""
    _, log = filled(elsewhere)
    path = tmp_path / "backup.jsonl.gz"
    backup(elsewhere, path)
    restore(database, path)
    kept = DatabaseForecasts(database)
    assert kept.latest("barn", "", 9) == log.latest("barn", "", 9)
    kept.add([served(forecast(kw=3.0), NOW_S)])
    DatabaseReadings(database).put(METER.__class__("other"), batch(2), NOW_S)
    assert len(kept.latest("barn", "", 9)) == 3


@pytest.mark.parametrize("left", [None, b"", b"no gzip", gzip.compress(b"{}\n")], ids=["torn", "empty", "foreign", "unknown"])
def test_what_is_no_whole_backup_changes_nothing(left: bytes | None, elsewhere: Database, database: Database, tmp_path: Path) -> None:
    """Torn, empty, foreign: one refusal, and the database is as empty as before."""
    filled(elsewhere)
    path = tmp_path / "backup.jsonl.gz"
    backup(elsewhere, path)
    path.write_bytes(path.read_bytes()[:-20] if left is None else left)
    with pytest.raises(BadRequest, match="backup"):
        restore(database, path)
    assert DatabaseReadings(database).meters() == ()


def test_a_database_with_rows_is_not_written_over(database: Database, tmp_path: Path) -> None:
    """Restoring into a database that is in use is refused."""
    readings, _ = filled(database)
    path = tmp_path / "backup.jsonl.gz"
    backup(database, path)
    with pytest.raises(BadRequest, match="has rows already"):
        restore(database, path)
    assert len(readings.page("barn", 0, ALL, 100)) == 48
    with pytest.raises(Unavailable, match="cannot be written"):
        backup(database, tmp_path / "nowhere" / "backup.gz")


def test_what_is_older_than_is_kept_goes(database: Database) -> None:
    """Readings by their start, forecasts by when they were given out last; nothing without a limit."""
    readings, log = filled(database)
    assert pruned(database, NOW_S, 0, 0) == (0, 0)
    last = int(batch().start_s[-1])
    assert pruned(database, last + 3600, 3600 * 10, 0) == (38, 0)
    assert len(readings.page("barn", 0, ALL, 100)) == 10
    assert pruned(database, NOW_S + 90_000, 0, 3600) == (0, 1)
    assert [each.steps[0].mean for each in log.latest("barn", "", 9)] == [2.0]
