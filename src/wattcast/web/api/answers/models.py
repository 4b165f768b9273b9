"""Models as types of the API: what each was worth beside its baselines, and what it looks at."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from wattcast.web.api.words import A_VERSION, Family, Mae, MeterId, Rmse, TaskName, said, told


class Errors(Struct, frozen=True):
    """Errors of one forecaster."""

    mae: Mae
    rmse: Rmse


class ModelScore(Struct, frozen=True):
    """What a model was worth on readings that no choice had seen, beside its baselines on the same rows."""

    inputs: Annotated[str, said("What the model answers from.", "history")]
    rows: Annotated[int, said("How many forecast steps were scored.", 8640)]
    mae: Mae
    rmse: Rmse
    coverage: Annotated[float, said("Share of actuals inside the outermost interval.", 0.79)]
    nominal: Annotated[float, said("What that share should be.", 0.8)]
    skill: Annotated[dict[str, float | None], said("1 - error / error of the best baseline.", {"mae": 0.13, "rmse": 0.19})]
    baselines: Annotated[
        dict[str, Errors], said("Errors of each baseline, by its name.", {"persistence": {"mae": 0.474, "rmse": 0.763}}, "kW")
    ]


class ModelSummary(Struct, frozen=True):
    """One model file that is registered."""

    version: Annotated[str, said("Id of the model file.", A_VERSION)]
    meter: MeterId
    task: TaskName
    family: Family
    champion: Annotated[bool, said("Whether it is the one that answers where no family is asked for.", True)]
    vetoed: Annotated[
        list[str],
        said("Why it does not answer; empty where it may.", ["from history, daily_naive has MAE 0.1000 kW, the family 0.2000"]),
    ]
    loaded: Annotated[bool, said("Whether its file could be opened.", True)]
    trained_at: Annotated[str, said("When it was trained. ISO 8601, in UTC.", "2026-11-24T20:58:00+00:00")]
    scores: Annotated[list[ModelScore], Meta(description="By what the model answers from.")]


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


class Refreshed(Struct, frozen=True):
    """What this process answers from after a look into the model store."""

    serial: Annotated[int, said("Of the serving manifest that it answers from.", 7)]
    swapped: Annotated[bool, said("Whether models changed by this look.", True)]
    held_back: Annotated[
        dict[str, str],
        said("Task and meter whose published champion is refused, and why; who answered before still does.", {}),
    ]
    fault: Annotated[str, said("Why not all that is published serves; empty where it does.", "")]
