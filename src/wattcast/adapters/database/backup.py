"""Everything in the database as one file of lines, to keep and to bring back, into the same kind of database or the other."""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from sqlalchemy import Table, func, insert, select

from wattcast.adapters.database.connection import Database
from wattcast.adapters.database.schema import HEAD, kept_in_backups
from wattcast.errors import BadRequest, Unavailable

_FORMAT = "wattcast database 1"
_ROWS = 5_000
_json = msgspec.json.Encoder()


def backup(database: Database, path: Path) -> int:
    """Write every row, as of one moment, to a compressed file, whole or not at all; how many. Raises Unavailable."""
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
        with path.open("rb") as file, database.writing() as connection:
            for table in kept_in_backups:
                if connection.execute(select(func.count()).select_from(table)).scalar():
                    raise BadRequest(f"{database.name} has rows already", "restore into an empty database")
            tables = {table.name: table for table in kept_in_backups}
            rows = 0
            for name, part in _parts(path, file):
                rows += len(part)
                connection.execute(insert(tables[name]), [dict(zip(tables[name].columns.keys(), row, strict=True)) for row in part])
            if not database.sqlite:
                for table in tables.values():
                    _count_on(connection, table)
            return rows
    except (OSError, EOFError, gzip.BadGzipFile, msgspec.MsgspecError, ValueError, KeyError) as cause:
        raise BadRequest(
            f"{path} is no whole backup of a wattcast database: {cause}", "give a file that wattcast db backup wrote"
        ) from cause


def _parts(path: Path, file: BinaryIO) -> Iterator[tuple[str, list[list[Any]]]]:
    """The rows by table, until the last line, which must be there and count right."""
    rows = 0
    with gzip.GzipFile(fileobj=file) as packed:
        head = msgspec.json.decode(packed.readline())
        if head != {"format": _FORMAT, "version": HEAD}:
            raise BadRequest(f"{path} was written by another version: {head}", f"this wattcast reads {_FORMAT}, version {HEAD}")
        for line in packed:
            said = msgspec.json.decode(line)
            if "end" in said:
                if said["end"] != rows:
                    raise ValueError(f"it has {rows} rows of {said['end']}")
                return
            rows += len(said["rows"])
            yield said["table"], said["rows"]
    raise EOFError("it ends early")


def _count_on(connection: Any, table: Table) -> None:
    """Have PostgreSQL number new rows after those that came with their numbers."""
    (key, *others) = table.primary_key.columns
    if not others:
        sequence = func.pg_get_serial_sequence(table.name, key.name)
        after = select(func.coalesce(func.max(key), 0) + 1).scalar_subquery()
        connection.execute(select(func.setval(sequence, after, False)))


def _line(value: Any) -> bytes:
    return _json.encode(value) + b"\n"
