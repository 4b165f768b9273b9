"""The log of forecasts given out, in the database: written behind the answer, and read back beside what came."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from sqlalchemy import and_, case, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite

from wattcast.adapters.database.connection import Database
from wattcast.adapters.database.schema import forecasts
from wattcast.errors import Unavailable
from wattcast.forecasting.forecast import SHADOW, Forecast, LoggedForecast, Served, Steps

_json = msgspec.json.Encoder()
_steps = msgspec.json.Decoder(list[tuple[int, float, dict[str, float]]])
_ONE = ("meter", "task", "origin_s", "version", "digest")
# What becomes that of the answer when a forecast of the shadow is given out after all.
_OF_ANSWER = ("tier", "reason", "first_served_s")
_AT_ONCE = 500


class DatabaseForecasts:
    """Every forecast that was given out for a meter, and those of the shadow; the same one given out again counts up."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, served: Sequence[Served]) -> None:
        """Keep forecasts, all or none; one of the shadow that is given out is of it no more. Raises Unavailable."""
        rows: dict[tuple[Any, ...], dict[str, Any]] = {}
        for one in served:
            row = _row(one)
            there = rows.setdefault(tuple(row[name] for name in _ONE), row)
            if there is not row and (row["tier"] != SHADOW or there["tier"] == SHADOW):
                there |= {name: row[name] for name in _OF_ANSWER if there["tier"] == SHADOW != row["tier"]}
                there["served"], there["last_served_s"] = there["served"] + row["served"], max(there["last_served_s"], one.last_s)
        if not rows:
            return
        new = (sqlite if self._database.sqlite else postgresql).insert(forecasts)
        comes_out = and_(forecasts.c.tier == SHADOW, new.excluded.tier != SHADOW)
        again = {name: case((comes_out, new.excluded[name]), else_=forecasts.c[name]) for name in _OF_ANSWER} | {
            "served": forecasts.c.served + new.excluded.served,
            "last_served_s": func.max(forecasts.c.last_served_s, new.excluded.last_served_s)
            if self._database.sqlite
            else func.greatest(forecasts.c.last_served_s, new.excluded.last_served_s),
        }
        counts = or_(new.excluded.tier != SHADOW, forecasts.c.tier == SHADOW)
        with self._database.writing() as connection:
            connection.execute(new.on_conflict_do_update(index_elements=list(_ONE), set_=again, where=counts), list(rows.values()))

    def latest(self, meter_id: str, task: str, limit: int, before: int | None = None) -> list[LoggedForecast]:
        """The forecasts given out, those kept last first. task: "" for every task; before: a key, those that were kept before it."""
        own = [forecasts.c.meter == meter_id, forecasts.c.tier != SHADOW]
        own += [forecasts.c.task == task] if task else []
        own += [forecasts.c.key < before] if before is not None else []
        words = select(forecasts).where(*own).order_by(forecasts.c.key.desc()).limit(limit)
        with self._database.reading() as connection:
            return [_logged(row) for row in connection.execute(words)]

    def between(self, meter_id: str, task: str, first_origin_s: int, end_origin_s: int) -> Iterator[LoggedForecast]:
        """Every forecast, those of the shadow too, made from first_origin_s up to end_origin_s, in the order of origins; one at a time.

        One transaction, which lasts as long as the caller goes on. Raises Unavailable.
        """
        own = forecasts.c.meter == meter_id, forecasts.c.task == task
        span = forecasts.c.origin_s >= first_origin_s, forecasts.c.origin_s < end_origin_s
        # The order of the index of what makes a forecast one: nothing has to be sorted.
        words = select(forecasts).where(*own, *span).order_by(forecasts.c.origin_s, forecasts.c.version, forecasts.c.digest)
        with self._database.reading() as connection:
            for row in connection.execution_options(yield_per=_AT_ONCE).execute(words):
                yield _logged(row)


@dataclass
class _Waiting:
    """A forecast that was given out so many times, first and last at these moments."""

    make: Callable[[], Forecast | None]
    first_s: int
    last_s: int
    times: int = 1


