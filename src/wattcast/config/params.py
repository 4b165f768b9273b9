"""Science: everything a result depends on beside the readings, as params.yaml states it."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from wattcast.config.words import meter_id_of, nearest
from wattcast.forecasting.baselines import baseline_names
from wattcast.forecasting.families import learner_keys, learner_of
from wattcast.forecasting.spec import FeatureSpec
from wattcast.forecasting.tasks import Preset, Task

_BEST_BELOW_ROWS = 1_000_000
# The families that every task has; others may leave out tasks and presets.
_EVERYWHERE = ("xgb", "rf", "lgbm")
# A key with nothing below it is None in YAML.
_MAYBE_EMPTY = BeforeValidator(lambda stated: {} if stated is None else stated)


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class MeterFacts(_Frozen):
    """How one meter's file is to be read, where its own words do not say it."""

    zone: str = Field("UTC", description="IANA zone or fixed offset of naive times.")
    flow: Literal["consumption", "net"] = Field("consumption", description="net where negative load is possible.")
    holidays: str = Field("", description="Country, or country-subdivision, whose holidays count.")
    simulated: bool = Field(False, description="Whether the readings were made up; said wherever they show.")
    time_column: str = Field("", description="Name of the time column; empty to find it.")
    power_column: str = Field("", description="Name of the power or energy column; empty to find it.")
    unit: Literal["", "kW", "W", "kWh", "Wh"] = Field("", description="Unit of that column; empty to find it.")
    delimiter: str = Field("", description="Column delimiter; empty to find it.")
    decimal: Literal["", ".", ","] = Field("", description="Decimal mark; empty to find it.")
    time_format: str = Field("", description="strptime pattern of the time column; empty to find it.")
    known: str = Field("", description="File of the columns known ahead, such as a temperature forecast; empty for none.")
    known_always: bool = Field(False, description="Whether that file has no available_at: its values were known before every origin.")


class MeterChoice(_Frozen):
    """The meter that the pipeline runs for."""

    file: str = Field(description="The meter file, tracked by DVC; its name is the meter's id.")


