"""Stage evaluate: every bundle on the last part of the file, beside its baselines, as scorecard, metrics and plots."""

from __future__ import annotations

import json
from collections.abc import Iterator

from wattcast.adapters.files import write_atomically
from wattcast.adapters.plots import draw
from wattcast.config import load_params
from wattcast.forecasting.backtest import first_test_row, scored_test
from wattcast.forecasting.bundle import Bundle
from wattcast.forecasting.families import family_keys, family_of
from wattcast.forecasting.metrics import score
from wattcast.forecasting.scorecard import Scorecard, ScoreRow
from wattcast.meter.table import MeterTable
from wattcast.stages import run
from wattcast.stages.outputs import METRICS, PLOTS, bundles, read_facts, read_table
from wattcast.stages.progress import progress


def main() -> None:
    """Score what train left."""
    params, facts = load_params(), read_facts()
    PLOTS.mkdir(parents=True, exist_ok=True)
    opened = [bundle for _, bundle in bundles(params.training_threads())]
    rows: list[ScoreRow] = []
    fallback_rows: list[ScoreRow] = []
    for name, task in params.tasks.items():
        own = {key: bundle for key in family_keys() for bundle in opened if (bundle.manifest.task, bundle.manifest.family) == (name, key)}
        if own:
            table = read_table(facts, task.resolution_s)
            with progress(f"scoring {name}, {len(own)} families") as report:
                for number, of_model in enumerate(_scores(own, table, first_test_row(table, params.train_share))):
                    (fallback_rows if number else rows).extend(of_model)
                    report((number + 1) / len(task.models))
    card = Scorecard(facts.meter.id, facts.meter.simulated, tuple(rows), tuple(fallback_rows), dict(facts.skipped))
    for key in family_keys():
        figures = {row.task: _figures(row) for row in rows if row.family == key}
        write_atomically(METRICS / f"{family_of(key).file_stem}_metrics.json", json.dumps(figures, indent=1).encode())
    write_atomically(METRICS / "scorecard.json", card.to_json().encode())
    write_atomically(METRICS / "scorecard.md", card.to_markdown().encode())


def _scores(own: dict[str, Bundle], table: MeterTable, first: int) -> Iterator[list[ScoreRow]]:
    """For each model, richest first, its score in every family; the richest one is plotted too."""
    manifest = next(iter(own.values())).manifest
    for number, facts in enumerate(manifest.models):
        models = {key: bundle.models[number] for key, bundle in own.items()}
        scored = scored_test(models, table, first, manifest.baselines, manifest.levels)
        if number == 0:
            for key, rows in scored.items():
                family = family_of(key)
                draw(PLOTS, f"{family.file_stem}_{manifest.task}", f"{family.title}, {manifest.task}", rows)
        yield [ScoreRow(manifest.task, key, facts.name, own[key].id, score(rows)) for key, rows in scored.items()]


def _figures(row: ScoreRow) -> dict[str, float]:
    score = row.score
    return {"mae": score.mae, "rmse": score.rmse, "r2": score.r2, "coverage": score.coverage, "skill_mae": score.skill["mae"]}


if __name__ == "__main__":
    run(main)
