"""No byte of a bundle can change unseen, and whatever else is called a bundle is refused in words."""

from __future__ import annotations

import hashlib
import json
import re
import struct
import zipfile
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
import tiny
from hypothesis import given, settings
from hypothesis import strategies as st

from wattcast.errors import BadBundle
from wattcast.forecasting import bundle
from wattcast.forecasting.bundle import Bundle, open_bundle


def same_content(found: Bundle, data: bytes) -> bool:
    """Whether an opened bundle holds what these bytes hold."""
    whole = open_bundle(data, native=True)
    return found.manifest == whole.manifest and all(whole.members[name] == content for name, content in found.members.items())


def test_a_flipped_byte_never_opens_as_the_bundle_asked_for(tiny_bundle: bytes) -> None:
    """One bit changed anywhere: the file is not the bundle of that id."""
    identity = hashlib.sha256(tiny_bundle).hexdigest()
    for place in range(0, len(tiny_bundle), 97):
        altered = bytearray(tiny_bundle)
        altered[place] ^= 1 << place % 8
        with pytest.raises(BadBundle, match="is not bundle"):
            open_bundle(bytes(altered), expected_id=identity)


@given(st.integers(0, 2**31), st.integers(1, 255), st.sampled_from(["flip", "cut", "drop", "append", "double"]), st.booleans())
@settings(max_examples=500, deadline=None, derandomize=True, database=None)
def test_altered_bytes_are_refused_or_hold_what_they_held(place: int, value: int, how: str, native: bool) -> None:
    """Also opened without an id: BadBundle, or (where only the zip's padding changed) exactly the content that was packed."""
    data = tiny.bundle()
    altered, at = bytearray(data), place % len(data)
    match how:
        case "flip":
            altered[at] ^= value
        case "cut":
            del altered[at:]
        case "drop":
            del altered[at : at + value]
        case "append":
            altered += bytes([value]) * value
        case _:
            altered[at:at] = altered[at : at + value]
    try:
        found = open_bundle(bytes(altered), native=native)
    except BadBundle:
        return
    assert same_content(found, data)


def test_the_end_of_the_file_is_guarded_closely(tiny_bundle: bytes) -> None:
    """Every single byte of the zip's directory, flipped: refused, or the same content."""
    first = tiny_bundle.index(b"PK\x01\x02")
    for place in range(first, len(tiny_bundle)):
        altered = bytearray(tiny_bundle)
        altered[place] ^= 0xFF
        try:
            found = open_bundle(bytes(altered), native=True)
        except BadBundle:
            continue
        assert same_content(found, tiny_bundle)


@pytest.mark.parametrize("number", [0, -1, "1", None, [1], 1.5])
def test_what_is_no_format_of_ours_is_refused(tiny_bundle: bytes, number: Any) -> None:
    """A number that no release ever wrote is said as it stands."""
    with pytest.raises(BadBundle, match=rf"says format {re.escape(repr(number))}"):
        open_bundle(of_format(tiny_bundle, number))


def test_a_later_format_needs_a_newer_release(tiny_bundle: bytes) -> None:
    """A file of a later version says which format it has, and that this release is too old for it."""
    with pytest.raises(BadBundle, match=rf"has format 2: it needs a newer wattcast than {version('wattcast')}, which reads") as refusal:
        open_bundle(of_format(tiny_bundle, 2))
    assert "install the release that wrote it" in refusal.value.hint


