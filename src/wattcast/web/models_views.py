"""What the page of models says, as plain values for its template: roles, accuracy on what came, verdict, history. No request, no clock."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from wattcast.forecasting.baselines import TITLES
from wattcast.forecasting.changes import Change, Move
from wattcast.forecasting.families import family_of
from wattcast.forecasting.forecast import TIERS
from wattcast.forecasting.promotion import Verdict
from wattcast.forecasting.registry import Record, Slot
from wattcast.forecasting.windows import Errors
from wattcast.meter.clock import DAY_S
from wattcast.monitoring.accuracy import EVERY_LEAD, Accuracy
from wattcast.serving import ForecastService
from wattcast.web import views
from wattcast.web.looking_back import LookedBack, roles_of

DIGITS = 12
_ACTIONS = {
    "register": "trained and registered",
    "promote": "promoted",
    "rollback": "rolled back",
    "retire": "retired",
    "challenge": "changed who challenges",
    "name": "named",
    "sign": "signed anew",
}
_SIDES = ("candidate", "champion", "baseline")

Records = Mapping[str, Record]


@dataclass(frozen=True)
class RoleLine:
    """One model of a task: what it is, who trained it when and from what, and what keeps it from answering, empty where nothing does."""

    roles: tuple[str, ...]
    version: str
    title: str
    trained: str
    by: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class CameLine:
    """How good one forecaster was on the readings that came, or a baseline on the very same intervals."""

    name: str
    version: str
    tier: str
    n: str
    mae: float
    rmse: float
    bias: float | None
    held: str
    skill: str
    promised: str
    rest: str
    baseline: bool = False


@dataclass(frozen=True)
class CameTable:
    """The forecasters of one window, each with its baselines; `rest`: what could not be scored of those that are not in it."""

    title: str
    lines: tuple[CameLine, ...]
    rest: tuple[str, ...]


@dataclass(frozen=True)
class VerdictView:
    """The verdict on a candidate in words, and its errors beside the champion's and the best baseline's on the same rows."""

    candidate: str
    champion: str
    promote: bool
    forced: str
    reasons: tuple[str, ...]
    span: str
    sides: tuple[str, ...]
    baseline: str
    rows: tuple[tuple[str, int, tuple[Errors, ...]], ...]


@dataclass(frozen=True)
class HistoryLine:
    """One change: when, who, what, why, and what it did to each task of the meter."""

    serial: int
    at: str
    by: str
    what: str
    why: str
    moves: tuple[tuple[str, str, str, tuple[str, ...]], ...]


def role_lines(service: ForecastService, slot: Slot, records: Records, zone: str) -> list[RoleLine]:
    """Every model of a slot, champion first."""
    vetoed = {slot.families[family]: why for family, why in slot.vetoed.items() if family in slot.families}
    lines = []
    for bundle, roles in roles_of(slot).items():
        record = records.get(bundle)
        trained = views.trained(record, service.trained_on(bundle), zone) if record else "not known: its record cannot be read"
        by = "" if record is None else record.trained_by + (f", from revision {record.revision[:DIGITS]}" if record.revision else "")
        notes = [f"Vetoed: {vetoed[bundle]}."] if bundle in vetoed else []
        notes += [f"Not loaded: {service.refused[bundle]}."] if bundle in service.refused else []
        if bundle == slot.challenger:
            notes.append(f"Answers on {slot.share:.0%} of the days.".replace("%", " %") if slot.share else "Forecasts in the shadow.")
        title = family_of(record.family).title if record else "A model"
        lines.append(RoleLine(roles, bundle[:DIGITS], title, trained, by, tuple(notes)))
    return lines


def came_tables(back: LookedBack, records: Records) -> list[CameTable]:
    """How good every forecaster was at every lead, in the order of the roles; a table for each window that says something else."""
    order = {bundle: number for number, bundle in enumerate(roles_of(back.slot))}
    whole = sorted((one for one in back.found if one.leads == EVERY_LEAD), key=lambda one: order.get(one.who.version, len(order)))
    windows: dict[tuple[tuple[CameLine, ...], tuple[str, ...]], list[str]] = {}
    for window_s in sorted({one.window_s for one in whole}):
        own = [one for one in whole if one.window_s == window_s]
        lines = tuple(line for one in own for line in _came_lines(one, records))
        rest = tuple(f"{_called(one)}: {not_scored(one)}." for one in own if one.score is None)
        windows.setdefault((lines, rest), []).append(str(window_s // DAY_S))
    return [CameTable(f"{' and '.join(days)} days", *said) for said, days in windows.items()]


def not_scored(one: Accuracy) -> str:
    """How many intervals were forecast and could not be scored, and what is missing; empty where none is."""
    counts = (
        (one.waiting, "waits for its reading", "wait for their readings"),
        (one.missing, "was never measured", "were never measured"),
        (one.alone, "has no baseline to stand beside", "have no baseline to stand beside"),
    )
    said = [f"{count:,} forecast{'' if count == 1 else 's'} {single if count == 1 else many}" for count, single, many in counts if count]
    return ", ".join(said)


def _called(one: Accuracy) -> str:
    return " ".join(word for word in (one.who.model, one.who.version[:DIGITS], f"({TIERS.get(one.who.tier, one.who.tier)})") if word)  # type: ignore[call-overload]


def _came_lines(one: Accuracy, records: Records) -> Iterator[CameLine]:
    """A forecaster and then its baselines; nothing where no interval could be scored."""
    score = one.score
    if score is None:
        return
    record = records.get(one.who.version)
    promised = next(iter(record.tests.values()), None) if record else None
    yield CameLine(
        name=one.who.model,
        version=one.who.version[:DIGITS],
        tier=one.who.tier,
        n=f"{score.n:,}",
        mae=score.mae,
        rmse=score.rmse,
        bias=one.bias,
        held=views.held_in_words(score),
        skill=views.skill_in_words(score),
        promised=f"{promised.mae:.4f} / {promised.rmse:.4f}" if promised else "",
        rest=not_scored(one),
    )
    for name, errors in score.baselines.items():
        yield CameLine(TITLES[name], "", "", f"{score.n:,}", errors["mae"], errors["rmse"], None, "", "", "", "", baseline=True)


def latest_verdict(records: Iterable[Record]) -> Verdict | None:
    """The verdict on the model that was trained last, of those that applied for the champion's place."""
    judged = sorted((record for record in records if record.verdict), key=lambda record: record.trained_at)
    return judged[-1].verdict if judged else None


