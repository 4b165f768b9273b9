"""The scorecard: every family's errors beside the baselines it must beat, as JSON for programs and as a table for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import to_json

from wattcast.errors import Unavailable
from wattcast.forecasting.backtest import scored_test
from wattcast.forecasting.baselines import TITLES
from wattcast.forecasting.breakdown import Miss, largest_errors
from wattcast.forecasting.bundle import Bundle
from wattcast.forecasting.families import family_of
from wattcast.forecasting.importance import permutation_importance
from wattcast.forecasting.metrics import Score, Scored, coverage_table, score
from wattcast.meter.table import Meter, MeterTable

_SCORE = TypeAdapter(Score)
_OF_ROW = ("task", "family", "model", "bundle")


@dataclass(frozen=True)
class ScoreRow:
    """The score of one model of one bundle on the test span, which features it leans on there, its largest errors, and its coverage."""

    task: str
    family: str
    model: str
    bundle: str
    score: Score
    importance: Mapping[str, float] = field(default_factory=dict)
    worst: tuple[Miss, ...] = ()
    coverage_by: Mapping[str, Any] = field(default_factory=dict)

    def figures(self) -> dict[str, float]:
        """The headline figures, for `dvc metrics show`."""
        score = self.score
        return {"mae": score.mae, "rmse": score.rmse, "r2": score.r2, "coverage": score.coverage, "skill_mae": score.skill["mae"]}


@dataclass(frozen=True)
class Scorecard:
    """rows: the richest model of every (task, family). fallback_rows: the models that answer with fewer readings. skipped: task -> why."""

    meter: str
    simulated: bool
    rows: tuple[ScoreRow, ...]
    fallback_rows: tuple[ScoreRow, ...]
    skipped: dict[str, str]

    @classmethod
    def of(cls, meter: Meter, by_model: list[list[ScoreRow]], skipped: Mapping[str, str]) -> Scorecard:
        """The scorecard of these rows, a list for each task and model; the first list of a task is its richest model's."""
        tasks: set[str] = set()
        rows: list[ScoreRow] = []
        fallback_rows: list[ScoreRow] = []
        for of_model in by_model:
            (fallback_rows if of_model[0].task in tasks else rows).extend(of_model)
            tasks.add(of_model[0].task)
        return cls(meter.id, meter.simulated, tuple(rows), tuple(fallback_rows), dict(skipped))

    def rows_of(self, bundle: str) -> dict[str, ScoreRow]:
        """The rows of a bundle's models by their names, richest first."""
        return {row.model: row for row in (*self.rows, *self.fallback_rows) if row.bundle == bundle}

    def to_json(self) -> str:
        """JSON with flat rows: task, family, model, bundle, and the fields of the score, NaN as a string, for JSON has none."""
        facts = {"meter": self.meter, "simulated": self.simulated, "skipped": self.skipped}
        facts |= {name: [_flat(row) for row in getattr(self, name)] for name in ("rows", "fallback_rows")}
        return to_json(facts, indent=1, inf_nan_mode="strings").decode()

    @classmethod
    def from_json(cls, text: str) -> Scorecard:
        """The scorecard that `to_json` wrote. Raises Unavailable when the text is something else."""
        try:
            facts = json.loads(text)
            rows, fallback_rows = (tuple(_row(row) for row in facts[name]) for name in ("rows", "fallback_rows"))
            return cls(facts["meter"], facts["simulated"], rows, fallback_rows, facts["skipped"])
        except (ValueError, KeyError, TypeError, AttributeError) as cause:
            raise Unavailable(f"the scorecard cannot be read ({str(cause).splitlines()[0]})", "run the evaluate stage again") from cause

    def to_markdown(self) -> str:
        """A table for each task: families above, the baselines on the same rows below them."""
        title = f"# Scorecard of meter {self.meter}" + (" (SIMULATED)" if self.simulated else "")
        lines = [
            title,
            "",
            "The last part of the file, which no choice has seen. MAE of the median forecast, RMSE of the mean forecast, kW.",
            "The champion was chosen before it, inside the training span, and need not be the best here.",
        ]
        groups: dict[tuple[str, str], list[ScoreRow]] = {}
        for row in (*self.rows, *self.fallback_rows):
            groups.setdefault((row.task, row.model), []).append(row)
        for (task, model), rows in groups.items():
            lines += ["", f"## {_words(task)}, from {_words(model)}", "", *_table(rows)]
        lines += ["", *(f"{_words(task)} was skipped: {why}." for task, why in self.skipped.items())] if self.skipped else []
        return "\n".join(lines) + "\n"


def score_families(own: Mapping[str, Bundle], table: MeterTable, first_test: int) -> Iterator[tuple[list[ScoreRow], dict[str, Scored]]]:
    """For each model of these bundles of one task, by family, richest first: the score of every family, and the rows behind it."""
    manifest = next(iter(own.values())).manifest
    for number, facts in enumerate(manifest.models):
        models = {key: bundle.models[number] for key, bundle in own.items()}
        scored = scored_test(models, table, first_test, manifest.baselines, manifest.levels)
        yield (
            [
                ScoreRow(
                    task=manifest.task,
                    family=key,
                    model=facts.name,
                    bundle=own[key].id,
                    score=score(rows),
                    importance=permutation_importance(models[key], table, first_test),
                    worst=largest_errors(rows, table.meter.zone),
                    coverage_by=coverage_table(rows, table.meter.zone),
                )
                for key, rows in scored.items()
            ],
            scored,
        )


def _table(rows: list[ScoreRow]) -> list[str]:
    score = rows[0].score
    lines = [f"| {score.n:,} rows | MAE | RMSE | R2 | {score.nominal:.0%} interval holds | skill MAE / RMSE |", "|---|---|---|---|---|---|"]
    for row in rows:
        s = row.score
        skill = f"{s.skill['mae']:+.1%} / {s.skill['rmse']:+.1%}"
        lines.append(f"| {family_of(row.family).title} | {s.mae:.4f} | {s.rmse:.4f} | {s.r2:.4f} | {s.coverage:.1%} | {skill} |")
    for name, errors in score.baselines.items():
        lines.append(f"| *{TITLES[name]}* | {errors['mae']:.4f} | {errors['rmse']:.4f} | | | |")
    return lines


def _words(name: str) -> str:
    return name.replace("_", " ")


def _flat(row: ScoreRow) -> dict[str, Any]:
    own = {name: getattr(row, name) for name in _OF_ROW}
    beside = {"importance": dict(row.importance), "worst": [asdict(miss) for miss in row.worst], "coverage_by": dict(row.coverage_by)}
    return own | beside | asdict(row.score)


def _row(flat: dict[str, Any]) -> ScoreRow:
    own = {name: flat.pop(name) for name in (*_OF_ROW, "importance", "coverage_by")}
    worst = tuple(Miss(**miss) for miss in flat.pop("worst"))
    return ScoreRow(**own, worst=worst, score=_SCORE.validate_python(flat))
