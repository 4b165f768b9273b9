"""The log of forecasts given out, in the database: written behind the answer, and read back beside what came."""

from __future__ import annotations

import hashlib
import queue
import threading
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.dialects import postgresql, sqlite

from wattcast.adapters.database.connection import Database
from wattcast.adapters.database.schema import forecasts
from wattcast.errors import Unavailable
from wattcast.forecasting.forecast import Forecast, LoggedForecast, Step

_json = msgspec.json.Encoder()
_steps = msgspec.json.Decoder(list[tuple[int, float, dict[str, float]]])
_ONE = ("meter", "task", "origin_s", "version", "digest")


class DatabaseForecasts:
    """Every forecast that was given out for a meter; the same one given out again counts up."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, served: Sequence[tuple[Forecast, int]]) -> None:
        """Keep forecasts, each with the moment it was given out at, all or none. Raises Unavailable."""
        rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        for forecast, at_s in served:
            row = _row(forecast, at_s)
            there = rows.setdefault(tuple(row[name] for name in _ONE), row)
            if there is not row:
                there["served"], there["last_served_s"] = there["served"] + 1, max(there["last_served_s"], at_s)
        if not rows:
            return
        new = (sqlite if self._database.sqlite else postgresql).insert(forecasts)
        again = {
            "served": forecasts.c.served + new.excluded.served,
            "last_served_s": func.max(forecasts.c.last_served_s, new.excluded.last_served_s)
            if self._database.sqlite
            else func.greatest(forecasts.c.last_served_s, new.excluded.last_served_s),
        }
        with self._database.writing() as connection:
            connection.execute(new.on_conflict_do_update(index_elements=list(_ONE), set_=again), list(rows.values()))

    def latest(self, meter_id: str, task: str, limit: int, before: int | None = None) -> list[LoggedForecast]:
        """The forecasts of a meter, those kept last first. task: "" for every task; before: a key, those that were kept before it."""
        own = [forecasts.c.meter == meter_id]
        own += [forecasts.c.task == task] if task else []
        own += [forecasts.c.key < before] if before is not None else []
        words = select(forecasts).where(*own).order_by(forecasts.c.key.desc()).limit(limit)
        with self._database.reading() as connection:
            return [_logged(row) for row in connection.execute(words)]


class WrittenBehind:
    """Forecasts on their way to the log: `add` returns at once, a thread of this process writes them, `close` waits until all are there.

    Where the log does not answer they are kept, the latest `most` of them, and tried again; `waiting` and `lost` say how many.
    """

    def __init__(self, log: DatabaseForecasts, most: int = 10_000, retry_s: float = 1.0) -> None:
        self._log = log
        self._most = most
        self._retry_s = retry_s
        self._queue: queue.SimpleQueue[tuple[Forecast, int] | None] = queue.SimpleQueue()
        self._start = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closing = threading.Event()
        self._kept: list[tuple[Forecast, int]] = []
        self.lost = 0
        self.fault = ""

    @property
    def waiting(self) -> int:
        """How many are not in the log yet."""
        return self._queue.qsize() + len(self._kept)

    def add(self, forecast: Forecast, at_s: int) -> None:
        """Hand a forecast over."""
        self._queue.put((forecast, at_s))
        if self._thread is None:
            with self._start:
                # Not before it is needed: a thread does not survive the fork of a worker.
                if self._thread is None:
                    self._thread = threading.Thread(target=self._write, name="forecast log", daemon=True)
                    self._thread.start()

    def close(self) -> None:
        """Write what is waiting, once more where the log did not answer, and end."""
        if self._thread is not None:
            self._closing.set()
            self._queue.put(None)
            self._thread.join()

    def _write(self) -> None:
        while True:
            if not self._kept and (first := self._queue.get()) is not None:
                self._kept.append(first)
            while not self._queue.empty():
                if (one := self._queue.get()) is not None:
                    self._kept.append(one)
            self._try()
            if self._closing.is_set() and self._queue.empty():
                self.lost += len(self._kept)
                return
            if self._kept:
                self._closing.wait(self._retry_s)

    def _try(self) -> None:
        try:
            self._log.add(self._kept)
        except Unavailable as cause:
            self.fault = cause.message
            self.lost += max(len(self._kept) - self._most, 0)
            self._kept = self._kept[-self._most :]
        else:
            self.fault = ""
            self._kept = []


def _row(forecast: Forecast, at_s: int) -> dict[str, Any]:
    steps = _json.encode(
        [
            (step.start_s, round(step.mean, 6), {f"{level:g}": round(value, 6) for level, value in step.quantiles.items()})
            for step in forecast.steps
        ]
    )
    return {
        "meter": forecast.meter,
        "task": forecast.task,
        "origin_s": forecast.origin_s,
        "step_s": forecast.step_s,
        "version": forecast.version,
        "tier": forecast.tier,
        "model": forecast.model,
        "reason": forecast.reason,
        "steps": steps.decode(),
        "digest": hashlib.sha256(steps + forecast.model.encode()).hexdigest(),
        "first_served_s": at_s,
        "last_served_s": at_s,
        "served": 1,
    }


def _logged(row: Any) -> LoggedForecast:
    steps = [
        Step(start, mean, {float(level): value for level, value in levels.items()}) for start, mean, levels in _steps.decode(row.steps)
    ]
    return LoggedForecast(
        key=row.key,
        meter=row.meter,
        task=row.task,
        origin_s=row.origin_s,
        step_s=row.step_s,
        steps=tuple(steps),
        tier=row.tier,
        reason=row.reason,
        model=row.model,
        version=row.version,
        first_served_s=row.first_served_s,
        last_served_s=row.last_served_s,
        served=row.served,
    )
