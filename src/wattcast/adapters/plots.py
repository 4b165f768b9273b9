"""Validation plots as PNG files, with matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from wattcast.forecasting.metrics import Scored

if TYPE_CHECKING:
    from wattcast.monitoring.comparison import Comparison

_MOST_POINTS = 2_000
_COVERAGE_BINS = 8


def draw(folder: Path, stem: str, title: str, rows: Scored) -> None:
    """Write the four plots of one family and task: residuals as a histogram and over time, forecast against actual, interval coverage."""
    folder.mkdir(parents=True, exist_ok=True)
    residual = rows.actual - rows.mean
    times = rows.target_s.astype("datetime64[s]")
    some = np.linspace(0, len(residual) - 1, min(len(residual), _MOST_POINTS)).astype(np.int64)

    axes = _axes(f"{title}: residuals", "actual - forecast, kW", "share of rows")
    limit = float(np.quantile(np.abs(residual), 0.995)) or 1.0
    counts, edges = np.histogram(residual, bins=80, range=(-limit, limit))
    axes.stairs(counts / len(residual), edges, fill=True, color="#2a6f97")
    _save(axes, folder / f"{stem}_residuals_histogram.png")

    axes = _axes(f"{title}: residuals over time", "", "actual - forecast, kW")
    axes.plot(times[some], residual[some], ".", markersize=2, color="#2a6f97")
    axes.axhline(0, color="black", linewidth=0.8)
    _save(axes, folder / f"{stem}_residuals_over_time.png")

    axes = _axes(f"{title}: forecast against actual", "forecast (mean), kW", "actual, kW")
    axes.plot(rows.mean[some], rows.actual[some], ".", markersize=2, color="#2a6f97")
    top = float(max(rows.mean[some].max(), rows.actual[some].max()))
    axes.plot([0, top], [0, top], color="black", linewidth=0.8)
    _save(axes, folder / f"{stem}_forecast_against_actual.png")

    axes = _axes(f"{title}: does the interval hold?", "local part of the test span, oldest first", "share of actuals inside")
    inside = ((rows.actual >= rows.quantiles[:, 0]) & (rows.actual <= rows.quantiles[:, -1]))[np.argsort(rows.target_s, kind="stable")]
    axes.bar(range(1, _COVERAGE_BINS + 1), _means(inside), color="#2a6f97")
    axes.axhline(rows.levels[-1] - rows.levels[0], color="black", linewidth=0.8)
    axes.set_ylim(0, 1)
    _save(axes, folder / f"{stem}_interval_coverage.png")


def draw_reliability(folder: Path, stem: str, title: str, rows: Scored) -> None:
    """Write the reliability plot: for each quantile level the share of actuals at or below its forecast, on the diagonal where it holds."""
    folder.mkdir(parents=True, exist_ok=True)
    below = (rows.actual[:, None] <= rows.quantiles).mean(axis=0)
    axes = _axes(f"{title}: do the quantiles hold?", "level of the quantile", "share of actuals at or below it")
    axes.plot([0, 1], [0, 1], color="black", linewidth=0.8)
    axes.plot(rows.levels, below, "o-", markersize=4, color="#2a6f97")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    _save(axes, folder / f"{stem}_reliability.png")


def draw_comparison(folder: Path, stem: str, title: str, comparison: Comparison) -> None:
    """Write the two plots of champion against challenger, day by day: by how much they differed, and how far the test has come."""
    folder.mkdir(parents=True, exist_ok=True)
    count = np.arange(1, len(comparison.days) + 1)
    axes = _axes(f"{title}: who was closer?", "complete day", "champion's error - challenger's, kW")
    axes.bar(count, comparison.differences, color="#a9c9dc", label="of the day")
    axes.plot(count, np.cumsum(comparison.differences) / count, color="#2a6f97", label="mean so far")
    axes.axhline(0, color="black", linewidth=0.8)
    axes.legend(fontsize=8)
    _save(axes, folder / f"{stem}_differences.png")

    axes = _axes(f"{title}: {comparison.verdict.partition(':')[0]}", "complete day", "E (a verdict from the line on)")
    axes.semilogy(count, comparison.e, color="#2a6f97")
    axes.axhline(1 / comparison.contest.alpha, color="black", linewidth=0.8)
    if comparison.decided is not None:
        axes.plot(comparison.decided, comparison.e[comparison.decided - 1], "o", color="#2a6f97")
    _save(axes, folder / f"{stem}_e_value.png")


def _means(inside: npt.NDArray[np.bool_]) -> list[float]:
    return [float(part.mean()) if len(part) else 0.0 for part in np.array_split(inside, _COVERAGE_BINS)]


def _axes(title: str, x_label: str, y_label: str) -> Any:
    from matplotlib.figure import Figure  # noqa: PLC0415 (takes a second to load, which the caller may spend on something else)

    # Margins that hold every label of these plots: a layout engine would draw each plot twice.
    axes = Figure(figsize=(6, 3.6), dpi=80).subplots(gridspec_kw={"left": 0.13, "right": 0.97, "bottom": 0.14, "top": 0.92})
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    return axes


def _save(axes: Any, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415

    # No date in the file: the same scores give the same bytes, so DVC sees no change.
    FigureCanvasAgg(axes.figure).print_png(path, metadata={"Software": None})