class Params(_Frozen):
    """Science: everything a result depends on beside the readings. Read from params.yaml."""

    meter: MeterChoice
    meters: Annotated[dict[str, Annotated[MeterFacts, _MAYBE_EMPTY]], _MAYBE_EMPTY] = Field(
        default_factory=dict, description="Facts by meter id, for files that need them."
    )
    preset: Literal["auto", "fast", "best"] = Field("auto", description="Training effort; auto: best below a million rows.")
    seed: int = Field(1, ge=0, le=2**31 - 1, description="Seed of every draw.")
    threads: int = Field(0, ge=0, description="Training threads, 0 for all cores; other counts give other bytes.")
    quantiles: tuple[float, ...] = Field((0.1, 0.5, 0.9), description="Levels of the quantile heads; 0.5 is one of them.")
    least_share_measured: float = Field(0.5, gt=0, le=1, description="Share of a step that must be measured for it to count.")
    train_share: float = Field(0.8, ge=0.5, le=0.95, description="Share of the file, in time order, that may be trained on.")
    tasks: dict[str, Task]
    families: dict[str, dict[str, dict[Preset, dict[str, float | int | str | dict[str, float | int | str]]]]]

    @field_validator("quantiles")
    @classmethod
    def _levels(cls, levels: tuple[float, ...]) -> tuple[float, ...]:
        if list(levels) != sorted(set(levels)) or not all(0 < level < 1 for level in levels) or 0.5 not in levels:
            raise ValueError("give rising levels between 0 and 1, 0.5 among them, such as [0.1, 0.5, 0.9]")
        return levels

    @field_validator("meters")
    @classmethod
    def _possible_ids(cls, meters: dict[str, MeterFacts]) -> dict[str, MeterFacts]:
        for name in meters:
            if name != meter_id_of(Path(name)):
                raise ValueError(f'"{name}" is no meter id: write "{meter_id_of(Path(name))}", the id of a file of that name')
        return meters

    @field_validator("families")
    @classmethod
    def _known_families(cls, families: dict[str, Any]) -> dict[str, Any]:
        for key in families:
            if key not in learner_keys():
                raise ValueError(f'"{key}" is no family{nearest(key, learner_keys())}')
        for key, place, settings in _each_settings(families):
            known = learner_of(key).settings
            for name in settings:
                if name not in known:
                    raise ValueError(f"unknown key {place}.{name}{nearest(name, known)}")
            if known[0] not in settings:
                raise ValueError(f"{place} lacks {known[0]}, which it cannot do without")
            for name in {"trees", "rounds", "median_rounds", "tail_rounds", "rounds_for_rows"} & settings.keys():
                if not (isinstance(settings[name], int) and settings[name] >= 1):
                    raise ValueError(f"{place}.{name} must be a whole number from 1")
        return families

    @field_validator("tasks")
    @classmethod
    def _possible_tasks(cls, tasks: dict[str, Task]) -> dict[str, Task]:
        for name, task in tasks.items():
            for baseline in task.baselines:
                if baseline not in baseline_names():
                    raise ValueError(f'"{baseline}" is no baseline{nearest(baseline, baseline_names())}')
            if not task.baselines or len({plan.name for plan in task.models}) != max(len(task.models), 1):
                raise ValueError(f"{name} needs a baseline, and models with names of their own")
            blocks = max((effort.validation_blocks for effort in task.efforts.values()), default=1)
            if blocks * task.validation_share >= 1:
                raise ValueError(f"{name}: validation_blocks times validation_share must stay below 1: lower one of them")
            if task.gate_s is not None and task.gate_s % task.resolution_s:
                raise ValueError(f"{name}: a gate at {task.gate} lies between steps of {task.resolution_s} s: no forecast begins there")
            for word in (name, *(plan.name for plan in task.models)):
                if not re.fullmatch("[a-z0-9_]+", word):
                    raise ValueError(f'{name}: "{word}" is no name of a task or model: use lower-case letters, digits and underscores')
            for plan in task.models:
                # Made here only to be refused here: a spec that leaks names params.yaml, not the training that would meet it.
                spec = FeatureSpec(
                    task.resolution_s, task.horizon, "UTC", plan.recent, plan.seasonal, plan.known, plan.calendar, gate_s=task.gate_s
                )
                reach = replace(spec, event_memory=task.event_memory).history_steps
                if not 1 <= plan.least_readings <= reach:
                    raise ValueError(f"model {plan.name} of {name} looks back on {reach} readings: least_readings must be 1 to {reach}")
        return tasks

    @model_validator(mode="after")
    def _settings_for_every_task(self) -> Params:
        for key, tasks in self.families.items():
            for task in tasks:
                if task not in self.tasks:
                    raise ValueError(f"unknown key families.{key}.{task}{nearest(task, list(self.tasks))}")
                models = [plan.name for plan in self.tasks[task].models]
                for preset, settings in tasks[task].items():
                    self._refuse_fewer_rounds_in_validation(key, task, preset)
                    for name in [name for name, value in settings.items() if isinstance(value, dict) and name not in models]:
                        raise ValueError(f"unknown key families.{key}.{task}: {name} is no model{nearest(name, models)}")
        for key in _EVERYWHERE:
            for task, facts in self.tasks.items():
                missing = set(facts.efforts) - set(self.families.get(key, {}).get(task, {}))
                if missing or set(facts.efforts) != set(get_args(Preset)):
                    raise ValueError(f"families.{key}.{task} and tasks.{task}.efforts must each state {' and '.join(get_args(Preset))}")
        return self

    def _refuse_fewer_rounds_in_validation(self, family: str, task: str, preset: Preset) -> None:
        """A model is validated, calibrated and blended as what it ships as, so with as many rounds wherever there are the rows."""
        needed = self.families[family][task][preset].get("rounds_for_rows", 0)
        effort = self.tasks[task].efforts.get(preset)
        if effort and isinstance(needed, int) and needed > min(effort.validation_max_rows, effort.max_rows):
            raise ValueError(
                f"families.{family}.{task}.{preset}: rounds_for_rows {needed} is more than the rows that tasks.{task}.efforts.{preset} "
                "validates on, so what is validated would have fewer rounds than what serves: raise validation_max_rows"
            )

    def meter_facts(self, path: Path) -> tuple[str, MeterFacts]:
        """The id of the meter whose file this is, and what is stated of it."""
        return (meter_id := meter_id_of(path)), self.meters.get(meter_id, MeterFacts())

    def has_settings(self, family: str, task: str, preset: Preset) -> bool:
        """Whether a family is trained for a task at a preset."""
        return preset in self.families.get(family, {}).get(task, {})

    def effort(self, rows: int) -> Preset:
        """The preset for a file of so many rows."""
        if self.preset == "auto":
            return "best" if rows < _BEST_BELOW_ROWS else "fast"
        return self.preset

    def training_threads(self) -> int:
        """How many threads learners use."""
        return self.threads or os.cpu_count() or 1


def _each_settings(families: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Family, place in params.yaml and settings: those of a task and preset, and over them those of each model that states its own."""
    for key, tasks in families.items():
        for task, presets in tasks.items():
            for preset, settings in presets.items():
                place = f"{key}.{task}.{preset}"
                shared = {name: value for name, value in settings.items() if not isinstance(value, dict)}
                yield key, place, shared
                yield from ((key, f"{place}.{name}", shared | own) for name, own in settings.items() if isinstance(own, dict))
