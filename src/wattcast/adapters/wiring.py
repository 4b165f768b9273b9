"""Which adapter fulfils which port, by the settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from wattcast.adapters.files import FileBlobs, FileSnapshots
from wattcast.adapters.live import LiveReadings
from wattcast.adapters.mirror import Mirrored
from wattcast.adapters.model_store import BlobModelStore, FileModelStore
from wattcast.adapters.s3 import S3Blobs
from wattcast.config import Settings
from wattcast.ports import Blobs, ForecastLog, Keys, ReadingStore, Snapshots

if TYPE_CHECKING:
    from wattcast.adapters.database import Database, Retention, WrittenBehind


@dataclass(frozen=True)
class Services:
    """The adapters that the settings chose."""

    store: BlobModelStore
    snapshots: Snapshots


def connect(settings: Settings) -> Services:
    """The adapters for these settings. Opens nothing yet."""
    return Services(FileModelStore(settings.store), FileSnapshots(settings.store))


def blobs(settings: Settings) -> Blobs:
    """Where the bytes of the model store are: in the folder, or in a bucket that it mirrors. Opens nothing yet. Raises BadParams."""
    near = FileBlobs(settings.store)
    if not settings.s3_url:
        return near
    far = S3Blobs(settings.s3_url, endpoint=settings.s3_endpoint, region=settings.region)
    return Mirrored(far, near, settings.mirror_mb * 1_000_000)


@dataclass(frozen=True)
class Live:
    """What changes while a service runs. known: readings to answer from; written_behind: forecasts on their way to the log."""

    database: Database
    readings: ReadingStore
    known: LiveReadings
    log: ForecastLog
    written_behind: WrittenBehind
    keys: Keys
    retention: Retention

    def close(self) -> None:
        """Write down what is on its way, and let go of the database."""
        self.retention.close()
        self.written_behind.close()
        self.database.close()


def connect_live(settings: Settings, snapshots: Snapshots) -> Live:
    """The database for these settings and what stands on it. Opens nothing yet."""
    # The pipeline and most commands do without a database.
    from wattcast.adapters import database as own  # noqa: PLC0415

    database = own.Database(settings.database_url)
    readings, log = own.DatabaseReadings(database), own.DatabaseForecasts(database)
    known, keys = LiveReadings(snapshots, readings), own.DatabaseKeys(database)
    retention = own.Retention(database, settings.keep_readings_days, settings.keep_forecasts_days)
    return Live(database, readings, known, log, own.WrittenBehind(log), keys, retention)
