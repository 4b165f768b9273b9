"""Readings that arrive, in the database: what was acknowledged is there, once; a correction keeps what stood before."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import Connection, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from wattcast.adapters.database.connection import Database
from wattcast.adapters.database.rows import compared, read_span, rows_of, short
from wattcast.adapters.database.schema import arrivals, forecasts, meters, readings
from wattcast.errors import BadRequest
from wattcast.forecasting.forecast import iso
from wattcast.meter.arrivals import Batch, Changes, Counts, StoredMeter
from wattcast.meter.table import Meter

# Memory that is further behind than so many changes of a meter reads all of it again.
_FOLLOWED = 1_000
_AT_ONCE = 10_000
_COLUMNS = ("meter_key", "start_s", "power_kw", "covariates")
_json = msgspec.json.Encoder()
_object = msgspec.json.Decoder(dict[str, float | None])
_list = msgspec.json.Decoder(list[dict[str, Any]])


class DatabaseReadings:
    """The readings of every meter that sends some."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, meter: Meter, batch: Batch, now_s: int) -> Counts:
        """Keep these readings, in one transaction: sent twice they change nothing, others than known replace what is known.

        Raises BadRequest where the meter is known with another resolution or other facts, Unavailable where nothing was kept.
        """
        with self._database.writing() as connection:
            key, revision = self._meter_to_write(connection, meter, batch.step_s)
            if not len(batch):
                return Counts()
            known = read_span(connection, key, int(batch.start_s[0]), int(batch.start_s[-1]) + 1, batch.step_s)
            new, corrected = compared(batch, known)
            self._insert(connection, key, batch.rows(new))
            self._correct(connection, key, batch.rows(corrected), known, iso(now_s, "UTC"))
            changed = batch.rows(new | corrected)
            if len(changed):
                touched(connection, key, revision, now_s, (int(changed.start_s[0]), int(changed.start_s[-1]) + batch.step_s))
            return Counts(int(new.sum()), len(batch) - len(changed), int(corrected.sum()))

    def _meter_to_write(self, connection: Connection, meter: Meter, step_s: int) -> tuple[int, int]:
        """The key and revision of the meter, made where it is new; nobody else writes to it until the transaction ends."""
        here = select(meters).where(meters.c.id == meter.id).with_for_update()
        row = connection.execute(here).one_or_none()
        if row is None:
            made = (
                (sqlite if self._database.sqlite else postgresql)
                .insert(meters)
                .values(**asdict(meter), step_s=step_s, revision=first_revision())
            )
            # Another process may be making it too.
            connection.execute(made.on_conflict_do_nothing())
            row = connection.execute(here).one()
        if row.step_s != step_s:
            found = f'readings of meter "{meter.id}" are {row.step_s} s apart, these {step_s} s'
            raise BadRequest(found, "send them at that resolution, or to another meter", {"readings": found})
        if (known := _meter(row)) != meter:
            facts = f'zone {known.zone}, flow {known.flow}, holidays "{known.holidays}"'
            found = f'meter "{meter.id}" has {facts}; these readings say otherwise'
            raise BadRequest(found, "leave these facts out, or delete the meter first", {"meter": found})
        return row.key, row.revision

    def _insert(self, connection: Connection, key: int, batch: Batch) -> None:
        rows = ((key, *row) for row in rows_of(batch))
        if self._database.sqlite:
            words = f"insert into reading ({', '.join(_COLUMNS)}) values (?, ?, ?, ?)"  # noqa: S608 (names of ours)
            while part := list(islice(rows, _AT_ONCE)):
                connection.exec_driver_sql(words, part)
            return
        driver: Any = connection.connection.driver_connection
        with driver.cursor() as cursor, cursor.copy(f"copy reading ({', '.join(_COLUMNS)}) from stdin") as copy:
            copy.set_types(["int4", "int8", "float4", "text"])
            for row in rows:
                copy.write_row(row)

    def _correct(self, connection: Connection, key: int, batch: Batch, known: Batch, at: str) -> None:
        """Replace values and keep, beside them, what stood there until `at`. Covariates that the batch lacks altogether stay."""
        if not len(batch):
            return
        span = readings.c.start_s.between(int(batch.start_s[0]), int(batch.start_s[-1]))
        words = select(readings.c.start_s, readings.c.before).where(readings.c.meter_key == key, span, readings.c.before.is_not(None))
        before = {row[0]: _list.decode(row[1]) for row in connection.execute(words)}
        old = {row[0]: row for row in rows_of(known)}
        changes = []
        for start_s, power_kw, covariates in rows_of(batch):
            _, power_before, covariates_before = old[start_s]
            was = _object.decode(covariates_before) if covariates_before else {}
            sent = dict.fromkeys(batch.covariates) | (_object.decode(covariates) if covariates else {})
            now = {name: value for name, value in (was | sent).items() if value is not None}
            left: dict[str, Any] = {"power_kw": power_before, "until": at} | ({"covariates": was} if was else {})
            kept = _json.encode([*before.get(start_s, []), left]).decode()
            changes.append({"at": start_s, "kw": power_kw, "beside": _json.encode(now).decode() if now else None, "kept": kept})
        here = (readings.c.meter_key == key) & (readings.c.start_s == bindparam("at"))
        values: dict[str, Any] = {"power_kw": bindparam("kw"), "covariates": bindparam("beside"), "before": bindparam("kept")}
        connection.execute(update(readings).where(here).values(values), changes)

    def meters(self, only: str = "") -> tuple[StoredMeter, ...]:
        """Every meter with readings here, in the order of their ids; `only` the one called so, where that is given."""
        spans = select(
            readings.c.meter_key,
            func.count().label("count"),
            func.min(readings.c.start_s).label("first_s"),
            func.max(readings.c.start_s).label("last_s"),
        ).group_by(readings.c.meter_key)
        if only:
            spans = spans.join(meters, meters.c.key == readings.c.meter_key).where(meters.c.id == only)
        inner = spans.subquery()
        words = select(meters, inner).outerjoin(inner, inner.c.meter_key == meters.c.key).order_by(meters.c.id)
        with self._database.reading() as connection:
            return tuple(_stored(row) for row in connection.execute(words.where(meters.c.id == only) if only else words))

    def meter(self, meter_id: str) -> StoredMeter | None:
        """What is known of a meter, without its count and span, or None where it never sent a reading."""
        with self._database.reading() as connection:
            row = connection.execute(select(meters).where(meters.c.id == meter_id)).one_or_none()
        return None if row is None else StoredMeter(_meter(row), row.step_s, row.revision)

    def stamp(self) -> int | None:
        """A number that stays the same as long as nothing is written to the database; None for PostgreSQL. Raises Unavailable."""
        return self._database.stamp()

    def changes(self, meter_id: str, since: int, kept_s: int) -> Changes | None:
        """What changed since a revision of a meter's readings, 0 for all of the last `kept_s` seconds of them. None: no such meter here."""
        with self._database.reading() as connection:
            row = connection.execute(select(meters).where(meters.c.id == meter_id)).one_or_none()
            if row is None:
                return None
            if row.revision == since:
                return Changes(_meter(row), row.revision)
            own, of_meter = readings.c.meter_key == row.key, arrivals.c.meter_key == row.key
            ends = (select(end(readings.c.start_s)).where(own).scalar_subquery() for end in (func.min, func.max))
            oldest_s, last_s = connection.execute(select(*ends)).one()
            asked = select(arrivals.c.revision).where(of_meter, arrivals.c.revision == since)
            follows = oldest_s is not None and connection.execute(asked).scalar() is not None
            if follows:
                since_then = of_meter & (arrivals.c.revision > since) & (arrivals.c.first_s < arrivals.c.end_s)
                first_s, end_s = connection.execute(
                    select(func.min(arrivals.c.first_s), func.max(arrivals.c.end_s)).where(since_then)
                ).one()
                span = first_s or 0, end_s or 0
            else:
                span = (last_s or 0) - kept_s, (last_s or 0) + row.step_s
            batch = read_span(connection, row.key, *span, row.step_s)
            return Changes(_meter(row), row.revision, span, batch, oldest_s or 0, whole=not follows)

    def span(self, meter_id: str, first_s: int, end_s: int) -> Batch | None:
        """All readings of a meter from first_s up to end_s. None: no such meter here."""
        with self._database.reading() as connection:
            row = connection.execute(select(meters).where(meters.c.id == meter_id)).one_or_none()
            return None if row is None else read_span(connection, row.key, first_s, end_s, row.step_s)

    def page(self, meter_id: str, first_s: int, end_s: int, limit: int) -> list[dict[str, Any]]:
        """At most `limit` readings from first_s up to end_s: start_s, power_kw, covariates and what stood there before."""
        own = (meters.c.id == meter_id) & (readings.c.start_s >= first_s) & (readings.c.start_s < end_s)
        words = select(readings).join(meters, meters.c.key == readings.c.meter_key).where(own).order_by(readings.c.start_s).limit(limit)
        with self._database.reading() as connection:
            return [
                {
                    "start_s": row.start_s,
                    "power_kw": short(row.power_kw),
                    "covariates": short(_object.decode(row.covariates or "{}")),
                    "before": [short(was) for was in _list.decode(row.before or "[]")],
                }
                for row in connection.execute(words)
            ]

    def delete(self, meter_id: str) -> bool:
        """Forget a meter, its readings and its forecasts; whether there was anything."""
        with self._database.writing() as connection:
            gone = connection.execute(delete(forecasts).where(forecasts.c.meter == meter_id)).rowcount
            return bool(connection.execute(delete(meters).where(meters.c.id == meter_id)).rowcount or gone)


def touched(connection: Connection, key: int, revision: int, now_s: int, span: tuple[int, int]) -> None:
    """Raise the revision of a meter that is written to, and note the span that changed, for memory to follow."""
    own = {"meter_key": key, "revision": revision + 1}
    connection.execute(insert(arrivals).values(**own, arrived_s=now_s, first_s=span[0], end_s=span[1]))
    connection.execute(delete(arrivals).where(arrivals.c.meter_key == key, arrivals.c.revision <= revision + 1 - _FOLLOWED))
    connection.execute(update(meters).where(meters.c.key == key).values(revision=revision + 1))


def first_revision() -> int:
    """The revision that a new or restored meter begins with: nothing that memory knows of its id, from before, has one near it."""
    return secrets.randbelow(2**32) << 20


def _meter(row: Any) -> Meter:
    return Meter(row.id, row.zone, row.flow, row.holidays, bool(row.simulated))


def _stored(row: Any) -> StoredMeter:
    end_s = None if row.last_s is None else row.last_s + row.step_s
    return StoredMeter(_meter(row), row.step_s, row.revision, row.count or 0, row.first_s, end_s)
