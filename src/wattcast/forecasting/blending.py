"""The blend: the plain mean of trained families as one more bundle, of those families whose mean was best on the rows held out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

from wattcast.errors import BadBundle
from wattcast.forecasting.backtest import Learn, Predict
from wattcast.forecasting.bundle import Bundle
from wattcast.forecasting.families import BLEND, Progress
from wattcast.forecasting.features import Features
from wattcast.forecasting.graph import from_onnx, mean_of, to_onnx
from wattcast.forecasting.heads import Heads, disagreement
from wattcast.forecasting.metrics import Scored, score
from wattcast.forecasting.model import Model
from wattcast.forecasting.spec import FeatureSpec
from wattcast.forecasting.tasks import ModelPlan
from wattcast.forecasting.training import Recipe, Trained, TrainedModel, calibrated, fit, packed, part, predictor, train_model
from wattcast.meter.table import MeterTable

Array = npt.NDArray[np.float32]


def models_of(bundle: Bundle, held_out: Mapping[str, Scored]) -> list[TrainedModel]:
    """The models of a bundle that was opened with its native files, with what each forecast of the rows held out."""
    library = ("numpy", bundle.manifest.versions["numpy"])
    return [
        TrainedModel(facts, {name: bundle.members[name] for name in (facts.graph, *facts.native)}, held_out[facts.name], library)
        for facts in bundle.manifest.models
    ]


def blend(members: Mapping[str, Bundle], held_out: Mapping[str, Mapping[str, Scored]], known: MeterTable) -> Trained | str:
    """The blend of the best two or more of these families, or a sentence on why there is none: a family alone was as good.

    members: by family, bundles of one task, opened with their native files; held_out: by family and model; known: the training span
    that all of them share. Raises BadBundle where the merged heads do not give the mean of the members'.
    """
    models = {key: models_of(bundle, held_out[key]) for key, bundle in members.items()}
    best = best_members({key: own[0].held_out for key, own in models.items()})
    if len(best) < 2:
        return f"no mean of families did better than {best[0]} alone on the rows held out"
    manifest = members[best[0]].manifest
    built = [merged({key: models[key][number] for key in best}) for number in range(len(manifest.models))]
    params = {"members": {key: members[key].id for key in best}}
    return packed(known, built, manifest.task, BLEND.key, manifest.baselines, params)


def best_members(held_out: Mapping[str, Scored]) -> tuple[str, ...]:
    """The families whose mean did best on the rows held out, which are the same for all of them."""
    choices = [keys for count in range(1, len(held_out) + 1) for keys in combinations(held_out, count)]
    error = {keys: score(mean_forecast([held_out[key] for key in keys])).relative_error for keys in choices}
    return min(error, key=lambda keys: error[keys])


def mean_forecast(rows: list[Scored]) -> Scored:
    """The plain mean of what several forecasters said of the same rows."""
    return replace(rows[0], mean=_mean([each.mean for each in rows]), quantiles=_mean([each.quantiles for each in rows]))


def calibrated_families(plan: ModelPlan, spec: FeatureSpec, recipes: Mapping[str, Recipe], progress: Progress) -> Learn:
    """A learner of these families and their blend as they ship: validated, calibrated on rows held out, blended where that did better."""

    def learn(known: MeterTable) -> Mapping[str, Predict]:
        models = {
            key: train_model(known, plan, spec, recipe, part(progress, number, len(recipes)))
            for number, (key, recipe) in enumerate(recipes.items())
        }
        members = best_members({key: model.held_out for key, model in models.items()})
        blended = merged({key: models[key] for key in members}) if len(members) > 1 else models[members[0]]
        threads = next(iter(recipes.values())).threads
        return {
            key: Model(model.facts, Heads(model.members[model.facts.graph], threads=threads)).predict
            for key, model in {**models, BLEND.key: blended}.items()
        }

    return learn


def plain_families(spec: FeatureSpec, recipes: Mapping[str, Recipe], members: tuple[str, ...], progress: Progress) -> Learn:
    """A learner of these families without calibration, and of the mean of `members`: for means and medians, which it leaves alone."""

    def learn(known: MeterTable) -> Mapping[str, Predict]:
        predictors = {}
        for number, (key, recipe) in enumerate(recipes.items()):
            fitted = fit(known, spec, recipe, recipe.effort.max_rows, part(progress, number, len(recipes)))
            predictors[key] = predictor(fitted, spec, recipe.threads)
        return {**predictors, BLEND.key: _mean_predictor([predictors[key] for key in members])}

    return learn


def _mean_predictor(predictors: list[Predict]) -> Predict:
    def predict(features: Features) -> tuple[Array, Array]:
        said = [predict(features) for predict in predictors]
        return _mean([mean for mean, _ in said]), _mean([quantiles for _, quantiles in said])

    return predict


def merged(members: Mapping[str, TrainedModel]) -> TrainedModel:
    """One model whose heads are the means of the members' heads, calibrated anew on the rows held out."""
    facts = next(iter(members.values())).facts
    graphs = [model.members[facts.graph] for model in members.values()]
    graph = to_onnx(mean_of([from_onnx(data) for data in graphs]), len(facts.spec.names))
    _refuse_disagreement(graph, graphs)
    native = {
        f"{facts.name}/{key}/{name.removeprefix(f'{facts.name}/')}": model.members[name]
        for key, model in members.items()
        for name in model.facts.native
    }
    rows = mean_forecast([model.held_out for model in members.values()])
    return calibrated(facts.name, facts.least_readings, facts.spec, rows, graph, native, ("numpy", np.__version__))


def _mean(arrays: list[Array]) -> Array:
    return np.asarray(np.mean(np.stack(arrays), axis=0, dtype=np.float64), dtype=np.float32)


def _refuse_disagreement(graph: bytes, graphs: list[bytes]) -> None:
    """Raise BadBundle unless the graph gives the mean of these, on rows that sit on the trees' own thresholds among them."""
    heads = [Heads(data) for data in graphs]
    trees = from_onnx(graph).trees
    chance = np.random.default_rng(0)
    rows = chance.normal(0, 1, (2_000, heads[0].features)).astype(np.float32)
    if trees is not None and len(trees.feature):
        for _ in range(heads[0].features):
            drawn = chance.integers(0, len(trees.feature), len(rows))
            rows[np.arange(len(rows)), trees.feature[drawn]] = trees.threshold[drawn]
    if furthest := disagreement(_mean([head(rows) for head in heads]), Heads(graph)(rows)):
        raise BadBundle(f"the blend and the mean of its members differ by {furthest:.2g} kW", "report it with the library versions")
