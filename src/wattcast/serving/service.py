"""The one use case that web, batch and CLI share: a forecast for a meter, from the best tier that can give one.

Tiers: the challenger on its days, the champion (or the family asked for), the previous champion, the model of all meters (`*`), a baseline
from the readings, the typical day. Every answer names its tier and why no higher one answered. Numpy and ONNX Runtime only; the clock is
a parameter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from wattcast.errors import BadMeterFile, NotEnoughHistory, Unavailable
from wattcast.forecasting.baselines import TITLES
from wattcast.forecasting.day_totals import Total
from wattcast.forecasting.experiment import answers_by_challenger
from wattcast.forecasting.forecast import SHADOW, Forecast, Tier
from wattcast.forecasting.lower_tiers import least_kw, of_baseline, of_profile
from wattcast.forecasting.model import Model
from wattcast.forecasting.origins import at_origin, steps_of
from wattcast.forecasting.registry import Slot
from wattcast.forecasting.star import ANSWERS, STAR, at_size, for_meter, newcomer, stranger
from wattcast.meter.clock import DAY_S, utc_offset_s
from wattcast.meter.table import MeterTable
from wattcast.ports import Latest, ModelStore
from wattcast.serving.registered import Loaded, RegisteredModels, no_such_task

Array = npt.NDArray[np.floating]
Able = Iterable[tuple[Tier, Loaded, Model]]

# A forecast beyond this multiple of the largest load ever seen, or with a sign the meter cannot have, is not given out.
IMPLAUSIBLE_MULTIPLE = 2.0
# What a regression may give below zero for a load near zero: taken for zero, not for implausible.
_NEAR_ZERO_KW = 0.05


@dataclass(frozen=True)
class Ask:
    """What is asked: a task for a meter at a moment `now_s`.

    readings: None for the stored ones; origin_s: None for the end of the readings; family: a family's key, empty for the champion;
    yearly_kwh: what the meter uses in a year where that is known, for the model of all meters.
    """

    meter: str
    task: str
    now_s: int
    readings: MeterTable | None = None
    origin_s: int | None = None
    family: str = ""
    yearly_kwh: float | None = None


@dataclass(frozen=True, eq=False)
class _Answer:
    """Who answered, the mean and quantiles of every step in kW, shape (horizon, 1 + levels), and those of the whole day."""

    tier: Tier
    model: str
    values: Array
    version: str = ""
    totals: Mapping[str, Total] | None = None


class ForecastService(RegisteredModels):
    """Answers from what the serving manifest named when `load` was called."""

    def __init__(self, store: ModelStore, readings: Latest) -> None:
        super().__init__(store)
        self._readings = readings

    def load(self, before: RegisteredModels | None = None) -> None:
        """As `RegisteredModels.load`, and have the readings of every meter at hand."""
        super().load(before)
        for slot in self.manifest.slots.values():
            if slot.meter != STAR:
                self._readings.renew(slot.meter, slot.step_s)

    def forecast(self, ask: Ask) -> Forecast:
        """The forecast of the highest tier that can answer.

        Raises BadRequest for an unknown meter or task, NotEnoughHistory where readings that were given are too few for any, Unavailable
        where nothing can answer.
        """
        slot = self.slot_for(ask)
        why: list[str] = [slot.skipped] if slot.skipped else []
        table = self._table(ask, slot, why)
        table, row = at_origin(table, slot.task, slot.frame(table.meter.zone), ask.origin_s)
        answer = self._from_bundles(ask, table, row, self.able(slot, ask.family, table, row, why), why)
        if answer is not None and answer.tier == "shared" and not slot.champion:
            why.append(ANSWERS)
        answer = answer or self._from_baseline(slot, table, row, why) or self._from_profile(slot, table, row)
        if answer is None and ask.readings is not None:
            said = f'too few readings to answer {ask.task}, for which meter "{slot.meter}" has no model'
            raise NotEnoughHistory(said, "give more readings, or name a meter that has a model")
        if answer is None:
            hint = "train one (make run), or give at least one reading"
            raise Unavailable(f'no model and no reading can answer {ask.task} for meter "{slot.meter}"', hint)
        return _forecast(ask, slot, table, row, answer, "; ".join(dict.fromkeys(why)))

    def key(self, ask: Ask, state: str) -> str:
        """A name of all that the answer follows from but the age of its readings. state: of the stored readings."""
        asked = (self.version, state, ask.meter, ask.task, ask.origin_s, ask.family, ask.yearly_kwh)
        return hashlib.blake2b(repr(asked).encode(), digest_size=16).hexdigest()

    def slot_for(self, ask: Ask) -> Slot:
        """The slot of the meter, else that of `*` for it, else of no model: a meter never registered has to come with its readings."""
        star, name = self.manifest.slot(ask.task, STAR), ask.meter or self.manifest.latest_meter
        there = name in self.manifest.meters or (bool(name) and ask.readings is not None)
        if star is not None and there and self.manifest.slot(ask.task, name) is None:
            return newcomer(star, name)
        if ask.readings is not None and name not in self.manifest.meters:
            known = next((slot for slot in self.manifest.slots.values() if slot.task == ask.task), None)
            if known is not None:
                return stranger(known, name)
            raise no_such_task(ask.task, name, {slot.task for slot in self.manifest.slots.values()})
        return self.slot(ask.task, self.meter(ask.meter).id)

    def _table(self, ask: Ask, slot: Slot, why: list[str]) -> MeterTable:
        table = ask.readings
        try:
            table = table if table is not None else self._readings.latest(slot.meter, slot.step_s)
        except BadMeterFile as cause:
            why.append(f"the stored readings cannot be read: {cause.message}")
        if table is None:
            start = ask.now_s - ask.now_s % slot.step_s
            return MeterTable(self.meter(slot.meter), start, slot.step_s, np.empty(0, dtype=np.float32))
        meter = self.manifest.meters.get(slot.meter, table.meter)
        return table if table.meter is meter else replace(table, meter=meter)

    def is_contested(self, made: Forecast) -> bool:
        """Whether champion and challenger contend where this forecast was made, and one of them made it."""
        slot = self.manifest.slots.get(f"{made.task}/{made.meter}")
        return slot is not None and bool(slot.challenger) and made.version in (slot.champion, slot.challenger)

    def beside(self, ask: Ask, answered: Forecast) -> Forecast | None:
        """What the other one would have answered to the same question, for the log alone; None where it cannot. See `is_contested`."""
        slot = self.slot_for(ask)
        other = slot.champion if answered.version == slot.challenger else slot.challenger
        table, row = at_origin(self._table(ask, slot, []), slot.task, slot.frame(answered.zone), answered.origin_s)
        answer = self._from_bundles(ask, table, row, self._able(slot, [(SHADOW, other)], table, row, []), [])
        return None if answer is None else _forecast(ask, slot, table, row, answer, "")

    def _candidates(self, slot: Slot, family: str, day: int, why: list[str]) -> Iterator[tuple[Tier, str]]:
        """Who may answer on a local day, in days since 1970-01-01, best first."""
        answering = slot.answering
        if slot.challenger and not family and answers_by_challenger(slot.meter, day, slot.share):
            yield "challenger", slot.challenger
        if family in answering:
            yield ("champion" if answering[family] == slot.champion else "family"), answering[family]
        elif family and not slot.skipped:
            why.append(slot.vetoed.get(family, f"there is no {family} model for this meter"))
        if slot.champion and slot.champion != answering.get(family):
            yield "champion", slot.champion
        if slot.previous:
            yield "previous", slot.previous
        star = self.manifest.slot(slot.task, STAR)
        # Where a baseline beat every family of the meter, it goes before what was never tried on it.
        if star is not None and star.champion and not slot.vetoed:
            yield "shared", star.champion

    def able(self, slot: Slot, family: str, table: MeterTable, row: int, why: list[str]) -> Able:
        """The models that can answer from this table, best first; why the others cannot goes to `why`."""
        origin_s = np.array([table.start_s + row * table.step_s])
        day = int((origin_s + utc_offset_s(table.meter.zone, origin_s))[0]) // DAY_S if slot.share else 0
        return self._able(slot, self._candidates(slot, family, day, why), table, row, why)

    def _able(
        self, slot: Slot, candidates: Iterable[tuple[Tier, str]], table: MeterTable, row: int, why: list[str]
    ) -> Iterator[tuple[Tier, Loaded, Model]]:
        for tier, bundle_id in candidates:
            models, loaded = self.models(bundle_id), self.loaded.get(bundle_id)
            if loaded is None:
                why.append(self.refused.get(bundle_id, "its model file is not loaded"))
                continue
            spec = models[0].facts.spec
            shape = (spec.step_s, spec.horizon, spec.gate_s, loaded.manifest.levels)
            if shape != (slot.step_s, slot.horizon, slot.gate_s, slot.levels):
                why.append(f"{loaded.title} of before was trained for another resolution, horizon or other quantiles")
                continue
            model = next((model for model in models if model.can_answer(table, row)), None)
            if model is None:
                why.append(models[-1].facts.needs(loaded.title))
                continue
            yield tier, loaded, model

    def _from_bundles(self, ask: Ask, table: MeterTable, row: int, able: Able, why: list[str]) -> _Answer | None:
        """The first of those able that gives a plausible forecast; why the others did not goes to `why`."""
        for tier, loaded, model in able:
            own, size = at_size(for_meter(model, table.meter, ask.yearly_kwh), table, row, model)
            values = own.values_at(table, row)
            limit = IMPLAUSIBLE_MULTIPLE * loaded.manifest.largest_kw * size
            least = least_kw(table.meter, -limit)
            if np.count_nonzero(plausible(values, least, limit)) == len(values):
                totals = own.totals(values[:, 0], values[:, 1:], least)
                return _Answer(tier, loaded.title, np.maximum(values, least), loaded.id, totals)
            lowest, highest = float(np.min(values[:, 0])), float(np.max(values[:, 0]))
            why.append(f"{loaded.title} gave an implausible forecast ({lowest:.2f} to {highest:.2f} kW)")
        return None

    def _from_baseline(self, slot: Slot, table: MeterTable, row: int, why: list[str]) -> _Answer | None:
        found = of_baseline(slot, table, row, self.record_of(slot))
        if found is None:
            why.append("too few readings for a baseline")
            return None
        name, values = found
        return _Answer("baseline", TITLES[name], values)

    def _from_profile(self, slot: Slot, table: MeterTable, row: int) -> _Answer | None:
        values = of_profile(slot, table, row, self.record_of(slot))
        return None if values is None else _Answer("profile", "the typical day", values)


def plausible(values: Array, least: float, limit: float) -> npt.NDArray[np.bool_]:
    """Which rows hold numbers alone, and a mean within what the meter can have. values: kW, shape (rows, 1 + levels)."""
    mean = values[:, 0]
    within: npt.NDArray[np.bool_] = (mean >= least - _NEAR_ZERO_KW) & (mean <= limit) & np.isfinite(values).all(axis=1)
    return within


def _forecast(ask: Ask, slot: Slot, table: MeterTable, row: int, answer: _Answer, reason: str) -> Forecast:
    origin = table.start_s + row * table.step_s
    last = table.last_measured_s()
    return Forecast(
        meter=slot.meter,
        zone=table.meter.zone,
        task=slot.task,
        origin_s=origin,
        step_s=slot.step_s,
        steps=steps_of(slot.frame(table.meter.zone), origin, slot.levels, answer.values),
        tier=answer.tier,
        reason=reason,
        model=answer.model,
        version=answer.version,
        data_age_s=None if last is None else max(ask.now_s - last, 0),
        totals=answer.totals,
        covers="the next steps" if slot.gate_s is None else "the next local day",
    )
