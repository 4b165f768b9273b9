"""Signatures of files and of the serving manifest: what counts, and the sentence for each reason why one does not."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pairs import make_pair, value_of

from wattcast.adapters.envelopes import IN_TOTO, enveloped, pae
from wattcast.adapters.signatures import Signer, Trust, key_id
from wattcast.errors import BadBundle, RegistryConflict

NOW = 1_800_000_000
DAY = 86_400
FILES = {"model.wattcast": hashlib.sha256(b"model").hexdigest(), "record.json": hashlib.sha256(b"record").hexdigest()}
FACTS = {"serial": 3, "slots": {"day_ahead/house": {"champion": "ab" * 32, "share": 0.25}}, "meters": ["Büro"], "later": None}


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Our private and public key."""
    return make_pair(tmp_path_factory.mktemp("ours"), "ours")


@pytest.fixture(scope="module")
def signer(ours: tuple[Path, Path]) -> Signer:
    """Who signs."""
    return Signer.from_file(ours[0])


@pytest.fixture(scope="module")
def trust(ours: tuple[Path, Path]) -> Trust:
    """Who trusts our key alone."""
    return Trust.from_files([ours[1]])


def refusal(asked: Callable[[], object], kind: type[BadBundle | RegistryConflict]) -> str:
    """The words of the refusal, which always has a hint."""
    with pytest.raises(kind) as refused:
        asked()
    assert type(refused.value) is kind
    assert refused.value.hint
    return refused.value.message


def test_the_key_that_signed_is_named(signer: Signer, trust: Trust, ours: tuple[Path, Path]) -> None:
    """By the first 12 digits of the SHA-256 of its public PEM, the same for all who see it, whatever the order of the files."""
    assert signer.id == key_id(ours[0]) == key_id(ours[1]) == hashlib.sha256(ours[1].read_bytes()).hexdigest()[:12]
    assert trust.ids == (signer.id,)
    assert trust.verify(signer.sign(FILES, NOW, 0), dict(reversed(FILES.items())), NOW + 10_000 * DAY) == signer.id
    assert "PRIVATE" not in repr(signer)


def test_keys_rotate(tmp_path: Path, signer: Signer, ours: tuple[Path, Path]) -> None:
    """With the old and the new key trusted both count; once the old one is trusted no more, what it signed is refused by its id."""
    private, public = make_pair(tmp_path, "new")
    newer = Signer.from_file(private)
    old, new = signer.sign(FILES, NOW, 0), newer.sign(FILES, NOW, 0)
    both, after = Trust.from_files([ours[1], public]), Trust.from_files([public])
    assert [both.verify(each, FILES, NOW) for each in (old, new)] == [signer.id, newer.id] == list(both.ids)
    assert after.verify(new, FILES, NOW) == newer.id
    foreign = f"is signed by key {signer.id}, which is not trusted"
    assert refusal(lambda: after.verify(old, FILES, NOW), BadBundle) == f"the model file {foreign}"
    assert refusal(lambda: Trust([]).verify(old, FILES, NOW), BadBundle) == f"the model file {foreign}"
    sealed = signer.seal(FACTS, NOW, 0)
    assert both.unsealed(sealed, NOW) == FACTS
    assert refusal(lambda: after.unsealed(sealed, NOW), RegistryConflict) == f"the serving manifest {foreign}"


def test_a_signature_has_its_time(signer: Signer, trust: Trust) -> None:
    """It says since when it is expired, or that it was made in the future; clocks may differ by five minutes. Inside its time it holds."""
    signature, sealed = signer.sign(FILES, NOW, 30), signer.seal(FACTS, NOW, 30)
    for inside in (NOW - 300, NOW, NOW + 30 * DAY - 1):
        assert trust.verify(signature, FILES, inside) == signer.id
        assert trust.unsealed(sealed, inside) == FACTS
    for outside, said in (
        (NOW + 30 * DAY, "has a signature that expired at 2027-02-14T08:00:00Z"),
        (NOW - 301, "has a signature that is not valid yet: it was made at 2027-01-15T08:00:00Z"),
    ):
        assert refusal(lambda at=outside: trust.verify(signature, FILES, at), BadBundle) == f"the model file {said}"
        assert refusal(lambda at=outside: trust.unsealed(sealed, at), RegistryConflict) == f"the serving manifest {said}"
    assert "expires_at" not in signer.seal(FACTS, NOW, 0)["signature"]