def verdict_view(verdict: Verdict, zone: str) -> VerdictView:
    """The verdict with its figures: all rows, each group of leads, each season."""
    span = ""
    if verdict.windows:
        first, end = (views.local(instant, zone) for instant in verdict.windows)
        span = f"{verdict.days} days were compared, {first} to {end}."
    sides = tuple(side for side in _SIDES if side in verdict.by.get("all", {}))
    rows = tuple((part, errors[sides[0]].n, tuple(errors[side] for side in sides)) for part, errors in verdict.by.items())
    ids, baseline = (verdict.candidate[:DIGITS], verdict.champion[:DIGITS]), TITLES.get(verdict.baseline, verdict.baseline)
    return VerdictView(*ids, verdict.promote, verdict.forced, verdict.reasons, span, sides, baseline, rows)


def history_lines(changes: Iterable[Change], sees: Callable[[Move], bool], zone: str, *, whole: bool) -> list[HistoryLine]:
    """The changes that did something of what `sees` lets through; where `whole`, those too that are about no slot."""
    lines = []
    for change in changes:
        told = (move for move in change.moves if sees(move) and (move.before or move.after or move.reasons))
        moves = tuple(_move(move) for move in told)
        if moves or (whole and not change.moves):
            what = _ACTIONS.get(change.action, change.action)
            lines.append(HistoryLine(change.serial, views.local_of(change.at, zone), change.by, what, change.why, moves))
    return lines


def _move(move: Move) -> tuple[str, str, str, tuple[str, ...]]:
    before, after = (bundle[:DIGITS] or "none" for bundle in (move.before, move.after))
    return views.task_title(move.task) if move.task else "", before, after, move.reasons
