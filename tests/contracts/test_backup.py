"""What a backup promises: every row comes back, into the same kind of database or the other, all or nothing."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_reading_store import METER, NOW_S, batch, forecast, served

from wattcast.adapters.database import Database, DatabaseForecasts, DatabaseReadings
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
    assert restore(elsewhere, path) == rows == 1 + 48 + 2
    there, logged = DatabaseReadings(elsewhere), DatabaseForecasts(elsewhere)
    assert there.page("barn", 0, ALL, 100) == readings.page("barn", 0, ALL, 100)
    assert [replace(each, revision=0) for each in there.meters()] == [replace(each, revision=0) for each in readings.meters()]
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


def test_what_is_restored_is_never_taken_for_what_memory_knows(database: Database, elsewhere: Database, tmp_path: Path) -> None:
    """Every meter begins anew, so that readings which arrived after the backup are not answered from under an old revision."""
    readings, _ = filled(elsewhere)
    path = tmp_path / "backup.jsonl.gz"
    backup(elsewhere, path)
    at = readings.meter("barn")
    assert at is not None
    restore(database, path)
    back = DatabaseReadings(database)
    for arrived in (batch(1, 60), batch(1, 61)):
        back.put(METER, arrived, NOW_S)
        changed = back.changes("barn", at.revision, ALL)
        assert changed is not None
        assert changed.whole
        assert abs(changed.revision - at.revision) > 2


def test_a_backup_with_arrivals_is_read_still(database: Database, elsewhere: Database, tmp_path: Path) -> None:
    """As they were written before: the spans of old revisions are left out."""
    readings, _ = filled(elsewhere)
    path = tmp_path / "backup.jsonl.gz"
    rows = backup(elsewhere, path)
    *lines, _ = gzip.decompress(path.read_bytes()).splitlines(keepends=True)
    lines += [b'{"table":"arrival","rows":[[1,7,0,0,3600],[1,8,0,0,3600]]}\n', b'{"end":%d}\n' % (rows + 2)]
    path.write_bytes(gzip.compress(b"".join(lines)))
    assert restore(database, path) == rows
    assert DatabaseReadings(database).page("barn", 0, ALL, 100) == readings.page("barn", 0, ALL, 100)
    changed = DatabaseReadings(database).changes("barn", 7, ALL)
    assert changed is not None
    assert changed.whole


def test_a_bit_that_flipped_is_noticed(elsewhere: Database, tmp_path: Path) -> None:
    """Wherever it is in what was packed, or in its checksum: refused, before a row is written."""
    filled(elsewhere)
    path = tmp_path / "backup.jsonl.gz"
    backup(elsewhere, path)
    whole = path.read_bytes()
    empty = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    for place in (*range(10, len(whole) - 8, 40), *range(len(whole) - 8, len(whole))):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1 :])
        with pytest.raises(BadRequest, match="no whole backup"):
            restore(empty, path)
    assert DatabaseReadings(empty).meters() == ()


@pytest.mark.parametrize(
    "line",
    [
        "5",
        "[]",
        '{"table": 5}',
        '{"table": "meter", "rows": 5}',
        '{"table": "meter", "rows": [5]}',
        '{"table": "meter", "rows": [[1]]}',
        '{"table": "meter", "rows": [[1, "a", "UTC", "net", "", "maybe", 60, 1]]}',
        '{"table": "api_key", "rows": [[1]]}',
        '{"end": "many"}',
    ],
)
def test_lines_that_are_no_rows_are_refused(database: Database, elsewhere: Database, tmp_path: Path, line: str) -> None:
    """Whatever else a line is, well packed as it may be: said so, and nothing is kept."""
    path = tmp_path / "backup.jsonl.gz"
    backup_of_nothing(elsewhere, path)
    head, end = gzip.decompress(path.read_bytes()).splitlines()
    path.write_bytes(gzip.compress(b"\n".join([head, line.encode(), end])))
    with pytest.raises(BadRequest, match="no whole backup"):
        restore(database, path)
    assert DatabaseReadings(database).meters() == ()


def backup_of_nothing(database: Database, path: Path) -> None:
    """A backup of a database with tables and no rows."""
    database.upgrade()
    assert backup(database, path) == 0


def test_a_database_that_is_not_there_is_not_backed_up(tmp_path: Path) -> None:
    """A file name that was mistyped: nothing is made, neither a database nor a backup."""
    with pytest.raises(Unavailable, match="there is no database") as refused:
        backup(Database(f"sqlite:///{tmp_path / 'folder' / 'watcast.db'}"), tmp_path / "backup.gz")
    assert "WATTCAST_DATABASE" in refused.value.hint
    assert list(tmp_path.iterdir()) == []


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