class WrittenBehind:
    """Forecasts on their way to the log: `add` returns at once, a thread of this process writes them, `close` waits until all are there.

    One given out again before it was written counts up. Where the log does not answer they are kept, the latest `most` of them, and
    tried again; `waiting` and `lost` say how many, `fault` why.
    """

    def __init__(self, log: DatabaseForecasts, most: int = 10_000, every_s: float = 0.2, retry_s: float = 1.0) -> None:
        self._log = log
        self._most = most
        self._every_s = every_s
        self._retry_s = retry_s
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._waiting: dict[Hashable, _Waiting] = {}
        self._thread: threading.Thread | None = None
        self._something = threading.Event()
        self._closing = threading.Event()
        self.lost = 0
        self.fault = ""

    @property
    def waiting(self) -> int:
        """How many different ones are not in the log yet."""
        return len(self._waiting)

    def add(self, forecast: Forecast, at_s: int) -> None:
        """Hand a forecast over."""
        who = forecast.tier, forecast.model, forecast.version
        key = (forecast.meter, forecast.task, forecast.origin_s, *who, forecast.steps.values.tobytes())
        self.again(key, lambda: forecast, at_s)

    def again(self, key: Hashable, make: Callable[[], Forecast | None], at_s: int) -> None:
        """Hand over a forecast that is made when it is written, or found to be none. key: the same for the same one."""
        with self._lock:
            there = self._waiting.get(key)
            if there is None:
                self._waiting[key] = _Waiting(make, at_s, at_s)
            else:
                there.last_s, there.times = at_s, there.times + 1
            # Not before it is needed: a thread does not survive the fork of a worker.
            if self._thread is None:
                self._thread = threading.Thread(target=self._write, name="forecast log", daemon=True)
                self._thread.start()
        self._something.set()

    def forget(self, meter_id: str, delete: Callable[[str], bool]) -> bool:
        """Have a meter deleted, and write nothing of it that was handed over before; whether there was anything. Raises as it does."""
        with self._writing:
            gone = delete(meter_id)
            with self._lock:
                left = {key: one for key, one in self._waiting.items() if getattr(one.make(), "meter", "") != meter_id}
                gone, self._waiting = gone or len(left) < len(self._waiting), left
            return gone

    def close(self) -> None:
        """Write what is waiting, once more where the log did not answer, and end."""
        if self._thread is not None:
            self._closing.set()
            self._something.set()
            self._thread.join()

    def _write(self) -> None:
        while True:
            self._something.wait()
            # Those of a moment are written together: a thread that wakes for each of them would slow the answers.
            self._closing.wait(self._retry_s if self.fault else self._every_s)
            self._something.clear()
            closing = self._closing.is_set()
            with self._writing:
                self._try()
            if closing:
                self.lost += self.waiting
                return

    def _made(self, one: _Waiting) -> Forecast | None:
        """The forecast; None where there is none. One that cannot be made is lost, and keeps no other from the log."""
        try:
            return one.make()
        except Exception:  # noqa: BLE001 (whatever it is: the thread that writes the log must not end)
            self.lost += 1
            return None

    def _try(self) -> None:
        with self._lock:
            taken, self._waiting = self._waiting, {}
        try:
            made = ((self._made(one), one) for one in taken.values())
            self._log.add([Served(forecast, one.first_s, one.last_s, one.times) for forecast, one in made if forecast is not None])
        except Unavailable as cause:
            self.fault = cause.message
            with self._lock:
                kept = list({**taken, **self._waiting}.items())
                self.lost += max(len(kept) - self._most, 0)
                self._waiting = dict(kept[-self._most :])
            self._something.set()
        else:
            self.fault = ""


def _row(one: Served) -> dict[str, Any]:
    forecast = one.forecast
    given, names = forecast.steps, forecast.steps.names
    steps = _json.encode(
        [
            (start, mean, dict(zip(names, quantiles, strict=True)))
            for start, (mean, *quantiles) in zip(given.starts_s.tolist(), given.rounded(), strict=True)
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
        "first_served_s": one.first_s,
        "last_served_s": one.last_s,
        "served": 0 if forecast.tier == SHADOW else one.times,
    }


def _logged(row: Any) -> LoggedForecast:
    kept = _steps.decode(row.steps)
    starts = np.array([start for start, _, _ in kept], dtype=np.int64)
    values = np.array([[mean, *quantiles.values()] for _, mean, quantiles in kept])
    steps = Steps(starts, tuple(float(level) for level in kept[0][2]), values)
    return LoggedForecast(
        key=row.key,
        meter=row.meter,
        task=row.task,
        origin_s=row.origin_s,
        step_s=row.step_s,
        steps=steps,
        tier=row.tier,
        reason=row.reason,
        model=row.model,
        version=row.version,
        first_served_s=row.first_served_s,
        last_served_s=row.last_served_s,
        served=row.served,
    )
