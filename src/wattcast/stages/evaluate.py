"""Stage evaluate: every bundle on the last part of the file, beside its baselines, as scorecard, metrics and plots."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from pydantic_core import to_json

from wattcast.adapters.files import write_atomically
from wattcast.adapters.plots import draw, draw_reliability
from wattcast.config import Params, load_params
from wattcast.forecasting.backtest import first_test_row
from wattcast.forecasting.families import family_keys, family_of
from wattcast.forecasting.metrics import Scored
from wattcast.forecasting.scorecard import Scorecard, ScoreRow, score_families
from wattcast.stages import run
from wattcast.stages.outputs import METRICS, PLOTS, TRAINED, read_bundles, read_facts, read_table
from wattcast.stages.progress import progress


def main() -> None:
    """Score what train left."""
    params, facts = load_params(), read_facts()
    by_model: list[list[ScoreRow]] = []
    # One thread draws while ONNX Runtime, which needs no Python, computes the next forecasts.
    with ThreadPoolExecutor(1) as pencil:
        drawn: list[Future[None]] = []
        for name in params.tasks:
            for rows, plots in _scores(name, params):
                by_model.append(rows)
                drawn += [pencil.submit(pen, PLOTS, *plot) for plot in plots for pen in (draw, draw_reliability)]
    for done in drawn:
        done.result()
    card = Scorecard.of(facts.meter, by_model, facts.skipped)
    for key in TRAINED:
        figures = {row.task: row.figures() for row in card.rows if row.family == key}
        write_atomically(METRICS / f"{family_of(key).file_stem}_metrics.json", to_json(figures, indent=1, inf_nan_mode="null"))
    write_atomically(METRICS / "scorecard.json", card.to_json().encode())
    write_atomically(METRICS / "scorecard.md", card.to_markdown().encode())


def _scores(name: str, params: Params) -> Iterator[tuple[list[ScoreRow], list[tuple[str, str, Scored]]]]:
    """For each model of the task its score in every family, and for the richest what is to be drawn: file stem, title, rows."""
    bundles = {bundle.manifest.family: bundle for bundle in read_bundles(name, params.training_threads())}
    own = {key: bundles[key] for key in family_keys() if key in bundles}
    if not own:
        return
    table = read_table(params.tasks[name].resolution_s)
    with progress(f"scoring {name}, {len(own)} families") as report:
        for number, (rows, scored) in enumerate(score_families(own, table, first_test_row(table, params.train_share))):
            drawn = own if number == 0 else ()
            yield rows, [(f"{family_of(key).file_stem}_{name}", f"{family_of(key).title}, {name}", scored[key]) for key in drawn]
            report((number + 1) / len(params.tasks[name].models))


if __name__ == "__main__":
    run(main)
