"""The two kinds of settings, never mixed: `Params` (params.yaml: science, versioned, ends in the bundle) and `Settings` (environment)."""

from __future__ import annotations

import difflib
import os
import re
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from wattcast.errors import BadParams, LeakingSpec
from wattcast.forecasting.baselines import baseline_names
from wattcast.forecasting.families import family_keys, family_of
from wattcast.forecasting.spec import FeatureSpec
from wattcast.forecasting.tasks import Task

Preset = Literal["fast", "best"]
_BEST_BELOW_ROWS = 1_000_000
# Says where tests and benchmarks find the real meter files.
_NO_SETTING = "WATTCAST_SHARED_DATA"
# A key with nothing below it is None in YAML.
_MAYBE_EMPTY = BeforeValidator(lambda stated: {} if stated is None else stated)


class Settings(BaseSettings):
    """Operations: what runs where. Read from WATTCAST_... in the environment; alters no result."""

    model_config = SettingsConfigDict(env_prefix="WATTCAST_", frozen=True, extra="forbid")

    host: str = Field("127.0.0.1", description="Address that the service listens on.")
    port: int = Field(5000, ge=0, le=65535, description="Port that the service listens on.")
    workers: int = Field(1, ge=1, le=64, description="Worker processes of the service; each loads every model.")
    threads: int = Field(4, ge=1, le=64, description="Requests that one worker handles at a time.")
    store: Path = Field(Path("store"), description="Folder of the model store: bundles, records, serving manifest.")
    meter: str = Field("", description="Meter that the page shows first; empty for the one registered last.")


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
    families: dict[str, dict[str, dict[Preset, dict[str, float | int | str]]]]

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
            if key not in family_keys():
                raise ValueError(f'"{key}" is no family{nearest(key, family_keys())}')
        for key, task, preset, settings in _each_settings(families):
            known = family_of(key).settings
            for name in settings:
                if name not in known:
                    raise ValueError(f"unknown key {key}.{task}.{preset}.{name}{nearest(name, known)}")
            if known[0] not in settings:
                raise ValueError(f"{key}.{task}.{preset} lacks {known[0]}, how many trees a head grows")
            for name in {"trees", "rounds", "tail_rounds"} & settings.keys():
                if not (isinstance(settings[name], int) and settings[name] >= 1):
                    raise ValueError(f"{key}.{task}.{preset}.{name} must be a whole number from 1")
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
            for word in (name, *(plan.name for plan in task.models)):
                if not re.fullmatch("[a-z0-9_]+", word):
                    raise ValueError(f'{name}: "{word}" is no name of a task or model: use lower-case letters, digits and underscores')
            for plan in task.models:
                # Made here only to be refused here: a spec that leaks names params.yaml, not the training that would meet it.
                spec = FeatureSpec(task.resolution_s, task.horizon, "UTC", plan.recent, plan.seasonal, plan.calendar)
                reach = replace(spec, event_memory=task.event_memory).history_steps
                if not 1 <= plan.least_readings <= reach:
                    raise ValueError(f"model {plan.name} of {name} looks back on {reach} readings: least_readings must be 1 to {reach}")
        return tasks

    @model_validator(mode="after")
    def _settings_for_every_task(self) -> Params:
        for key in family_keys():
            for task in self.families.get(key, {}):
                if task not in self.tasks:
                    raise ValueError(f"unknown key families.{key}.{task}{nearest(task, list(self.tasks))}")
            for task, facts in self.tasks.items():
                missing = set(facts.efforts) - set(self.families.get(key, {}).get(task, {}))
                if missing or set(facts.efforts) != set(get_args(Preset)):
                    raise ValueError(f"families.{key}.{task} and tasks.{task}.efforts must each state {' and '.join(get_args(Preset))}")
        return self

    def meter_facts(self, path: Path) -> tuple[str, MeterFacts]:
        """The id of the meter whose file this is, and what is stated of it."""
        meter_id = meter_id_of(path)
        return meter_id, self.meters.get(meter_id, MeterFacts())

    def effort(self, rows: int) -> Preset:
        """The preset for a file of so many rows."""
        if self.preset == "auto":
            return "best" if rows < _BEST_BELOW_ROWS else "fast"
        return self.preset

    def training_threads(self) -> int:
        """How many threads learners use."""
        return self.threads or os.cpu_count() or 1


