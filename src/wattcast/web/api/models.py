"""Registered models: what they were worth beside their baselines, on what they were trained, what they look at, and who changed them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress

from wattcast.errors import BadBundle, NotFound, RegistryConflict, Unavailable
from wattcast.forecasting.changes import Change
from wattcast.forecasting.forecast import iso
from wattcast.forecasting.metrics import Score
from wattcast.forecasting.promotion import Verdict
from wattcast.forecasting.registry import Record, Slot
from wattcast.web.api.answers.models import Changed, Changes, Errors, Judged, ModelDetails, Models, ModelScore, ModelSummary, Moved
from wattcast.web.api.asked import ChangesAsked
from wattcast.web.api.operations import operation
from wattcast.web.looking_back import Role, roles_of
from wattcast.web.security.guard import sees
from wattcast.web.site import site

_EVERYTHING = ""


@operation("GET", "/models", Models, scope="models")
def models() -> Models:
    """Every registered model, its scores beside its baselines.

    Champions, who challenges them, who answered before and who applied last, and the other families.
    """
    return Models(site().service.manifest.serial, [_summary(*found) for found in _seen()])


@operation("GET", "/models/history", Changes, query=ChangesAsked, problems=(400, 422, 503), scope="models")
def history(query: ChangesAsked) -> Changes:
    """Who changed what serves, when and why, the latest first."""
    here = site()
    latest = [_changed(change) for change in here.back.changes(here.service, here.now())[: query.limit]]
    return Changes([each for each in latest if each.moves or sees(_EVERYTHING)])


@operation("GET", "/models/{version}", ModelDetails, problems=(404,), scope="models")
def model(version: str) -> ModelDetails:
    """One model: training span, features and what they are worth."""
    for slot, role, record in _seen(version):
        return _details(slot, role, record)
    raise NotFound(f'no model "{version[:64]}" is registered', "GET /api/v1/models lists them")


def _seen(version: str = "") -> Iterator[tuple[Slot, Role, Record]]:
    """Every model whose meter the key may see, or the one asked for, with its most important role; without those whose record is gone."""
    here = site()
    for slot in here.service.manifest.slots.values():
        for bundle, roles in roles_of(slot).items() if sees(slot.meter) else ():
            if version in ("", bundle):
                with suppress(BadBundle, RegistryConflict, Unavailable):
                    yield slot, roles[0], here.back.record(here.service, bundle, here.now())


def _summary(slot: Slot, role: Role, record: Record) -> ModelSummary:
    vetoed = slot.families.get(record.family) == record.bundle and record.family in slot.vetoed
    return ModelSummary(
        version=record.bundle,
        meter=slot.meter,
        task=slot.task,
        family=record.family,
        role=role,
        champion=record.bundle == slot.champion,
        vetoed=[slot.vetoed[record.family]] if vetoed else [],
        loaded=site().service.trained_on(record.bundle) is not None,
        trained_at=record.trained_at,
        scores=[_score(name, score) for name, score in record.tests.items()],
        verdict=_judged(record.verdict) if record.verdict else None,
    )


def _judged(verdict: Verdict) -> Judged:
    return Judged(verdict.promote, verdict.champion, list(verdict.reasons), verdict.days, verdict.forced)


def _changed(change: Change) -> Changed:
    moves = [Moved(move.task, move.meter, move.before, move.after, list(move.reasons)) for move in change.moves if sees(move.meter)]
    return Changed(change.serial, change.action, change.at, change.by, change.why, moves)


def _score(name: str, score: Score) -> ModelScore:
    return ModelScore(
        inputs=name,
        rows=score.n,
        mae=round(score.mae, 6),
        rmse=round(score.rmse, 6),
        coverage=round(score.coverage, 6),
        nominal=round(score.nominal, 6),
        skill=skill_of(score),
        baselines=baselines_of(score),
    )


def skill_of(score: Score) -> dict[str, float | None]:
    """The skill in each measure; null where no baseline was ever wrong."""
    return {measure: round(value, 6) if math.isfinite(value) else None for measure, value in score.skill.items()}


def baselines_of(score: Score) -> dict[str, Errors]:
    """The errors of each baseline, by its name."""
    return {of: Errors(round(errors["mae"], 6), round(errors["rmse"], 6)) for of, errors in score.baselines.items()}


def _details(slot: Slot, role: Role, record: Record) -> ModelDetails:
    service = site().service
    zone = service.manifest.meters[slot.meter].zone if slot.meter in service.manifest.meters else "UTC"
    span = service.trained_on(record.bundle)
    return ModelDetails(
        model=_summary(slot, role, record),
        trained_by=record.trained_by,
        revision=record.revision,
        training_start=iso(span[0], zone) if span else None,
        training_end=iso(span[1], zone) if span else None,
        features=service.features_of(record.bundle),
        importances={name: dict(worth) for name, worth in record.importance.items()},
    )
