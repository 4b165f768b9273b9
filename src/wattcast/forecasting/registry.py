"""What is known of each bundle (records), and which bundles answer (the serving manifest), as values with no place of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from wattcast.errors import BadParams, RegistryConflict
from wattcast.forecasting.baselines import Fallback, baseline_names
from wattcast.forecasting.breakdown import Miss
from wattcast.forecasting.bundle import Bundle
from wattcast.forecasting.metrics import Score
from wattcast.forecasting.scorecard import ScoreRow
from wattcast.forecasting.spec import FeatureSpec
from wattcast.forecasting.tasks import Task
from wattcast.meter.quality import QualityReport
from wattcast.meter.table import Meter


@dataclass(frozen=True)
class Record:
    """What the registry knows of one bundle. Written by `register`, never by the bundle itself.

    tests: model name -> its score on the last part of the file, which no choice has seen. golden: what `Bundle.golden_forecasts` must give.
    fallback: what answers for the bundle's task when no bundle can. importance, worst: model name -> what its
    features are worth there, and its largest errors.
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


@dataclass(frozen=True)
class Slot:
    """Who answers for one (task, meter): every family's bundle by its name, the champion among them, and the champion before it.

    step_s, horizon, gate_s, levels, baselines: the shape of the task, for the tiers that need no bundle. vetoed: family -> why it does
    not answer. skipped: why the task was not trained for this meter, empty where it was. Without a champion a baseline answers.
    """

    task: str
    meter: str
    step_s: int
    horizon: int
    levels: tuple[float, ...]
    baselines: tuple[str, ...]
    families: Mapping[str, str] = field(default_factory=dict)
    champion: str = ""
    previous: str = ""
    vetoed: Mapping[str, str] = field(default_factory=dict)
    skipped: str = ""
    standby: str = ""
    gate_s: int | None = None

    def __post_init__(self) -> None:
        unknown = set(self.baselines) - set(baseline_names())
        if unknown or min(self.step_s, self.horizon) < 1 or 0.5 not in self.levels:
            raise BadParams(f"slot {self.task}/{self.meter} has no step, horizon, median or known baseline", "register the meter again")

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
        return list(dict.fromkeys(bundle for bundle in (self.champion, *self.answering.values(), self.previous) if bundle))

    def named(self) -> list[str]:
        """Every bundle the slot names, each once: those that may answer first, then the vetoed, whose records count all the same."""
        return list(dict.fromkeys(bundle for bundle in (*self.bundles(), *self.families.values(), self.standby) if bundle))


@lru_cache(maxsize=256)
def _frame(step_s: int, horizon: int, zone: str, gate_s: int | None) -> FeatureSpec:
    return FeatureSpec(step_s, horizon, zone, gate_s=gate_s)


@dataclass(frozen=True)
class ServingManifest:
    """Which bundles servers answer from: one slot per (task, meter), keyed "task/meter". serial: grows by one with every change."""

    serial: int = 0
    latest_meter: str = ""
    meters: Mapping[str, Meter] = field(default_factory=dict)
    slots: Mapping[str, Slot] = field(default_factory=dict)

    def slot(self, task: str, meter: str) -> Slot | None:
        """Who answers for this task and meter, or None."""
        return self.slots.get(f"{task}/{meter}")

    def with_slots(self, meter: Meter, slots: list[Slot]) -> ServingManifest:
        """The next manifest: the meter's slots replaced by these, each remembering the champion it takes over from."""
        kept = {key: slot for key, slot in self.slots.items() if slot.meter != meter.id}
        for slot in slots:
            before = self.slot(slot.task, slot.meter)
            # A slot whose families were all vetoed has no champion, but remembers the last one.
            line = (before.champion, before.previous) if before else ()
            previous = next((bundle for bundle in line if bundle not in ("", slot.champion)), "")
            kept[f"{slot.task}/{slot.meter}"] = replace(slot, previous=previous)
        return ServingManifest(self.serial + 1, meter.id, {**self.meters, meter.id: meter}, kept)


def record_of(
    bundle: Bundle,
    rows: Mapping[str, ScoreRow],
    fallback: Fallback,
    quality: QualityReport,
    *,
    at: str,
    by: str,
    revision: str,
) -> Record:
    """The record of a bundle: its scores, what its golden readings must give, and what the lower tiers need when it cannot answer.

    rows: model name -> its row of the scorecard; a model that lost to a baseline on the test vetoes the bundle.
    """
    manifest = bundle.manifest
    tests = {name: row.score for name, row in rows.items()}
    if manifest.models[0].name not in tests:
        said = f"the scorecard does not know the {manifest.family} bundle of {manifest.task}, so it cannot say whether it beats a baseline"
        raise RegistryConflict(said, "run the evaluate stage again: dvc repro --force evaluate")
    return Record(
        bundle=bundle.id,
        task=manifest.task,
        family=manifest.family,
        meter=manifest.meter.id,
        tests=tests,
        validation={model.name: model.validation for model in manifest.models},
        veto=tuple(f"from {name.replace('_', ' ')}, {loss}" for name, score in tests.items() for loss in score.losing_to()),
        golden=bundle.golden_forecasts(),
        fallback=fallback,
        quality=quality,
        trained_at=at,
        trained_by=by,
        revision=revision,
        importance={name: row.importance for name, row in rows.items()},
        worst={name: row.worst for name, row in rows.items()},
    )


def slot_of(name: str, task: Task, meter: str, levels: tuple[float, ...], records: list[Record], skipped: str) -> Slot:
    """The slot of a task: its champion, the families that may answer, and those that may not, each with its reason."""
    own = [record for record in records if record.task == name]
    champion = choose_champion(own)
    return Slot(
        task=name,
        meter=meter,
        step_s=task.resolution_s,
        horizon=task.horizon,
        levels=levels,
        baselines=task.baselines,
        families={record.family: record.bundle for record in own},
        champion=champion.bundle if champion else "",
        vetoed={record.family: "it lost to a baseline on the test: " + "; ".join(record.veto) for record in own if record.veto},
        skipped=skipped,
        standby=own[0].bundle if own else "",
        gate_s=task.gate_s,
    )


def choose_champion(records: list[Record]) -> Record | None:
    """The record to serve: best in the walk-forward validation inside the training span, among those the test span does not veto.

    The measure is `Score.relative_error` of the bundle's richest model.
    None where every family lost to a baseline: then the baseline answers.
    """
    allowed = [record for record in records if not record.veto]
    return min(allowed, key=lambda record: next(iter(record.validation.values())).relative_error, default=None)


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
