"""What training and evaluate left, as records and slots: who may answer, who is vetoed, and who would be champion."""

from __future__ import annotations

from collections.abc import Mapping

from wattcast.errors import RegistryConflict
from wattcast.forecasting.baselines import Fallback
from wattcast.forecasting.bundle import Bundle
from wattcast.forecasting.promotion import Verdict
from wattcast.forecasting.registry import Record, Slot
from wattcast.forecasting.scorecard import ScoreRow
from wattcast.forecasting.succession import Application
from wattcast.forecasting.tasks import Task
from wattcast.meter.quality import QualityReport


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


def application(slot: Slot, there: Slot | None, verdict: Verdict | None) -> Application:
    """The slot as it applies for the place of the one that is there. verdict: of its champion beside that one's; None: there is none."""
    against = there.champion if there else ""
    if verdict is None:
        reasons = (f"Not trained: {slot.skipped}.",) if slot.skipped else ("No family beat the baselines.",)
        return Application(slot, against, accepted=not against, reasons=reasons)
    # A champion that stays brings what else was trained with it.
    return Application(slot, against, accepted=verdict.promote or against in ("", slot.champion), reasons=verdict.reasons)


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
