"""What the use cases need from the world, as protocols. Adapters fulfil them; one contract suite runs against every adapter of a port."""

from __future__ import annotations

from typing import Protocol

from wattcast.forecasting.registry import Record, ServingManifest
from wattcast.meter.table import MeterTable


class ModelStore(Protocol):
    """Bundles and records by content, and the one serving manifest."""

    def put_bundle(self, data: bytes) -> str:
        """Keep the bytes of a bundle; its id, the SHA-256 of the bytes. Safe to repeat."""
        ...

    def bundle(self, bundle_id: str) -> bytes:
        """The bytes kept under this id, unchecked. Raises BadBundle when there are none."""
        ...

    def put_record(self, record: Record) -> None:
        """Keep what is known of a bundle, replacing what was known before."""
        ...

    def record(self, bundle_id: str) -> Record:
        """What is known of a bundle. Raises RegistryConflict when nothing is, or what is there cannot be read."""
        ...

    def manifest(self) -> ServingManifest:
        """The serving manifest; an empty one of serial 0 where nothing was ever published."""
        ...

    def publish(self, manifest: ServingManifest) -> None:
        """Replace the serving manifest in one step. Raises RegistryConflict unless its serial follows the one that is there."""
        ...


class ReadingStore(Protocol):
    """The latest readings of each meter, at each resolution that a task uses."""

    def put(self, table: MeterTable) -> None:
        """Keep these readings as the latest of their meter at their resolution."""
        ...

    def latest(self, meter: str, step_s: int) -> MeterTable | None:
        """The latest readings kept, or None."""
        ...
