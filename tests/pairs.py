"""Pairs of signing keys in files, and values that they give for any bytes."""

from __future__ import annotations

from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from wattcast.adapters.signatures import new_pair


def make_pair(folder: Path, name: str) -> tuple[Path, Path]:
    """The files of a new private key and of its public key."""
    private, public = folder / f"{name}.key", folder / f"{name}.pub"
    for path, pem in zip((private, public), new_pair(), strict=True):
        path.touch(mode=0o600)
        path.write_bytes(pem)
    return private, public


def value_of(private: Path, signed: bytes) -> bytes:
    """What the private key gives for these bytes."""
    key = load_pem_private_key(private.read_bytes(), None)
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key.sign(signed, ec.ECDSA(SHA256()))
