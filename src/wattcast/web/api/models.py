"""Registered models: what they were worth beside their baselines, on what they were trained and what they look at."""

from __future__ import annotations

import math

from wattcast.errors import NotFound
from wattcast.forecasting.forecast import iso
from wattcast.forecasting.metrics import Score
from wattcast.forecasting.registry import Record, Slot
from wattcast.web.api.answers.models import Errors, ModelDetails, Models, ModelScore, ModelSummary
from wattcast.web.api.operations import operation
from wattcast.web.security.guard import sees
from wattcast.web.site import site


@operation("GET", "/models", Models, scope="models")
def models() -> Models:
    """Every registered model, its scores beside its baselines."""
    service = site().service
    found = [
        _summary(slot, family, service.records[bundle])
        for slot in service.manifest.slots.values()
        for family, bundle in slot.families.items()
        if bundle in service.records and sees(slot.meter)
    ]
    return Models(service.manifest.serial, found)


@operation("GET", "/models/{version}", ModelDetails, problems=(404,), scope="models")
def model(version: str) -> ModelDetails:
    """One model: training span, features and what they are worth."""
    service = site().service
    for slot in service.manifest.slots.values():
        for family, bundle in slot.families.items():
            if bundle == version and bundle in service.records and sees(slot.meter):
                return _details(slot, family, service.records[bundle])
    raise NotFound(f'no model "{version[:64]}" is registered', "GET /api/v1/models lists them")


def _summary(slot: Slot, family: str, record: Record) -> ModelSummary:
    return ModelSummary(
        version=record.bundle,
        meter=slot.meter,
        task=slot.task,
        family=family,
        champion=record.bundle == slot.champion,
        vetoed=[slot.vetoed[family]] if family in slot.vetoed else [],
        loaded=site().service.trained_on(record.bundle) is not None,
        trained_at=record.trained_at,
        scores=[_score(name, score) for name, score in record.tests.items()],
    )


def _score(name: str, score: Score) -> ModelScore:
    return ModelScore(
        inputs=name,
        rows=score.n,
        mae=round(score.mae, 6),
        rmse=round(score.rmse, 6),
        coverage=round(score.coverage, 6),
        nominal=round(score.nominal, 6),
        skill={measure: round(value, 6) if math.isfinite(value) else None for measure, value in score.skill.items()},
        baselines={of: Errors(round(errors["mae"], 6), round(errors["rmse"], 6)) for of, errors in score.baselines.items()},
    )


def _details(slot: Slot, family: str, record: Record) -> ModelDetails:
    service = site().service
    zone = service.manifest.meters[slot.meter].zone if slot.meter in service.manifest.meters else "UTC"
    span = service.trained_on(record.bundle)
    return ModelDetails(
        model=_summary(slot, family, record),
        trained_by=record.trained_by,
        revision=record.revision,
        training_start=iso(span[0], zone) if span else None,
        training_end=iso(span[1], zone) if span else None,
        features=service.features_of(record.bundle),
        importances={name: dict(worth) for name, worth in record.importance.items()},
    )
