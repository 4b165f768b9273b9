"""Stores that are measured: in a folder or behind a server that speaks as S3 does, signed, with the models of another one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from buckets import BARE, CREDENTIALS, new_bucket

from life import TESTS
from wattcast.adapters.files import FileSnapshots, write_atomically
from wattcast.adapters.model_store import FileModelStore
from wattcast.adapters.signatures import new_pair
from wattcast.adapters.wiring import Services, connect
from wattcast.config import Settings
from wattcast.forecasting.registry import ServingManifest
from wattcast.forecasting.succession import Step, Transition

# A process of its own: what it does for its requests takes no turns from who asks them.
_SERVE = "import sys, buckets\nwith buckets.serving() as endpoint:\n    print(endpoint, flush=True)\n    sys.stdin.read()"
WHO = "benchmark"
# The environment of who may ask that server, and nobody else.
ASKER = CREDENTIALS | BARE


@contextmanager
def bucket_server() -> Iterator[str]:
    """The address of moto's server, in a process of its own, for as long as it is needed. It takes one request at a time."""
    with subprocess.Popen([sys.executable, "-c", _SERVE], cwd=TESTS, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


def where_new(place: str, folder: Path, endpoint: str) -> list[str]:
    """The words that say where an empty store is, in the folder or in a new bucket with copies in the folder."""
    return [str(folder)] if place == "files" else [new_bucket(endpoint), endpoint, str(folder)]


def signed(folder: Path) -> dict[str, str]:
    """The settings of who signs, with a new pair of keys in the folder, and verifies."""
    private, public = folder / "models.key", folder / "models.pub"
    private_pem, public_pem = new_pair()
    write_atomically(private, private_pem, mode=0o600)
    write_atomically(public, public_pem)
    return {"signing_key": str(private), "trusted_keys": str(public)}


def verifying(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a server with these settings: all but what signs."""
    return {f"WATTCAST_{name.upper()}": value for name, value in settings.items() if name != "signing_key"}


def copied(source: Path, settings: Mapping[str, Any]) -> Services:
    """A new store with these settings that serves what the source serves, from the same readings."""
    old, services = FileModelStore(source), connect(Settings(**settings))
    manifest, snapshots = old.manifest(), FileSnapshots(source)
    for bundle in sorted(manifest.kept()):
        services.store.put_bundle(old.bundle(bundle))
        services.store.put_record(old.record(bundle))
    for slot in manifest.slots.values():
        if (table := snapshots.latest(slot.meter, slot.step_s)) is not None:
            services.snapshots.put(table)
    changed(services, lambda _: Step(manifest, "register"))
    return services


def changed(services: Services, transition: Transition) -> ServingManifest:
    """The manifest after this change."""
    return services.store.change(transition, at=datetime.now(UTC).isoformat(timespec="seconds"), by=WHO)
