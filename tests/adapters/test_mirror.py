"""A bucket with copies in a folder: fetched once, bridged while it is away, never believed where it is not what its name says."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from buckets import Far
from buckets import bundle_name as bundle

from wattcast.adapters.files import FileBlobs
from wattcast.adapters.mirror import Mirrored
from wattcast.errors import BadBundle, NotFound, RegistryConflict, Unavailable

MANIFEST = "serving.json"


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_what_never_changes_is_fetched_once(far: Far, near: FileBlobs) -> None:
    """Bundles, readings and history are answered from near, by whatever connects, with the far place gone; records are not of them."""
    kinds = {"bundles": "wattcast", "readings": "npz", "history": "json"}
    there = {f"{folder}/{hashlib.sha256(folder.encode()).hexdigest()}.{kind}": folder.encode() for folder, kind in kinds.items()}
    for name, data in there.items():
        far.blobs.put(name, data)
    mirrored = Mirrored(far.blobs, near, 10**9)
    versions = {name: mirrored.get(name).version for name in there}
    far.leave()
    for one in (mirrored, Mirrored(far.blobs, near, 10**9)):
        assert {name: one.get(name).data for name in there} == there
        assert one.fault == ""
        assert {name: one.version(name) for name in there} == versions
        assert "does not answer" in one.fault


def test_far_away_and_back(far: Far, near: FileBlobs) -> None:
    """What was seen last answers as if nothing were, `fault` says why, and once far answers it is asked again."""
    clock = Clock()
    mirrored = Mirrored(far.blobs, near, 10**9, clock)
    mirrored.put(MANIFEST, b"1")
    version = mirrored.get(MANIFEST).version
    assert mirrored.fault == ""
    far.leave()
    assert mirrored.version(MANIFEST) == version
    assert f"{far.url}/serving.json cannot be reached" in mirrored.fault
    there = mirrored.get(MANIFEST)
    assert (there.data, there.version) == (b"1", version)
    with pytest.raises(Unavailable, match="cannot be reached") as refusal:
        mirrored.get("records/never-seen.json")
    assert refusal.value.hint
    for use in (
        lambda: mirrored.put(MANIFEST, b"2"),
        lambda: mirrored.swap(MANIFEST, b"2", version),
        lambda: mirrored.delete(MANIFEST),
        lambda: list(mirrored.entries("")),
    ):
        with pytest.raises(Unavailable):
            use()
    assert near.get(MANIFEST).data == b"1"
    far.come_back()
    far.blobs.put(MANIFEST, b"3")
    clock.now += 5
    assert mirrored.version(MANIFEST) != version
    assert mirrored.fault == ""
    assert mirrored.get(MANIFEST).data == b"3"
    assert near.get(MANIFEST).data == b"3"


def test_who_starts_while_far_is_away_has_what_was_seen_last(far: Far, near: FileBlobs) -> None:
    """A version of its own is told of the copy, and a swap from it is refused once far is back."""
    Mirrored(far.blobs, near, 10**9).put(MANIFEST, b"1")
    far.leave()
    clock = Clock()
    mirrored = Mirrored(far.blobs, near, 10**9, clock)
    there = mirrored.get(MANIFEST)
    assert (there.data, there.version) == (b"1", mirrored.version(MANIFEST))
    far.come_back()
    clock.now += 5
    with pytest.raises(RegistryConflict):
        mirrored.swap(MANIFEST, b"2", there.version)
    assert mirrored.swap(MANIFEST, b"2", mirrored.get(MANIFEST).version)


def test_a_far_place_that_did_not_answer_is_left_alone(far: Far, near: FileBlobs) -> None:
    """For five seconds nobody waits for it: that it is back is seen after them, and not before."""
    clock = Clock()
    mirrored = Mirrored(far.blobs, near, 10**9, clock)
    mirrored.put(MANIFEST, b"1")
    far.leave()
    assert mirrored.get(MANIFEST).data == b"1"
    far.come_back()
    far.blobs.put(MANIFEST, b"2")
    clock.now += 4.9
    assert mirrored.get(MANIFEST).data == b"1"
    with pytest.raises(Unavailable, match="cannot be reached"):
        mirrored.put(MANIFEST, b"3")
    assert mirrored.fault
    clock.now += 0.1
    assert mirrored.get(MANIFEST).data == b"2"
    assert mirrored.fault == ""


@pytest.mark.parametrize("spoiled", [b"", b"PK torn", b"PK altereD"])
def test_a_near_copy_that_does_not_hold_is_fetched_again(far: Far, near: FileBlobs, spoiled: bytes) -> None:
    """Torn or altered, it is neither answered nor left, nor believed while far is away."""
    data, clock = b"PK altered", Clock()
    mirrored = Mirrored(far.blobs, near, 10**9, clock)
    mirrored.put(bundle(data), data)
    near.put(bundle(data), spoiled)
    assert mirrored.get(bundle(data)).data == data
    assert near.get(bundle(data)).data == data
    near.put(bundle(data), spoiled)
    far.leave()
    for use in (mirrored.get, mirrored.version):
        with pytest.raises(Unavailable):
            use(bundle(data))


def test_a_far_blob_that_is_not_what_its_name_says(far: Far, near: FileBlobs) -> None:
    """It is refused by its name and not kept, and far counts as answering."""
    far.blobs.put(bundle(b"PK"), b"PK altered")
    mirrored = Mirrored(far.blobs, near, 10**9)
    with pytest.raises(BadBundle, match=bundle(b"PK")) as refusal:
        mirrored.get(bundle(b"PK"))
    assert refusal.value.hint
    assert list(near.entries("")) == []
    assert mirrored.fault == ""


def test_copies_beyond_the_most_go(far: Far, near: FileBlobs) -> None:
    """The least recently used first, never the one just fetched, and nothing else is counted or deleted. Far keeps all."""
    parts = [bytes([number]) * 400 for number in range(5)]
    for data in parts:
        far.blobs.put(bundle(data), data)
    mirrored = Mirrored(far.blobs, near, 1_000)
    mirrored.put("records/1.json", bytes(5_000))
    mirrored.put(MANIFEST, bytes(5_000))

    def kept() -> list[int]:
        return [number for number, data in enumerate(parts) if near.version(bundle(data))]

    for number, expected in [(0, [0]), (1, [0, 1]), (0, [0, 1]), (2, [0, 2]), (3, [2, 3]), (2, [2, 3]), (4, [2, 4])]:
        assert mirrored.get(bundle(parts[number])).data == parts[number]
        assert kept() == expected
    large = bytes(3_000)
    mirrored.put(bundle(large), large)
    assert kept() == []
    assert near.version(bundle(large))
    assert {entry.name for entry in near.entries("")} == {bundle(large), "records/1.json", MANIFEST}
    assert len(list(mirrored.entries("bundles/"))) == 6


def test_a_folder_that_cannot_be_written_is_a_fault_and_no_refusal(far: Far, tmp_path: Path) -> None:
    """Far has the bytes, so that they are answered and put; what the folder lacks is said."""
    place = tmp_path / "a file"
    place.write_bytes(b"")
    mirrored = Mirrored(far.blobs, FileBlobs(place), 10**9)
    mirrored.put(bundle(b"PK"), b"PK")
    mirrored.swap(MANIFEST, b"{}", "")
    assert (mirrored.get(bundle(b"PK")).data, mirrored.get(MANIFEST).data) == (b"PK", b"{}")
    assert "the mirror keeps nothing" in mirrored.fault


def test_what_is_deleted_is_deleted_in_both(far: Far, near: FileBlobs) -> None:
    """Neither answers any more."""
    mirrored = Mirrored(far.blobs, near, 10**9)
    mirrored.put(bundle(b"PK"), b"PK")
    mirrored.delete(bundle(b"PK"))
    for one in (mirrored, near, far.blobs):
        with pytest.raises(NotFound):
            one.get(bundle(b"PK"))
