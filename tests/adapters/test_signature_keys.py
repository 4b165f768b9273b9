"""Files of signing keys: which are taken, and what is said of every other. And what a server loads to verify."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat, PublicFormat
from pairs import make_pair

from wattcast.adapters.signatures import Signer, Trust, key_id
from wattcast.errors import BadParams, Unavailable

PKCS8, OPEN = (Encoding.PEM, PrivateFormat.PKCS8), NoEncryption()
OTHER_KINDS = {
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
}


def secret(path: Path, data: bytes) -> Path:
    """The file, for its owner's eyes alone."""
    path.write_bytes(data)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o620, 0o602, 0o610])
def test_a_private_key_that_others_may_open_is_refused(tmp_path: Path, mode: int) -> None:
    """Reading or writing, group or all; the hint is the command that mends it."""
    private, _ = make_pair(tmp_path, "ours")
    private.chmod(mode)
    with pytest.raises(BadParams, match="by others than its owner") as refused:
        Signer.from_file(private)
    assert refused.value.hint.endswith(f"chmod 600 {private}")
    private.chmod(0o400)
    assert Signer.from_file(private).id


@pytest.mark.parametrize("kind", OTHER_KINDS)
def test_a_key_of_another_kind_is_refused(tmp_path: Path, kind: str) -> None:
    """On both sides."""
    key = OTHER_KINDS[kind]()
    private = secret(tmp_path / "k.key", key.private_bytes(*PKCS8, OPEN))
    public = secret(tmp_path / "k.pub", key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    for asked in (lambda: Signer.from_file(private), lambda: Trust.from_files([public])):
        with pytest.raises(BadParams, match="of another kind than ECDSA over P-256"):
            asked()


def test_a_key_file_that_is_none_is_refused(tmp_path: Path) -> None:
    """Each mix-up has its words: encrypted, exchanged, two in one, garbage, not there."""
    private, public = make_pair(tmp_path, "ours")
    locked = ec.generate_private_key(ec.SECP256R1()).private_bytes(*PKCS8, BestAvailableEncryption(b"x"))
    for data, said in ((locked, "is encrypted"), (public.read_bytes(), "holds no private key"), (b"", "holds no private key")):
        with pytest.raises(BadParams, match=said):
            Signer.from_file(secret(tmp_path / "bad.key", data))
    for data, said in (
        (private.read_bytes(), "holds a private key"),
        (public.read_bytes() * 2, "more than one key"),
        (b"\x00", "holds no public key"),
    ):
        with pytest.raises(BadParams, match=said):
            Trust.from_files([public, secret(tmp_path / "bad.pub", data)])
    for asked in (Signer.from_file, key_id, lambda path: Trust.from_files([public, path])):
        for path in (tmp_path / "nowhere", tmp_path):
            with pytest.raises(Unavailable, match="cannot be read"):
                asked(path)


def test_who_verifies_loads_nothing_but_cryptography() -> None:
    """Beside what cryptography brings: nothing of wattcast but this, and its errors."""
    code = (
        "import sys, cryptography.hazmat.primitives.asymmetric.ec, cryptography.hazmat.primitives.serialization as _;"
        "before = set(sys.modules); import wattcast.adapters.signatures;"
        "print(*sorted(name for name in set(sys.modules) - before if name.split('.')[0] not in sys.stdlib_module_names))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = "wattcast wattcast.adapters wattcast.adapters.envelopes wattcast.adapters.signatures wattcast.errors"
    assert found.stdout.split() == expected.split()
