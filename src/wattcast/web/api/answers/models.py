"""Models as types of the API: what each was worth beside its baselines, and what it looks at."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from wattcast.web.api.words import (
    A_VERSION,
    Coverage,
    Family,
    Mae,
    MeterId,
    Nominal,
    PerhapsABundle,
    Reasons,
    Rmse,
    Skill,
    TaskName,
    said,
    told,
)


class Errors(Struct, frozen=True):
    """Errors of one forecaster."""

    mae: Mae
    rmse: Rmse


Baselines = Annotated[
    dict[str, Errors], said("Errors of each baseline, by its name.", {"persistence": {"mae": 0.474, "rmse": 0.763}}, "kW")
]


class ModelScore(Struct, frozen=True):
    """What a model was worth on readings that no choice had seen, beside its baselines on the same rows."""

    inputs: Annotated[str, said("What the model answers from.", "history")]
    rows: Annotated[int, said("How many forecast steps were scored.", 8640)]
    mae: Mae
    rmse: Rmse
    coverage: Coverage
    nominal: Nominal
    skill: Skill
    baselines: Baselines


class Judged(Struct, frozen=True):
    """Whether a model may take over from the champion that there was when it was trained, and why."""

    promote: Annotated[bool, said("Whether it may.", False)]
    champion: PerhapsABundle
    reasons: Reasons
    days: Annotated[int, said("Local days that both forecast.", 74)]
    forced: Annotated[str, said("Why it was promoted against the verdict; empty: it was not.", "")]


class ModelSummary(Struct, frozen=True):
    """One model file that is registered."""

    version: Annotated[str, said("Id of the model file.", A_VERSION)]
    meter: MeterId
    task: TaskName
    family: Family
    role: Annotated[
        Literal["champion", "challenger", "previous", "candidate", "family"],
        said("What it is; candidate: the last that applied for the champion's place; family: answers where it is asked for.", "champion"),
    ]
    champion: Annotated[bool, said("Whether it is the one that answers where no family is asked for.", True)]
    vetoed: Annotated[
        list[str],
        said("Why it does not answer; empty where it may.", ["from history, daily_naive has MAE 0.1000 kW, the family 0.2000"]),
    ]
    loaded: Annotated[bool, said("Whether its file is open, so that it can answer.", True)]
    trained_at: Annotated[str, said("When it was trained. ISO 8601, in UTC.", "2026-11-24T20:58:00+00:00")]
    scores: Annotated[list[ModelScore], Meta(description="By what the model answers from.")]
    verdict: Annotated[Judged | None, Meta(description="What was made of it when it applied for the champion's place; null: it did not.")]


class Models(Struct, frozen=True):
    """Every registered model."""

    serial: Annotated[int, said("Rises with every registration.", 2)]
    models: Annotated[list[ModelSummary], Meta(description="Those that the key may see.")]


class ModelDetails(Struct, frozen=True):
    """One model: what it was trained on, what it looks at, and what that is worth to it."""

    model: Annotated[ModelSummary, Meta(description="The model and its scores.")]
    trained_by: Annotated[str, said("Who trained it.", "anna")]
    revision: Annotated[str, said("Git revision that it was trained at; empty where there is none.", "67f8a6c")]
    training_start: Annotated[str, told("Start of the readings that it was trained on; null: it is not loaded")] | None
    training_end: Annotated[str, told("End of the readings that it was trained on; null: it is not loaded")] | None
    features: Annotated[
        dict[str, list[str]],
        said("Names of the features, by what the model answers from.", {"history": ["lead", "power_kw[-0]", "days1", "hour"]}),
    ]
    importances: Annotated[
        dict[str, dict[str, float]],
        said(
            "By how much the MAE grows where a feature is shuffled, by what the model answers from.",
            {"history": {"power_kw[-0]": 0.21, "hour": 0.08}},
            "kW",
        ),
    ]


class Moved(Struct, frozen=True):
    """What a change did to one task of a meter, or to a name."""

    task: Annotated[str, said("Forecast task; empty where a name was given.", "day_ahead")]
    meter: Annotated[str, said("Meter id; empty where a name was given.", "house")]
    before: PerhapsABundle
    after: PerhapsABundle
    reasons: Reasons


class Changed(Struct, frozen=True):
    """One change of what serves."""

    serial: Annotated[int, said("Of the serving manifest that it led to.", 7)]
    action: Annotated[Literal["register", "promote", "rollback", "retire", "challenge", "name", "sign"], said("What was done.", "promote")]
    at: Annotated[str, said("When. ISO 8601, in UTC.", "2026-11-24T20:58:00+00:00")]
    by: Annotated[str, said("Who did it.", "anna")]
    why: Annotated[str, said("Why, where somebody said so.", "a drill")]
    moves: Annotated[list[Moved], Meta(description="What it did to each task that the key may see.")]


class Changes(Struct, frozen=True):
    """The latest changes of what serves."""

    changes: Annotated[list[Changed], Meta(description="Those about what the key may see, the latest first.")]


class Refreshed(Struct, frozen=True):
    """What this process answers from after a look into the model store."""

    serial: Annotated[int, said("Of the serving manifest that it answers from.", 7)]
    swapped: Annotated[bool, said("Whether models changed by this look.", True)]
    held_back: Annotated[
        dict[str, str],
        said("Task and meter whose published champion is refused, and why; who answered before still does.", {}),
    ]
    fault: Annotated[str, said("Why not all that is published serves; empty where it does.", "")]
