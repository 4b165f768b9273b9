"""`make accuracy` (`make accuracy P=P2`): the published protocols of this house, baselines reproduced, ours beside them.

Prints a table, writes results/accuracy.json and docs/accuracy.md, and appends each scoring of a test span to scorings.csv. Exit 1 where
a baseline does not come out as it was published: then the protocol was not understood, and no figure of ours means anything.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from page import write_page
from protocols import Protocol, Rows, Setup, as_forecaster, measured, skill, standard_error
from protocols.house import PROTOCOLS
from protocols.settings import Chosen, revision, settings_of
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from wattcast.forecasting.backtest import Frame, Learn, Predict, folds, joined, scored, walk_forward
from wattcast.forecasting.blending import calibrated_families, plain_families
from wattcast.forecasting.calendars import frozen_holidays
from wattcast.forecasting.features import Features
from wattcast.forecasting.metrics import Scored, coverage_table
from wattcast.forecasting.spec import FeatureSpec, Recent, Seasonal
from wattcast.meter.table import MeterTable

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results" / "accuracy.json"
LOG = HERE / "scorings.csv"
_LOG_COLUMNS = ("when", "revision", "protocol", "settings", "figures")
# What a line may miss and still count as reached, in standard errors.
NEAR_ENOUGH = 0.2
# How far from its name the coverage of an interval may lie, overall and in a season or third of the day.
COVERAGE_WITHIN, COVERAGE_OF_PARTS_WITHIN = 0.02, 0.05
_QUANTILES = "quantiles_28_days"


def main() -> None:
    """Run the protocols asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("protocol", nargs="?", default="", help="the beginning of a name, such as P2 or P3a; by default all")
    parser.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data", help="folder of the real meter files")
    parser.add_argument(
        "--rehearse", action="store_true", help="score the span before the test instead, for choices: logs and writes nothing"
    )
    asked = parser.parse_args()
    chosen = [protocol for protocol in PROTOCOLS if protocol.name.upper().startswith(asked.protocol.upper())]
    if not chosen:
        parser.error(f"no protocol begins with {asked.protocol}; known: {', '.join(protocol.name for protocol in PROTOCOLS)}")
    if not asked.data.is_dir():
        parser.error(f"{asked.data} is not there: name the folder of the real meter files: make accuracy DATA=folder")
    console = Console(stderr=True)
    if asked.rehearse:
        for protocol in chosen:
            show(protocol, run(protocol, asked.data, "", console), Console())
        return
    at = revision()
    outcomes = json.loads(RESULTS.read_text()) if RESULTS.exists() else {"figures": {}, "protocols": {}}
    for protocol in chosen:
        outcome = run(protocol, asked.data, at, console)
        outcomes["protocols"][protocol.name] = outcome
        outcomes["figures"] |= {figure["key"]: figure["value"] for figure in outcome["figures"]}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(outcomes, indent=1))
        show(protocol, outcome, Console())
    write_page()
    disagreeing = [f"{name}: {check['baseline']} {check['measure']}" for name, check in _checks(outcomes, chosen) if not check["agrees"]]
    if disagreeing:
        sys.exit("baselines that do not come out as published: " + ", ".join(disagreeing))


def run(protocol: Protocol, data: Path, at: str, console: Console) -> dict[str, Any]:
    """Reproduce the baselines, then fit on what lies before each refit and score the test span once. at: the revision, "" to rehearse."""
    setup = protocol.prepare(data) if at else protocol.prepare(data).rehearsal(protocol.rehearse_rows)
    settings = settings_of(protocol.settings, protocol.levels, calibrated=protocol.calibrated)
    spec = settings.task.spec(settings.plan, setup.training, frozen_holidays(setup.training))
    frame = Frame(spec, _point_baselines(protocol), protocol.levels, setup.against, setup.beside)
    checks = _reproduced(protocol, setup, frame) if at else []
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    walked = folds(setup.origins, setup.refits, protocol.embargo)
    began = time.monotonic()
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(f"{protocol.name}: {len(walked)} fits of {', '.join(settings.recipes)}", total=len(walked))
        learn = _learner(protocol, settings, spec, lambda share, done: bar.update(task, completed=done + share))
        parts = list(walk_forward(setup.table, walked, learn, frame))
    rows = {who: joined([part[who] for part in parts]) for who in parts[0]}
    seconds = time.monotonic() - began
    first = next(iter(rows.values()))
    baselines = _baselines(protocol, setup, frame, first)
    figures = _figures(protocol, settings, {**baselines, **rows}, setup.table.meter.zone)
    if at:
        _log(protocol, settings, figures, at)
    answer = rows.get(settings.answers[protocol.figures[0].key], first)
    return {
        "title": protocol.title,
        "rows": len(first.actual),
        "fits": len(walked),
        "seconds": round(seconds, 1),
        "settings": settings.sha256[:12],
        "revision": at,
        "checks": checks,
        "baselines": {name: {m: measured(own, m) for m in _measures(protocol)} for name, own in baselines.items()},
        "families": {who: {m: measured(own, m) for m in _measures(protocol)} for who, own in rows.items()},
        "figures": figures,
        "coverage": _coverage(answer, setup.table.meter.zone) if protocol.calibrated else {},
        "crossing": int((np.diff(answer.quantiles, axis=1) < 0).any(axis=1).sum()) if protocol.calibrated else None,
        "beside": dict(protocol.beside),
    }


