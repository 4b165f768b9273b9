"""A store in a folder: every write is whole or not at all, whatever the disk does, and what is torn is refused by name."""

from __future__ import annotations

import contextlib
import resource
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny

from wattcast.adapters.files import FileSnapshots, write_atomically
from wattcast.adapters.model_store import FileModelStore
from wattcast.adapters.wiring import Services, connect
from wattcast.config import Settings
from wattcast.errors import BadBundle, BadMeterFile, RegistryConflict, Unavailable
from wattcast.forecasting.registry import ServingManifest
from wattcast.meter.table import Meter

HOUSE = Meter("house")
FIRST = ServingManifest().with_slots(HOUSE, [])


def litter(folder: Path) -> list[Path]:
    """Files that a write left beside what it wrote."""
    return [path for path in folder.rglob(".*") if path.name != ".lock"]


def test_a_write_makes_its_folder_and_replaces_the_file(tmp_path: Path) -> None:
    """The file holds the new bytes, readable by others, and nothing lies beside it."""
    path = tmp_path / "deep" / "er" / "file.json"
    for content in (b"first", b"", b"second" * 100_000):
        write_atomically(path, content)
        assert path.read_bytes() == content
    assert path.stat().st_mode & 0o777 == 0o644
    assert [found.name for found in path.parent.iterdir()] == ["file.json"]


def test_a_reader_never_sees_half_a_file(tmp_path: Path) -> None:
    """While one writes, whoever reads gets the old bytes or the new, whole."""
    path = tmp_path / "file"
    contents = [bytes([number]) * 300_000 for number in range(2)]
    write_atomically(path, contents[0])
    done = threading.Event()

    def write() -> None:
        for number in range(60):
            write_atomically(path, contents[number % 2])
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    while not done.is_set():
        data = path.read_bytes()
        assert data in contents
        seen.add(data[:1])
    writer.join()
    assert seen == {b"\x00", b"\x01"}


@contextlib.contextmanager
def small_files(folder: Path) -> Iterator[Path]:
    """A process that may write no file beyond 64 kB."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (65_536, hard))
    try:
        yield folder
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A disk of 128 kB."""
    folder.mkdir(exist_ok=True)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", folder], capture_output=True, check=False)
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk needs root")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("limited", [small_files, small_disk])
def test_a_full_disk_changes_nothing(tmp_path: Path, limited: Callable[[Path], contextlib.AbstractContextManager[Path]]) -> None:
    """Where the new bytes do not fit, the old file stays whole, no half file lies about, and one clear error says so."""
    with limited(tmp_path / "disk") as folder:
        path = folder / "file"
        write_atomically(path, b"old")
        with pytest.raises(Unavailable, match="nothing was changed") as refusal:
            write_atomically(path, bytes(200_000))
        assert refusal.value.hint
        assert path.read_bytes() == b"old"
        assert [found.name for found in folder.iterdir()] == ["file"]
        write_atomically(path, b"new")
        assert path.read_bytes() == b"new"


def test_a_full_disk_says_to_free_space(tmp_path: Path) -> None:
    """The whole store on a full disk: bundles, records and readings are refused, the manifest that serves stays."""
    with small_disk(tmp_path / "disk") as folder:
        models, readings = FileModelStore(folder), FileSnapshots(folder)
        there = tiny.put_manifest(models, FIRST)
        models.put_bundle(bytes(80_000))
        for use in (lambda: models.put_bundle(bytes(200_000)), lambda: readings.put(tiny.minute_table())):
            with pytest.raises(Unavailable, match="No space left") as refusal:
                use()
            assert "free some space" in refusal.value.hint
        assert models.manifest() == there
        assert litter(folder) == []


def test_a_place_that_is_no_folder_is_one_error(tmp_path: Path) -> None:
    """A file where the store should be: every use is refused in words, nothing raises something else."""
    place = tmp_path / "store"
    place.write_bytes(b"a file")
    models, readings = FileModelStore(place), FileSnapshots(place)
    for use, kind in (
        (lambda: models.put_bundle(b"x"), Unavailable),
        (lambda: tiny.put_manifest(models, FIRST), Unavailable),
        (lambda: readings.put(tiny.hour_table().rows(0, 2)), Unavailable),
        (models.manifest, Unavailable),
        (lambda: models.bundle("0" * 64), Unavailable),
        (lambda: models.record("0" * 64), Unavailable),
        (lambda: readings.latest("house", 60), BadMeterFile),
    ):
        with pytest.raises(kind) as refusal:
            use()
        assert refusal.value.hint
    assert place.read_bytes() == b"a file"


