"""The yardstick: a plain pandas and scikit-learn pipeline of the kind wattcast grew out of, written from its description.

Only a measure to compare with, never imported by wattcast; that is why it may use joblib. Each step is a process of its own:
`python benchmarks/yardstick.py {preprocess,train-xgb,train-lgbm,train-rf,evaluate} --data FILE --work DIR`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd

LAGGED = ["Global_reactive_power", "Voltage", "Global_intensity", "Sub_metering_1", "Sub_metering_2", "Sub_metering_3"]
LAGGED += ["hour_of_day", "day_of_week", "month", "year"]
TARGET = "Global_active_power"
FAMILIES = ("xgb", "lgbm", "rf")


def preprocess(data: Path, work: Path) -> None:
    """Write the filled table, the table of lagged features and the four split files: the rows go to CSV three times."""
    from sklearn.model_selection import train_test_split  # noqa: PLC0415

    processed = work / "data" / "processed"
    processed.mkdir(parents=True, exist_ok=True)
    readings = pd.read_csv(data, sep=";", na_values=["?"], low_memory=False)
    readings["datetime"] = pd.to_datetime(readings["Date"] + " " + readings["Time"], format="%d/%m/%Y %H:%M:%S")
    readings = readings.drop(columns=["Date", "Time"]).set_index("datetime").ffill()
    readings.to_csv(processed / "filled.csv")
    featured = readings.copy()
    times = featured.index
    for column, values in (("hour_of_day", times.hour), ("day_of_week", times.day_of_week), ("month", times.month), ("year", times.year)):
        featured[column] = values
    for column in LAGGED:
        featured[f"{column}_lag1"] = featured[column].shift(1)
    complete = featured.dropna()
    features, target = complete[[f"{column}_lag1" for column in LAGGED]], complete[[TARGET]]
    features.join(target).to_csv(processed / "featured.csv")
    x_train, x_test, y_train, y_test = train_test_split(features, target, test_size=0.2, shuffle=False)
    for name, rows in (("X_train", x_train), ("X_test", x_test), ("y_train", y_train), ("y_test", y_test)):
        rows.to_csv(processed / f"{name}.csv", index=False)


def new_model(family: str) -> Any:
    """An unfitted model. Sizes and objective are the original's, the rest is chosen so that time and errors come out like its."""
    if family == "xgb":
        from xgboost import XGBRegressor  # noqa: PLC0415

        return XGBRegressor(n_estimators=250, max_depth=5, learning_rate=0.1, subsample=0.8, random_state=42, n_jobs=-1)
    if family == "lgbm":
        from lightgbm import LGBMRegressor  # noqa: PLC0415

        return LGBMRegressor(objective="regression_l1", n_estimators=300, num_leaves=20, learning_rate=0.01, random_state=42, n_jobs=-1)
    from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415

    return RandomForestRegressor(n_estimators=200, max_depth=10, max_features=0.5, random_state=42, n_jobs=-1)


def train(family: str, work: Path) -> None:
    """Fit one model on the training files and write models/FAMILY_model.pkl."""
    x_train, y_train = _read_split(work, "train")
    # Not in the description: watching the test files gives this step the share of time that the original's had.
    watched = {"eval_set": [_read_split(work, "test")], "verbose": False} if family == "xgb" else {}
    model = new_model(family).fit(x_train, y_train, **watched)
    (work / "models").mkdir(exist_ok=True)
    joblib.dump(model, work / "models" / f"{family}_model.pkl")


def evaluate(work: Path) -> None:
    """Score the three models on the test files: one metrics file and two residual plots each."""
    x_test, y_test = _read_split(work, "test")
    metrics = work / "metrics"
    metrics.mkdir(exist_ok=True)
    for family in FAMILIES:
        predicted = joblib.load(work / "models" / f"{family}_model.pkl").predict(x_test)
        residuals = y_test.to_numpy() - predicted
        scores = {"mae": float(np.abs(residuals).mean()), "rmse": float(np.sqrt((residuals**2).mean()))}
        scores["r2"] = float(1 - (residuals**2).sum() / ((y_test - y_test.mean()) ** 2).sum())
        (metrics / f"{family}_metrics.json").write_text(json.dumps(scores, indent=2))
        plot_residuals(residuals, family, metrics)


def plot_residuals(residuals: np.ndarray, family: str, folder: Path) -> None:
    """Draw the residuals' histogram with its density and the residuals over time; what is drawn gives the step the original's share."""
    import matplotlib as mpl  # noqa: PLC0415

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415
    from scipy.stats import gaussian_kde  # noqa: PLC0415

    histogram, bars = plt.subplots(figsize=(10, 6))
    bars.hist(residuals, bins=50, edgecolor="black", density=True)
    grid = np.linspace(residuals.min(), residuals.max(), 800)
    bars.plot(grid, gaussian_kde(residuals)(grid))
    histogram.savefig(folder / f"{family}_residuals_histogram.png")
    plt.close(histogram)
    over_time, dots = plt.subplots(figsize=(15, 6))
    dots.scatter(np.arange(len(residuals)), residuals, s=1, alpha=0.5)
    over_time.savefig(folder / f"{family}_residuals_over_time.png", dpi=150)
    plt.close(over_time)


def _read_split(work: Path, part: str) -> tuple[pd.DataFrame, pd.Series]:
    processed = work / "data" / "processed"
    return pd.read_csv(processed / f"X_{part}.csv"), pd.read_csv(processed / f"y_{part}.csv")[TARGET]


def main() -> None:
    """Run the one step named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=["preprocess", *(f"train-{family}" for family in FAMILIES), "evaluate"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    asked = parser.parse_args()
    if asked.step.startswith("train-"):
        train(asked.step.removeprefix("train-"), asked.work)
    else:
        preprocess(asked.data, asked.work) if asked.step == "preprocess" else evaluate(asked.work)


if __name__ == "__main__":
    main()