def test_what_is_not_signed_is_refused(trust: Trust) -> None:
    """No signature at all has its own words."""
    assert refusal(lambda: trust.verify(None, FILES, NOW), BadBundle) == "the model file is not signed"
    assert refusal(lambda: trust.unsealed(FACTS, NOW), RegistryConflict) == "the serving manifest is not signed"


def test_a_signature_counts_for_exactly_its_files(signer: Signer, trust: Trust) -> None:
    """The file that is another, is missing or was never signed is named."""
    signature = signer.sign(FILES, NOW, 0)
    other = hashlib.sha256(b"other").hexdigest()
    for files, said in (
        (FILES | {"record.json": other}, "record.json is not what was signed"),
        (FILES | {"more.json": other}, "more.json was not signed"),
        ({"record.json": FILES["record.json"]}, "model.wattcast is missing"),
    ):
        found = refusal(lambda files=files: trust.verify(signature, files, NOW), BadBundle)
        assert found == f"the model file has the signature of other files: {said}"


def altered(signature: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The signature with its envelope changed."""
    whole = json.loads(signature)
    change(whole["dsseEnvelope"])
    return json.dumps(whole).encode()


def test_an_altered_signature_is_refused(signer: Signer, trust: Trust) -> None:
    """Another statement, or another's value, under our key's name does not hold."""
    signature = signer.sign(FILES, NOW, 0)
    other = json.loads(signer.sign({"a": FILES["record.json"]}, NOW, 0))["dsseEnvelope"]
    held = "was altered: the signature by key " + signer.id + " does not hold"
    for name in ("payload", "signatures"):
        exchanged = altered(signature, lambda envelope, name=name: envelope.update({name: other[name]}))
        assert refusal(lambda bad=exchanged: trust.verify(bad, FILES, NOW), BadBundle) == f"the model file {held}"
    sealed = signer.seal(FACTS, NOW, 30)
    claims = sealed["signature"]
    for change in (
        {"serial": 4},
        {"extra": 1},
        {"signature": {**claims, "expires_at": "2099-01-01T00:00:00Z"}},
        {"signature": {**claims, "x": 1}},
    ):
        assert refusal(lambda change=change: trust.unsealed(sealed | change, NOW), RegistryConflict) == f"the serving manifest {held}"
    fewer = {name: fact for name, fact in sealed.items() if name != "later"}
    assert refusal(lambda: trust.unsealed(fewer, NOW), RegistryConflict) == f"the serving manifest {held}"


def test_a_signature_of_one_kind_is_none_of_the_other(signer: Signer, trust: Trust, ours: tuple[Path, Path]) -> None:
    """The value in a sealed manifest is refused as one of files with the same words in it, and the other way round."""
    claims = signer.seal(FACTS, NOW, 0)["signature"]
    payload = json.dumps(
        FACTS | {"signature": {k: claims[k] for k in ("key", "signed_at")}}, sort_keys=True, separators=(",", ":")
    ).encode()
    value = base64.b64decode(claims["value"])
    assert "was altered" in refusal(lambda: trust.verify(enveloped(signer.fingerprint, payload, value), FILES, NOW), BadBundle)
    as_files = base64.b64encode(value_of(ours[0], pae(IN_TOTO, payload))).decode()
    crossed = FACTS | {"signature": {**claims, "value": as_files}}
    assert "was altered" in refusal(lambda: trust.unsealed(crossed, NOW), RegistryConflict)


def test_what_is_signed_but_states_nothing_of_files_is_refused(signer: Signer, trust: Trust, ours: tuple[Path, Path]) -> None:
    """A statement of other things by a trusted key, or one whose digests contradict its subject, is no signature of files."""
    stated = json.loads(base64.b64decode(json.loads(signer.sign(FILES, NOW, 0))["dsseEnvelope"]["payload"]))
    resources = stated["predicate"]["resources"]
    for change in (
        {"predicateType": "https://slsa.dev/provenance/v1"},
        {"subject": [{"name": "x", "digest": {"sha256": "00" * 32}}]},
        {"subject": []},
        {"predicate": {}},
        {"predicate": {"resources": [*resources, {"name": 1}]}},
        {"predicate": {"resources": resources, "validity": {"signed_at": "yesterday"}}},
        {"predicate": {"resources": resources, "validity": 7}},
    ):
        payload = json.dumps(stated | change).encode()
        signature = enveloped(signer.fingerprint, payload, value_of(ours[0], pae(IN_TOTO, payload)))
        said = refusal(lambda bad=signature: trust.verify(bad, FILES, NOW), BadBundle)
        assert said == "the model file comes with something that is no signature"


@pytest.mark.parametrize(
    "garbage",
    [b"", b"{}", b"null", b"\xff", b"PK\x03\x04", b"[" * 200_000, b'{"a":' * 150_000, b" " * 1_000_001, b"1" * 5_000, b"NaN"],
    ids=["empty", "no fields", "null", "no text", "zip", "lists without end", "dicts without end", "over 1 MB", "a long number", "nan"],
)
def test_garbage_is_no_signature(trust: Trust, garbage: bytes) -> None:
    """Whatever is there instead of one, however deep or large."""
    assert refusal(lambda: trust.verify(garbage, FILES, NOW), BadBundle) == "the model file comes with something that is no signature"


def test_a_signature_with_blanks_over_the_cap_is_refused_and_one_below_is_read(signer: Signer, trust: Trust) -> None:
    """The cap is what refuses it: the same signature with fewer blanks counts."""
    signature = signer.sign(FILES, NOW, 0)
    assert trust.verify(signature.ljust(1_000_000), FILES, NOW) == signer.id
    assert "no signature" in refusal(lambda: trust.verify(signature.ljust(1_000_001), FILES, NOW), BadBundle)


@pytest.mark.parametrize(
    "claims",
    [
        None,
        1,
        "x",
        [],
        {},
        {"key": "0" * 12},
        {"key": [], "value": "AA=="},
        {"key": "A\x1b[2J", "value": "AA=="},
        {"key": "0" * 12, "value": "?"},
    ],
)
def test_a_seal_that_is_none_is_refused(trust: Trust, claims: object) -> None:
    """Whatever stands under "signature": nothing of it is repeated to who reads the refusal."""
    said = refusal(lambda: trust.unsealed(FACTS | {"signature": claims}, NOW), RegistryConflict)
    assert said == "the serving manifest comes with something that is no signature"


def test_nan_and_nesting_without_end_are_not_sealed_and_not_unsealed(signer: Signer, trust: Trust) -> None:
    """What has no one JSON has no signature."""
    sealed = signer.seal(FACTS, NOW, 0)
    endless: dict[str, Any] = reduce(lambda inner, _: {"a": inner}, range(200_000), {})
    for facts in ({"x": float("nan")}, {"x": float("inf")}, {"x": endless}):
        assert "cannot be signed" in refusal(lambda facts=facts: signer.seal(facts, NOW, 0), RegistryConflict)
        assert "no signature" in refusal(lambda facts=facts: trust.unsealed(sealed | facts, NOW), RegistryConflict)


def with_byte(data: bytes, place: int, further: int) -> bytes:
    """The bytes with another at this place: so much further on, round the 256."""
    return data[:place] + bytes([(data[place] + further) % 256]) + data[place + 1 :]


@given(further=st.integers(1, 255))
@example(further=32)
@settings(max_examples=20)
def test_no_byte_of_a_signature_can_be_another(further: int, signer: Signer, trust: Trust) -> None:
    """At each place in turn (32 further is the small letter): it never counts, and is never anything but refused."""
    signature = signer.sign(FILES, NOW, 30)
    for place in range(len(signature)):
        bad = with_byte(signature, place, further)
        refusal(lambda bad=bad: trust.verify(bad, FILES, NOW), BadBundle)


@given(further=st.integers(1, 255))
@example(further=32)
@settings(max_examples=20)
def test_no_byte_of_a_sealed_manifest_can_be_another(further: int, signer: Signer, trust: Trust) -> None:
    """At each place in turn: what is still JSON, and says anything else, is refused."""
    sealed = json.dumps(signer.seal(FACTS, NOW, 30), separators=(",", ":")).encode()
    for place in range(len(sealed)):
        try:
            facts = json.loads(with_byte(sealed, place, further))
        except ValueError:
            continue
        if json.dumps(facts, separators=(",", ":")).encode() != sealed:
            refusal(lambda facts=facts: trust.unsealed(facts, NOW), RegistryConflict)


JSON = st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))


@given(noise=st.binary(max_size=300) | st.text().map(str.encode), claims=JSON)
def test_whatever_comes_instead_of_a_signature_is_refused(noise: bytes, claims: object, trust: Trust) -> None:
    """Bytes, words and JSON of any shape end in the refusal."""
    refusal(lambda: trust.verify(noise, FILES, NOW), BadBundle)
    refusal(lambda: trust.verify(json.dumps(claims).encode(), FILES, NOW), BadBundle)
    refusal(lambda: trust.unsealed({"signature": claims}, NOW), RegistryConflict)
