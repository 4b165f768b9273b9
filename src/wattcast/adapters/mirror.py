"""A place of bytes far away, with copies near: what never changes is fetched once, and an outage is bridged by what was seen last."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from wattcast.adapters.files import FileBlobs
from wattcast.errors import BadBundle, NotFound, Unavailable, WattcastError
from wattcast.ports import Blob, Blobs, Entry

_SHA256 = re.compile(r"[0-9a-f]{64}")
_NAMED_BY_CONTENT = {"bundles": "wattcast", "readings": "npz", "history": "json"}
# A far place that did not answer is left alone for so long: every call would wait for it.
_LEFT_ALONE_S = 5.0
# The folder is looked through again once so much of the most was kept: not for every blob.
_LOOKED_AFTER = 0.01


class Mirrored:
    """Blobs far away, kept near as they pass.

    Bundles, readings and entries of the history that are named after their own SHA-256 never change: a near copy that holds is the
    answer. The sizes of their files, and of no others, count toward `most_bytes`, which each process keeps to within a hundredth: those
    not used for the longest are deleted near, never the one just kept.

    Everything else is asked for far away each time; while that is Unavailable, the near copy answers. What far has no more stays near.
    Only far knows what there is: `entries` has no second source. What is put, swapped or deleted is so far away first.
    """

    def __init__(self, far: Blobs, near: FileBlobs, most_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._far, self._near, self._most_bytes, self._clock = far, near, most_bytes, clock
        self._refusal = Unavailable("")
        self._again_at = float("-inf")
        self._far_fault = self._near_fault = ""
        # Name -> the SHA-256 of what was kept near last, and the far version of it: an outage alone is no other version.
        self._seen: dict[str, tuple[str, str]] = {}
        self._since_looked = float("inf")

    @property
    def fault(self) -> str:
        """Why the far place does not answer, or the near one keeps nothing; empty where neither is known."""
        return self._far_fault or self._near_fault

    def get(self, name: str) -> Blob:
        """What is kept under the name. Raises NotFound, Unavailable; BadBundle where far is not what the name says."""
        content = _content(name)
        if content and (kept := self._copy(name)):
            self._near.touch(name)
            return kept
        try:
            with self._asking():
                there = self._far.get(name)
        except Unavailable:
            if not (kept := self._copy(name)):
                raise
            return kept
        if content and _sha256(there.data) != content:
            raise BadBundle(f"{name} is not what its name says: it was altered or torn", "restore it from a backup, or register it again")
        self._keep(name, there.data, there.version)
        return replace(there, version=content or there.version)

    def version(self, name: str) -> str:
        """The version of what is kept under the name, empty where nothing is."""
        try:
            with self._asking():
                version = self._far.version(name)
        except Unavailable:
            if not (kept := self._copy(name)):
                raise
            return kept.version
        return version and (_content(name) or version)

    def put(self, name: str, data: bytes) -> None:
        """Keep these bytes, whatever was there before."""
        with self._asking():
            self._far.put(name, data)
        self._keep(name, data)

    def swap(self, name: str, data: bytes, version: str) -> str:
        """Replace what is there if it still has this version; the new version. Raises RegistryConflict."""
        with self._asking():
            following = self._far.swap(name, data, version)
        self._keep(name, data, following)
        return _content(name) or following

    def entries(self, prefix: str) -> Iterator[Entry]:
        """Everything far away whose name begins so."""
        with self._asking():
            found = list(self._far.entries(prefix))
        yield from found

    def delete(self, name: str) -> None:
        """Have nothing under this name, far away or near."""
        with self._asking():
            self._far.delete(name)
        self._near.delete(name)

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Around a question to the far place. Raises Unavailable where it did not answer just now."""
        if self._clock() < self._again_at:
            raise Unavailable(self._refusal.message, self._refusal.hint)
        try:
            yield
        except Unavailable as cause:
            self._refusal, self._again_at = cause, self._clock() + _LEFT_ALONE_S
            self._far_fault = f"the model store does not answer: {cause.message}"
            raise
        except WattcastError:
            self._far_fault = ""
            raise
        self._far_fault = ""

    def _copy(self, name: str) -> Blob | None:
        """The near copy, where there is one that can be believed."""
        try:
            kept = self._near.get(name)
        except (NotFound, Unavailable):
            return None
        if content := _content(name):
            return kept if kept.version == content else None
        sha256, version = self._seen.get(name, ("", ""))
        return replace(kept, version=version) if kept.version == sha256 else kept

    def _keep(self, name: str, data: bytes, version: str = "") -> None:
        """Have these bytes near. A near place that cannot is a fault, and no reason to fail: far has them."""
        sha256 = _sha256(data)
        if version and not _content(name):
            self._seen[name] = sha256, version
        try:
            if self._near.version(name) != sha256:
                self._near.put(name, data)
            if _content(name):
                self._since_looked += len(data)
                if self._since_looked > self._most_bytes * _LOOKED_AFTER:
                    self._make_room(name)
        except Unavailable as cause:
            self._near_fault = f"the mirror keeps nothing: {cause.message}"
        else:
            self._near_fault = ""

    def _make_room(self, latest: str) -> None:
        kept = sorted((entry for entry in self._near.entries("") if _content(entry.name)), key=lambda entry: entry.modified_s)
        over = sum(entry.size for entry in kept) - self._most_bytes
        for entry in kept:
            if over > 0 and entry.name != latest:
                self._near.delete(entry.name)
                over -= entry.size
        self._since_looked = 0.0


def _content(name: str) -> str:
    """The SHA-256 that the name promises, empty where it promises none."""
    folder, _, file = name.partition("/")
    stem, _, kind = file.partition(".")
    return stem if _NAMED_BY_CONTENT.get(folder) == kind and _SHA256.fullmatch(stem) else ""


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
