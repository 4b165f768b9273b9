"""The model store over any place that keeps bytes under names: bundles and records by content, one serving manifest, and its history.

    bundles/<sha256>.wattcast   content-addressed, never changed
    records/<sha256>.json       what the registry knows of a bundle
    history/<sha256>.json       the changes, each naming the one before it
    serving.json                which bundles answer; names the latest change

Only serving.json is ever replaced, in one conditional write: whoever lost a race starts from what is there now.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_random_exponential

from wattcast.adapters.files import FileBlobs
from wattcast.adapters.seals import OlderThanSeen, Seals
from wattcast.errors import BadBundle, NotFound, RegistryConflict
from wattcast.forecasting.bundle import SUFFIX
from wattcast.forecasting.changes import Change, change_from_json, change_to_json
from wattcast.forecasting.registry import Record, ServingManifest
from wattcast.forecasting.succession import Transition
from wattcast.ports import Blobs

MANIFEST = "serving.json"
_BUNDLE_ID = re.compile(r"[0-9a-f]{64}")
_GIVE_UP_S = 60.0
_LONGEST_WAIT_S = 1.0


class _LostRace(Exception):
    """Someone else published between our reading and our writing."""


class BlobModelStore:
    """Bundles, records, the serving manifest and its history. seals: what is signed, and has to be."""

    def __init__(self, blobs: Blobs, seals: Seals | None = None) -> None:
        self.blobs = blobs
        self._seals = seals or Seals()

    def put_bundle(self, data: bytes) -> str:
        """Keep the bytes of a bundle; its id, the SHA-256 of the bytes."""
        bundle_id = hashlib.sha256(data).hexdigest()
        self.blobs.put(bundle_name(bundle_id), data)
        return bundle_id

    def bundle(self, bundle_id: str) -> bytes:
        """The bytes kept under this id, unchecked. Raises BadBundle when there are none."""
        try:
            return self.blobs.get(bundle_name(bundle_id)).data
        except NotFound as cause:
            raise BadBundle(f"bundle {bundle_id[:12]} is not in the store", "register it again: make run") from cause

    def put_record(self, record: Record) -> None:
        """Keep what is known of a bundle, replacing what was known before."""
        self.blobs.put(record_name(record.bundle), self._seals.of_record(record))

    def record(self, bundle_id: str) -> Record:
        """What is known of a bundle. Raises RegistryConflict when nothing is, or it cannot be read, BadBundle where it is not trusted."""
        try:
            return self._seals.record(self.blobs.get(record_name(bundle_id)).data, bundle_id)
        except NotFound as cause:
            raise RegistryConflict(f"bundle {bundle_id[:12]} has no record", "register it again: make run") from cause

    def version(self) -> str:
        """Another one for any other serving manifest, empty where there is none. Costs little."""
        return self.blobs.version(MANIFEST)

    def manifest(self) -> ServingManifest:
        """The serving manifest; an empty one of serial 0 where nothing was ever published."""
        return self._manifest()[0]

    def change(self, transition: Transition, *, at: str, by: str, why: str = "") -> ServingManifest:
        """Replace the serving manifest by what the transition makes of it, with one more entry in the history; the new manifest.

        The transition is asked again where someone else published in between. Raises RegistryConflict as it does, or where there is
        no end of others.
        """
        attempts = Retrying(
            retry=retry_if_exception_type(_LostRace),
            wait=wait_random_exponential(multiplier=0.02, max=_LONGEST_WAIT_S),
            stop=stop_after_delay(_GIVE_UP_S),
            reraise=True,
        )
        try:
            return attempts(self._changed, transition, at, by, why)
        except _LostRace:
            said = f"others published again and again for {_GIVE_UP_S:.0f} s"
            raise RegistryConflict(said, "try again: it starts from what is there then") from None

    def history(self) -> Iterator[Change]:
        """Every change, the latest first. Raises RegistryConflict where an entry is not there, or is not the one that was written."""
        return (change for _, change in self.chain())

    def chain(self) -> Iterator[tuple[str, Change]]:
        """Every change with the SHA-256 that it is kept under, the latest first. Raises as `history` does."""
        name = self.manifest().history
        while name:
            change = self._entry(name)
            yield name, change
            name = change.earlier

    def _entry(self, name: str) -> Change:
        try:
            data = self.blobs.get(history_name(name)).data
        except NotFound as cause:
            raise RegistryConflict(f"entry {name[:12]} of the history is not there", "restore it from a backup") from cause
        if hashlib.sha256(data).hexdigest() != name:
            raise RegistryConflict(f"entry {name[:12]} of the history was altered", "restore it from a backup")
        return change_from_json(data)

    def _changed(self, transition: Transition, at: str, by: str, why: str) -> ServingManifest:
        manifest, version = self._manifest()
        step = transition(manifest)
        change = Change(manifest.serial + 1, step.action, at, by, why, step.moves, manifest.history)
        entry = change_to_json(change)
        name = hashlib.sha256(entry).hexdigest()
        following = replace(step.manifest, serial=change.serial, history=name)
        for bundle in sorted(following.kept() - manifest.kept()):
            for what, name_of in (("", bundle_name), ("the record of ", record_name)):
                if not self.blobs.version(name_of(bundle)):
                    raise RegistryConflict(f"{what}bundle {bundle[:12]} is not in the store any more", "register it again: make run")
        self.blobs.put(history_name(name), entry)
        try:
            self.blobs.swap(MANIFEST, self._seals.of_manifest(following), version)
        except RegistryConflict as cause:
            raise _LostRace from cause
        return following

    def _manifest(self) -> tuple[ServingManifest, str]:
        try:
            return self._read()
        except OlderThanSeen:
            # Read before another process read the one that follows: what is there now is that one.
            return self._read()

    def _read(self) -> tuple[ServingManifest, str]:
        try:
            there = self.blobs.get(MANIFEST)
        except NotFound:
            return self._seals.manifest(None), ""
        return self._seals.manifest(there.data), there.version


class FileModelStore(BlobModelStore):
    """The model store in a folder."""

    def __init__(self, folder: Path) -> None:
        super().__init__(FileBlobs(folder))


def bundle_name(bundle_id: str) -> str:
    """What the blob of a bundle is called. Raises BadBundle for what is no id."""
    return f"bundles/{_whole(bundle_id)}{SUFFIX}"


def record_name(bundle_id: str) -> str:
    """What the blob of a bundle's record is called. Raises BadBundle for what is no id."""
    return f"records/{_whole(bundle_id)}.json"


def history_name(name: str) -> str:
    """What the blob of a change is called, by the SHA-256 of its bytes."""
    return f"history/{name}.json"


def _whole(bundle_id: str) -> str:
    if not _BUNDLE_ID.fullmatch(bundle_id):
        raise BadBundle(f'"{bundle_id[:80]}" is no bundle id', "an id is the SHA-256 of the file, 64 hexadecimal digits")
    return bundle_id
