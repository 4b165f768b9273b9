"""What the page says, as plain values for the templates: local times, ages, curves, scores. No request, no clock, no markup."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np

from wattcast.forecasting.baselines import TITLES
from wattcast.forecasting.day_totals import Total
from wattcast.forecasting.families import family_of
from wattcast.forecasting.forecast import TIERS, Forecast
from wattcast.forecasting.metrics import Score
from wattcast.forecasting.registry import Record, Slot
from wattcast.meter.clock import DAY_S, HOUR_S, zone_of
from wattcast.meter.table import MINUTE_S, MeterTable
from wattcast.serving import ForecastService

_SPANS = ((365.25 * DAY_S, "year"), (30.44 * DAY_S, "month"), (DAY_S, "day"), (HOUR_S, "hour"), (MINUTE_S, "minute"))
_TASKS = {"next_minute": "Next minute", "day_ahead": "Day ahead"}
_MODELS = {"history": "from the readings before", "one_reading": "from a single reading, as in the form"}


def local(instant_s: int, zone: str, pattern: str = "%b %Y %H:%M") -> str:
    """The instant on the meter's clock, as people write it: 26 Nov 2010 21:59."""
    moment = datetime.fromtimestamp(instant_s, UTC).astimezone(zone_of(zone))
    return f"{moment.day} {moment:{pattern}}"


def local_of(moment: str, zone: str) -> str:
    """A moment in ISO 8601 on the meter's clock, as `local` has it."""
    return local(int(datetime.fromisoformat(moment).timestamp()), zone)


def clock_time(instant_s: int, zone: str, pattern: str = "%Y-%m-%dT%H:%M") -> str:
    """The instant on the meter's clock without its offset, as a date-time field takes it."""
    return f"{datetime.fromtimestamp(instant_s, UTC).astimezone(zone_of(zone)):{pattern}}"


