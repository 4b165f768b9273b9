"""One suite of promises for every adapter of a port: an adapter joins by a name above the fixtures."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from wattcast.adapters.blob_registry import BlobRegistry
from wattcast.adapters.database import Database, DatabaseForecasts, DatabaseReadings
from wattcast.adapters.files import FileBlobs, FileSnapshots
from wattcast.adapters.mirror import Mirrored
from wattcast.adapters.mlflow import MlflowRegistry
from wattcast.adapters.model_store import BlobModelStore
from wattcast.adapters.s3 import S3Blobs
from wattcast.ports import Blobs, ForecastLog, ModelStore, ReadingStore, Registry, Snapshots

# Name -> what connects to an empty place of its own below a temporary folder; called twice, it connects to the same place.
BLOBS = ("files", "s3", "mirrored")
SNAPSHOTS = ("files", "mirrored")
REGISTRIES = ("files", "mlflow")
DATABASES = ("sqlite", "postgresql")


@pytest.fixture(params=BLOBS)
def connect_blobs(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Blobs]:
    """connect_blobs() -> a new connection to one place of bytes, empty at first."""
    files = FileBlobs(tmp_path / "store")
    if request.param == "files":
        return lambda: files
    endpoint, url = request.getfixturevalue("s3_server"), request.getfixturevalue("bucket")
    if request.param == "s3":
        return lambda: S3Blobs(url, endpoint=endpoint)
    return lambda: Mirrored(S3Blobs(url, endpoint=endpoint), files, 100_000_000)


@pytest.fixture
def blobs(connect_blobs: Callable[[], Blobs]) -> Blobs:
    """A connection to an empty place of bytes."""
    return connect_blobs()


@pytest.fixture
def connect_models(connect_blobs: Callable[[], Blobs]) -> Callable[[], ModelStore]:
    """connect_models() -> a new connection to one model store, empty at first, over each place of bytes."""
    return lambda: BlobModelStore(connect_blobs())


@pytest.fixture
def models(connect_models: Callable[[], ModelStore]) -> ModelStore:
    """A connection to an empty model store."""
    return connect_models()


@pytest.fixture(params=SNAPSHOTS)
def connect_snapshots(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Snapshots]:
    """connect_snapshots() -> a new connection to one store of snapshots, empty at first."""
    folder = tmp_path / "store"
    if request.param == "files":
        return lambda: FileSnapshots(folder)
    endpoint, url = request.getfixturevalue("s3_server"), request.getfixturevalue("bucket")
    return lambda: FileSnapshots(folder, Mirrored(S3Blobs(url, endpoint=endpoint), FileBlobs(folder), 100_000_000))


@pytest.fixture
def snapshots(connect_snapshots: Callable[[], Snapshots]) -> Snapshots:
    """A connection to an empty store of snapshots."""
    return connect_snapshots()


@pytest.fixture(scope="session")
def empty_mlflow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of an MLflow that knows nothing yet: to make one takes seconds, to copy it none."""
    path = tmp_path_factory.mktemp("mlflow") / "empty.db"
    assert MlflowRegistry(f"sqlite:///{path}", {}.__getitem__).versions("next_minute", "house") == []
    return path


@pytest.fixture(params=REGISTRIES)
def connect_registry(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Registry]:
    """connect_registry() -> a new connection to one registry, empty at first. It can ask the folder's model store for bundles."""
    if request.param == "files":
        return lambda: BlobRegistry(FileBlobs(tmp_path / "store"))
    path = shutil.copy(request.getfixturevalue("empty_mlflow"), tmp_path / "mlflow.db")
    return lambda: MlflowRegistry(f"sqlite:///{path}", BlobModelStore(FileBlobs(tmp_path / "store")).bundle)


@pytest.fixture
def registry(connect_registry: Callable[[], Registry]) -> Registry:
    """A connection to an empty registry."""
    return connect_registry()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """The URL of a real PostgreSQL server of the tests' own."""
    with tempfile.TemporaryDirectory(prefix="wattcast-pg-", dir="/tmp") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)
        import pgserver  # noqa: PLC0415 (starts nothing, but looks for the folder above)

        server = pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture(params=DATABASES)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'new' / 'wattcast.db'}"
        return
    server = request.getfixturevalue("postgresql")
    name = f"t{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"create database {name}"))
        yield server.replace("/postgres?", f"/{name}?")
        connection.execute(text(f"drop database {name} with (force)"))
    engine.dispose()


@pytest.fixture
def connect_database(database_url: str) -> Iterator[Callable[[], Database]]:
    """connect_database() -> a new connection to one database, empty at first."""
    opened: list[Database] = []

    def connect() -> Database:
        opened.append(Database(database_url))
        return opened[-1]

    yield connect
    for database in opened:
        database.close()


@pytest.fixture
def database(connect_database: Callable[[], Database]) -> Database:
    """A connection to an empty database."""
    return connect_database()


@pytest.fixture
def readings(database: Database) -> ReadingStore:
    """An empty reading store."""
    return DatabaseReadings(database)


@pytest.fixture
def log(database: Database) -> ForecastLog:
    """An empty forecast log in the same database."""
    return DatabaseForecasts(database)
