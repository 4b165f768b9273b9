"""One database: connections, transactions, and whether its tables are what this code expects."""

from __future__ import annotations

import select
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import (
    ArgumentError,
    DBAPIError,
    InvalidatePoolError,
    InvalidRequestError,
    NoSuchModuleError,
    OperationalError,
    ProgrammingError,
)

from wattcast.adapters.database.schema import HEAD
from wattcast.errors import BadParams, Unavailable

_WAIT_MS = 10_000
_AGAIN_S = 0.01
_WAIT_POSTGRESQL_S = 3
# The second: how long what was sent may stay unconfirmed. https://www.postgresql.org/docs/current/libpq-connect.html
_PATIENCE_POSTGRESQL = {"connect_timeout": _WAIT_POSTGRESQL_S, "tcp_user_timeout": _WAIT_POSTGRESQL_S * 1000}
# A server that was waited for in vain is left alone for so long: every answer would wait for it.
_LONG_S, _LEFT_ALONE_S = 1.0, 5.0
_HINT = "check WATTCAST_DATABASE and that the database runs; forecasts from readings given in a request go on"
_WRITES = "wattcast_writes"
# Alembic keeps what it works on in one place for the whole process.
_UPGRADING = threading.RLock()


class Database:
    """A database by URL, such as sqlite:///store/wattcast.db or postgresql://user@host/wattcast. Opens nothing before it is asked.

    Every error of the driver becomes Unavailable, except where the caller's own words were wrong: those are BadParams.
    """

    _again_at = 0.0

    def __init__(self, url: str) -> None:
        try:
            made = make_url(url)
            self.sqlite = made.get_backend_name() == "sqlite"
            patience = {"timeout": _WAIT_MS / 1000} if self.sqlite else _PATIENCE_POSTGRESQL
            self._engine = create_engine(made, connect_args=patience)
        except (ArgumentError, NoSuchModuleError, ImportError, ValueError) as cause:
            # What is no number could be a password in the wrong place.
            why = "its port, or an option, is no number" if isinstance(cause, ValueError) else _first_line(cause)
            hint = 'write sqlite:///FILE or postgresql://USER@HOST/NAME; PostgreSQL needs: pip install "wattcast[postgres]"'
            raise BadParams(f"WATTCAST_DATABASE names no database that can be opened ({why})", hint) from cause
        self._looked, self._looking = False, threading.RLock()
        self._stamped: Any = None
        self._stamping = threading.Lock()
        if self.sqlite:
            _as_transactions_are_meant(self._engine)
        else:
            event.listen(self._engine, "checkout", _still_answers)

    @property
    def name(self) -> str:
        """What the database is called in messages: its URL without a password."""
        url = self._engine.url
        secret = {key: "hidden" for key in url.query if "password" in key.lower()}
        return url.update_query_dict(secret).render_as_string(hide_password=True)

    @property
    def missing(self) -> bool:
        """Whether it is an SQLite file that is not there; asking anything makes it."""
        url = self._engine.url
        return self.sqlite and url.database not in (None, "", ":memory:") and "uri" not in url.query and not Path(url.database).exists()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that sees one moment. Raises Unavailable."""
        with self._begun(writes=False) as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is kept whole or not at all, the only writer of an SQLite file. Raises Unavailable."""
        with self._begun(writes=True) as connection:
            yield connection

    def stamp(self) -> int | None:
        """A number that every write of another connection changes, None where the database has none. Raises Unavailable.

        SQLite: https://sqlite.org/pragma.html#pragma_data_version
        """
        if not self.sqlite:
            return None
        with self._stamping:
            if self._stamped is None:
                with self.reading():
                    self._stamped = self._engine.raw_connection()
            try:
                cursor = self._stamped.cursor()
                return int(cursor.execute("pragma data_version").fetchone()[0])
            except sqlite3.Error as cause:
                raise Unavailable(f"the database {self.name} does not answer: {cause}", _HINT) from cause

    @contextmanager
    def _begun(self, *, writes: bool) -> Iterator[Connection]:
        try:
            self._expect_tables()
            with self._connected().execution_options(**self._options(writes=writes)) as connection, connection.begin():
                yield connection
        except (OperationalError, ProgrammingError) as cause:
            raise Unavailable(f"the database {self.name} does not answer: {_first_line(cause.orig or cause)}", _HINT) from cause
        except DBAPIError as cause:
            raise Unavailable(f"the database {self.name} refuses: {_first_line(cause.orig or cause)}", _HINT) from cause
        except self._engine.dialect.loaded_dbapi.Error as cause:
            # Of a connection that was lost before its transaction began SQLAlchemy passes on what the driver says.
            raise Unavailable(f"the database {self.name} does not answer: {_first_line(cause)}", _HINT) from cause

    def _options(self, *, writes: bool) -> dict[str, Any]:
        """Whoever reads sees one moment: SQLite always does so, PostgreSQL when it is told."""
        return {_WRITES: writes} | ({} if self.sqlite or writes else {"isolation_level": "REPEATABLE READ"})

    def _connected(self) -> Connection:
        """A connection that answers. Raises Unavailable, at once where it was waited for in vain a moment ago."""
        began = time.monotonic()
        if began < self._again_at:
            raise Unavailable(f"the database {self.name} did not answer a moment ago", _HINT)
        try:
            return self._engine.connect()
        except (OperationalError, InvalidRequestError) as cause:
            if not self.sqlite and time.monotonic() - began > _LONG_S:
                self._again_at = time.monotonic() + _LEFT_ALONE_S
            raise Unavailable(f"the database {self.name} does not answer: {_first_line(getattr(cause, 'orig', cause))}", _HINT) from cause

    def _expect_tables(self) -> None:
        """Once in a process: make the tables of an empty database; raise Unavailable where there are others than this code expects."""
        with self._looking:
            if self._looked:
                return
            at = ""
            # The questions that are asked here come by here themselves.
            self._looked = True
            try:
                if not (at := self.version()):
                    self.upgrade()
                    at = HEAD
            finally:
                self._looked = at == HEAD
            if at != HEAD:
                raise Unavailable(f"the tables of {self.name} are at {at}, this wattcast expects {HEAD}", "run: wattcast db upgrade")

    def version(self) -> str:
        """The migration that the tables are at, "" for an empty database. Raises Unavailable where it does not answer."""
        if self.sqlite and self._engine.url.database:
            # Where it cannot be made, opening the file says so.
            with suppress(OSError):
                Path(self._engine.url.database).parent.mkdir(parents=True, exist_ok=True)
        with self.reading() as connection:
            if not self._engine.dialect.has_table(connection, "alembic_version"):
                return ""
            return str(connection.execute(text("select version_num from alembic_version")).scalar() or "")

    def upgrade(self) -> str:
        """Bring the tables to what this code expects, all steps or none of each; the version from before. Safe to repeat."""
        with _UPGRADING:
            self._looked = True
            before = self.version()
            if before != HEAD:
                self._upgrade()
        return before

    def _upgrade(self) -> None:
        # Alembic takes a while to import, and is needed here alone.
        from alembic import command  # noqa: PLC0415
        from alembic.config import Config  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", "wattcast.adapters.database:migrations")
        with self.writing() as connection:
            if not self.sqlite:
                # Of several processes that start at once one makes the tables, and the others find them made.
                connection.execute(text("select pg_advisory_xact_lock(20_011_126)"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    def close(self) -> None:
        """Let go of every connection."""
        with self._stamping:
            if self._stamped is not None:
                self._stamped.close()
                self._stamped = None
        self._engine.dispose()


def _as_transactions_are_meant(engine: Engine) -> None:
    """SQLite through Python's driver: begin when told, as the only writer when writing; write ahead; keep what was acknowledged."""

    @event.listens_for(engine, "connect")
    def _opened(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        for pragma in (f"busy_timeout = {_WAIT_MS}", "synchronous = full", "foreign_keys = on"):
            connection.execute(f"pragma {pragma}")
        _write_ahead(connection)

    @event.listens_for(engine, "begin")
    def _begun(connection: Connection) -> None:
        connection.exec_driver_sql("begin immediate" if connection.get_execution_options().get(_WRITES) else "begin")


def _still_answers(connection: Any, *_: Any) -> None:
    """Ask PostgreSQL nothing over a connection that was kept. SQLAlchemy's own question would wait for ever where a server hangs."""
    try:
        asked, heard = connection.pgconn, select.poll()
        asked.send_query(b"")
        heard.register(asked.socket, select.POLLIN)
        while asked.is_busy():
            if not heard.poll(_WAIT_POSTGRESQL_S * 1000):
                raise InvalidatePoolError("the server does not answer")
            asked.consume_input()
        while asked.get_result():
            pass
    except connection.Error as cause:
        raise InvalidatePoolError(str(cause)) from cause


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Have the file written ahead. Whoever changes it over needs it alone for a moment, for which SQLite itself does not wait."""
    ends_at = time.monotonic() + _WAIT_MS / 1000
    while True:
        try:
            if connection.execute("pragma journal_mode").fetchone()[0] != "wal":
                connection.execute("pragma journal_mode = wal")
        except sqlite3.OperationalError as cause:
            if cause.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= ends_at:
                raise
            time.sleep(_AGAIN_S)
        else:
            return


def _first_line(cause: object) -> str:
    return str(cause).strip().splitlines()[0] if str(cause).strip() else type(cause).__name__
