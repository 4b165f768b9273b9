"""What we sign, OpenSSF's model-signing verifies, and what it signed, we verify: the library itself is asked."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode
from pathlib import Path

import pytest
from model_signing import hashing, signing, verifying
from pairs import make_pair

from wattcast.adapters.signatures import Signer, Trust
from wattcast.errors import BadBundle

NOW = 1_800_000_000


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder of files, one below another folder, one with a name beyond ASCII."""
    folder = tmp_path / "model"
    for name, data in (("model.wattcast", b"PK\x03\x04" * 1000), ("deep/record.json", b"{}"), ("Büro.json", b"")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def hashes_of(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file in the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.mark.parametrize("days", [0, 30])
def test_the_library_verifies_what_we_sign(model: Path, tmp_path: Path, days: int) -> None:
    """With and without an end; with the validity in it, which it leaves alone. What was changed since it refuses."""
    private, public = make_pair(tmp_path, "ours")
    signature = tmp_path / "model.sig"
    signature.write_bytes(Signer.from_file(private).sign(hashes_of(model), NOW, days))
    stated = json.loads(b64decode(json.loads(signature.read_bytes())["dsseEnvelope"]["payload"]))
    assert set(stated["predicate"]["validity"]) == {"signed_at", "expires_at"} if days else {"signed_at"}
    verifying.Config().use_elliptic_key_verifier(public_key=public).verify(model, signature)

    _, foreign = make_pair(tmp_path, "foreign")
    with pytest.raises(ValueError, match="Key mismatch"):
        verifying.Config().use_elliptic_key_verifier(public_key=foreign).verify(model, signature)
    (model / "deep" / "record.json").write_bytes(b"{ }")
    with pytest.raises(ValueError, match=r"Hash mismatch for 'deep/record\.json'"):
        verifying.Config().use_elliptic_key_verifier(public_key=public).verify(model, signature)


def test_we_verify_what_the_library_signed(model: Path, tmp_path: Path) -> None:
    """It names no time, so it holds for ever; another file, another key and hashes of another kind are refused as ours are."""
    private, public = make_pair(tmp_path, "theirs")
    signature, trust, files = tmp_path / "model.sig", Trust.from_files([public]), hashes_of(model)
    signing.Config().use_elliptic_key_signer(private_key=private).sign(model, signature)
    assert [trust.verify(signature.read_bytes(), files, now_s) for now_s in (0, NOW * 5)] == [*trust.ids, *trust.ids]
    with pytest.raises(BadBundle, match=r"other files: deep/record\.json is not what was signed"):
        trust.verify(signature.read_bytes(), files | {"deep/record.json": files["Büro.json"]}, NOW)
    with pytest.raises(BadBundle, match="is not trusted"):
        Trust.from_files([make_pair(tmp_path, "foreign")[1]]).verify(signature.read_bytes(), files, NOW)

    blake = hashing.Config().use_file_serialization(hashing_algorithm="blake2")
    signing.Config().use_elliptic_key_signer(private_key=private).set_hashing_config(blake).sign(model, signature)
    with pytest.raises(BadBundle, match="no signature"):
        trust.verify(signature.read_bytes(), files, NOW)
