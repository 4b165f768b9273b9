"""How good forecasts were on readings that came, as types of the API."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from wattcast.web.api.answers.models import Baselines
from wattcast.web.api.words import Coverage, Mae, MeterId, ModelTitle, Nominal, OfZone, Rmse, Skill, TaskName, Version, said, told


class CameTrue(Struct, frozen=True):
    """How good one forecaster was in one window, at one kind of leads; its errors are null where nothing could be scored."""

    version: Version
    tier: Annotated[
        str,
        said("As what it answered: champion, challenger, family, previous, shared, baseline, profile, or shadow: not given out.", "shadow"),
    ]
    model: ModelTitle
    days: Annotated[int, said("Length of the window, which ends with the last reading, in days.", 7)]
    leads: Annotated[str, said('How long after their origin the intervals end; "every lead": all of them.', "1 to 6 h")]
    scored: Annotated[int, said("Intervals that were scored.", 168)]
    waiting: Annotated[int, said("Intervals that are not over, or not measured yet.", 24)]
    missing: Annotated[int, said("Intervals that were never measured, though later ones were.", 0)]
    alone: Annotated[int, said("Intervals that were measured, where a baseline was not known.", 0)]
    mae: Mae | None
    rmse: Rmse | None
    bias_kw: Annotated[float, said("Mean forecast less what came.", -0.021, "kW")] | None
    coverage: Coverage | None
    nominal: Nominal | None
    skill: Skill
    baselines: Baselines


class MeterAccuracy(Struct, frozen=True):
    """How good the forecasts of a meter were, each beside its baselines on the very same intervals."""

    meter: MeterId
    task: TaskName
    zone: OfZone
    until: Annotated[str, told("End of the last reading, and of the windows; null: no reading is known")] | None
    accuracy: Annotated[list[CameTrue], Meta(description="Every forecaster in each window and at each kind of leads.")]
