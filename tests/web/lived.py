"""A store whose models have lived: a verdict, a challenger, and forecasts in the log beside readings that came."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
from flask.testing import FlaskClient
from small_store import END_S, HOUSE, LEVELS, house_readings

from wattcast.adapters.database import Database, DatabaseForecasts
from wattcast.adapters.model_store import FileModelStore
from wattcast.forecasting import succession
from wattcast.forecasting.forecast import Forecast, Served, Steps
from wattcast.forecasting.promotion import Verdict
from wattcast.forecasting.registry import Slot
from wattcast.forecasting.windows import Errors
from wattcast.meter.cleaning import resample

HOUR_S = 3_600
CAME = 36
REASONS = ("The champion stays: no gain is shown.", "MAE 0.2000 kW against the champion's <0.1900> on the same 480 forecasts.")
Floats = npt.NDArray[np.float64]


def lived(store: Path) -> Slot:
    """Have one family of the house's day ahead judged and challenge the champion, who took over from a third; the slot after that."""
    kept = FileModelStore(store)
    slot = kept.manifest().slots["day_ahead/house"]
    first = slot.champion
    second = next(bundle for bundle in slot.answering.values() if bundle != first)
    third = slot.families["lgbm"]
    by = {"candidate": Errors(480, 0.2, 0.07, 0.78), "champion": Errors(480, 0.19, 0.06, 0.8), "baseline": Errors(480, 0.3, 0.1, 0.9)}
    parts = {"all": by, "lead 1": by, "leads 2-6": by, "autumn": by}
    windows = (END_S - 20 * 86_400, END_S)
    verdict = Verdict(False, third, second, REASONS, 20, windows, "daily_naive", parts)
    kept.put_record(replace(kept.record(third), verdict=verdict, trained_at="2026-11-25T08:00:00+00:00", revision="0123456789abcdef"))
    promoted, challenger = kept.record(second), kept.record(third)
    kept.change(lambda manifest: succession.promote(manifest, promoted, ("forced: a drill",)), at=_at(1), by="anna", why="a drill")
    kept.change(lambda manifest: succession.challenge(manifest, challenger, 0.2), at=_at(2), by="bert")
    return kept.manifest().slots["day_ahead/house"]


def _at(minute: int) -> str:
    return datetime(2026, 11, 26, 12, minute, tzinfo=UTC).isoformat()


def actuals() -> Floats:
    """What the house used in the hours after its readings end, kW."""
    hour = np.arange(CAME)
    return 1.0 + 0.5 * np.sin(hour / 3) + 0.1 * (hour % 5)


def known() -> Floats:
    """What it used in the hours before that, kW."""
    return resample(house_readings(), HOUR_S).power_kw.astype(np.float64)


def send_what_came(client: FlaskClient, hours: int = CAME, headers: dict[str, str] | None = None) -> None:
    """Have the hours of `actuals` arrive."""
    starts = [datetime.fromtimestamp(END_S + number * HOUR_S, UTC).isoformat() for number in range(hours)]
    sent = [{"start": start, "power_kw": value} for start, value in zip(starts, actuals().tolist(), strict=False)]
    path = "/api/v1/meters/house/readings?zone=Europe/Paris&holidays="
    answer = client.put(path, json={"readings": sent}, headers=headers)
    assert answer.status_code == 200, answer.get_data(as_text=True)


@dataclass(frozen=True)
class Expected:
    """What a forecast that is always the same scores on what came, and its baselines: title, MAE, RMSE."""

    mae: float
    rmse: float
    bias: float
    coverage: float
    skill: str
    baselines: tuple[tuple[str, float, float], ...]


def expected(median: float) -> Expected:
    """The figures, from nothing but the readings."""
    before, came = known(), actuals()
    hours, day = np.concatenate([before, came]), 24
    origin = len(before) + day * (np.arange(CAME) // day)
    target = len(before) + np.arange(CAME)
    assert (target - day < origin).all()
    last_week = np.mean([hours[target - day * back] for back in range(1, 8)], axis=0)
    titles = {"the mean of the same time on the last 7 days": last_week, "the same time a day before": hours[target - day]}
    beside = tuple((title, *_errors(came - values)) for title, values in titles.items())
    mean, low, middle, high = values_of(median)
    mae, rmse = _errors(came - middle)[0], _errors(came - mean)[1]
    words = []
    for name, own, best in (("MAE", mae, min(each[1] for each in beside)), ("RMSE", rmse, min(each[2] for each in beside))):
        words.append(f"{abs(1 - own / best) * 100:.0f} % {'less' if own < best else 'more'} {name}")
    inside = float(np.mean((came >= low) & (came <= high)))
    return Expected(mae, rmse, float(np.mean(mean - came)), inside, ", ".join(words), beside)


def _errors(misses: Floats) -> tuple[float, float]:
    return float(np.mean(np.abs(misses))), float(np.sqrt(np.mean(misses**2)))


def values_of(median: float) -> list[float]:
    """Mean and quantiles of every step of a forecast that is always the same, kW."""
    return [median + 0.05, median - 0.5, median, median + 0.3]


def log_forecasts(folder: Path, slot: Slot, days: tuple[int, ...] = (0, 1)) -> None:
    """Two days of 24 hours, forecast by the champion as 1.0 kW, and by the challenger, in the shadow, as 1.2 kW."""
    log = DatabaseForecasts(Database(f"sqlite:///{folder / 'wattcast.db'}"))
    for day in days:
        origin_s = END_S + day * 24 * HOUR_S
        starts = origin_s + HOUR_S * np.arange(24, dtype=np.int64)
        for tier, version, median in (("champion", slot.champion, 1.0), ("shadow", slot.challenger, 1.2)):
            steps = Steps(starts, LEVELS, np.tile(values_of(median), (24, 1)))
            who = {"tier": tier, "reason": "", "model": f"The {tier}", "version": version, "data_age_s": 0}
            made = Forecast(meter="house", zone=HOUSE.zone, task="day_ahead", origin_s=origin_s, step_s=HOUR_S, steps=steps, **who)  # type: ignore[arg-type]
            log.add([Served(made, origin_s, origin_s)])
