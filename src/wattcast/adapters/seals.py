"""What is written to a model store with a signature, and what is read from one only with it: records of bundles, and the serving manifest.

A record's file holds, beside the record, a signature of the bundle's file and of the record itself: one write, so that a crash leaves
both or neither. The serving manifest's holds a signature of all of it, its serial and the latest change of the history among it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wattcast.adapters.files import write_atomically
from wattcast.errors import BadBundle, RegistryConflict, Unavailable
from wattcast.forecasting.bundle import SUFFIX
from wattcast.forecasting.registry import (
    Record,
    ServingManifest,
    manifest_from_json,
    manifest_to_json,
    record_from_json,
    record_to_json,
)

if TYPE_CHECKING:
    from wattcast.adapters.signatures import Signer, Trust

_SIGNATURE = "signature"


class Seals:
    """signer: signs what is written, None: nothing is; trust: what read files have to be signed by, None: they are not looked at.

    days: how long a signature holds, 0 for ever; seen: where the highest serial that was ever trusted here is remembered.
    """

    def __init__(
        self,
        signer: Signer | None = None,
        trust: Trust | None = None,
        days: int = 0,
        seen: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._signer, self._trust, self._days, self._seen, self._clock = signer, trust, days, seen, clock

    def of_record(self, record: Record) -> bytes:
        """The bytes of a record's file."""
        if self._signer is None:
            return record_to_json(record)
        facts = json.loads(record_to_json(record))
        signature = self._signer.sign(_files(record.bundle, facts), int(self._clock()), self._days)
        return _written({**facts, _SIGNATURE: json.loads(signature)})

    def record(self, data: bytes, bundle_id: str) -> Record:
        """The record in these bytes. Raises RegistryConflict when they are none, BadBundle where its signature does not count."""
        if self._trust is not None:
            facts = _facts(data, "a record")
            signature = facts.pop(_SIGNATURE, None)
            signed = None if signature is None else json.dumps(signature).encode()
            self._trust.verify(signed, _files(bundle_id, facts), int(self._clock()))
            # What was verified, not what another parser might make of the same bytes.
            data = _written(facts)
        record = record_from_json(data)
        if self._trust is not None and record.bundle != bundle_id:
            raise BadBundle(f"bundle {bundle_id[:12]} has the record of {record.bundle[:12]}", "register it again: make run")
        return record

    def refuse_unsigned(self) -> None:
        """Raise BadBundle for a bundle that has no record, and so no signature, where one has to be."""
        if self._trust is not None:
            self._trust.verify(None, {}, int(self._clock()))

    def of_manifest(self, manifest: ServingManifest) -> bytes:
        """The bytes of the serving manifest's file."""
        if self._signer is None:
            return manifest_to_json(manifest)
        return _written(self._signer.seal(json.loads(manifest_to_json(manifest)), int(self._clock()), self._days))

    def manifest(self, data: bytes | None) -> ServingManifest:
        """The serving manifest in these bytes; None: nothing is there. Raises RegistryConflict where it does not count.

        Where signatures are looked at, one older than the latest that was trusted here does not count either.
        """
        if data is not None and self._trust is not None:
            data = _written(self._trust.unsealed(_facts(data, "the serving manifest"), int(self._clock())))
        manifest = ServingManifest() if data is None else manifest_from_json(data)
        if self._trust is not None and self._seen is not None:
            _refuse_older(manifest.serial, self._seen)
        return manifest


class OlderThanSeen(RegistryConflict):
    """A serving manifest older than one that was trusted here; or another process read the next one in between."""


def _refuse_older(serial: int, seen: Path) -> None:
    hint = f"publish again; where that is meant, delete {seen}"
    with _alone(seen):
        try:
            latest = int(seen.read_text("ascii"))
        except FileNotFoundError:
            latest = 0
        except (OSError, ValueError) as cause:
            raise RegistryConflict(f"{seen} does not hold the highest serial seen here ({cause})", hint) from cause
        if serial < latest:
            said = f"the serving manifest has serial {serial}, though {latest} was seen here"
            raise OlderThanSeen(f"{said}: an old one was put back, or the store was emptied", hint)
        if serial > latest:
            write_atomically(seen, str(serial).encode())


@contextmanager
def _alone(seen: Path) -> Iterator[None]:
    """One process at a time; the lock dies with it."""
    lock = seen.with_name(f"{seen.name}.lock")
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = lock.open("w")
    except OSError as cause:
        raise Unavailable(f"{lock} cannot be written: {cause.strerror or cause}", "check the folder and its permissions") from cause
    with held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _files(bundle_id: str, facts: dict[str, Any]) -> dict[str, str]:
    """What a record's signature is of: the bundle's file and the record, by their SHA-256."""
    canonical = json.dumps(facts, sort_keys=True, separators=(",", ":")).encode()
    return {f"{bundle_id}{SUFFIX}": bundle_id, f"{bundle_id}.json": hashlib.sha256(canonical).hexdigest()}


def _facts(data: bytes, what: str) -> dict[str, Any]:
    try:
        facts = json.loads(data)
    except (ValueError, RecursionError) as cause:
        raise RegistryConflict(f"{what} cannot be read ({cause})", "register the model again: make run") from cause
    if not isinstance(facts, dict):
        raise RegistryConflict(f"{what} cannot be read (no JSON object)", "register the model again: make run")
    return facts


def _written(facts: dict[str, Any]) -> bytes:
    return json.dumps(facts, indent=1).encode()
