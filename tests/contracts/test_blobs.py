"""What every place of bytes promises."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from buckets import bundle_name as bundle

from wattcast.errors import NotFound, RegistryConflict
from wattcast.ports import Blobs

MANIFEST = "serving.json"
ODD = ["", ".", "..", "../x", "/etc/passwd", "a/../b", "a//b", "a/", ".hidden", "a/.hidden", "a b", "maß", "a\n", "a\0", "a\\b", "A", "*/a"]


def names(blobs: Blobs, prefix: str) -> list[str]:
    """What a listing finds, in order."""
    return sorted(entry.name for entry in blobs.entries(prefix))


def test_bytes_come_back_as_they_were(blobs: Blobs, connect_blobs: Callable[[], Blobs]) -> None:
    """Under every kind of name, whoever connects gets the bytes put last, with the version that is told of them."""
    sha256 = hashlib.sha256(b"npz").hexdigest()
    contents = {
        bundle(b"PK"): b"PK",
        f"readings/{sha256}.npz": b"npz",
        f"records/{sha256}.json": b"{}",
        MANIFEST: b"",
        "b.wattcast": bytes(9),
    }
    for name, data in contents.items():
        blobs.put(name, b"earlier")
        blobs.put(name, data)
    for one in (blobs, connect_blobs()):
        assert {name: one.get(name).data for name in contents} == contents
        assert {name: one.get(name).version for name in contents} == {name: one.version(name) for name in contents}


def test_a_version_is_that_of_the_bytes(blobs: Blobs, connect_blobs: Callable[[], Blobs]) -> None:
    """Empty where nothing is, another for other bytes, the same for whoever asks."""
    assert blobs.version(MANIFEST) == ""
    seen = [""]
    for data in (b"1", b"2", b""):
        blobs.put(MANIFEST, data)
        seen.append(blobs.version(MANIFEST))
        assert connect_blobs().version(MANIFEST) == seen[-1] == blobs.get(MANIFEST).version
    assert len(set(seen)) == 4
    blobs.delete(MANIFEST)
    assert blobs.version(MANIFEST) == ""


def test_what_is_not_there_is_not_found(blobs: Blobs) -> None:
    """Nothing was ever put, or it was deleted: once or twice is the same, and of something else it says nothing."""
    name = bundle(b"PK")
    with pytest.raises(NotFound, match=name):
        blobs.get(name)
    blobs.delete(name)
    blobs.put(name, b"PK")
    blobs.put("records/a.json", b"{}")
    for _ in range(2):
        blobs.delete(name)
        with pytest.raises(NotFound) as refusal:
            blobs.get(name)
        assert refusal.value.hint
        assert blobs.version(name) == ""
        assert names(blobs, "") == ["records/a.json"]


def test_a_swap_replaces_only_what_it_knows(blobs: Blobs, connect_blobs: Callable[[], Blobs]) -> None:
    """From nothing and from a version, once each: whoever comes later, or from something else, is refused and changes nothing."""
    said = "serving.json was changed by someone else in between"
    with pytest.raises(RegistryConflict, match=said):
        blobs.swap(MANIFEST, b"0", hashlib.sha256(b"").hexdigest())
    assert blobs.version(MANIFEST) == ""
    first = blobs.swap(MANIFEST, b"1", "")
    assert first == blobs.version(MANIFEST) == blobs.get(MANIFEST).version
    second = connect_blobs().swap(MANIFEST, b"2", first)
    assert second == blobs.version(MANIFEST)
    for version in ("", first, "x"):
        with pytest.raises(RegistryConflict, match=said) as refusal:
            blobs.swap(MANIFEST, b"3", version)
        assert refusal.value.hint == "try again: it starts from what is there now"
    # The bytes that are there already are no excuse for another version.
    with pytest.raises(RegistryConflict, match=said):
        blobs.swap(MANIFEST, b"2", first)
    assert blobs.get(MANIFEST).data == b"2"


def test_of_many_who_swap_at_once_none_is_lost(connect_blobs: Callable[[], Blobs]) -> None:
    """Thirty append their line to one blob, each again until it is taken: every line is there once."""
    start = Barrier(30)

    def append(number: int) -> None:
        blobs = connect_blobs()
        start.wait()
        while True:
            try:
                there = blobs.get(MANIFEST)
            except NotFound:
                before, version = b"", ""
            else:
                before, version = there.data, there.version
            try:
                blobs.swap(MANIFEST, before + f"{number}\n".encode(), version)
            except RegistryConflict:
                time.sleep(random.random() / 5)  # as tenacity does for those who publish
            else:
                return

    with ThreadPoolExecutor(30) as pool:
        list(pool.map(append, range(30)))
    assert sorted(map(int, connect_blobs().get(MANIFEST).data.split())) == list(range(30))


def test_a_listing_is_whole(blobs: Blobs) -> None:
    """More names than one page of S3 holds: each once, by the beginning of its name, with its size."""
    there = [f"history/{number:064x}.json" for number in range(1_005)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda name: blobs.put(name, b"12345"), there))
    blobs.put("records/1.json", b"{}")
    assert names(blobs, "history/") == there
    assert names(blobs, "history/" + "0" * 62 + "0") == there[:16]
    assert names(blobs, "rec") == ["records/1.json"]
    assert names(blobs, "none/") == []
    assert {entry.size for entry in blobs.entries("history/")} == {5}


def test_a_listing_says_when(blobs: Blobs) -> None:
    """A blob's time is that of its last put, in seconds since 1970."""
    before = time.time()
    blobs.put(MANIFEST, b"1")
    [first] = blobs.entries("")
    assert before - 2 <= first.modified_s <= time.time() + 2
    deadline = time.monotonic() + 30
    while (now := next(blobs.entries(""))).modified_s == first.modified_s:
        assert time.monotonic() < deadline
        blobs.put(MANIFEST, b"2")
    assert now.modified_s > first.modified_s


def test_odd_names_are_refused(blobs: Blobs) -> None:
    """What could lead elsewhere, hide, or be no name in another place is none in any: nothing is read, written or deleted."""
    for name in (*ODD, "s3://b/k", "x" * 201):
        for use in (blobs.get, blobs.delete, lambda name: blobs.put(name, b"x"), lambda name: blobs.swap(name, b"x", "")):
            with pytest.raises(NotFound, match="is no name in a model store"):
                use(name)
        assert blobs.version(name) == ""
    assert names(blobs, "") == []


def test_a_big_blob(blobs: Blobs, connect_blobs: Callable[[], Blobs]) -> None:
    """25 MB of anything come back as they were."""
    data = random.Random(25).randbytes(25_000_000)
    blobs.put(bundle(data), data)
    assert connect_blobs().get(bundle(data)).data == data
    [entry] = blobs.entries("bundles/")
    assert entry.size == len(data)
