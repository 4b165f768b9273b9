"""Why a forecast is what it is: its mean taken apart into what each kind of knowledge adds, in kW, by the models' own contributions.

Trees and lines are additive: what every feature adds and a base value sum to what the head answers. No answer needs any of this: the
families load their libraries only when they are asked here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from wattcast.errors import BadBundle, NotEnoughHistory, Unavailable
from wattcast.forecasting.bundle import Bundle
from wattcast.forecasting.families import Matrix, Parts, family_of, learner_keys, learner_of
from wattcast.forecasting.features import Features, build_features
from wattcast.forecasting.heads import disagreement
from wattcast.forecasting.model import ModelFacts
from wattcast.forecasting.spec import FeatureSpec
from wattcast.forecasting.star import for_meter
from wattcast.meter.clock import DAY_S, HOUR_S
from wattcast.meter.table import MeterTable

_LAST_READING, _USUAL_DAY, _BASE = "the last reading", "the usual day", "base"
_MINUTES, _HOURS, _YESTERDAY, _WEEK, _EARLIER = "last minutes", "last hours", "yesterday", "last week", "earlier weeks"
_CALENDAR, _KNOWN, _RAISED = "calendar", "weather and plans", "raised to zero"
STARTS = (_LAST_READING, _USUAL_DAY, _BASE)
GROUPS = (*STARTS, _MINUTES, _HOURS, _YESTERDAY, _WEEK, _EARLIER, _CALENDAR, _KNOWN, _RAISED)

# How far back a feature reaches, at the end of its name: in steps from the origin, in days or hours from the target.
_STEPS_BACK = re.compile(r"(?:\[-|mean|spread|min|max|change|count)(\d+)\]?$")
_DAYS_BACK = re.compile(r"(?:hours(?P<hours>\d+)|(?:days(?:\d+to)?|kind)(?P<days>\d+))(?:by\d+)?(?:~\d+)?(?:/[^/]+)?$")

_INSTALL = 'to take a forecast apart, install the libraries that trained it: pip install "wattcast[explain]"'
_AGAIN = "run the pipeline again (make run)"


@dataclass(frozen=True, eq=False)
class Contributions:
    """What each group adds to the mean forecast: its name -> kW of every step, shape (steps,), in the order of GROUPS.

    They sum to the mean that is given out: where the meter measures consumption a mean just below zero is raised to zero, which is a
    group of its own. Of STARTS the model starts; the others move it up (above 0) or down.
    """

    groups: Mapping[str, Parts]

    @property
    def mean(self) -> Parts:
        """The sum of all groups: the mean forecast of every step, kW, shape (steps,)."""
        return np.asarray(np.sum(list(self.groups.values()), axis=0), dtype=np.float64)

    def to_json(self) -> dict[str, Any]:
        """The groups as programs read them: a list of kW, a number per step, for each."""
        return {"unit": "kW", "groups": {name: (parts.round(6) + 0.0).tolist() for name, parts in self.groups.items()}}


def explain(bundle: Bundle, table: MeterTable, row: int, yearly_kwh: float | None = None) -> Contributions:
    """What stands behind the mean forecast from the origin at the start of `row` of the table, of the model that answers there.

    bundle: opened with its native files. row: may lie beyond the table, whose last rows are then not measured. yearly_kwh: as the forecast
    was asked for with. Raises NotEnoughHistory where no model can answer, Unavailable where a family's library is missing, BadBundle where
    the parts do not sum to the mean.
    """
    table = _before(table, row)
    model = next((model for model in bundle.models if model.can_answer(table, row)), None)
    if model is None:
        facts = bundle.manifest.models[-1]
        raise NotEnoughHistory(facts.needs(family_of(bundle.manifest.family).title), "give more readings before the origin")
    model = for_meter(model, table.meter, yearly_kwh)
    features = build_features(table, np.array([row]), model.facts.spec)
    why = _grouped(_parts(bundle, model.facts, features.matrix), features, model.facts.spec)
    mean, _ = model.predict(features)
    if furthest := disagreement(why.mean, mean):
        raise BadBundle(f"the parts of bundle {bundle.id[:12]} miss its mean forecast by {furthest:.2g} kW", _AGAIN)
    return _given_out(why) if table.meter.flow == "consumption" else why


def _given_out(why: Contributions) -> Contributions:
    """With what raises a mean below zero to zero, where there is one."""
    raised = np.maximum(-why.mean, 0.0)
    return Contributions({**why.groups, _RAISED: raised}) if raised.any() else why


def unexplained(model: str) -> dict[str, Any]:
    """What is said in place of contributions where no model answered but a baseline or the typical day, called `model`."""
    return {"unit": "kW", "groups": {}, "reason": f"no model answered but {model}: there is nothing to take apart"}


def feature_groups(spec: FeatureSpec) -> tuple[str, ...]:
    """The group of every feature, in the order of `spec.names`.

    A window and a mean over days belong to the farthest moment that they reach; an event and a state to the present, for they tell since
    when the load is what it is.
    """

    def names(**parts: Any) -> set[str]:
        return set(replace(spec, **({"recent": (), "seasonal": (), "known": (), "calendar": ()} | parts)).names)

    of_no_part = names()
    groups = dict.fromkeys(names(calendar=spec.calendar), _CALENDAR) | {"measured_days": _EARLIER}
    groups |= {name: _group_of_recent(name, spec.step_s) for name in names(recent=spec.recent) - of_no_part}
    groups |= {name: _group_of_seasonal(name) for name in names(seasonal=spec.seasonal) - of_no_part}
    groups |= dict.fromkeys(names(known=spec.known) - of_no_part, _KNOWN)
    return tuple(groups[name] for name in spec.names)


def _group_of_recent(name: str, step_s: int) -> str:
    found = _STEPS_BACK.search(name)
    span_s = int(found[1]) * step_s if found else 0
    if span_s <= HOUR_S and step_s < HOUR_S:
        return _MINUTES
    return _HOURS if span_s <= DAY_S else _group_of_days(span_s / DAY_S)


def _group_of_seasonal(name: str) -> str:
    found = _DAYS_BACK.search(name)
    if found is None:
        return _EARLIER
    return _group_of_days(float(found["days"]) if found["days"] else float(found["hours"]) * HOUR_S / DAY_S)


def _group_of_days(days: float) -> str:
    if days < 1:
        return _HOURS
    return _YESTERDAY if days < 2 else _WEEK if days <= 7 else _EARLIER


def _before(table: MeterTable, row: int) -> MeterTable:
    """The rows before `row`; those that the table lacks at its end as not measured."""
    missing = row - len(table)
    if missing <= 0:
        return table.rows(0, row)
    power, *others = (np.pad(values, (0, missing), constant_values=np.nan) for values in table.columns().values())
    return MeterTable(table.meter, table.start_s, table.step_s, power, dict(zip(table.covariates, others, strict=True)), table.known)


def _parts(bundle: Bundle, facts: ModelFacts, matrix: Matrix) -> Parts:
    """What every feature adds to the mean head, and last the base value, shape (rows, features + 1): of a blend the mean of its members.

    A member's native files lie in a folder of its family's key, those of a family alone beside the graph.
    """
    parts = []
    for name in facts.native:
        *folders, file = name.removeprefix(f"{facts.name}/").split("/")
        if file.partition(".")[0] == "mean":
            parts.append(_parts_of_member(folders[0] if folders else bundle.manifest.family, bundle.members[name], matrix))
    if not parts:
        raise BadBundle(f"bundle {bundle.id[:12]} has no mean head in its library's own format", _AGAIN)
    return np.asarray(np.mean(parts, axis=0), dtype=np.float64)


def _parts_of_member(key: str, native: bytes, matrix: Matrix) -> Parts:
    if key not in learner_keys():
        raise BadBundle(f'"{key}" is no family that can be taken apart; known: {", ".join(learner_keys())}', _AGAIN)
    learner = learner_of(key)
    try:
        parts = learner.contributions(native, matrix)
    except (ImportError, OSError) as cause:  # a library whose own parts are missing is an OSError
        raise Unavailable(f"{learner.title} cannot be taken apart here ({cause})", _INSTALL) from cause
    except Exception as cause:  # the libraries have no common base class for what they raise
        said = " ".join(str(cause).split())[:200]
        raise BadBundle(f"{learner.title} cannot read its own mean head ({said})", _AGAIN) from cause
    if parts.shape != (len(matrix), matrix.shape[1] + 1):
        raise BadBundle(f"the mean head of {learner.title} takes {parts.shape[1] - 1} features, its spec makes {matrix.shape[1]}", _AGAIN)
    return parts


def _grouped(parts: Parts, features: Features, spec: FeatureSpec) -> Contributions:
    of_feature = np.array([*feature_groups(spec), _BASE])
    in_kw = parts * features.scale_kw[:, None].astype(np.float64)
    sums = {name: in_kw[:, of_feature == name].sum(axis=1) for name in GROUPS if (of_feature == name).any()}
    start = {"change": _LAST_READING, "deviation": _USUAL_DAY}.get(spec.target)
    return Contributions(({start: features.base_kw.astype(np.float64)} if start else {}) | sums)
