"""Who made a model file: signatures with plain keys (ECDSA, P-256, SHA-256) over files, and inside the serving manifest."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from wattcast.adapters.envelopes import (
    IN_TOTO,
    SERVING_MANIFEST,
    Validity,
    canonical,
    enveloped,
    from_text,
    in_words,
    opened,
    pae,
    stated,
    statement_of,
    to_text,
)
from wattcast.errors import BadBundle, BadParams, RegistryConflict, Unavailable, WattcastError

_SEAL = "signature"
_PRIVATE = b"PRIVATE KEY-----"
_ID_DIGITS = 12
_FINGERPRINT_OR_ID = re.compile(r"[0-9a-f]{64}|[0-9a-f]{12}")
_CLOCKS_DIFFER_S = 300
_LARGEST_KEY = 10_000


@dataclass(frozen=True)
class Signer:
    """A private key. fingerprint: the SHA-256 (hex) of its public key as PEM."""

    fingerprint: str
    _private: EllipticCurvePrivateKey = field(repr=False)

    @classmethod
    def from_file(cls, path: Path) -> Signer:
        """The key in a PEM file that nobody else may read. Raises BadParams for any other file or key, Unavailable where none is read."""
        data = _read(path, secret=True)
        try:
            private = load_pem_private_key(data, None)
        except TypeError as cause:
            raise BadParams(f"{path}: the private key is encrypted", "nobody is asked for a password: use a key without one") from cause
        except (ValueError, UnsupportedAlgorithm) as cause:
            raise BadParams(f"{path} holds no private key", "make a pair: wattcast signing-keys create") from cause
        if not isinstance(private, EllipticCurvePrivateKey) or not isinstance(private.curve, SECP256R1):
            raise _other_kind(path)
        return cls(_fingerprint(private.public_key()), private)

    @property
    def id(self) -> str:
        """What people call the key: the first 12 digits of its fingerprint."""
        return self.fingerprint[:_ID_DIGITS]

    def sign(self, files: Mapping[str, str], now_s: int, days: int) -> bytes:
        """The signature of files, given as the SHA-256 (hex) of each by its name. days: how long it holds, 0 for ever."""
        statement = statement_of(files, Validity.starting(now_s, days))
        return enveloped(self.fingerprint, statement, self._value(IN_TOTO, statement))

    def seal(self, facts: dict[str, Any], now_s: int, days: int) -> dict[str, Any]:
        """The facts of a serving manifest with a signature of all of them inside. Raises RegistryConflict for NaN and what is no JSON."""
        claims = {"key": self.id, **Validity.starting(now_s, days).to_facts()}
        try:
            payload = canonical({**facts, _SEAL: claims})
        except ValueError as cause:
            raise RegistryConflict(f"the serving manifest cannot be signed: {cause}", "publish finite figures alone") from cause
        return {**facts, _SEAL: {**claims, "value": to_text(self._value(SERVING_MANIFEST, payload))}}

    def _value(self, payload_type: str, payload: bytes) -> bytes:
        return self._private.sign(pae(payload_type, payload), ECDSA(SHA256()))


@dataclass(frozen=True)
class _Signed:
    """What a signature is of, in words, and the kind of its refusals."""

    name: str
    kind: type[WattcastError]

    def refuse(self, why: str, hint: str) -> NoReturn:
        """Say why its signature does not count."""
        raise self.kind(f"{self.name} {why}", hint)

    def refuse_unsigned(self) -> NoReturn:
        """There is no signature."""
        self.refuse("is not signed", "register the model again with WATTCAST_SIGNING_KEY set")

    def refuse_form(self) -> NoReturn:
        """What is there is none."""
        self.refuse("comes with something that is no signature", "register the model again with WATTCAST_SIGNING_KEY set")

    def refuse_outside(self, validity: Validity, now_s: int) -> None:
        """It is too old or too new."""
        if validity.expires_s is not None and now_s >= validity.expires_s:
            self.refuse(f"has a signature that expired at {in_words(validity.expires_s)}", "register the model again, which signs it anew")
        if validity.signed_s is not None and now_s + _CLOCKS_DIFFER_S < validity.signed_s:
            self.refuse(
                f"has a signature that is not valid yet: it was made at {in_words(validity.signed_s)}",
                "set the clock of this machine, or of the one that signed",
            )


_FILES, _MANIFEST = _Signed("the model file", BadBundle), _Signed("the serving manifest", RegistryConflict)


class Trust:
    """Public keys whose signatures count. ids: theirs, as `Signer.id`. Without any key, nothing is trusted."""

    def __init__(self, keys: Iterable[EllipticCurvePublicKey]) -> None:
        self._keys = {_fingerprint(key): key for key in keys}
        self.ids = tuple(fingerprint[:_ID_DIGITS] for fingerprint in self._keys)
        self._keys |= dict(zip(self.ids, self._keys.values(), strict=True))

    @classmethod
    def from_files(cls, paths: Iterable[Path]) -> Trust:
        """The keys in PEM files, one in each. Raises BadParams for what is no such key, Unavailable where a file cannot be read."""
        return cls(map(_public_key, paths))

    def verify(self, signature: bytes | None, files: Mapping[str, str], now_s: int) -> str:
        """The id of the key that signed exactly these files: the SHA-256 (hex) of each by its name. Raises BadBundle saying why not."""
        if signature is None:
            _FILES.refuse_unsigned()
        try:
            fingerprint, statement, value = opened(signature)
        except ValueError:
            _FILES.refuse_form()
        self._check(_FILES, fingerprint, pae(IN_TOTO, statement), value)
        try:
            signed, validity = stated(statement)
        except ValueError:
            _FILES.refuse_form()
        for name in sorted({*signed, *files}):
            if signed.get(name) != files.get(name):
                why = "is not what was signed" if name in signed and name in files else "was not signed" if name in files else "is missing"
                _FILES.refuse(f"has the signature of other files: {name} {why}", "take files and signature from where they were signed")
        _FILES.refuse_outside(validity, now_s)
        return fingerprint[:_ID_DIGITS]

    def unsealed(self, facts: dict[str, Any], now_s: int) -> dict[str, Any]:
        """The facts of a serving manifest without the signature inside. Raises RegistryConflict saying why that does not count."""
        if _SEAL not in facts:
            _MANIFEST.refuse_unsigned()
        try:
            claims = {**facts[_SEAL]}
            value, named, validity = from_text(claims.pop("value")), str(claims["key"]), Validity.from_facts(claims)
            payload = canonical({**facts, _SEAL: claims})
        except (ValueError, TypeError, LookupError):
            _MANIFEST.refuse_form()
        self._check(_MANIFEST, named, pae(SERVING_MANIFEST, payload), value)
        _MANIFEST.refuse_outside(validity, now_s)
        return {name: fact for name, fact in facts.items() if name != _SEAL}

    def _check(self, of: _Signed, named: str, signed: bytes, value: bytes) -> None:
        """Refuse what no trusted key signed. named: the fingerprint, or the id, of the key that is said to have signed."""
        if not _FINGERPRINT_OR_ID.fullmatch(named):
            of.refuse_form()
        said = named[:_ID_DIGITS]
        if named not in self._keys:
            of.refuse(f"is signed by key {said}, which is not trusted", "if you trust it, add its .pub file to WATTCAST_TRUSTED_KEYS")
        try:
            self._keys[named].verify(value, signed, ECDSA(SHA256()))
        except InvalidSignature:
            of.refuse(f"was altered: the signature by key {said} does not hold", "take it again from where it was signed")


def new_pair() -> tuple[bytes, bytes]:
    """A new private key and its public key, as PEM."""
    private = generate_private_key(SECP256R1())
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), _pem(private.public_key())


def key_id(path: Path) -> str:
    """The id of the private or public key in a PEM file. Raises BadParams for any other, Unavailable where the file cannot be read."""
    return Signer.from_file(path).id if _PRIVATE in _read(path) else Trust.from_files([path]).ids[0]


def _public_key(path: Path) -> EllipticCurvePublicKey:
    data = _read(path)
    if _PRIVATE in data:
        raise BadParams(f"{path} holds a private key", "who verifies needs the public key alone: the .pub file")
    if data.count(b"-----BEGIN") > 1:
        raise BadParams(f"{path} holds more than one key", "give each a file of its own: WATTCAST_TRUSTED_KEYS takes several")
    try:
        public = load_pem_public_key(data)
    except (ValueError, UnsupportedAlgorithm) as cause:
        raise BadParams(f"{path} holds no public key", "make a pair: wattcast signing-keys create") from cause
    if not isinstance(public, EllipticCurvePublicKey) or not isinstance(public.curve, SECP256R1):
        raise _other_kind(path)
    return public


def _read(path: Path, *, secret: bool = False) -> bytes:
    try:
        with path.open("rb") as file:
            if secret and os.fstat(file.fileno()).st_mode & 0o077:
                raise BadParams(f"{path} can be read or changed by others than its owner", f"a private key is secret: chmod 600 {path}")
            return file.read(_LARGEST_KEY)
    except OSError as cause:
        raise Unavailable(f"{path} cannot be read: {cause.strerror or cause}", "check the path and its permissions") from cause


def _other_kind(path: Path) -> BadParams:
    return BadParams(f"{path} holds a key of another kind than ECDSA over P-256", "make a pair: wattcast signing-keys create")


def _fingerprint(key: EllipticCurvePublicKey) -> str:
    return sha256(_pem(key)).hexdigest()


def _pem(key: EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
