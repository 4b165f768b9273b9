"""A bucket as the original project filled it: one model file for each family, named by a variable, and no serving manifest."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from wattcast.adapters.model_store import MANIFEST, BlobModelStore
from wattcast.adapters.seals import Seals
from wattcast.errors import BadBundle, BadParams, NotFound, RegistryConflict
from wattcast.forecasting.baselines import Fallback, climatological_profile
from wattcast.forecasting.bundle import Bundle, manifest_of, open_bundle
from wattcast.forecasting.choosing import choose_champion
from wattcast.forecasting.registry import Record, ServingManifest, Slot
from wattcast.forecasting.succession import Transition
from wattcast.meter.quality import QualityReport
from wattcast.ports import Blobs

_NOTE = "This model is named by a variable and was never registered: what it was worth is what it says of itself."


class KeyedModelStore(BlobModelStore):
    """The model store; where it has no serving manifest, the files that keys name answer. keys: variable -> name of the file.

    A file's record is asked for all the same, and with trusted keys it has to be there: it holds the signature.
    """

    def __init__(self, blobs: Blobs, seals: Seals, keys: Mapping[str, str]) -> None:
        super().__init__(blobs, seals)
        self._keys = keys
        self._named: dict[str, bytes] = {}

    def version(self) -> str:
        """Another one for any other serving manifest, or other files that keys name."""
        return super().version() or " ".join(self.blobs.version(name) for name in self._keys.values()).strip()

    def change(self, transition: Transition, *, at: str, by: str, why: str = "") -> ServingManifest:
        """As every model store does. The first change takes the files that keys name into the store, and goes on from there."""
        if not self.blobs.version(MANIFEST):
            self.manifest()
            for bundle, data in self._named.items():
                record = self.record(bundle)
                self.put_bundle(data)
                self.put_record(record)
        return super().change(transition, at=at, by=by, why=why)

    def _manifest(self) -> tuple[ServingManifest, str]:
        there, version = super()._manifest()
        return (there, version) if version else (self._of_keys(there), version)

    def _of_keys(self, there: ServingManifest) -> ServingManifest:
        """What the files that keys name make of an empty manifest. Raises BadParams for a key that names none."""
        self._named = {hashlib.sha256(data).hexdigest(): data for data in map(self._file, self._keys)}
        records = [self.record(bundle) for bundle in self._named]
        slots: dict[tuple[str, str], list[Record]] = {}
        for record in records:
            slots.setdefault((record.task, record.meter), []).append(record)
        for own in slots.values():
            meter = manifest_of(self._named[own[0].bundle], own[0].bundle).meter
            others = [slot for slot in there.slots.values() if slot.meter == meter.id]
            there = there.with_slots(meter, [*others, self._slot(own)])
        return there

    def bundle(self, bundle_id: str) -> bytes:
        """The bytes of a bundle, wherever they are. Raises BadBundle where they are nowhere."""
        return self._named[bundle_id] if bundle_id in self._named else super().bundle(bundle_id)

    def record(self, bundle_id: str) -> Record:
        """What is known of a bundle: as registered; of a file that only a key names, what it says of itself."""
        try:
            return super().record(bundle_id)
        except RegistryConflict:
            if bundle_id not in self._named:
                raise
            self._seals.refuse_unsigned()
            return _unregistered(open_bundle(self._named[bundle_id], expected_id=bundle_id))

    def _file(self, variable: str) -> bytes:
        name = self._keys[variable]
        try:
            return self.blobs.get(name).data
        except NotFound as cause:
            raise BadParams(f"{variable}={name} names no file in the bucket: {cause.message}", "correct it, or unset it") from cause

    def _slot(self, records: list[Record]) -> Slot:
        manifest = manifest_of(self._named[records[0].bundle], records[0].bundle)
        champion = choose_champion(records)
        return Slot(
            task=manifest.task,
            meter=manifest.meter.id,
            step_s=manifest.step_s,
            horizon=manifest.horizon,
            levels=manifest.levels,
            baselines=manifest.baselines,
            families={record.family: record.bundle for record in records},
            champion=champion.bundle if champion else "",
            standby=records[0].bundle,
            gate_s=manifest.models[0].spec.gate_s,
        )


def _unregistered(bundle: Bundle) -> Record:
    manifest = bundle.manifest
    if not bundle.models:
        raise BadBundle(f"bundle {bundle.id[:12]} has no model", "name another file")
    scores = {model.name: model.validation for model in manifest.models}
    return Record(
        bundle=bundle.id,
        task=manifest.task,
        family=manifest.family,
        meter=manifest.meter.id,
        tests=scores,
        validation=scores,
        veto=(),
        golden=bundle.golden_forecasts(),
        fallback=Fallback({}, climatological_profile(bundle.golden, manifest.levels)),
        quality=QualityReport("usable", (_NOTE,), {}),
        trained_at="",
        trained_by="",
        revision="",
    )
