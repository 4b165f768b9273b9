"""May a newly trained bundle take over from the champion that serves? Both forecast the same windows, beside the baselines.

The richest model of each is judged, on readings that neither was trained on; docs/decisions/0022 says why like this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from wattcast.errors import BadBundle, BadRequest
from wattcast.forecasting.backtest import Frame, Predict, origins_within, scored
from wattcast.forecasting.baselines import residual_spread
from wattcast.forecasting.bundle import Bundle
from wattcast.forecasting.lookback import available_columns
from wattcast.forecasting.metrics import Scored, score
from wattcast.forecasting.spec import FeatureSpec
from wattcast.forecasting.windows import LEAST_DAYS, Errors, Windows, same_rows
from wattcast.meter.table import MeterTable

# Of more forecasts, these many from evenly spread origins: the judgement takes seconds, and days are what it counts.
_MOST_FORECASTS = 100_000
_MORE = "wait for more readings, or use --force with a reason"


@dataclass(frozen=True)
class Unusable:
    """A champion whose file is refused: its id, and why."""

    id: str
    why: str


@dataclass(frozen=True)
class Verdict:
    """Whether the candidate takes over from the champion (bundle ids; "" for no champion), and why, in sentences.

    days: local days that were compared; windows: from the first target to the end of the last, UTC epoch seconds; baseline: the best
    one there; by: "all", each group of leads and each season -> "candidate", "champion", "baseline" -> errors. forced: the reason of
    whoever promoted the candidate against the verdict.
    """

    promote: bool
    candidate: str
    champion: str
    reasons: tuple[str, ...]
    days: int = 0
    windows: tuple[int, int] | None = None
    baseline: str = ""
    by: Mapping[str, Mapping[str, Errors]] = field(default_factory=dict)
    forced: str = ""

    def force(self, why: str) -> Verdict:
        """The verdict of somebody who promotes the candidate all the same. Raises BadRequest without a reason, which is kept."""
        if not why.strip():
            raise BadRequest("a candidate is not forced without a reason", "say why: --force REASON")
        return replace(self, promote=True, forced=why.strip())


def judge(candidate: Bundle, champion: Bundle | Unusable | None, table: MeterTable, first_test: int) -> Verdict:
    """Whether the candidate may take over: no harm in MAE, pinball loss and coverage, a gain in one, and no baseline at least as good.

    table: the meter's readings; first_test: the row from which the candidate was not trained on them. Without a champion that can be
    compared, beating the baselines is enough. Raises BadBundle where the candidate's own graphs are refused.
    """
    identity = champion.id if champion is not None else ""
    if identity == candidate.id:
        return Verdict(promote=False, candidate=candidate.id, champion=identity, reasons=("It is the champion already.",))
    alone = "There is no champion." if champion is None else _incomparable(candidate, champion, table)
    against = champion if isinstance(champion, Bundle) and not alone else None
    return verdict(same_windows(candidate, against, table, first_test), candidate.id, identity, alone)


def verdict(windows: Windows, candidate: str, champion: str, alone: str) -> Verdict:
    """The verdict that these rows lead to. candidate, champion: bundle ids; alone: why there is no champion to compare with."""
    promote, reasons = _decided(windows, alone)
    target_s = windows.candidate.target_s
    return Verdict(
        promote=promote,
        candidate=candidate,
        champion=champion,
        reasons=tuple(reasons),
        days=windows.days,
        windows=(int(target_s.min()), int(target_s.max()) + windows.step_s) if target_s.size else None,
        baseline=windows.baseline if target_s.size else "",
        by=windows.errors(),
    )


def _decided(windows: Windows, alone: str) -> tuple[bool, list[str]]:
    rows, days = windows.candidate, windows.days
    where = f"{len(rows.actual):,} forecasts of {days} days"
    if days == 0:
        return False, [f"There is no target with a reading, every forecast and every baseline: {_MORE}."]
    if losing := score(rows).losing_to():
        return False, [f"It loses to a baseline on {where}: {'; '.join(losing)}."]
    if windows.champion is None:
        return True, [alone, f"It beats every baseline on {where}."]
    if days < LEAST_DAYS:
        return False, [f"{days} days can be compared with the champion, {LEAST_DAYS} are needed: {_MORE}."]
    return _weighed(windows, where)


def _weighed(windows: Windows, where: str) -> tuple[bool, list[str]]:
    """What the paired test makes of candidate and champion: first the sentence that decides, then every figure."""
    measures, harms = windows.compared(), windows.harms()
    said = [f"{measure.in_words(where)}." for measure in measures] + [f"Harm in {name}: {harm}." for name, harm in harms.items()]
    harmed = [measure.name for measure in measures if not measure.harmless]
    gained = [measure.name for measure in measures if measure.gained]
    if harmed:
        return False, [f"The champion stays: harm in {_listed(harmed)} is not ruled out.", *said]
    if harms:
        return False, [f"The champion stays: there is harm in {_listed(list(harms))}.", *said]
    if not gained:
        return False, ["The champion stays: no gain is shown.", *said]
    return True, [f"The candidate takes over: no harm, and a gain in {_listed(gained)}.", *said]


def same_windows(candidate: Bundle, champion: Bundle | None, table: MeterTable, first_test: int) -> Windows:
    """What both forecast from the same origins, none of them before the end of the readings that either was trained on."""
    rivals = [bundle for bundle in (candidate, champion) if bundle is not None]
    manifest, spec = candidate.manifest, candidate.models[0].facts.spec
    trained_until = max(bundle.manifest.train_end_s for bundle in rivals)
    first = max(first_test, -(-(trained_until - table.start_s) // table.step_s))
    longest = max((bundle.models[0].facts.spec for bundle in rivals), key=lambda spec: spec.last_lead)
    origins = origins_within(table, longest, first, len(table), max(_MOST_FORECASTS // longest.last_lead, 1))
    by_spec: dict[FeatureSpec, dict[str, Predict]] = {}
    for bundle in rivals:
        by_spec.setdefault(bundle.models[0].facts.spec, {})[bundle.id] = bundle.models[0].predict
    rows: dict[str, Scored] = {}
    for own, predictors in by_spec.items():
        rows |= scored(predictors, table, origins, Frame(own, manifest.baselines, manifest.levels))
    ours, theirs = same_rows(rows[candidate.id], rows[rivals[-1].id])
    spread = residual_spread(table.rows(0, first_test), spec, manifest.baselines, manifest.levels)
    return Windows(ours, theirs if champion is not None else None, spread, table.meter.zone, table.step_s)


def _incomparable(candidate: Bundle, champion: Bundle | Unusable, table: MeterTable) -> str:
    """Why the champion cannot forecast what the candidate does, or an empty string."""
    why = champion.why if isinstance(champion, Unusable) else _unlike(candidate, champion, table)
    return f"The champion {champion.id[:12]} cannot be compared: {why}." if why else ""


def _unlike(candidate: Bundle, champion: Bundle, table: MeterTable) -> str:
    ours, theirs = candidate.manifest, champion.manifest
    spec = theirs.models[0].spec
    if theirs.step_s != table.step_s:
        return f"it works at {theirs.step_s} s, these readings are at {table.step_s} s"
    if theirs.levels != ours.levels:
        return f"its quantiles are {', '.join(map(str, theirs.levels))}, the candidate's {', '.join(map(str, ours.levels))}"
    if spec.gate_s != ours.models[0].spec.gate_s:
        return "it forecasts from another time of day"
    read = {*(part.column for part in spec.recent), *(part.column for part in spec.seasonal)} - available_columns(set(table.columns()))
    if missing := sorted(read | {part.column for part in spec.known} - table.known.keys()):
        return f"it needs {', '.join(missing)}, which these readings do not have"
    try:
        return "" if champion.models else "it has no model"
    except BadBundle as refusal:
        return refusal.message


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
