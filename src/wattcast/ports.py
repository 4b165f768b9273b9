"""What the use cases need from the world, as protocols. Adapters fulfil them; one contract suite runs against every adapter of a port."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from wattcast.access import Key
from wattcast.forecasting.changes import Change
from wattcast.forecasting.forecast import LoggedForecast, Served
from wattcast.forecasting.registry import Record, ServingManifest
from wattcast.forecasting.runs import PipelineRun
from wattcast.forecasting.succession import Transition
from wattcast.meter.arrivals import Batch, Changes, Counts, StoredMeter
from wattcast.meter.table import Meter, MeterTable


@dataclass(frozen=True)
class Blob:
    """Bytes as they were kept under a name. version: another for any other bytes, as `Blobs.swap` asks for it."""

    data: bytes
    version: str


@dataclass(frozen=True)
class Entry:
    """What a listing says of a blob. modified_s: when it was last put, UTC epoch seconds."""

    name: str
    size: int
    modified_s: float


class Blobs(Protocol):
    """Bytes under names ("bundles/ab12.wattcast") in one place: a folder, a bucket. A write is whole or did not happen.

    Every method raises Unavailable where the place does not answer, or cannot be read or written.
    """

    def get(self, name: str) -> Blob:
        """What is kept under the name. Raises NotFound."""
        ...

    def version(self, name: str) -> str:
        """The version of what is kept under the name, empty where nothing is. Costs little."""
        ...

    def put(self, name: str, data: bytes) -> None:
        """Keep these bytes, whatever was there before. Safe to repeat."""
        ...

    def swap(self, name: str, data: bytes, version: str) -> str:
        """Replace what is there if it still has this version (empty: if nothing is there); the new version. Raises RegistryConflict."""
        ...

    def entries(self, prefix: str) -> Iterator[Entry]:
        """Everything whose name begins so, in no order."""
        ...

    def delete(self, name: str) -> None:
        """Have nothing under this name. Safe to repeat."""
        ...


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

    def version(self) -> str:
        """Another one for any other serving manifest, empty where there is none. Costs little."""
        ...

    def manifest(self) -> ServingManifest:
        """The serving manifest; an empty one of serial 0 where nothing was ever published."""
        ...

    def change(self, transition: Transition, *, at: str, by: str, why: str = "") -> ServingManifest:
        """Replace the serving manifest by what the transition makes of it, with one more entry in the history; the new manifest.

        The transition is asked again where someone else published in between. Raises RegistryConflict as it does.
        """
        ...

    def history(self) -> Iterator[Change]:
        """Every change, the latest first. Raises RegistryConflict where an entry is not there, or is not the one that was written."""
        ...


Alias = Literal["champion", "challenger"]


class Registry(Protocol):
    """Who trained what, how well, and who is who: for people to look at. What answers is told by the serving manifest alone.

    Every method raises Unavailable where the place does not answer.
    """

    def log_run(self, run: PipelineRun) -> None:
        """Keep a run of the pipeline. Each of its bundles becomes a version of its task and meter; one that was one before stays that."""
        ...

    def versions(self, task: str, meter: str) -> list[str]:
        """The bundles that were logged, each once, the oldest first."""
        ...

    def point(self, task: str, meter: str, alias: Alias, bundle: str) -> None:
        """Call this version so, and no other; "" calls none so. Raises NotFound where the bundle was never logged."""
        ...

    def aliased(self, task: str, meter: str) -> dict[str, str]:
        """Alias -> the bundle that is called so."""
        ...

    def judge(self, task: str, meter: str, bundle: str, verdict: str) -> None:
        """Keep these words as the verdict on a version, instead of those before. Raises NotFound where the bundle was never logged."""
        ...

    def verdict(self, task: str, meter: str, bundle: str) -> str:
        """The words kept, "" where none were. Raises NotFound where the bundle was never logged."""
        ...


class Latest(Protocol):
    """The latest readings of each meter, at each resolution that a task uses: what answers are made from."""

    def latest(self, meter: str, step_s: int) -> MeterTable | None:
        """The latest readings known, or None. Raises BadMeterFile where they cannot be read."""
        ...

    def renew(self, meter: str, step_s: int) -> None:
        """Have at hand what was registered last, where that is kept far away. Raises nothing: else what is at hand stands."""
        ...


class Snapshots(Latest, Protocol):
    """The readings that each meter was registered with."""

    def put(self, table: MeterTable) -> None:
        """Keep these readings as the latest of their meter at their resolution."""
        ...


class ReadingStore(Protocol):
    """Readings that arrive. What `put` returned for is there, once; every method raises Unavailable where the store does not answer."""

    def put(self, meter: Meter, batch: Batch, now_s: int) -> Counts:
        """Keep these readings, all or none: sent twice they change nothing, others than known replace what is known and keep it beside.

        Raises BadRequest where the meter is known with another resolution or other facts.
        """
        ...

    def meters(self, only: str = "") -> tuple[StoredMeter, ...]:
        """Every meter with readings here, in the order of their ids; `only` the one called so, where that is given."""
        ...

    def meter(self, meter_id: str) -> StoredMeter | None:
        """What is known of a meter, without its count and span, or None where it never sent a reading."""
        ...

    def stamp(self) -> int | None:
        """A number that stays the same as long as nothing at all is written; None where there is none. Costs next to nothing."""
        ...

    def changes(self, meter_id: str, since: int, kept_s: int) -> Changes | None:
        """What changed since a revision of a meter's readings, 0 for all of the last `kept_s` seconds of them. None: no such meter here."""
        ...

    def span(self, meter_id: str, first_s: int, end_s: int) -> Batch | None:
        """All readings of a meter from first_s up to end_s. None: no such meter here."""
        ...

    def page(self, meter_id: str, first_s: int, end_s: int, limit: int) -> list[dict[str, Any]]:
        """At most `limit` readings from first_s up to end_s: start_s, power_kw, covariates and what stood there before."""
        ...

    def delete(self, meter_id: str) -> bool:
        """Forget a meter, its readings and its forecasts; whether there was anything."""
        ...


class Keys(Protocol):
    """Keys that were made. Every method raises Unavailable where they cannot be read or written."""

    def add(self, key: Key) -> None:
        """Keep a new key."""
        ...

    def all(self) -> tuple[Key, ...]:
        """Every key, the oldest first, revoked ones too."""
        ...

    def revoke(self, key_id: str, now_s: int) -> None:
        """Have a key count no more. Raises NotFound."""
        ...

    def session_secret(self) -> str:
        """What sessions are signed with: made once, the same for every worker."""
        ...


class ForecastLog(Protocol):
    """Every forecast that was given out for a meter, and those of the shadow. Every method raises Unavailable where it does not answer."""

    def add(self, served: Sequence[Served]) -> None:
        """Keep forecasts, all or none; the same one given out again counts up. One of the shadow that is given out is of it no more."""
        ...

    def latest(self, meter_id: str, task: str, limit: int, before: int | None = None) -> list[LoggedForecast]:
        """The forecasts given out, those kept last first. task: "" for every task; before: a key, those that were kept before it."""
        ...

    def between(self, meter_id: str, task: str, first_origin_s: int, end_origin_s: int) -> Iterator[LoggedForecast]:
        """Every forecast, those of the shadow too, made from first_origin_s up to end_origin_s, in the order of origins; one at a time."""
        ...
