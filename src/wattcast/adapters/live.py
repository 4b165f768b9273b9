"""The readings to answer from: those that were registered with the models, under what has arrived since, each kept in memory.

Memory follows the database by its revisions: an answer asks for one number, and reads again only the span that changed. Where the
database has a stamp that any write changes, it asks for that first.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from wattcast.errors import BadMeterFile, Unavailable
from wattcast.meter.arrivals import Batch, overlaid
from wattcast.meter.cleaning import grid_of, resample
from wattcast.meter.table import Meter, MeterTable
from wattcast.ports import ReadingStore, Snapshots

# What any model or baseline looks back on fits in here twice over.
_KEPT_S = 400 * 86_400


@dataclass(eq=False)
class _Kept:
    """What has arrived of one meter, as of a revision; tables by step are made when they are asked for."""

    meter: Meter
    revision: int = 0
    batch: Batch | None = None
    tables: dict[int, MeterTable] = field(default_factory=dict)


class LiveReadings:
    """`latest` as `Snapshots` has it. Where the database does not answer, what is in memory stands; `fault` says so."""

    def __init__(self, snapshots: Snapshots, store: ReadingStore) -> None:
        self._snapshots = snapshots
        self._store = store
        self._kept: dict[str, _Kept] = {}
        self._looked: dict[str, int] = {}
        self._hashed: dict[tuple[str, int], tuple[MeterTable, str]] = {}
        self._laid: dict[tuple[str, int], tuple[MeterTable, MeterTable, MeterTable]] = {}
        self.fault = ""

    def latest(self, meter: str, step_s: int) -> MeterTable | None:
        """All that is known of a meter at this resolution, or None. Readings too coarse for it are not looked at."""
        registered, arrived = self._snapshots.latest(meter, step_s), self._arrived(meter, step_s)
        if registered is None or arrived is None or (arrived.start_s - registered.start_s) % step_s:
            return registered if arrived is None else arrived
        before = self._laid.get((meter, step_s))
        if before is None or before[0] is not registered or before[1] is not arrived:
            before = self._laid[meter, step_s] = (registered, arrived, overlaid(registered, arrived))
        return before[2]

    def renew(self, meter: str, step_s: int) -> None:
        """Have at hand what was registered last."""
        self._snapshots.renew(meter, step_s)

    def spanning(self, meter: str, step_s: int, first_s: int, end_s: int) -> MeterTable | None:
        """`latest`; where memory does not reach back to first_s, what the database has from there up to end_s."""
        if self.since(meter) <= first_s:
            return self.latest(meter, step_s)
        try:
            batch = self._store.span(meter, first_s, end_s)
        except Unavailable as cause:
            self.fault, batch = cause.message, None
        if batch is None or not len(batch) or step_s % batch.step_s:
            return self.latest(meter, step_s)
        arrived = resample(grid_of(self._kept[meter].meter, batch, f"the readings of {meter}"), step_s)
        registered = self._snapshots.latest(meter, step_s)
        if registered is None or (arrived.start_s - registered.start_s) % step_s:
            return arrived
        return overlaid(registered, arrived)

    def of_then(self, meter: str, step_s: int, origin_s: int) -> MeterTable | None:
        """What an answer from a moment of long ago looks at; None where `latest` has all of that."""
        if self.since(meter) <= origin_s - _KEPT_S // 2:
            return None
        return self.spanning(meter, step_s, origin_s - _KEPT_S, origin_s + _KEPT_S)

    def since(self, meter: str) -> int:
        """The instant from which on memory has all that arrived of a meter; 0 where nothing did."""
        kept = self._now(meter)
        return 0 if kept is None or kept.batch is None or not len(kept.batch) else int(kept.batch.start_s[0])

    def state(self, meter: str, step_s: int) -> str:
        """Another text for any other readings of the meter; empty where that cannot be told."""
        try:
            registered, kept = self._snapshots.latest(meter, step_s), self._now(meter)
        except BadMeterFile:
            return ""
        if registered is None:
            return f"{kept.revision if kept else 0}"
        before = self._hashed.get((meter, step_s))
        if before is None or before[0] is not registered:
            before = self._hashed[meter, step_s] = (registered, registered.sha256())
        return f"{before[1]} {kept.revision if kept else 0}"

    def meter(self, meter_id: str) -> Meter | None:
        """A meter that readings have arrived of; where the database does not answer, one that is in memory.

        Raises Unavailable where it does not answer and memory does not know either.
        """
        try:
            stored = self._store.meter(meter_id)
        except Unavailable:
            if meter_id not in self._kept:
                raise
            return self._kept[meter_id].meter
        return None if stored is None else stored.meter

    def _arrived(self, meter_id: str, step_s: int) -> MeterTable | None:
        kept = self._now(meter_id)
        if kept is None or kept.batch is None or not len(kept.batch) or step_s % kept.batch.step_s:
            return None
        tables = kept.tables
        if kept.batch.step_s not in tables:
            tables[kept.batch.step_s] = grid_of(kept.meter, kept.batch, f"the readings of {meter_id}")
        if step_s not in tables:
            tables[step_s] = resample(tables[kept.batch.step_s], step_s)
        return tables[step_s]

    def _now(self, meter_id: str) -> _Kept | None:
        """What has arrived of the meter, as far as the database says; where it does not answer, as memory has it."""
        kept = self._kept.get(meter_id)
        try:
            kept = self._followed(meter_id, kept)
            self.fault = ""
        except Unavailable as cause:
            self.fault = cause.message
        return kept

    def _followed(self, meter_id: str, kept: _Kept | None) -> _Kept | None:
        """What is kept, brought up to the database; None where the meter is not there (any more)."""
        stamp = self._store.stamp()
        if stamp is not None and self._looked.get(meter_id) == stamp:
            return kept
        kept = self._brought_up(meter_id, kept)
        if stamp is not None:
            self._looked[meter_id] = stamp
        return kept

    def _brought_up(self, meter_id: str, kept: _Kept | None) -> _Kept | None:
        changed = self._store.changes(meter_id, kept.revision if kept else 0, _KEPT_S)
        if changed is None:
            self._kept.pop(meter_id, None)
            return None
        if changed.batch is None:
            return kept
        batch, before = changed.batch, None if changed.whole or kept is None else kept.batch
        if before is not None:
            batch = batch.over(before.rows(before.start_s >= changed.oldest_s), *changed.span)
        if len(batch) and batch.start_s[0] < batch.start_s[-1] - _KEPT_S:
            batch = batch.rows(batch.start_s >= batch.start_s[-1] - _KEPT_S)
        # One assignment: a thread that answers meanwhile keeps what it has.
        fresh = self._kept[meter_id] = _Kept(changed.meter, changed.revision, batch)
        return fresh
