"""Stage evaluate: every bundle on the last part of the file, beside its baselines, as scorecard, metrics and plots."""

from __future__ import annotations

import json

from wattcast.adapters.files import write_atomically
from wattcast.adapters.plots import draw
from wattcast.config import load_params
from wattcast.forecasting.backtest import first_test_row
from wattcast.forecasting.families import family_keys, family_of
from wattcast.forecasting.scorecard import Scorecard, ScoreRow, score_families
from wattcast.stages import run
from wattcast.stages.outputs import METRICS, PLOTS, bundles, read_facts, read_table
from wattcast.stages.progress import progress


def main() -> None:
    """Score what train left."""
    params, facts = load_params(), read_facts()
    PLOTS.mkdir(parents=True, exist_ok=True)
    opened = {(bundle.manifest.task, bundle.manifest.family): bundle for bundle in bundles(params.training_threads())}
    by_model: list[list[ScoreRow]] = []
    for name, task in params.tasks.items():
        own = {key: opened[name, key] for key in family_keys() if (name, key) in opened}
        if not own:
            continue
        table = read_table(facts, task.resolution_s)
        with progress(f"scoring {name}, {len(own)} families") as report:
            for number, (rows, scored) in enumerate(score_families(own, table, first_test_row(table, params.train_share))):
                by_model.append(rows)
                for key in own if number == 0 else ():
                    draw(PLOTS, f"{family_of(key).file_stem}_{name}", f"{family_of(key).title}, {name}", scored[key])
                report((number + 1) / len(task.models))
    card = Scorecard.of(facts.meter, by_model, facts.skipped)
    for key in family_keys():
        figures = {row.task: row.figures() for row in card.rows if row.family == key}
        write_atomically(METRICS / f"{family_of(key).file_stem}_metrics.json", json.dumps(figures, indent=1).encode())
    write_atomically(METRICS / "scorecard.json", card.to_json().encode())
    write_atomically(METRICS / "scorecard.md", card.to_markdown().encode())


if __name__ == "__main__":
    run(main)