def _learner(protocol: Protocol, settings: Chosen, spec: FeatureSpec, report: Any) -> Learn:
    """The product's own learner, which says how far it is."""
    done = -1

    def progress(share: float) -> None:
        report(share, done)

    if protocol.calibrated:
        inner = calibrated_families(settings.plan, spec, settings.recipes, progress)
    else:
        inner = plain_families(spec, settings.recipes, settings.blend, progress)

    def learn(known: MeterTable) -> Mapping[str, Predict]:
        nonlocal done
        done += 1
        return inner(known)

    return learn


def _reproduced(protocol: Protocol, setup: Setup, frame: Frame) -> list[dict[str, Any]]:
    """Every published figure of a baseline beside what comes out here, and whether they agree to the last digit printed."""
    origins = setup.origins if setup.check_origins is None else setup.check_origins
    rows = _scored_alone(_nothing, {"recent": (Recent("power_kw", offsets=(0,)),)}, setup, origins, frame)
    baselines = _baselines(protocol, replace(setup, origins=origins), frame, rows)
    found = []
    for check in protocol.checks:
        value = measured(baselines[check.baseline], check.measure)
        digits = len(check.printed.partition(".")[2])
        agrees = f"{value:.{digits}f}" == check.printed
        found.append(
            {"baseline": check.baseline, "measure": check.measure, "printed": check.printed, "source": check.source}
            | {"value": value, "agrees": agrees}
        )
    return found


def _point_baselines(protocol: Protocol) -> tuple[str, ...]:
    return tuple(name for name in protocol.baselines if name != _QUANTILES)


def _baselines(protocol: Protocol, setup: Setup, frame: Frame, rows: Scored) -> dict[str, Scored]:
    """Every baseline as a forecaster on these rows, the one of quantiles among them."""
    found = {name: as_forecaster(rows, name) for name in _point_baselines(protocol)}
    if _QUANTILES in protocol.baselines:
        found[_QUANTILES] = _scored_alone(_quantiles_28_days(frame.levels), {"seasonal": (_QUANTILE_DAYS,)}, setup, setup.origins, frame)
        if not np.array_equal(found[_QUANTILES].target_s, rows.target_s):
            raise SystemExit(f"accuracy: {protocol.name} scores other rows than {_QUANTILES}")
    return found


def _scored_alone(predict: Predict, parts: Mapping[str, Any], setup: Setup, origins: Rows, frame: Frame) -> Scored:
    """What one forecaster says from these parts of a spec alone, scored as the frame says."""
    bare = {"recent": (), "seasonal": (), "known": (), "calendar": (), "target": "level"}
    return scored({"rows": predict}, setup.table, origins, replace(frame, spec=replace(frame.spec, **(bare | parts))))["rows"]


def _coverage(rows: Scored, zone: str) -> dict[str, dict[str, Any]]:
    """The coverage table, and of each interval whether it holds what its name says: overall, in every season and third of the day."""
    table = coverage_table(rows, zone)
    for own in table.values():
        parts = [*own["season"].values(), *own["third"].values()]
        overall = abs(own["overall"] - own["nominal"]) <= COVERAGE_WITHIN
        own["reached"] = overall and all(abs(share - own["nominal"]) <= COVERAGE_OF_PARTS_WITHIN for share in parts)
    return table


def _nothing(features: Features) -> tuple[np.ndarray, np.ndarray]:
    """A forecast of zero, where only the baselines on the same rows are asked for."""
    return np.zeros(len(features.targets), np.float32), np.zeros((len(features.targets), 1), np.float32)


