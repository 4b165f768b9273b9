"""What became of models and of their forecasts: the latest changes of the registry, and accuracy on readings that came since.

The store may be far away and the log long, so what was found is remembered.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from itertools import islice
from typing import Literal, TypeVar

from wattcast.adapters.wiring import Live
from wattcast.errors import WattcastError
from wattcast.forecasting.changes import Change
from wattcast.forecasting.registry import Record, Slot
from wattcast.meter.clock import DAY_S
from wattcast.meter.table import MeterTable
from wattcast.monitoring.accuracy import WINDOWS_S, Accuracy, accuracy
from wattcast.ports import ModelStore
from wattcast.serving import Ask, ForecastService

MOST_CHANGES = 20
_FOR_A_MINUTE_S = 60.0
# What could not be had is asked for again after so long.
_AGAIN_S = 5.0
_REMEMBERED = 256

Found = TypeVar("Found")
Role = Literal["champion", "challenger", "previous", "candidate", "family"]


def roles_of(slot: Slot) -> dict[str, tuple[Role, ...]]:
    """What each bundle of a slot is, the most important first; one is a family where it is nothing else."""
    named: tuple[tuple[Role, str], ...] = (
        ("champion", slot.champion),
        ("challenger", slot.challenger),
        ("previous", slot.previous),
        ("candidate", slot.candidate),
    )
    bundles = dict.fromkeys([bundle for _, bundle in named if bundle] + list(slot.families.values()))
    return {each: tuple(role for role, bundle in named if bundle == each) or ("family",) for each in bundles}


@dataclass(frozen=True)
class LookedBack:
    """How good the forecasts of a meter and task were, as of the end of its last reading, UTC epoch seconds; None: it has none."""

    slot: Slot
    until_s: int | None
    found: tuple[Accuracy, ...]


class Remembered:
    """What was found, by all that it follows from, or the refusal. Of several that ask at once one looks, the others wait for it."""

    def __init__(self) -> None:
        self._one = threading.Lock()
        self._kept: OrderedDict[Hashable, tuple[float, Callable[[], object]]] = OrderedDict()

    def of(self, key: Hashable, look: Callable[[], Found], now_s: float, for_s: float = math.inf) -> Found:
        """What `look` finds, remembered for so long. Raises as it does."""
        with self._one:
            until, say = self._kept.get(key, (-math.inf, None))
            if say is None or now_s >= until:
                until, say = self._looked(look, now_s, for_s)
                self._kept[key] = until, say
                self._kept.move_to_end(key)
                while len(self._kept) > _REMEMBERED:
                    self._kept.popitem(last=False)
        found: Found = say()  # type: ignore[assignment]  # what was kept under this key
        return found

    @staticmethod
    def _looked(look: Callable[[], Found], now_s: float, for_s: float) -> tuple[float, Callable[[], object]]:
        try:
            found = look()
        except WattcastError as refusal:
            kind, said = type(refusal), (refusal.message, refusal.hint)

            def refuse() -> Found:
                raise kind(*said)

            return now_s + min(for_s, _AGAIN_S), refuse
        return now_s + for_s, lambda: found


class LookingBack:
    """Looks into the store and the log for what the pages and the API tell of models."""

    def __init__(self, store: ModelStore, live: Live) -> None:
        self._store = store
        self._live = live
        self._published, self._scored = Remembered(), Remembered()

    def changes(self, service: ForecastService, now_s: float) -> tuple[Change, ...]:
        """The latest changes of the registry, as of the manifest that answers. Raises RegistryConflict and Unavailable."""
        head = service.manifest.history
        return self._published.of(head, lambda: tuple(islice(self._store.history(), MOST_CHANGES)) if head else (), now_s)

    def record(self, service: ForecastService, bundle: str, now_s: float) -> Record:
        """What is known of a bundle, those that wait beside what answers among them. Raises RegistryConflict, BadBundle, Unavailable."""
        if bundle in service.records:
            return service.records[bundle]
        return self._published.of((service.manifest.history, bundle), lambda: self._store.record(bundle), now_s)

    def accuracy(self, service: ForecastService, task: str, meter: str, now_s: int) -> LookedBack:
        """How good the forecasts of a meter were, at most a minute old. Raises BadRequest, BadMeterFile and Unavailable."""
        known = service.manifest.slot(task, meter)
        table = self._live.known.latest(meter, known.step_s if known else service.step_of(task))
        slot = known or service.slot_for(Ask(meter, task, now_s, table))
        last_s = table.last_measured_s() if table else None
        if table is None or last_s is None:
            return LookedBack(slot, None, ())
        until_s = min(last_s, now_s)
        key = meter, task, service.version, until_s
        found = self._scored.of(key, lambda: self._score(service, slot, table, until_s, now_s), now_s, _FOR_A_MINUTE_S)
        return LookedBack(slot, until_s, found)

    def _score(self, service: ForecastService, slot: Slot, table: MeterTable, until_s: int, now_s: int) -> tuple[Accuracy, ...]:
        """Windows end with the last reading: a meter that sends every other day, or ended long ago, has been forecast all the same."""
        reach_s = slot.horizon * slot.step_s + (2 * DAY_S if slot.gate_s is not None else 0)
        longest_s = max(WINDOWS_S)
        first_s, end_s = until_s - longest_s - reach_s, min(now_s, until_s + longest_s) + 1
        specs = (service.loaded[bundle].manifest.models[0].spec for bundle in slot.named() if bundle in service.loaded)
        holidays = next((spec.holidays for spec in specs), ())
        logged = self._live.log.between(slot.meter, slot.task, first_s, end_s)
        return tuple(accuracy(logged, table, slot.baselines, until_s, holidays=holidays))
