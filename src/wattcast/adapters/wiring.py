"""Which adapter fulfils which port, by the settings."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from wattcast.adapters.files import FileBlobs, FileSnapshots
from wattcast.adapters.live import LiveReadings
from wattcast.adapters.mirror import Mirrored
from wattcast.adapters.model_store import BlobModelStore
from wattcast.adapters.original import KeyedModelStore
from wattcast.adapters.s3 import S3Blobs
from wattcast.adapters.seals import Seals
from wattcast.config import Settings
from wattcast.ports import Blobs, ForecastLog, Keys, ReadingStore, Snapshots

if TYPE_CHECKING:
    from wattcast.adapters.database import Database, Retention, WrittenBehind


# Below the folder of the store, so that a store that was there before is never mixed with what a bucket holds.
_MIRROR = "mirror"
_DIGITS = 12


@dataclass(frozen=True)
class Services:
    """The adapters that the settings chose."""

    store: BlobModelStore
    snapshots: Snapshots

    @property
    def fault(self) -> str:
        """Why the model store is not asked at the moment, and copies of it answer; else empty."""
        return getattr(self.store.blobs, "fault", "")


def connect(settings: Settings) -> Services:
    """The adapters for these settings. Reads the keys that they name, and opens nothing yet. Raises BadParams, Unavailable."""
    place = blobs(settings)
    own = seals(settings)
    store = KeyedModelStore(place, own, settings.model_keys) if settings.model_keys else BlobModelStore(place, own)
    return Services(store, FileSnapshots(_folder(settings), place))


def seals(settings: Settings) -> Seals:
    """What is signed, and has to be. The highest serial trusted is remembered in the folder of the store."""
    if not (settings.signing_key or settings.trusted_key_files):
        return Seals()
    # Whoever neither signs nor verifies needs no cryptography.
    from wattcast.adapters.signatures import Signer, Trust  # noqa: PLC0415

    signer = Signer.from_file(settings.signing_key) if settings.signing_key else None
    trust = Trust.from_files(settings.trusted_key_files) if settings.trusted_key_files else None
    return Seals(signer, trust, settings.signature_days, _folder(settings) / ".seen-serial")


def blobs(settings: Settings) -> Blobs:
    """Where the bytes of the model store are: in the folder, or in a bucket that it mirrors. Opens nothing yet. Raises BadParams."""
    near = FileBlobs(_folder(settings))
    if not settings.s3_url:
        return near
    far = S3Blobs(settings.s3_url, endpoint=settings.s3_endpoint, region=settings.region)
    return Mirrored(far, near, settings.mirror_mb * 1_000_000)


def _folder(settings: Settings) -> Path:
    """Where bytes of the model store are on this machine."""
    if not settings.s3_url:
        return settings.store
    # What one bucket holds is never taken for another's.
    place = hashlib.sha256(f"{settings.s3_endpoint} {settings.s3_url}".encode()).hexdigest()
    return settings.store / _MIRROR / place[:_DIGITS]


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
