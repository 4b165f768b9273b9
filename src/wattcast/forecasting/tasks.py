"""A forecast task: the resolution, horizon and features of one kind of forecast, as params.yaml states them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Literal

from pydantic import Field

from wattcast.forecasting.lookback import available_columns
from wattcast.forecasting.spec import CALENDAR, USUAL_DAY, FeatureSpec, Known, Recent, Scale, Seasonal, Target
from wattcast.meter.clock import HOUR_S
from wattcast.meter.table import MINUTE_S, MeterTable

Preset = Literal["fast", "best"]
_Count = Annotated[int, Field(ge=1)]
_CountOrNone = Annotated[int, Field(ge=0)]
# A year of hours.
_Horizon = Annotated[int, Field(ge=1, le=8760)]


@dataclass(frozen=True)
class ModelPlan:
    """One model of a bundle: what it looks at, and how many readings before the origin must have been measured for it to answer.

    rows_share: of the rows that the task's effort allows, for a model with few features, which needs fewer. fast_parts: how many of its
    first recent parts the preset fast looks at (0: all). scale: what loads are divided by in a model of many meters.
    """

    name: str
    least_readings: int
    recent: tuple[Recent, ...] = ()
    seasonal: tuple[Seasonal, ...] = ()
    known: tuple[Known, ...] = ()
    calendar: tuple[str, ...] = CALENDAR
    rows_share: Annotated[float, Field(gt=0, le=1)] = 1.0
    fast_parts: _CountOrNone = 0
    scale: Scale | None = None


@dataclass(frozen=True)
class Effort:
    """How much training may cost: rows of features at most, blocks of the walk-forward validation, and rows that its fits learn from."""

    max_rows: _Count
    validation_blocks: _Count
    validation_max_rows: _Count


@dataclass(frozen=True)
class Task:
    """One kind of forecast. models: richest first. baselines: all of them must be beaten; the first known one answers where no model can.

    target: what the heads learn: the load, its change since the last reading, or its deviation from the usual day. leads_per_origin: how
    many random leads of each origin are trained on (0: all). embargo_steps: what is left out between training targets and whatever is
    scored. validation_share: of the training span, for each block of the validation. gate: local time of day, such as "06:00", at which
    forecasts of the whole next local day are made; without it the next steps are.
    """

    resolution_s: _Count
    horizon: _Horizon
    target: Target
    models: tuple[ModelPlan, ...]
    baselines: tuple[str, ...]
    embargo_steps: _CountOrNone
    efforts: Mapping[str, Effort]
    leads_per_origin: _CountOrNone = 0
    event_memory: _CountOrNone = 720
    gate: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] | None = None
    validation_share: Annotated[float, Field(gt=0, lt=1)] = 0.1

    def spec(self, plan: ModelPlan, table: MeterTable, holidays: tuple[int, ...]) -> FeatureSpec:
        """The feature spec of one model for the meter of `table`: columns that the meter does not measure are left out."""
        columns = available_columns(set(table.columns()))
        usual = USUAL_DAY if self.target == "deviation" else ()
        return FeatureSpec(
            step_s=self.resolution_s,
            horizon=self.horizon,
            zone=table.meter.zone,
            recent=tuple(part for part in plan.recent if part.column in columns),
            seasonal=tuple(part for part in dict.fromkeys((*plan.seasonal, *usual)) if part.column in columns),
            known=tuple(part for part in plan.known if part.column in table.known),
            calendar=plan.calendar,
            holidays=holidays,
            target=self.target,
            event_memory=self.event_memory,
            gate_s=self.gate_s,
            scale=plan.scale,
        )

    def at(self, preset: Preset) -> Task:
        """The task as this preset trains it."""
        if preset == "best":
            return self
        return replace(self, models=tuple(replace(plan, recent=plan.recent[: plan.fast_parts or None]) for plan in self.models))

    def frame(self, zone: str) -> FeatureSpec:
        """Which rows a forecast has, without a feature."""
        return FeatureSpec(self.resolution_s, self.horizon, zone, gate_s=self.gate_s)

    @property
    def gate_s(self) -> int | None:
        """The second of the local day at which the gate closes, or None without a gate."""
        return int(self.gate[:2]) * HOUR_S + int(self.gate[3:]) * MINUTE_S if self.gate else None

    def can_serve(self, native_step_s: int) -> bool:
        """Whether readings of this resolution can be averaged to the task's."""
        return self.resolution_s >= native_step_s and self.resolution_s % native_step_s == 0
