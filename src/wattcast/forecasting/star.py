"""The model of all meters known, `*`, as it serves a meter that has none of its own. Nothing is fitted here."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wattcast.errors import BadRequest
from wattcast.forecasting.features import build_features
from wattcast.forecasting.model import Model
from wattcast.forecasting.registry import ServingManifest, Slot
from wattcast.meter.table import Meter, MeterTable

# Stands for the meter in slots and bundles: no file's name becomes this id.
STAR = "*"
ANSWERS = "a model of all meters known answers: this meter has none of its own"
_HOURS_OF_YEAR = 8_766


def for_meter(model: Model, meter: Meter, yearly_kwh: float | None = None) -> Model:
    """The model on this meter's clock, its scale drawn toward the stated yearly use; a model of one meter as it is.

    Raises BadRequest for a yearly use that is none.
    """
    facts, scale = model.facts, model.facts.spec.scale
    if scale is None:
        return model
    if yearly_kwh is not None:
        if not 0 < yearly_kwh < np.inf:
            said = f"a yearly use of {yearly_kwh:g} kWh is none"
            raise BadRequest(said, "give the kWh of a year, such as 3500", {"yearly_kwh": said})
        scale = replace(scale, prior_kw=yearly_kwh / _HOURS_OF_YEAR)
    spec, calibration = replace(facts.spec, zone=meter.zone, scale=scale), replace(facts.calibration, zone=meter.zone)
    return Model(replace(facts, spec=spec, calibration=calibration), model.heads)


def at_size(model: Model, table: MeterTable, row: int, usual: Model) -> tuple[Model, float]:
    """How many times as large the meter is taken to be at `row` as the one that `usual` expects, and the model with totals of that size.

    1 for a model of one meter, which stays as it is.
    """
    spec, expected, totals = model.facts.spec, usual.facts.spec.scale, model.facts.totals
    if spec.scale is None or expected is None:
        return model, 1.0
    bare = replace(spec, recent=(), seasonal=(), known=(), calendar=(), gate_s=None)
    size = float(build_features(table.rows(0, row), np.array([row]), bare, np.array([[1]])).scale_kw[0]) / expected.prior_kw
    larger = totals and replace(totals, usual_width_kw=totals.usual_width_kw * size)
    return Model(replace(model.facts, totals=larger), model.heads), size


def newcomer(star: Slot, meter: str) -> Slot:
    """The slot of a meter that has none: no bundle of its own, what describes `*` standing by."""
    return replace(star, meter=meter, families={}, champion="", before=None, challenger="", vetoed={}, standby=star.champion)


def stranger(slot: Slot, meter: str) -> Slot:
    """The slot of a meter that was never registered where there is no `*`: the shape of the task, and no model."""
    skipped = "this meter was never registered, and there is no model of all meters"
    return replace(slot, meter=meter, families={}, champion="", before=None, challenger="", vetoed={}, standby="", skipped=skipped)


def with_star(manifest: ServingManifest, slot: Slot) -> ServingManifest:
    """The manifest with this slot of `*`; the meters stay as they are, and so do the slots of `*` for other tasks."""
    others = [other for other in manifest.slots.values() if other.meter == STAR and other.task != slot.task]
    return replace(manifest.with_slots(Meter(STAR), [*others, slot]), latest_meter=manifest.latest_meter, meters=manifest.meters)
