"""What is older than the settings say is deleted while a service runs: when it starts, and every hour."""

from __future__ import annotations

import threading
import time

from sqlalchemy import delete, exists, select

from wattcast.adapters.database.connection import Database
from wattcast.adapters.database.readings import touched
from wattcast.adapters.database.schema import forecasts, meters, readings
from wattcast.errors import Unavailable

_HOUR_S = 3_600.0
_DAY_S = 86_400


def pruned(database: Database, now_s: int, readings_s: int, forecasts_s: int) -> tuple[int, int]:
    """Delete what is older than these spans before now, 0 for nothing: how many readings and forecasts. A meter stays, without any too."""
    gone = [0, 0]
    if readings_s:
        old = (readings.c.meter_key == meters.c.key) & (readings.c.start_s < now_s - readings_s)
        with database.reading() as connection:
            keys = connection.execute(select(meters.c.key).where(exists().where(old))).scalars().all()
        gone[0] = sum(_pruned_of(database, key, now_s, now_s - readings_s) for key in keys)
    if forecasts_s:
        with database.writing() as connection:
            gone[1] = connection.execute(delete(forecasts).where(forecasts.c.last_served_s < now_s - forecasts_s)).rowcount
    return gone[0], gone[1]


def _pruned_of(database: Database, key: int, now_s: int, before_s: int) -> int:
    """One meter at a time, so that nobody who sends readings waits for all of them."""
    with database.writing() as connection:
        revision = connection.execute(select(meters.c.revision).where(meters.c.key == key).with_for_update()).scalar()
        if revision is None:
            return 0
        gone = connection.execute(delete(readings).where(readings.c.meter_key == key, readings.c.start_s < before_s)).rowcount
        if gone:
            # No span of what is left changed: memory drops what is older than the oldest.
            touched(connection, key, revision, now_s, (before_s, before_s))
        return gone


class Retention:
    """A thread of this process that prunes. Days: 0 to keep for ever. fault: why the last time did not succeed."""

    def __init__(self, database: Database, readings_days: int, forecasts_days: int) -> None:
        self._database = database
        self._seconds = readings_days * _DAY_S, forecasts_days * _DAY_S
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self.fault = ""

    def start(self) -> None:
        """Begin, where there is anything to be done. Not before the fork of a worker: no thread survives it."""
        if any(self._seconds):
            self._thread = threading.Thread(target=self._prune, name="retention", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """End, once what is being done is done."""
        self._closing.set()
        if self._thread is not None:
            self._thread.join()

    def _prune(self) -> None:
        while True:
            try:
                pruned(self._database, int(time.time()), *self._seconds)
                self.fault = ""
            except Unavailable as cause:
                self.fault = cause.message
            if self._closing.wait(_HOUR_S):
                return
