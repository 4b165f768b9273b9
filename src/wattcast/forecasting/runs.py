"""One run of the pipeline as a value: what it trained, from what, and how well beside the baselines."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from wattcast.forecasting.bundle import Manifest
from wattcast.forecasting.metrics import Score
from wattcast.forecasting.registry import Record


@dataclass(frozen=True, eq=False)
class PipelineRun:
    """What one run made of a meter's file.

    made: what every bundle says of itself, and its record; plots: file name -> PNG; readings: the hash under which DVC keeps what was
    trained on, empty where DVC did not run it; at: ISO 8601, UTC; by: a user's name; revision: git's.
    """

    meter: str
    made: tuple[tuple[Manifest, Record], ...]
    plots: Mapping[str, bytes]
    readings: str
    at: str
    by: str
    revision: str

    def settings(self) -> dict[str, str]:
        """What each family was trained with: "task.family.setting" -> its value."""
        given: dict[str, str] = {}
        for manifest, record in self.made:
            params = dict(manifest.params)
            flat = {**params.pop("settings", {}), **params}
            given |= {f"{record.task}.{record.family}.{name}": str(value) for name, value in flat.items()}
        return given

    def figures(self) -> dict[str, float]:
        """The scores of the test: "task.family.measure" beside "task.baseline.measure"; what does not exist is left out.

        A bundle's poorer models are "task.model.family.measure", beside the baselines on their own rows.
        """
        found: dict[str, float] = {}
        for _, record in self.made:
            for number, (model, score) in enumerate(record.tests.items()):
                scope = record.task if number == 0 else f"{record.task}.{model}"
                found |= {f"{scope}.{name}": value for name, value in _measures(record.family, score) if math.isfinite(value)}
        return found


def _measures(family: str, score: Score) -> Iterator[tuple[str, float]]:
    for measure in ("mae", "rmse", "r2", "pinball", "coverage"):
        yield f"{family}.{measure}", getattr(score, measure)
    for measure, skill in score.skill.items():
        yield f"{family}.skill_{measure}", skill
    for baseline, errors in score.baselines.items():
        for measure, error in errors.items():
            yield f"{baseline}.{measure}", error
