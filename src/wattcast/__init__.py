"""wattcast: a meter file in, an honest load forecast out.

The Python API: `read` or `check` a meter file, `fit` a bundle to its readings or `load` one, `forecast` from it. Importing this loads
nothing; every function imports what it needs. Refusals are kinds of `wattcast.errors.WattcastError`.
"""

# ruff: noqa: PLC0415 (importing this must cost nothing)

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict, Unpack

if TYPE_CHECKING:
    from datetime import datetime

    from wattcast.config import Params
    from wattcast.forecasting.bundle import Bundle
    from wattcast.forecasting.forecast import Forecast
    from wattcast.meter.quality import QualityReport
    from wattcast.meter.readers import Readings
    from wattcast.meter.table import MeterTable

__all__ = ["ReadingOptions", "check", "fit", "forecast", "load", "read", "shipped_params"]


class ReadingOptions(TypedDict, total=False):
    """What a meter file does not say of itself; whatever is left out is found in the file, or is the default.

    meter: id, by default the file's name as a slug. zone: IANA zone or fixed offset of times without one, by default UTC. flow: "net"
    where negative load is possible. holidays: country, or country-subdivision. time_format: a strptime pattern.
    """

    meter: str
    zone: str
    flow: Literal["consumption", "net"]
    holidays: str
    simulated: bool
    time_column: str
    power_column: str
    unit: Literal["kW", "W", "kWh", "Wh"]
    delimiter: str
    decimal: Literal[".", ","]
    time_format: str


def read(path: str | Path, **options: Unpack[ReadingOptions]) -> MeterTable:
    """The readings of a meter file on a regular grid at their own resolution, kW, NaN where nothing was measured.

    Raises BadMeterFile naming file, line, value and cure.
    """
    from wattcast.meter.cleaning import to_table

    return to_table(_readings(path, options))


def check(path: str | Path, **options: Unpack[ReadingOptions]) -> QualityReport:
    """The verdict on a meter file (good, usable, refused), with reasons and figures. Raises BadMeterFile where it cannot be read."""
    from wattcast.meter.cleaning import to_table
    from wattcast.meter.quality import judge

    readings = _readings(path, options)
    return judge(readings, to_table(readings))


def fit(
    table: MeterTable, task: str = "day_ahead", family: Literal["xgb", "rf", "lgbm"] = "lgbm", params: Params | str | Path | None = None
) -> Bundle:
    """A bundle fitted, validated and calibrated on all of the table: hold back what you want to test on (`table.until`).

    params: a params.yaml or its path; by default the one that wattcast ships. Needs wattcast[train]. Raises BadParams for an unknown task
    or family or a table too coarse for the task, NotEnoughHistory, Unavailable where a learner is not installed.
    """
    from wattcast.config import Params, load_params
    from wattcast.errors import Unavailable
    from wattcast.forecasting.bundle import open_bundle
    from wattcast.forecasting.training import train
    from wattcast.stages.train import recipe_of

    stated = shipped_params() if params is None else params if isinstance(params, Params) else load_params(Path(params))
    recipe = replace(recipe_of(stated, task, family, stated.effort(len(table))), train_share=1.0)
    table = _at(recipe.task.resolution_s, table, stated.least_share_measured)
    try:
        data = train(table, len(table), recipe, lambda share: None).data  # noqa: ARG005
    except ImportError as cause:
        raise Unavailable(f"{cause.name} is not installed, and fitting needs it", 'pip install "wattcast[train]"') from cause
    return open_bundle(data, threads=recipe.threads, native=True)


def load(source: str | Path | bytes) -> Bundle:
    """The bundle in a file, or in bytes. Raises BadBundle where it is torn, altered or not ours, Unavailable where no file is."""
    from wattcast.errors import Unavailable
    from wattcast.forecasting.bundle import open_bundle

    try:
        return open_bundle(source if isinstance(source, bytes) else Path(source).read_bytes(), native=True)
    except OSError as cause:
        raise Unavailable(f"{source!s} cannot be read: {cause.strerror}", "check the path") from cause


def forecast(bundle: Bundle, table: MeterTable, origin: datetime | str | None = None) -> Forecast:
    """The bundle's forecast from `origin`, by default the end of the last reading; only readings before it count.

    origin: one without an offset is on the clock of the table's meter. A task with a gate has origins at the gate alone, by default the
    last one. Raises NotEnoughHistory where too little was measured before it, BadRequest where it lies outside the readings.
    """
    import numpy as np

    from wattcast.errors import BadRequest, NotEnoughHistory
    from wattcast.forecasting.families import family_of
    from wattcast.forecasting.forecast import Forecast, iso
    from wattcast.forecasting.origins import at_origin, steps_of

    manifest = bundle.manifest
    table = _at(manifest.step_s, table)
    last = table.last_measured_s()
    origin_s = None if origin is None else _epoch(origin, table.meter.zone)
    if last is None or (origin_s is not None and not table.start_s < origin_s <= table.end_s):
        span = f"{iso(table.start_s, table.meter.zone)} to {iso(table.end_s, table.meter.zone)}"
        raise BadRequest(f"the origin lies outside the readings, {span}", "give readings up to the origin")
    known, row = at_origin(table, manifest.task, bundle.models[0].facts.spec, origin_s)
    model = next((model for model in bundle.models if model.can_answer(known, row)), None)
    if model is None:
        least = bundle.models[-1].facts.least_readings
        raise NotEnoughHistory(f"{manifest.task} needs at least {least} readings before the origin, the last one among them", "give more")
    values = np.column_stack(model.forecast(known, row))
    if table.meter.flow == "consumption":
        values = np.maximum(values, 0)
    return Forecast(
        meter=table.meter.id,
        zone=table.meter.zone,
        task=manifest.task,
        origin_s=known.end_s,
        step_s=manifest.step_s,
        steps=steps_of(model.facts.spec, known.end_s, manifest.levels, values),
        tier="family",
        reason="",
        model=family_of(manifest.family).title,
        version=bundle.id,
        data_age_s=known.end_s - (known.last_measured_s() or known.end_s),
    )


def shipped_params() -> Params:
    """The params that wattcast ships: in a clone its params.yaml, elsewhere a copy of that."""
    from wattcast.config import load_params

    return load_params(Path(__file__).with_name("params.yaml"))


def _readings(path: str | Path, options: ReadingOptions) -> Readings:
    from wattcast.config import meter_id_of
    from wattcast.meter.readers import ReadOptions, read
    from wattcast.meter.readers.parquet import told_by
    from wattcast.meter.table import Meter

    about: Any = dict(options)
    own = {name: about.pop(name) for name in ("zone", "flow", "holidays", "simulated") if name in about}
    told = told_by(Path(path)) or Meter(meter_id_of(Path(path)))
    return read(Path(path), ReadOptions(replace(told, id=about.pop("meter", told.id), **own), **about))


def _at(step_s: int, table: MeterTable, least_share: float = 0.5) -> MeterTable:
    """The table at this resolution. Raises BadParams where it is too coarse."""
    from wattcast.meter.cleaning import resample

    return table if table.step_s == step_s else resample(table, step_s, least_share)


def _epoch(moment: datetime | str, zone: str) -> int:
    from datetime import datetime

    from wattcast.errors import BadRequest
    from wattcast.meter.clock import zone_of

    try:
        parsed = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    except ValueError:
        raise BadRequest(f"{moment} is not a moment", "write it like 2010-11-26T21:00") from None
    return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=zone_of(zone))).timestamp())
