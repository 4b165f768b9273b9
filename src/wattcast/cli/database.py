"""`wattcast db ...`: the database of readings and forecasts: its tables, and what keeps it from being lost or growing for ever."""

# ruff: noqa: PLC0415 (a command loads what it needs when it runs)

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from wattcast.cli.console import explained, say
from wattcast.cli.options import Store, settings_of

if TYPE_CHECKING:
    from wattcast.adapters.database import Database

db = typer.Typer(no_args_is_help=True, help="The database of readings and forecasts (WATTCAST_DATABASE).")
_DAY_S = 86_400

Backup = Annotated[Path, typer.Argument(metavar="FILE", help="The backup, such as wattcast-backup.jsonl.gz.", show_default=False)]
Days = Annotated[int, typer.Option(min=0, help="Days that are kept; 0: all.")]


def upgrade(*, store: Store = None) -> None:
    """Bring the tables to what this version expects. Safe to repeat."""
    from wattcast.adapters.database import HEAD

    database = _opened(store)
    before, empty = database.upgrade(), "empty"
    say(f"{database.name}: {'is' if before == HEAD else f'was {before or empty}, is now'} at {HEAD}")


def backup(file: Backup, *, store: Store = None) -> None:
    """Write all readings and forecasts to one file, while the service runs."""
    from wattcast.adapters.database.backup import backup as written

    say(f"{file}: {written(_opened(store), file):,} rows")


def restore(file: Backup, *, store: Store = None) -> None:
    """Bring a backup back into an empty database, SQLite or PostgreSQL, whichever it was from."""
    from wattcast.adapters.database.backup import restore as brought

    database = _opened(store)
    say(f"{database.name}: {brought(database, file):,} rows from {file}")


def prune(*, readings_days: Days = 0, forecasts_days: Days = 0, store: Store = None) -> None:
    """Delete readings and forecasts that are older than is kept (WATTCAST_KEEP_READINGS_DAYS, WATTCAST_KEEP_FORECASTS_DAYS)."""
    from wattcast.adapters.database import pruned

    settings = settings_of(store=store)
    database = _opened(store)
    days = (readings_days or settings.keep_readings_days, forecasts_days or settings.keep_forecasts_days)
    gone = pruned(database, int(time.time()), *(count * _DAY_S for count in days))
    say(f"{database.name}: {gone[0]:,} readings and {gone[1]:,} forecasts deleted")


def _opened(store: Path | None) -> Database:
    from wattcast.adapters.database import Database

    return Database(settings_of(store=store).database_url)


for _command, _example in (
    (upgrade, "wattcast db upgrade"),
    (backup, "wattcast db backup wattcast-backup.jsonl.gz"),
    (restore, "wattcast db restore wattcast-backup.jsonl.gz"),
    (prune, "wattcast db prune --readings-days 800"),
):
    db.command(epilog=f"Example: {_example}")(explained(_command))
