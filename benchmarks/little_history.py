"""What little history is worth: the model of all meters on simulated houses it never saw, with 0 to 28 days of them known.

Half of the houses train the model, the other half is forecast day by day ahead, from the same origins at every length of history. Beside
it stand the 7-day mean over the days that are known, and the typical day of the houses trained on, times the scale of the house.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from wattcast.config import load_params
from wattcast.forecasting.backtest import Frame, Predict, joined, scored
from wattcast.forecasting.baselines import Profile
from wattcast.forecasting.bundle import open_bundle
from wattcast.forecasting.features import Features
from wattcast.forecasting.metrics import Scored, mae, rmse
from wattcast.forecasting.model import Model
from wattcast.forecasting.pooling import population_profile, train
from wattcast.forecasting.spec import Scale
from wattcast.meter.neighbourhood import simulated_meters
from wattcast.meter.table import MeterTable
from wattcast.stages.train import recipe_of

RESULTS = Path(__file__).parent / "results" / "little_history.json"
KNOWN_DAYS = (0, 1, 3, 7, 14, 28)
# `wattcast pool` begins at house 1.
FIRST_HOUSE = 1_001
BASELINE = "mean_7_days"
MOST_WORSE, LEAST_BETTER, BETTER_FROM = 1.03, 0.95, 14


def main() -> None:
    """Train, forecast, print and keep the figures; exit 1 where they are not what is promised."""
    asked = _asked()
    began = time.monotonic()
    houses = list(simulated_meters(asked.houses, asked.days, FIRST_HOUSE, 3_600))
    known, unseen = houses[: asked.houses // 2], houses[asked.houses // 2 :]
    params = load_params()
    recipe = replace(recipe_of(params, "day_ahead", asked.family, "best"), threads=asked.threads)
    bundle = open_bundle(train(known, recipe, lambda share: None).data, threads=asked.threads)  # noqa: ARG005
    (model,) = bundle.models
    scale = model.facts.spec.scale
    assert scale is not None
    profile = population_profile(known, params.quantiles, 1.0)
    errors = [_errors(house, model, profile, scale, asked.origins) for house in unseen]
    rows = [_row(days, [own[days] for own in errors]) for days in KNOWN_DAYS]
    outcome = {
        "family": recipe.family.key,
        "houses": {"trained": len(known), "held_out": len(unseen), "days": asked.days, "origins_of_each": asked.origins},
        "rows": rows,
        "seconds": round(time.monotonic() - began, 1),
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(outcome, indent=1))
    _show(outcome)
    broken = [said for row in rows for said in _broken(row)]
    if broken:
        sys.exit("\n".join(broken))


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--houses", type=int, default=80, help="simulated houses, half of them held out (default: 80)")
    parser.add_argument("--days", type=int, default=250, help="days of each house (default: 250)")
    parser.add_argument("--origins", type=int, default=10, help="origins of each held-out house (default: 10)")
    parser.add_argument("--family", default="lgbm", help="which family learns (default: lgbm)")
    parser.add_argument("--threads", type=int, default=1, help="threads (default: 1)")
    return parser.parse_args()


def _errors(house: MeterTable, model: Model, profile: Profile, scale: Scale, origins: int) -> dict[int, dict[str, tuple[float, float]]]:
    """Days known -> who forecast -> MAE of the median and RMSE of the mean over this house's origins, which are the same for all days."""
    spec = model.facts.spec
    per_day, chance = 86_400 // house.step_s, np.random.default_rng(house.start_s)
    at = chance.integers(max(KNOWN_DAYS) * per_day, len(house) - spec.horizon, origins)
    errors = {}
    for days in KNOWN_DAYS:
        parts: list[Mapping[str, Scored]] = []
        for origin in at.tolist():
            young, row = house.rows(origin - days * per_day, origin + spec.horizon), days * per_day
            frame = Frame(spec, (BASELINE,) if days else (), profile.levels)
            parts.append(scored({"ours": model.predict, "profile": _typical_day(young.rows(0, row), profile, scale)}, young, [row], frame))
        rows = {who: joined([part[who] for part in parts]) for who in parts[0]}
        errors[days] = {who: (mae(own.actual, own.median), rmse(own.actual, own.mean)) for who, own in rows.items()}
        errors[days] |= {
            who: (mae(rows["ours"].actual, value), rmse(rows["ours"].actual, value)) for who, value in rows["ours"].baselines.items()
        }
    return errors


def _typical_day(known: MeterTable, profile: Profile, scale: Scale) -> Predict:
    """The typical day of the houses trained on, times what the known days lie above it, shrunk to the prior as the model's scale is."""
    measured, per_day = np.isfinite(known.power_kw), 86_400 // known.step_s
    usual = profile.at(known.instants()[measured])[:, 0].sum()
    prior = scale.prior_days * per_day
    size_kw = (known.power_kw[measured].sum(dtype=np.float64) + scale.prior_kw * prior) / (usual + prior)

    def predict(features: Features) -> tuple[Any, Any]:
        values = (profile.at(features.target_s) * size_kw).astype(np.float32)
        return values[:, 0], values[:, 1:]

    return predict


def _row(days: int, errors: list[dict[str, tuple[float, float]]]) -> dict[str, Any]:
    """Means over the houses, ours against the better of the two, and in how many houses ours is clearly worse than that."""
    row: dict[str, Any] = {"days_known": days}
    for number, measure in enumerate(("mae", "rmse")):
        own = {who: np.array([house[who][number] for house in errors]) for who in errors[0]}
        row |= {f"{who}_{measure}": round(float(values.mean()), 4) for who, values in own.items()}
        others = {who: values for who, values in own.items() if who != "ours"}
        row[f"ratio_{measure}"] = round(float(own["ours"].mean() / min(values.mean() for values in others.values())), 4)
        row[f"houses_worse_{measure}"] = int((own["ours"] > MOST_WORSE * np.min(list(others.values()), axis=0)).sum())
    return row


def _broken(row: Mapping[str, Any]) -> list[str]:
    limit = LEAST_BETTER if row["days_known"] >= BETTER_FROM else MOST_WORSE
    ratio = row["ratio_mae"]
    return [f"{row['days_known']} days known: {ratio:.3f} of the better of the two, at most {limit:g} is promised"] if ratio > limit else []


def _show(outcome: Mapping[str, Any]) -> None:
    houses = outcome["houses"]
    title = f"Little history, day ahead: {houses['held_out']} simulated houses never seen, {houses['trained']} trained on; MAE / RMSE, kW"
    shown = Table("days known", "ours", "7-day mean", "typical day", "ratio to the better", "houses worse by 3 % (MAE)", title=title)
    for row in outcome["rows"]:
        pairs = [
            f"{row[f'{who}_mae']:.4f} / {row[f'{who}_rmse']:.4f}" if f"{who}_mae" in row else "-" for who in ("ours", BASELINE, "profile")
        ]
        ratio = f"{row['ratio_mae']:.3f} / {row['ratio_rmse']:.3f}"
        shown.add_row(str(row["days_known"]), *pairs, ratio, f"{row['houses_worse_mae']} of {houses['held_out']}")
    Console(width=140).print(shown)


if __name__ == "__main__":
    main()