def _each_settings(families: dict[str, Any]) -> Iterator[tuple[str, str, str, dict[str, Any]]]:
    for key, tasks in families.items():
        for task, presets in tasks.items():
            for preset, settings in presets.items():
                yield key, task, preset, settings


def meter_id_of(path: Path) -> str:
    """The id of the meter in a file: the file's name without its endings, in small letters and digits, dashes for all else."""
    stem = re.sub(r"(\.(txt|csv|tsv|dat|zip|gz))+$", "", path.name, flags=re.IGNORECASE)
    return re.sub(r"[^a-z0-9]+", "-", stem.lower())[:80].strip("-") or f"meter-{zlib.crc32(stem.encode()):08x}"


def nearest(name: str, known: tuple[str, ...] | list[str], likeness: float = 0.5) -> str:
    """A hint at the nearest known name, or at all of them where none is near."""
    near = difflib.get_close_matches(name, known, 1, likeness)
    return f'; did you mean "{near[0]}"?' if near else f"; known: {', '.join(known)}"


class _KeysOnce(yaml.SafeLoader):
    """YAML in which no key stands twice in one place. Raises BadParams."""

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if str(key.value) in seen:
                raise BadParams(f'line {key.start_mark.line + 1}: key "{key.value}" stands there a second time', "keep one of the two")
            seen.add(str(key.value))
        return node


def load_params(path: Path = Path("params.yaml")) -> Params:
    """The params in this file. Raises BadParams naming the key, what is wrong with it and the nearest known name."""
    try:
        return Params.model_validate(_KeysOnce(path.read_text(encoding="utf-8")).get_single_data())
    except OSError as cause:
        raise BadParams(f"{path} cannot be read: {cause.strerror}", "run wattcast in the project's folder") from cause
    except (yaml.YAMLError, UnicodeDecodeError) as cause:
        raise BadParams(f"{path} is not YAML: {' '.join(str(cause).split())}", "mend the line it names") from cause
    except (BadParams, LeakingSpec) as cause:
        raise BadParams(f"{path}: {cause.message}", cause.hint) from cause
    except ValidationError as cause:
        raise BadParams(f"{path}: {_first_fault(cause)}", "mend params.yaml; docs/data.md explains its keys") from cause


def load_settings() -> Settings:
    """The settings of the environment. Raises BadParams naming the variable."""
    known = [f"WATTCAST_{name}".upper() for name in Settings.model_fields]
    # Likeness is asked for beyond the first letters, which all of them share.
    for name in sorted(os.environ):
        if name.upper().startswith("WATTCAST_") and name.upper() not in (*known, _NO_SETTING):
            raise BadParams(f"unknown variable {name}{nearest(name.upper(), known, 0.85)}", "correct the environment variable, or unset it")
    try:
        return Settings()
    except ValidationError as cause:
        fault = cause.errors()[0]
        name = "WATTCAST_" + "_".join(str(part) for part in fault["loc"]).upper()
        raise BadParams(f"{name}={fault['input']}: {fault['msg']}", "correct the environment variable, or unset it") from cause


def _first_fault(cause: ValidationError) -> str:
    fault = cause.errors()[0]
    where = ".".join(str(part) for part in fault["loc"])
    if fault["type"] not in ("extra_forbidden", "unexpected_keyword_argument"):
        said = fault["msg"].removeprefix("Value error, ")
        return f"{where}: {said}" if where else said
    siblings = _known_keys(fault["loc"][:-1])
    return f"unknown key {where}{nearest(str(fault['loc'][-1]), siblings)}"


def _known_keys(path: tuple[str | int, ...]) -> list[str]:
    """The keys that params.yaml may have at this place, from the schema."""
    schema = Params.model_json_schema()
    here: Any = schema
    for part in path:
        here = _resolved(here, schema)
        if isinstance(part, int):
            here = here.get("items", {})
        else:
            here = here.get("properties", {}).get(part, here.get("additionalProperties", {}))
    return list(_resolved(here, schema).get("properties", {}))


def _resolved(here: Any, schema: Any) -> Any:
    return schema["$defs"][here["$ref"].rsplit("/", 1)[-1]] if isinstance(here, dict) and "$ref" in here else here
