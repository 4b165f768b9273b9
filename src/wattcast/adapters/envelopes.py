"""What is signed, as bytes: the OpenSSF model-signing format for files (a Sigstore bundle in JSON: a DSSE envelope around an in-toto
statement, which holds the SHA-256 of each file by its name), and canonical JSON for facts that carry their own signature. No keys here.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

IN_TOTO = "application/vnd.in-toto+json"
# No signature of a serving manifest can be taken for one of files: what is signed begins with its type.
SERVING_MANIFEST = "application/vnd.wattcast.serving-manifest+json"
_BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
_STATEMENT = "https://in-toto.io/Statement/v1"
_PREDICATE = "https://model_signing/signature/v1.0"
_SUBJECT = "wattcast-model"
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_DAY_S = 86_400
_LARGEST = 1_000_000


@dataclass(frozen=True)
class Validity:
    """When a signature was made and since when it holds no more, UTC epoch seconds; None where it does not say."""

    signed_s: int | None = None
    expires_s: int | None = None

    @classmethod
    def starting(cls, now_s: int, days: int) -> Validity:
        """From now on for so many days, 0 for ever."""
        return cls(now_s, now_s + days * _DAY_S if days else None)

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Validity:
        """As `to_facts` gave it. Raises ValueError, TypeError for other times."""
        return cls(*(_instant(facts[name]) if name in facts else None for name in ("signed_at", "expires_at")))

    def to_facts(self) -> dict[str, str]:
        """As JSON has it."""
        times = {"signed_at": self.signed_s, "expires_at": self.expires_s}
        return {name: in_words(time_s) for name, time_s in times.items() if time_s is not None}


def in_words(time_s: int) -> str:
    """The instant in ISO 8601, UTC."""
    return datetime.fromtimestamp(time_s, UTC).strftime(_TIME)


def _instant(text: str) -> int:
    return int(datetime.strptime(text, _TIME).replace(tzinfo=UTC).timestamp())


def canonical(facts: Mapping[str, Any]) -> bytes:
    """The one JSON of these facts: sorted, without blanks, ASCII. Raises ValueError for NaN, nesting without end and what is no JSON."""
    try:
        return json.dumps(facts, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode()
    except (TypeError, RecursionError) as cause:
        raise ValueError(str(cause)) from cause


def pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding: what is signed for a payload of this type."""
    return b"DSSEv1 %d %s %d %s" % (len(payload_type), payload_type.encode(), len(payload), payload)


def to_text(data: bytes) -> str:
    """The bytes in base64."""
    return b64encode(data).decode()


def from_text(text: str) -> bytes:
    """The bytes in base64, as only `to_text` writes them. Raises ValueError for any other text, TypeError for no text."""
    data = b64decode(text)
    if to_text(data) != text:
        raise ValueError("not the base64 of any bytes")
    return data


def enveloped(fingerprint: str, payload: bytes, value: bytes) -> bytes:
    """The signature file: a statement, and the value that the key of this fingerprint gave for it."""
    return canonical(_envelope(fingerprint, to_text(payload), to_text(value)))


def opened(signature: bytes) -> tuple[str, bytes, bytes]:
    """The fingerprint, statement and value in a signature file. Raises ValueError for what is none."""
    match _parsed(signature):
        case {
            "verificationMaterial": {"publicKey": {"hint": str(hint)}},
            "dsseEnvelope": {"payload": str(payload), "signatures": [{"sig": str(value)}]},
        } as whole if whole == _envelope(hint, payload, value):
            return hint, from_text(payload), from_text(value)
    raise ValueError("no signature of this format")


def _envelope(hint: str, payload: str, value: str) -> dict[str, Any]:
    return {
        "mediaType": _BUNDLE,
        "verificationMaterial": {"publicKey": {"hint": hint}, "tlogEntries": []},
        "dsseEnvelope": {"payload": payload, "payloadType": IN_TOTO, "signatures": [{"sig": value, "keyid": ""}]},
    }


def statement_of(files: Mapping[str, str], validity: Validity) -> bytes:
    """The statement that files have these SHA-256 (hex). Verifiers of the format leave alone what they do not know in a predicate."""
    resources = [{"name": name, "algorithm": "sha256", "digest": digest} for name, digest in sorted(files.items())]
    return canonical(
        {
            "_type": _STATEMENT,
            "subject": [{"name": _SUBJECT, "digest": {"sha256": _root(resources)}}],
            "predicateType": _PREDICATE,
            "predicate": {
                "serialization": {"method": "files", "hash_type": "sha256", "allow_symlinks": False},
                "resources": resources,
                "validity": validity.to_facts(),
            },
        }
    )


def stated(statement: bytes) -> tuple[dict[str, str], Validity]:
    """The SHA-256 of each file and the validity in a statement. Raises ValueError for one of other things."""
    try:
        facts = _parsed(statement)
        predicate = facts["predicate"]
        resources = predicate["resources"]
        files = {str(resource["name"]): resource["digest"] for resource in resources if resource["algorithm"] == "sha256"}
        ours = (facts["_type"], facts["predicateType"], facts["subject"][0]["digest"]) == (
            _STATEMENT,
            _PREDICATE,
            {"sha256": _root(resources)},
        )
        validity = Validity.from_facts(predicate.get("validity", {}))
    except (LookupError, TypeError) as cause:
        raise ValueError(f"no statement of this format: {cause!r}") from cause
    if not ours or len(files) != len(resources):
        raise ValueError("a statement of other things, or one that contradicts itself")
    return files, validity


def _root(resources: list[dict[str, str]]) -> str:
    """The one digest over all digests, in their order."""
    return sha256(b"".join(bytes.fromhex(resource["digest"]) for resource in resources)).hexdigest()


def _parsed(data: bytes) -> Any:
    if len(data) > _LARGEST:
        raise ValueError("larger than any signature")
    try:
        return json.loads(data.decode())
    except RecursionError as cause:
        raise ValueError("nested deeper than any signature") from cause
