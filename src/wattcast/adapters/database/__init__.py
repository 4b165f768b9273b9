"""SQLite (WAL, by default) or PostgreSQL by URL: readings that arrive and forecasts given out."""

from wattcast.adapters.database.connection import Database
from wattcast.adapters.database.forecasts import DatabaseForecasts, WrittenBehind
from wattcast.adapters.database.keys import DatabaseKeys
from wattcast.adapters.database.readings import DatabaseReadings
from wattcast.adapters.database.retention import Retention, pruned
from wattcast.adapters.database.schema import HEAD

__all__ = ["Database", "DatabaseForecasts", "DatabaseKeys", "DatabaseReadings", "HEAD", "pruned", "Retention", "WrittenBehind"]