def duration(seconds: float) -> str:
    """A span in its largest whole unit: 16 years, 1 day, less than a minute."""
    for length, unit in _SPANS:
        if seconds >= length:
            count = int(seconds // length)
            return f"{count} {unit}{'s' if count > 1 else ''}"
    return "less than a minute"


def interval_name(levels: tuple[float, ...]) -> str:
    """The outermost interval in words: 80 % interval."""
    return f"{(levels[-1] - levels[0]) * 100:.0f} % interval"


def curve(forecast: Forecast, measured: MeterTable | None) -> dict[str, Any]:
    """What the chart and its table show. Times are on the meter's clock; measured: readings to show before the forecast."""
    levels = tuple(forecast.steps[0].quantiles)
    end_s = forecast.steps[-1].start_s + forecast.step_s
    steps: list[dict[str, Any]] = [
        {
            "start": clock_time(step.start_s, forecast.zone),
            "label": _hours(step.start_s, forecast.step_s, forecast.zone),
            "mean": round(step.mean, 4),
            "low": round(step.quantiles[levels[0]], 4),
            "high": round(step.quantiles[levels[-1]], 4),
        }
        for step in forecast.steps
    ]
    highest = max(range(len(steps)), key=lambda number: forecast.steps[number].mean)
    return {
        "steps": steps,
        "end": clock_time(end_s, forecast.zone),
        # A baseline whose spread nobody could measure says one value for every level: that is no interval.
        "interval": interval_name(levels) if any(step["low"] < step["high"] for step in steps) else "",
        "measured": _measured(measured) if measured is not None else [],
        "energy_kwh": round(sum(step.mean for step in forecast.steps) * forecast.step_s / HOUR_S, 2),
        "highest": steps[highest],
        "totals": {name: _within(total) for name, total in (forecast.totals or {}).items()},
    }


def _within(total: Total) -> str:
    """The outermost quantiles of a day's energy or peak: 21.3 to 30.1."""
    values = list(total["quantiles"].values())
    return f"{values[0]:.1f} to {values[-1]:.1f}"


def _hours(start_s: int, step_s: int, zone: str) -> str:
    return f"{local(start_s, zone, '%b %H:%M')} to {clock_time(start_s + step_s, zone, '%H:%M')}"


def _span(start_s: int, end_s: int, zone: str) -> str:
    """From when to when; the day is said once where it is one."""
    day = "%Y-%m-%d"
    end = clock_time(end_s, zone, "%H:%M") if clock_time(start_s, zone, day) == clock_time(end_s, zone, day) else local(end_s, zone)
    return f"{local(start_s, zone)} to {end} ({zone})"


def _measured(table: MeterTable) -> list[tuple[str, float | None]]:
    values = [round(float(value), 4) if np.isfinite(value) else None for value in table.power_kw]
    # Every value holds for its whole step: the last one once more at its end.
    starts = [*table.instants(), table.end_s]
    return [(clock_time(int(start), table.meter.zone), value) for start, value in zip(starts, [*values, *values[-1:]], strict=True)]


@dataclass(frozen=True)
class ScoreLine:
    """One line of the score table: a family, or a baseline that it must beat."""

    name: str
    mae: float
    rmse: float
    coverage: str = ""
    skill: str = ""
    badge: str = ""
    baseline: bool = False


@dataclass(frozen=True)
class ScoreTable:
    """The scores of one model of a task: the champion first, then the other families, then the baselines on the same rows."""

    title: str
    rows: int
    lines: tuple[ScoreLine, ...]


@dataclass(frozen=True)
class TaskView:
    """One task of the meter: its scores, why it was skipped, which families may not answer and why."""

    title: str
    skipped: str
    vetoed: dict[str, str]
    tables: tuple[ScoreTable, ...]


def task_title(task: str) -> str:
    """What the pages call a task."""
    return _TASKS.get(task, task.replace("_", " "))


def task_view(service: ForecastService, slot: Slot) -> TaskView:
    """Everything the page says of one task."""
    vetoed = {family_of(family).title: why for family, why in slot.vetoed.items()}
    return TaskView(task_title(slot.task), slot.skipped, vetoed, tuple(_score_tables(service, slot)))


def _score_tables(service: ForecastService, slot: Slot) -> Iterator[ScoreTable]:
    records = {family: service.records[bundle] for family, bundle in slot.families.items() if bundle in service.records}
    for name in dict.fromkeys(name for record in records.values() for name in record.tests):
        scores = {family: record.tests[name] for family, record in records.items() if name in record.tests}
        lines = sorted((_family_line(slot, family, score) for family, score in scores.items()), key=lambda line: line.badge != "champion")
        first = next(iter(scores.values()))
        beside = [ScoreLine(TITLES[of], errors["mae"], errors["rmse"], baseline=True) for of, errors in first.baselines.items()]
        yield ScoreTable(_MODELS.get(name, name.replace("_", " ")), first.n, (*lines, *beside))


def _family_line(slot: Slot, family: str, score: Score) -> ScoreLine:
    badge = "champion" if family == slot.champion_family else "vetoed" if family in slot.vetoed else ""
    return ScoreLine(family_of(family).title, score.mae, score.rmse, held_in_words(score), skill_in_words(score), badge)


def held_in_words(score: Score) -> str:
    """How much of what came the outermost interval held, and should hold; empty for a forecaster without one."""
    return f"{score.coverage:.0%} (aim {score.nominal:.0%})".replace("%", " %") if score.nominal else ""


def skill_in_words(score: Score) -> str:
    """How much less (or more) error than the best baseline has: 13 % less MAE, 19 % less RMSE."""
    known = {measure: value for measure, value in score.skill.items() if np.isfinite(value)}
    said = (f"{abs(value):.0%} {'less' if value >= 0 else 'more'} {measure.upper()}" for measure, value in known.items())
    return ", ".join(said).replace("%", " %") or "no baseline"


@dataclass(frozen=True)
class Told:
    """A forecast's facts in words: who answered (why not another), from when to when, within what."""

    by: str
    why: str
    version: str
    span: str
    interval: str


def told(forecast: Forecast) -> Told:
    """The facts of a forecast as people read them; the interval is the first step's, not known where it has no width."""
    zone, first = forecast.zone, forecast.steps[0]
    levels, values = tuple(first.quantiles), tuple(first.quantiles.values())
    by = f"{forecast.model}, {TIERS[forecast.tier]}" if forecast.version else f"{forecast.model} ({TIERS[forecast.tier]})"
    span = _span(first.start_s, first.start_s + len(forecast.steps) * forecast.step_s, zone)
    within = f"{values[0]:.2f} to {values[-1]:.2f} kW ({interval_name(levels)})" if values[0] < values[-1] else "not known"
    return Told(by, forecast.reason, forecast.version[:12], span, within)


def trained(record: Record, on: tuple[int, int] | None, zone: str) -> str:
    """When the model was trained and on what."""
    at = local_of(record.trained_at, zone) if record.trained_at else "Nobody wrote down when"
    return f"{at}, on readings from {local(on[0], zone)} to {local(on[1], zone)}" if on else at
