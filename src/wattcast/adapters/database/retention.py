"""What is older than the settings say is deleted while a service runs: when it starts, and every hour."""

from __future__ import annotations

import threading
import time

from wattcast.adapters.database.connection import Database
from wattcast.adapters.database.readings import pruned
from wattcast.errors import Unavailable

_HOUR_S = 3_600.0
_DAY_S = 86_400


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
