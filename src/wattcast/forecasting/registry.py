"""What is known of each bundle (records), and which bundles answer (the serving manifest), as values with no place of their own."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from wattcast.errors import BadParams, RegistryConflict
from wattcast.forecasting.baselines import Fallback, baseline_names
from wattcast.forecasting.breakdown import Miss
from wattcast.forecasting.metrics import Score
from wattcast.forecasting.promotion import Verdict
from wattcast.forecasting.spec import FeatureSpec
from wattcast.meter.quality import QualityReport
from wattcast.meter.table import Meter


@dataclass(frozen=True)
class Record:
    """What the registry knows of one bundle. Written by `register`, never by the bundle itself.

    tests: model name -> its score on the last part of the file, which no choice has seen. golden: what `Bundle.golden_forecasts` must give.
    fallback: what answers for the bundle's task when no bundle can. importance, worst: model name -> what its
    features are worth there, and its largest errors. verdict: what was made of it beside the champion, where it applied for its place.
    """

    bundle: str
    task: str
    family: str
    meter: str
    tests: Mapping[str, Score]
    validation: Mapping[str, Score]
    veto: tuple[str, ...]
    golden: Mapping[str, list[list[float]]]
    fallback: Fallback
    quality: QualityReport
    trained_at: str
    trained_by: str
    revision: str
    importance: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    worst: Mapping[str, tuple[Miss, ...]] = field(default_factory=dict)
    verdict: Verdict | None = None


# Slots before this one that a slot remembers: a service that holds several bad champions back answers from one of them.
_REMEMBERED = 3


@dataclass(frozen=True)
class Slot:
    """Who answers for one (task, meter): every family's bundle by its name, the champion among them, and who answered before.

    step_s, horizon, gate_s, levels, baselines: the shape of the task, for the tiers that need no bundle. vetoed: family -> why it does
    not answer. skipped: why the task was not trained for this meter, empty where it was. Without a champion a baseline answers.
    before: this slot as it was when another champion answered. challenger: the bundle that forecasts beside the champion, and answers on
    `share` of the days. candidate: the bundle that was last to apply and did not take over, or was rolled back.
    """

    task: str
    meter: str
    step_s: int
    horizon: int
    levels: tuple[float, ...]
    baselines: tuple[str, ...]
    families: Mapping[str, str] = field(default_factory=dict)
    champion: str = ""
    vetoed: Mapping[str, str] = field(default_factory=dict)
    skipped: str = ""
    standby: str = ""
    gate_s: int | None = None
    before: Slot | None = None
    challenger: str = ""
    share: float = 0.0
    candidate: str = ""

    def __post_init__(self) -> None:
        unknown = set(self.baselines) - set(baseline_names())
        if unknown or min(self.step_s, self.horizon) < 1 or 0.5 not in self.levels:
            raise BadParams(f"slot {self.task}/{self.meter} has no step, horizon, median or known baseline", "register the meter again")
        if not 0 <= self.share <= 1:
            raise BadParams(
                f"a challenger of {self.task}/{self.meter} cannot answer on {self.share:g} of the days", "give a share from 0 to 1"
            )

    @property
    def key(self) -> str:
        """What the manifest calls it."""
        return f"{self.task}/{self.meter}"

    @property
    def previous(self) -> str:
        """The champion before this one, or an empty string."""
        return self.before.champion if self.before else ""

    @property
    def champion_family(self) -> str:
        """The family of the champion, or an empty string where there is none."""
        return next((family for family, bundle in self.families.items() if bundle == self.champion), "")

    @property
    def answering(self) -> dict[str, str]:
        """The families that may answer, and their bundles."""
        return {family: bundle for family, bundle in self.families.items() if family not in self.vetoed}

    def frame(self, zone: str) -> FeatureSpec:
        """Which rows a forecast of the task has, without a feature."""
        return _frame(self.step_s, self.horizon, zone, self.gate_s)

    def in_words(self) -> list[str]:
        """Who answers, and who may not and why, a line each."""
        answers = (
            f"{self.champion_family} {self.champion[:12]} is the champion"
            if self.champion
            else f"skipped, {self.skipped}"
            if self.skipped
            else "a baseline answers, no family beat it"
        )
        return [f"{self.task}: {answers}", *(f"{self.task}: {family} is vetoed: {why}" for family, why in self.vetoed.items())]

    def bundles(self) -> list[str]:
        """Every bundle that may answer, each once."""
        return _each((self.champion, *self.answering.values(), self.previous, self.challenger))

    def named(self) -> list[str]:
        """Every bundle the slot names, each once: those that may answer first, then the vetoed, whose records count all the same."""
        return _each((*self.bundles(), *self.families.values(), self.standby))

    def kept(self) -> list[str]:
        """Every bundle that the slot may yet need: those it names, those it named before, and the candidate."""
        return _each((*self.named(), *(self.before.kept() if self.before else ()), self.candidate))

    def after(self, old: Slot | None) -> Slot:
        """This slot in the place of the old one, which it remembers where another champion answered there."""
        # A slot whose families were all vetoed has no champion, but remembers the last one.
        line = (old, old.before) if old else ()
        before = next((slot for slot in line if slot and slot.champion not in ("", self.champion)), None)
        return replace(self, before=before and before.remembered())

    def remembered(self, count: int = _REMEMBERED) -> Slot:
        """This slot as one that comes after it remembers it, and so many slots before it less one."""
        alone = self.without(self.candidate, self.challenger)
        return replace(alone, before=self.before.remembered(count - 1) if self.before and count > 1 else None)

    def without(self, *bundles: str) -> Slot:
        """This slot with none of these as challenger or candidate."""
        challenger, candidate = ("" if bundle in bundles else bundle for bundle in (self.challenger, self.candidate))
        return replace(self, challenger=challenger, share=self.share if challenger else 0.0, candidate=candidate)


def _each(bundles: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(bundle for bundle in bundles if bundle))


@lru_cache(maxsize=256)
def _frame(step_s: int, horizon: int, zone: str, gate_s: int | None) -> FeatureSpec:
    return FeatureSpec(step_s, horizon, zone, gate_s=gate_s)


@dataclass(frozen=True)
class ServingManifest:
    """Which bundles servers answer from: one slot per (task, meter), keyed "task/meter".

    serial: grows by one with every change. names: name -> bundle that is kept under it. history: the SHA-256 of the latest change.
    """

    serial: int = 0
    latest_meter: str = ""
    meters: Mapping[str, Meter] = field(default_factory=dict)
    slots: Mapping[str, Slot] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    history: str = ""

    def slot(self, task: str, meter: str) -> Slot | None:
        """Who answers for this task and meter, or None."""
        return self.slots.get(f"{task}/{meter}")

    def with_slot(self, slot: Slot) -> ServingManifest:
        """The manifest with this slot in its place."""
        return replace(self, slots={**self.slots, slot.key: slot})

    def with_slots(self, meter: Meter, slots: list[Slot]) -> ServingManifest:
        """The manifest with the meter's slots replaced by these, each remembering the champion it takes over from."""
        kept = {key: slot for key, slot in self.slots.items() if slot.meter != meter.id}
        kept |= {slot.key: slot.after(self.slot(slot.task, slot.meter)) for slot in slots}
        return replace(self, latest_meter=meter.id, meters={**self.meters, meter.id: meter}, slots=kept)

    def kept(self) -> set[str]:
        """Every bundle that must not be deleted."""
        return {bundle for slot in self.slots.values() for bundle in slot.kept()} | set(self.names.values())


_RECORD, _MANIFEST = TypeAdapter(Record), TypeAdapter(ServingManifest)


def record_to_json(record: Record) -> bytes:
    """The record as JSON bytes, NaN (a skill that does not exist) as a string, for JSON has none."""
    return to_json(record, indent=1, inf_nan_mode="strings")


def record_from_json(data: bytes) -> Record:
    """The record in these bytes. Raises RegistryConflict when they are no record."""
    try:
        return _RECORD.validate_json(data)
    except ValidationError as cause:
        raise RegistryConflict(f"a record cannot be read ({str(cause).splitlines()[0]})", "register the model again: make run") from cause


def manifest_to_json(manifest: ServingManifest) -> bytes:
    """The serving manifest as JSON bytes."""
    return to_json(manifest, indent=1)


def manifest_from_json(data: bytes) -> ServingManifest:
    """The serving manifest in these bytes. Raises RegistryConflict when they are none."""
    try:
        return _MANIFEST.validate_json(data)
    except (ValidationError, BadParams) as cause:
        hint = "move serving.json away and register the models again: make run"
        raise RegistryConflict(f"the serving manifest cannot be read ({str(cause).splitlines()[0]})", hint) from cause