def test_an_earlier_format_names_the_last_release_that_reads_it(tiny_bundle: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once there is a format 2, a file of format 1 says what still reads it."""
    monkeypatch.setattr(bundle, "FORMAT", 2)
    monkeypatch.setattr(bundle, "_LAST_READ_BY", {1: "0.4.2"})
    with pytest.raises(BadBundle, match=r"has format 1, which wattcast reads up to 0\.4\.2; .* reads format 2"):
        open_bundle(tiny_bundle)


def test_every_earlier_format_has_its_last_release() -> None:
    """A format that is left behind goes into the table, or its files would be refused without a way out."""
    assert set(bundle._LAST_READ_BY) == set(range(1, bundle.FORMAT))


def of_format(data: bytes, number: Any) -> bytes:
    """The bundle with another format in its manifest."""
    return tiny.repacked(data, change=lambda facts: facts.update(format=number))


def drop(path: str) -> Callable[[Any], object]:
    """A change that takes a fact away."""
    return lambda facts: facts.pop(path)


def put(path: str, value: Any) -> Callable[[Any], object]:
    """A change of the fact at this path ("models.0.spec.step_s")."""

    def change(facts: Any) -> None:
        *parents, last = path.split(".")
        for part in parents:
            facts = facts[int(part) if part.isdigit() else part]
        facts[int(last) if last.isdigit() else last] = value

    return change


FACTS_REFUSED = {
    "a missing fact": drop("horizon"),
    "a meter of no known zone": put("meter.zone", "Europe/Pari"),
    "a spec that leaks": put("models.0.spec.recent.0.offsets", [-1]),
    "a spec that leaks by season": put("models.0.spec.seasonal", [{"days": [0]}]),
    "words for numbers": put("models.0.calibration.factors", [[["wide", "none", "wide"]] * 3] * 4),
    "a member missing": lambda facts: facts["files"].pop("golden.npz"),
    "a member too many": lambda facts: facts["files"].update(more="0" * 64),
    "a wrong hash": lambda facts: facts["files"].update({"golden.npz": "0" * 64}),
    "heads called native": lambda facts: facts["models"][0].update(native=["history/heads.onnx"]),
    "no models": put("models", []),
}


@pytest.mark.parametrize("what", FACTS_REFUSED)
def test_a_manifest_that_cannot_be_ours_is_refused(tiny_bundle: bytes, what: str) -> None:
    """A manifest that names other members, hashes, features or zones than there can be is a BadBundle, whoever wrote it."""
    with pytest.raises(BadBundle):
        open_bundle(tiny.repacked(tiny_bundle, change=FACTS_REFUSED[what]))


FACTS_THAT_FIT_NO_MODEL = {
    "no median": put("models.0.calibration.levels", [0.1, 0.4, 0.9]),
    "fewer factors than levels": put("models.0.calibration.factors", [1.0, 1.0]),
    "a horizon of nothing": put("models.0.spec.horizon", 0),
    "another horizon": put("models.0.spec.horizon", 5),
    "one feature less": put("models.0.spec.calendar", []),
    "another feature": put("models.0.spec.recent.0.column", "voltage_v"),
    "another calibration": put("models.0.calibration.factors", [[[9.0, 1.0, 9.0]] * 3] * 4),
    "fewer levels": put("levels", [0.5]),
    "a model less": lambda facts: [facts["models"].pop(), [facts["files"].pop(name) for name in list(facts["files"]) if "one_" in name]],
}


@pytest.mark.parametrize("what", FACTS_THAT_FIT_NO_MODEL)
def test_a_manifest_that_does_not_fit_its_heads_is_refused_by_replay(tiny_bundle: bytes, what: str) -> None:
    """What hashes cannot see, the golden forecasts do: the refusal is a BadBundle before any answer is asked for."""
    golden = tiny.record(tiny_bundle).golden
    with pytest.raises(BadBundle):
        open_bundle(tiny.repacked(tiny_bundle, change=FACTS_THAT_FIT_NO_MODEL[what])).replay(golden)


def test_golden_readings_that_are_none_are_refused_by_replay(tiny_bundle: bytes) -> None:
    """Golden readings of other bytes are a BadBundle too."""
    opened = open_bundle(tiny.repacked(tiny_bundle, {"golden.npz": b"no readings"}))
    with pytest.raises(BadBundle, match="cannot forecast its own golden readings"):
        opened.replay({})


def with_flags(data: bytes, member: str, flags: int) -> bytes:
    """The zip with other flags for a member, in both places where they stand."""
    altered = bytearray(data)
    name = member.encode()
    places = [place for place in range(len(data)) if data.startswith(name, place)]
    for place in places:
        for mark, header, offset in ((b"PK\x03\x04", 30, 6), (b"PK\x01\x02", 46, 8)):
            if data.startswith(mark, place - header):
                struct.pack_into("<H", altered, place - header + offset, flags)
    return bytes(altered)


def members_of(data: bytes) -> dict[str, bytes]:
    """Every member of the zip."""
    found = open_bundle(data, native=True)
    manifest = json.dumps({"format": 1}).encode()
    return {"manifest.json": manifest, **found.members}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK",
        b"PK\x05\x06" + bytes(18),
        tiny.zipped({}),
        tiny.zipped({"manifest.json": b""}),
        tiny.zipped({"manifest.json": b"[]"}),
        tiny.zipped({"manifest.json": b"{'format': 1}"}),
        tiny.zipped({"manifest.json": b'{"format": 1}'}),
        tiny.zipped({"manifest.json": b"[" * 100_000}),
        tiny.zipped({"manifest.json": b"\xff\xfe"}),
        tiny.zipped({"manifest.json": b"1" * 5_000}),
        with_flags(tiny.zipped({"manifest.json": b'{"format": 1}'}), "manifest.json", 1),
    ],
    ids=range(12),
)
def test_a_zip_of_something_else_is_refused(data: bytes) -> None:
    """Empty, torn, foreign, deep or encrypted: one kind of error, with a hint."""
    with pytest.raises(BadBundle) as refusal:
        open_bundle(data)
    assert refusal.value.hint


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_torn_members_of_any_compression_are_refused(method: int) -> None:
    """Whatever packed the members, damage in them is a BadBundle."""
    data = tiny.zipped({"manifest.json": json.dumps({"format": 1, "text": list(range(2_000))}).encode()}, method)
    for place in range(40, len(data) - 120, 31):
        with pytest.raises(BadBundle):
            open_bundle(data[:place] + b"\x00\xff\x00" + data[place + 3 :])


def claiming(data: bytes, size_bytes: int) -> bytes:
    """The zip whose directory says that its first member unpacks to this size."""
    altered = bytearray(data)
    struct.pack_into("<I", altered, data.index(b"PK\x01\x02") + 24, size_bytes)
    return bytes(altered)


def test_a_zip_bomb_is_refused_before_it_unpacks(tiny_bundle: bytes) -> None:
    """A file that would unpack to more than 512 MB is refused by its directory alone."""
    with pytest.raises(BadBundle, match="more than 512 MB"):
        open_bundle(claiming(tiny_bundle, 600_000_000))


def test_a_zip_bomb_that_lies_is_refused() -> None:
    """A directory that hides the size does not help: no more is read than it says, and then the checksum is wrong."""
    bomb = tiny.zipped({"manifest.json": b'{"format": 1, "x": "' + b" " * 50_000_000 + b'"}'})
    with pytest.raises(BadBundle):
        open_bundle(claiming(bomb, 1_000))


def test_an_altered_member_is_named(tiny_bundle: bytes) -> None:
    """A member replaced by one of another hash is refused by its name."""
    other = open_bundle(tiny.bundle("next_minute", "lgbm")).members["history/heads.onnx"]
    hashes = dict(open_bundle(tiny_bundle).manifest.files)
    swapped = tiny.repacked(tiny_bundle, {"history/heads.onnx": other}, lambda facts: facts.update(files=hashes))
    with pytest.raises(BadBundle, match=r"history/heads\.onnx was altered"):
        open_bundle(swapped)


@pytest.mark.parametrize("said", ["takes 6 features", "has 6 heads"])
def test_heads_that_do_not_fit_are_refused(said: str, tiny_bundle: bytes) -> None:
    """Heads of other features or levels than the manifest names are refused when they load."""
    source = tiny_bundle if "features" in said else tiny.train_on(tiny.minute_table(), tiny.recipe(levels=(0.05, 0.1, 0.5, 0.9, 0.95)))
    member = "one_reading/heads.onnx" if "features" in said else "history/heads.onnx"
    opened = open_bundle(tiny.repacked(tiny_bundle, {"history/heads.onnx": open_bundle(source).members[member]}))
    with pytest.raises(BadBundle, match=said):
        _ = opened.models


def test_another_id_is_refused(tiny_bundle: bytes) -> None:
    """A whole bundle under another's id is not the one asked for."""
    with pytest.raises(BadBundle, match="it was altered or torn"):
        open_bundle(tiny_bundle, expected_id="0" * 64)


def test_a_bundle_without_a_model_is_refused(tiny_bundle: bytes) -> None:
    """It would pass every other look, for it has nothing to replay."""
    empty = tiny.repacked(tiny_bundle, change=lambda facts: facts.update(models=[]))
    with pytest.raises(BadBundle, match="holds no model"):
        open_bundle(empty)