# The 28 whole days before the day of an origin, counted from the day after it.
_QUANTILE_DAYS = Seasonal(days=tuple(range(2, 30)))


def _quantiles_28_days(levels: tuple[float, ...]) -> Predict:
    """Quantiles of the same hour over 28 days: the baseline of P7."""

    def predict(features: Features) -> tuple[np.ndarray, np.ndarray]:
        days = features.matrix[:, [name.startswith("days") for name in features.names]]
        days = np.where(np.isfinite(days).any(axis=1)[:, None], days, 0)
        quantiles = np.nanquantile(days.astype(np.float64), levels, axis=1).T.astype(np.float32)
        return np.nanmean(days, axis=1), quantiles

    return predict


def _figures(protocol: Protocol, settings: Chosen, rows: Mapping[str, Scored], zone: str) -> list[dict[str, Any]]:
    figures = []
    baseline = protocol.baselines[0]
    for figure in protocol.figures:
        who = settings.answers[figure.key]
        own = rows[who]
        value, error = measured(own, figure.measure), standard_error(own, zone, figure.measure, protocol.block)
        against = {"baseline": baseline} | skill(own, rows[baseline], zone, figure.measure, protocol.block)
        reached = value <= figure.beat + NEAR_ENOUGH * error
        figures.append(
            {"key": figure.key, "measure": figure.measure, "who": who, "value": value, "error": error, "beat": figure.beat}
            | {"reached": bool(reached), "skill": against}
        )
    return figures


def _measures(protocol: Protocol) -> list[str]:
    return list(dict.fromkeys([figure.measure for figure in protocol.figures]))


def _checks(outcomes: Mapping[str, Any], chosen: list[Protocol]) -> list[tuple[str, dict[str, Any]]]:
    return [(protocol.name, check) for protocol in chosen for check in outcomes["protocols"][protocol.name]["checks"]]


def _log(protocol: Protocol, settings: Chosen, figures: list[dict[str, Any]], at: str) -> None:
    """One line more in the log of every scoring of a test span."""
    fresh = not LOG.exists()
    with LOG.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if fresh:
            writer.writerow(_LOG_COLUMNS)
        said = " ".join(f"{figure['key']}={figure['value']:.5g}" for figure in figures)
        writer.writerow([datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), at, protocol.name, settings.sha256[:12], said])


def show(protocol: Protocol, outcome: Mapping[str, Any], console: Console) -> None:
    """The outcome of one protocol as a table."""
    console.print(f"\n[bold]{protocol.name}. {outcome['title']}[/bold]")
    console.print(f"{outcome['rows']:,} rows, fits: {outcome['fits']} in {outcome['seconds']:.0f} s, settings {outcome['settings']}")
    table = Table()
    measures = _measures(protocol)
    table.add_column("")
    for measure in measures:
        table.add_column(measure, justify="right")
    for name, values in {**outcome["baselines"], **outcome["families"]}.items():
        table.add_row(name, *(f"{values[measure]:.4f}" if values[measure] < 10 else f"{values[measure]:.2f}" for measure in measures))
    console.print(table)
    for check in outcome["checks"]:
        agrees = "agrees" if check["agrees"] else "DOES NOT AGREE"
        console.print(
            f"  {check['baseline']} {check['measure']}: printed {check['printed']} ({check['source']}), here {check['value']:.6g}: {agrees}"
        )
    for figure in outcome["figures"]:
        verdict = "reached" if figure["reached"] else "MISSED"
        against = figure["skill"]
        beside = f"\n    skill against {against['baseline']} {against['value']:.1%} ({against['low']:.1%} to {against['high']:.1%})"
        said = f"{figure['value']:.5g} +- {figure['error']:.2g}, to beat {figure['beat']:g}"
        console.print(f"  {figure['key']} ({figure['who']}): {said}: {verdict}{beside}")
    for own in outcome["coverage"].values():
        console.print(f"  the {own['nominal']:.0%} interval holds {own['overall']:.1%}: {'reached' if own['reached'] else 'MISSED'}")
        for kind in ("season", "third"):
            console.print(f"    {', '.join(f'{name} {share:.1%}' for name, share in own[kind].items())}")
    if outcome["coverage"]:
        console.print(f"  {outcome['crossing']} rows have quantiles that cross")


if __name__ == "__main__":
    main()
