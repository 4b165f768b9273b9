"""Everything in the database as one file of lines, to keep and to bring back, into the same kind of database or the other."""

from __future__ import annotations

import gzip
import os
import tempfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from sqlalchemy import Connection, Table, func, insert, select
from sqlalchemy.exc import StatementError

from wattcast.adapters.database.connection import Database
from wattcast.adapters.database.readings import first_revision
from wattcast.adapters.database.schema import HEAD, arrivals, kept_in_backups, meters
from wattcast.errors import BadRequest, Unavailable

_FORMAT = "wattcast database 1"
_ROWS = 5_000
_AT_ONCE = 2**20
_json = msgspec.json.Encoder()


class _Said(msgspec.Struct, forbid_unknown_fields=True):
    """A line: rows of a table, or at the end how many there were."""

    table: str = ""
    rows: list[list[Any]] = msgspec.field(default_factory=list)
    end: int | None = None


_said = msgspec.json.Decoder(_Said)


def backup(database: Database, path: Path) -> int:
    """Write every row, as of one moment, to a compressed file, whole or not at all; how many. Raises Unavailable."""
    if database.missing:
        raise Unavailable(f"there is no database {database.name} to back up", "check WATTCAST_DATABASE, or --store")
    rows = 0
    try:
        descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as cause:
        raise Unavailable(f"{path} cannot be written: {cause.strerror}", "check the folder and its permissions") from cause
    try:
        with os.fdopen(descriptor, "wb") as file:
            with gzip.GzipFile(fileobj=file, mode="wb", compresslevel=5, mtime=0) as packed, database.reading() as connection:
                packed.write(_line({"format": _FORMAT, "version": HEAD}))
                for table in kept_in_backups:
                    for part in connection.execution_options(yield_per=_ROWS).execute(select(table)).partitions():
                        packed.write(_line({"table": str(table.name), "rows": [list(row) for row in part]}))
                        rows += len(part)
                packed.write(_line({"end": rows}))
            file.flush()
            os.fsync(file.fileno())
        Path(beside).replace(path)
    except OSError as cause:
        raise Unavailable(f"{path} cannot be written: {cause.strerror}", "free some space and try again") from cause
    finally:
        Path(beside).unlink(missing_ok=True)
    return rows


def restore(database: Database, path: Path) -> int:
    """Bring back what `backup` wrote, all or nothing, into a database without rows; how many. Raises BadRequest and Unavailable."""
    try:
        with path.open("rb") as file:
            _expect_checksum(file)
            with database.writing() as connection:
                return _restored(database, connection, path, file)
    except (OSError, EOFError, zlib.error, msgspec.MsgspecError, ValueError, KeyError, StatementError) as cause:
        raise BadRequest(
            f"{path} is no whole backup of a wattcast database: {cause}", "give a file that wattcast db backup wrote"
        ) from cause


def _restored(database: Database, connection: Connection, path: Path, file: BinaryIO) -> int:
    tables = {table.name: table for table in kept_in_backups}
    for table in tables.values():
        if connection.execute(select(func.count()).select_from(table)).scalar():
            raise BadRequest(f"{database.name} has rows already", "restore into an empty database")
    rows = 0
    for name, part in _parts(path, file):
        # Older backups have them. They tell memory of revisions that nobody has any more.
        if name == arrivals.name:
            continue
        table = tables[name]
        made = [dict(zip(table.columns.keys(), row, strict=True)) for row in part]
        if table is meters:
            made = [row | {"revision": first_revision()} for row in made]
        connection.execute(insert(table), made)
        rows += len(made)
    if not database.sqlite:
        for table in tables.values():
            _count_on(connection, table)
    return rows


def _expect_checksum(file: BinaryIO) -> None:
    """Read a compressed file to its end, which compares its checksum, and begin anew."""
    with gzip.GzipFile(fileobj=file) as packed:
        while packed.read(_AT_ONCE):
            pass
    file.seek(0)


def _parts(path: Path, file: BinaryIO) -> Iterator[tuple[str, list[list[Any]]]]:
    """The rows by table, until the last line, which must be there and count right."""
    rows = 0
    with gzip.GzipFile(fileobj=file) as packed:
        head = msgspec.json.decode(packed.readline())
        if head != {"format": _FORMAT, "version": HEAD}:
            raise BadRequest(f"{path} was written by another version: {head}", f"this wattcast reads {_FORMAT}, version {HEAD}")
        for line in packed:
            said = _said.decode(line)
            if said.end is not None:
                if said.end != rows:
                    raise ValueError(f"it has {rows} rows of {said.end}")
                return
            rows += len(said.rows)
            yield said.table, said.rows
    raise EOFError("it ends early")


def _count_on(connection: Connection, table: Table) -> None:
    """Have PostgreSQL number new rows after those that came with their numbers."""
    (key, *others) = table.primary_key.columns
    if not others:
        sequence = func.pg_get_serial_sequence(table.name, key.name)
        after = select(func.coalesce(func.max(key), 0) + 1).scalar_subquery()
        connection.execute(select(func.setval(sequence, after, False)))


def _line(value: Any) -> bytes:
    return _json.encode(value) + b"\n"