def test_a_folder_in_the_place_of_a_file_is_one_error(tmp_path: Path) -> None:
    """Folders named as the store's files are refused in words."""
    models, readings = FileModelStore(tmp_path), FileSnapshots(tmp_path)
    for name in ("serving.json", f"bundles/{'0' * 64}.wattcast", f"records/{'0' * 64}.json", "readings/house-60s.npz"):
        (tmp_path / name).mkdir(parents=True)
    for use, kind in (
        (models.manifest, Unavailable),
        (lambda: models.bundle("0" * 64), Unavailable),
        (lambda: models.record("0" * 64), Unavailable),
        (lambda: readings.latest("house", 60), BadMeterFile),
    ):
        with pytest.raises(kind):
            use()
    with pytest.raises(Unavailable):
        write_atomically(tmp_path / "serving.json", b"{}")
    assert litter(tmp_path) == []


@pytest.mark.parametrize("content", [b"", b"{", b"null", bytes(1_000), b"PK\x03\x04 torn", "{“}".encode()])
def test_torn_files_are_refused_by_name(tmp_path: Path, content: bytes) -> None:
    """Whatever stands in a file that is not what was written: the refusal says which of the store's files it is, and what to do."""
    models, readings = FileModelStore(tmp_path), FileSnapshots(tmp_path)
    for name in ("serving.json", f"records/{'0' * 64}.json", "readings/house-60s.npz"):
        write_atomically(tmp_path / name, content)
    for use, kind, words in (
        (models.manifest, RegistryConflict, "the serving manifest"),
        (lambda: models.record("0" * 64), RegistryConflict, "a record"),
        (lambda: readings.latest("house", 60), BadMeterFile, "not a meter table"),
    ):
        with pytest.raises(kind, match=words) as refusal:
            use()
        assert refusal.value.hint
    with pytest.raises(RegistryConflict):
        tiny.put_manifest(models, FIRST)
    assert (tmp_path / "serving.json").read_bytes() == content


def test_torn_readings_of_every_kind_are_refused(tmp_path: Path) -> None:
    """Readings cut anywhere are refused, flipped ones are refused or are readings, and no other error comes out."""
    readings = FileSnapshots(tmp_path)
    readings.put(tiny.minute_table().rows(0, 50))
    path = tmp_path / "readings" / "house-60s.npz"
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place])
        with pytest.raises(BadMeterFile):
            readings.latest("house", 60)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        with contextlib.suppress(BadMeterFile):
            readings.latest("house", 60)


def test_an_id_leads_nowhere_else(tmp_path: Path) -> None:
    """Ids that point out of the store read nothing and write nothing there."""
    secret = tmp_path / f"{'a' * 64}.wattcast"
    secret.write_bytes(b"secret")
    store = FileModelStore(tmp_path / "store")
    store.put_bundle(b"x")
    for name in (f"../../{'a' * 64}", str(secret), f"../{'a' * 64}.wattcast\0", "a" * 64 + "/../x"):
        with pytest.raises(BadBundle, match="is no bundle id"):
            store.bundle(name)
    assert {path.name for path in tmp_path.iterdir()} == {secret.name, "store"}


def test_the_settings_choose_the_folder(tmp_path: Path) -> None:
    """Connecting opens nothing: the store's folder is made by the first write."""
    services = connect(Settings(store=tmp_path / "store"))
    assert isinstance(services, Services)
    assert not (tmp_path / "store").exists()
    bundle_id = services.store.put_bundle(b"x")
    assert (tmp_path / "store" / "bundles" / f"{bundle_id}.wattcast").read_bytes() == b"x"
    services.snapshots.put(tiny.hour_table().rows(0, 3))
    assert (tmp_path / "store" / "readings" / "house-3600s.npz").exists()
