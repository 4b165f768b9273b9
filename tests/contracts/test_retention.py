"""What retention promises: what is too old goes, from memory as well, and nothing else does."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from sqlalchemy import select
from test_backup import filled
from test_reading_store import ALL, METER, NOW_S, START_S, batch

from wattcast.adapters.database import Database, DatabaseReadings, pruned
from wattcast.adapters.database.schema import arrivals
from wattcast.adapters.files import FileSnapshots
from wattcast.adapters.live import LiveReadings
from wattcast.meter.arrivals import Counts

END_S = START_S + 48 * 3600


def test_what_is_older_than_is_kept_goes(database: Database) -> None:
    """Readings by their start, forecasts by when they were given out last; nothing without a limit."""
    readings, log = filled(database)
    assert pruned(database, NOW_S, 0, 0) == (0, 0)
    last = int(batch().start_s[-1])
    assert pruned(database, last + 3600, 3600 * 10, 0) == (38, 0)
    assert len(readings.page("barn", 0, ALL, 100)) == 10
    assert pruned(database, NOW_S + 90_000, 0, 3600) == (0, 1)
    assert [each.steps[0].mean for each in log.latest("barn", "", 9)] == [2.0]


def test_what_was_deleted_is_told_by_revision(database: Database) -> None:
    """Of a meter that lost readings: memory hears what the oldest reading is now, and reads no other again; others stay as they are."""
    readings = DatabaseReadings(database)
    readings.put(METER, batch(), NOW_S)
    readings.put(replace(METER, id="house"), batch(2, 46), NOW_S)
    at = {each.meter.id: each.revision for each in readings.meters()}
    assert pruned(database, END_S, 3600 * 10, 0) == (38, 0)
    changed = readings.changes("barn", at["barn"], ALL)
    assert changed is not None
    assert changed.batch is not None
    assert (changed.revision, changed.whole, changed.oldest_s, len(changed.batch)) == (at["barn"] + 1, False, END_S - 36_000, 0)
    readings.put(METER, batch(1, 48), NOW_S)
    changed = readings.changes("barn", at["barn"], ALL)
    assert changed is not None
    assert (changed.span, changed.oldest_s) == ((END_S, END_S + 3600), END_S - 36_000)
    unchanged = readings.changes("house", at["house"], ALL)
    assert unchanged is not None
    assert unchanged.batch is None


def test_memory_drops_what_was_deleted(database: Database, tmp_path: Path) -> None:
    """What is answered from, and its state, are those of a fresh reader, also where a reading arrived meanwhile, or none is left."""
    readings = DatabaseReadings(database)
    readings.put(METER, batch(), NOW_S)
    live = LiveReadings(FileSnapshots(tmp_path), readings)
    seen = {live.state("barn", 3600)}
    for hours, arriving in ((30, 0), (20, 1), (10, 0)):
        assert live.latest("barn", 3600) is not None
        pruned(database, END_S, 3600 * hours, 0)
        if arriving:
            readings.put(METER, batch(arriving, 48), NOW_S)
        kept, fresh = live.latest("barn", 3600), LiveReadings(FileSnapshots(tmp_path), readings).latest("barn", 3600)
        assert kept is not None
        assert fresh is not None
        assert (kept.start_s, kept.sha256()) == (END_S - hours * 3600, fresh.sha256())
        seen.add(live.state("barn", 3600))
    assert len(seen) == 4
    assert pruned(database, END_S + 10 * 3600, 3600, 0)[0] == 11
    assert live.latest("barn", 3600) is None


def test_a_meter_without_a_reading_left_stays(database: Database) -> None:
    """With its facts: who sends again need not say them, and may not say others."""
    readings = DatabaseReadings(database)
    readings.put(METER, batch(), NOW_S)
    assert pruned(database, END_S + 7200, 3600, 0) == (48, 0)
    (left,) = readings.meters()
    assert (left.meter, left.readings, left.first_s) == (METER, 0, None)
    assert readings.put(METER, batch(2, 48), NOW_S) == Counts(new=2)


def test_the_spans_of_changes_long_past_are_forgotten(database: Database) -> None:
    """One row for each arrival would grow for ever: of the latest thousand memory follows, and from before them it reads all again."""
    readings = DatabaseReadings(database)
    readings.put(METER, batch(1), NOW_S)
    first = readings.meter("barn")
    assert first is not None
    one = batch(1)
    for number in range(1_002):
        readings.put(METER, replace(one, power_kw=np.array([number], dtype=np.float32)), NOW_S)
    with database.reading() as connection:
        kept = sorted(connection.execute(select(arrivals.c.revision)).scalars())
    assert kept == list(range(first.revision + 3, first.revision + 1_003))
    for since, whole in ((first.revision + 2, True), (first.revision + 3, False)):
        changed = readings.changes("barn", since, ALL)
        assert changed is not None
        assert changed.whole is whole
