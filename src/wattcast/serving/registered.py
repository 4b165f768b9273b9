"""What is registered and loaded: the serving manifest, records, and the bundles that it names, each checked before it answers."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping
from functools import cached_property, partial

from wattcast.errors import BadBundle, BadRequest, RegistryConflict, Unavailable
from wattcast.forecasting.bundle import Manifest, manifest_of, open_bundle
from wattcast.forecasting.families import family_of
from wattcast.forecasting.model import Model
from wattcast.forecasting.registry import Record, ServingManifest, Slot, manifest_to_json
from wattcast.meter.table import Meter
from wattcast.ports import ModelStore


class Loaded:
    """A bundle whose hashes hold. Its models take most of the memory and of the time to load: those that nobody asks for wait."""

    def __init__(self, bundle_id: str, manifest: Manifest, open_models: Callable[[], tuple[Model, ...]]) -> None:
        self.id = bundle_id
        self.manifest = manifest
        self._open_models = open_models
        self._models: tuple[Model, ...] | None = None
        self._opening = threading.Lock()

    @cached_property
    def title(self) -> str:
        """The name of its family."""
        return family_of(self.manifest.family).title

    @property
    def opened(self) -> bool:
        """Whether its models were ever asked for."""
        return self._models is not None

    def models(self) -> tuple[Model, ...]:
        """Its models, which gave the golden forecasts when they were loaded. Raises BadBundle where they did not."""
        if self._models is None:
            with self._opening:
                self._models = self._models or self._open_models()
        return self._models


class RegisteredModels:
    """What the serving manifest named when `load` was called. version: of all that answers, another for any other model.

    held_back: "task/meter" -> why the champion that was published for it does not answer, and who answered before still does. unread:
    whether something was refused only because the store did not answer.
    """

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self.manifest = ServingManifest()
        self.records: dict[str, Record] = {}
        self.refused: dict[str, str] = {}
        self.loaded: dict[str, Loaded] = {}
        self.held_back: dict[str, str] = {}
        self.unread = False
        self.version = ""

    def load(self, before: RegisteredModels | None = None) -> None:
        """Open every bundle of the serving manifest, hashes checked, and load the champions' models. What is refused keeps its reason.

        Other models are loaded, and have to give their golden forecasts, when they are first asked for. before: what answered until
        now; what it has loaded is not loaded again, and where it has a champion whose successor is refused, that one goes on. Raises
        RegistryConflict for a manifest older than that one's.
        """
        self.refused, self.held_back = {}, {}
        self.manifest = self._store.manifest()
        if before is not None and self.manifest.serial < before.manifest.serial:
            said = f"the serving manifest has serial {self.manifest.serial} after {before.manifest.serial}"
            raise RegistryConflict(
                f"{said}: an old one was put back, or the store was emptied", "start the service again where that is meant"
            )
        for slot in self.manifest.slots.values():
            at_once = {slot.champion, slot.challenger, *_asked_for(slot, before)}
            for bundle in slot.named():
                self._load(bundle, before, heads=bundle in slot.bundles(), at_once=bundle in at_once)
        if before is not None:
            self._hold_back(before)
        which = [*sorted(self.loaded), *sorted(self.refused)]
        self.version = hashlib.sha256(manifest_to_json(self.manifest) + "".join(which).encode()).hexdigest()

    def _load(self, bundle_id: str, before: RegisteredModels | None, *, heads: bool, at_once: bool) -> None:
        try:
            record = self.records[bundle_id] = self._store.record(bundle_id)
            there = before.loaded.get(bundle_id) if before else None
            if there is not None and before is not None and before.records[bundle_id].golden == record.golden:
                self.loaded[bundle_id] = there
            if heads and bundle_id not in self.loaded:
                manifest = manifest_of(self._store.bundle(bundle_id), bundle_id)
                self.loaded[bundle_id] = Loaded(bundle_id, manifest, partial(_replayed, self._store, bundle_id, record.golden))
            if at_once and bundle_id in self.loaded:
                self.models(bundle_id)
        except (BadBundle, RegistryConflict, Unavailable) as cause:
            self.refused[bundle_id] = cause.message
            self.unread = self.unread or isinstance(cause, Unavailable)

    def _hold_back(self, before: RegisteredModels) -> None:
        """Have who answered go on where a champion was published that is refused."""
        for key, slot in self.manifest.slots.items():
            old = before.manifest.slots.get(key)
            if old is None or slot.champion not in self.refused or old.champion not in before.loaded:
                continue
            self.held_back[key] = self.refused[slot.champion]
            self.manifest = self.manifest.with_slot(old)
            self.records |= {bundle: before.records[bundle] for bundle in old.named() if bundle in before.records}
            self.loaded |= {bundle: before.loaded[bundle] for bundle in old.named() if bundle in before.loaded}

    def models(self, bundle_id: str) -> tuple[Model, ...]:
        """The models of a bundle, richest first; none where it is not loaded or was refused, which `refused` says."""
        loaded = self.loaded.get(bundle_id)
        try:
            return loaded.models() if loaded is not None else ()
        except (BadBundle, Unavailable) as cause:
            self.refused[bundle_id] = cause.message
            self.loaded.pop(bundle_id, None)
            return ()

    def ready(self) -> bool:
        """Whether there is a meter to answer for: where no model is loaded, a baseline or the typical day of its record answers."""
        return bool(self.records)

    def meter(self, meter_id: str = "") -> Meter:
        """The meter called so, or the one registered last. Raises BadRequest for a meter never registered."""
        name = meter_id or self.manifest.latest_meter
        if name not in self.manifest.meters:
            known = ", ".join(sorted(self.manifest.meters)) or "none yet"
            raise BadRequest(f'meter "{name}" is not known', f"known meters: {known}", {"meter": f'"{name}" is not a known meter'})
        return self.manifest.meters[name]

    def slot(self, task: str, meter: str) -> Slot:
        """Who answers for this task and meter. Raises BadRequest where the task is not known for the meter."""
        slot = self.manifest.slot(task, meter)
        if slot is None:
            raise no_such_task(task, meter, {slot.task for slot in self.manifest.slots.values() if slot.meter == meter})
        return slot

    def step_of(self, task: str) -> int:
        """The resolution of a task in seconds. Raises BadRequest where no meter has such a task, Unavailable where there is none."""
        for slot in self.manifest.slots.values():
            if slot.task == task:
                return slot.step_s
        if not self.manifest.slots:
            raise Unavailable("no model is registered, so that no task is known", "train one first: make run")
        raise no_such_task(task, "any", {slot.task for slot in self.manifest.slots.values()})

    def record_of(self, slot: Slot) -> Record | None:
        """The record that describes this slot: the champion's, else of any bundle of the meter that has one."""
        of_meter = [other for other in self.manifest.slots.values() if other.meter == slot.meter and other is not slot]
        ids = [bundle for each in (slot, *of_meter) for bundle in each.named()]
        return next((self.records[bundle] for bundle in ids if bundle in self.records), None)

    def trained_on(self, bundle_id: str) -> tuple[int, int] | None:
        """The training span of a loaded bundle, UTC epoch seconds, or None where no such bundle is loaded."""
        loaded = self.loaded.get(bundle_id)
        return None if loaded is None else (loaded.manifest.train_start_s, loaded.manifest.train_end_s)

    def features_of(self, bundle_id: str) -> dict[str, list[str]]:
        """The names of the features of a loaded bundle, by model; empty where no such bundle is loaded."""
        loaded = self.loaded.get(bundle_id)
        return {} if loaded is None else {facts.name: list(facts.spec.names) for facts in loaded.manifest.models}

    def finest_step(self, meter: str) -> int:
        """The finest resolution of the tasks of a registered meter, seconds."""
        return min(slot.step_s for slot in self.manifest.slots.values() if slot.meter == meter)

    def health(self) -> Mapping[str, object]:
        """What `/readyz` says: ready or not, meters, bundles loaded and refused, with reasons."""
        return {
            "ready": self.ready(),
            "serial": self.manifest.serial,
            "meters": sorted(self.manifest.meters),
            "loaded": len(self.loaded),
            "refused": {bundle[:12]: reason for bundle, reason in self.refused.items()},
            "held_back": dict(self.held_back),
        }


def _asked_for(slot: Slot, before: RegisteredModels | None) -> set[str]:
    """The bundles of the families that somebody asked for until now: who asks for them next should not wait for them."""
    old = before.manifest.slots.get(slot.key) if before else None
    if before is None or old is None:
        return set()
    asked = [family for family, bundle in old.families.items() if bundle in before.loaded and before.loaded[bundle].opened]
    return {slot.families[family] for family in asked if family in slot.families}


def _replayed(store: ModelStore, bundle_id: str, golden: Mapping[str, list[list[float]]]) -> tuple[Model, ...]:
    """The models of a bundle, which give the forecasts that its record expects. Raises BadBundle."""
    bundle = open_bundle(store.bundle(bundle_id), expected_id=bundle_id)
    bundle.replay(golden)
    return bundle.models


def no_such_task(task: str, meter: str, known: set[str]) -> BadRequest:
    """The refusal of a task that is not known for a meter."""
    hint = f"known tasks: {', '.join(sorted(known)) or 'none'}"
    return BadRequest(f'task "{task}" is not known for meter "{meter}"', hint, {"task": f'"{task}" is not known'})
