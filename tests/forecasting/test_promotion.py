"""Who takes over from the champion: who is surely no worse and surely better, on windows that neither was trained on."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import tiny
from pydantic import TypeAdapter
from pydantic_core import to_json
from rivals import Rival, judged, windows

from wattcast.errors import BadRequest
from wattcast.forecasting.bundle import Bundle, open_bundle
from wattcast.forecasting.promotion import Unusable, Verdict, judge, same_windows, verdict
from wattcast.forecasting.windows import same_rows
from wattcast.meter.table import MeterTable

LIKE, MUCH_LIKE = {"shared": 0.995}, {"shared": 0.9999}
FIRST_TEST = 100 * 24


@cache
def table() -> MeterTable:
    """A hundred and thirty days of hours."""
    return tiny.hour_table(days=130)


@cache
def trained(family: str = "xgb", days: int = 100, horizon: int = 24, levels: tuple[float, ...] = tiny.LEVELS) -> bytes:
    """A bundle that learned from the first so many days."""
    recipe = tiny.recipe("day_ahead", family, levels=levels)
    return tiny.train(table(), days * 24, replace(recipe, task=replace(recipe.task, horizon=horizon)), lambda _: None).data


def opened(family: str = "xgb", days: int = 100, horizon: int = 24, levels: tuple[float, ...] = tiny.LEVELS) -> Bundle:
    """The same, opened anew."""
    return open_bundle(trained(family, days, horizon, levels))


def test_a_better_one_takes_over() -> None:
    """Ten percent smaller errors: every measure has its sentence with figures, and the table holds everybody."""
    found = judged(Rival(scale=0.9), Rival(), **LIKE)
    assert found.promote
    assert found.reasons[0].startswith("The candidate takes over: no harm, and a gain in MAE and pinball loss")
    assert "MAE 0.3" in found.reasons[1]
    assert "on the same 2,880 forecasts of 120 days: better (the difference lies below -0.0" in found.reasons[1]
    assert (found.days, found.windows, found.baseline) == (120, (1_262_304_000, 1_262_304_000 + 120 * 86_400), "persistence")
    assert list(found.by) == ["all", "lead 1", "leads 2-6", "leads 7-12", "leads 13-24", "winter", "spring"]
    assert sum(found.by[season]["champion"].n for season in ("winter", "spring")) == found.by["all"]["champion"].n == 2_880
    everybody = found.by["all"]
    assert everybody["candidate"].mae < everybody["champion"].mae < everybody["baseline"].mae
    assert everybody["baseline"].coverage == pytest.approx(0.8, abs=0.03)


@pytest.mark.parametrize(
    ("candidate", "first", "worse"),
    [
        (Rival(scale=1.1), "The champion stays: harm in MAE and pinball loss is not ruled out.", "MAE"),
        (Rival(scale=0.9, width=0.6), "The champion stays: harm in coverage is not ruled out.", "Coverage of the 80% interval"),
        (Rival(scale=0.9, width=2.0), "pinball loss and coverage is not ruled out.", "Coverage of the 80% interval"),
    ],
)
def test_harm_in_one_measure_is_enough(candidate: Rival, first: str, worse: str) -> None:
    """Worse medians, intervals too narrow or too wide: the measure is named, with how much worse it surely is."""
    found = judged(candidate, Rival(), **LIKE)
    assert not found.promote
    assert found.reasons[0].endswith(first)
    (said,) = [reason for reason in found.reasons if reason.startswith(worse)]
    assert ": worse (the difference" in said
    assert "lies above +" in said


def test_without_a_gain_the_champion_stays() -> None:
    """What is as good takes over from nobody."""
    same = windows(Rival(), Rival())
    found = verdict(replace(same, champion=same.candidate), "new", "old", "")
    assert (found.promote, found.reasons[0]) == (False, "The champion stays: no gain is shown.")
    assert all(": no harm (" in reason for reason in found.reasons[1:])


@pytest.mark.parametrize(
    ("candidate", "part"),
    [(Rival(scale=0.5, winter=2.1), "winter"), (Rival(scale=0.5, far=2.2), "leads 13-24")],
)
def test_better_overall_does_not_outweigh_harm_in_a_part(candidate: Rival, part: str) -> None:
    """A winter, or leads, in which it is surely worse: no harm overall, and the part is named."""
    found = judged(candidate, Rival(), **MUCH_LIKE)
    assert ": better" in found.reasons[1]
    assert (found.promote, found.reasons[0]) == (False, f"The champion stays: there is harm in {part}.")
    assert found.reasons[-1].startswith(f"Harm in {part}: MAE ")


def test_thirteen_days_are_too_few() -> None:
    """However much better: the figure, and what to do."""
    assert judged(Rival(scale=0.5), Rival(), days=14, **MUCH_LIKE).promote
    found = judged(Rival(scale=0.5), Rival(), days=13, **MUCH_LIKE)
    assert (found.promote, found.days) == (False, 13)
    (said,) = found.reasons
    assert said.startswith("13 days can be compared with the champion, 14 are needed: wait for more readings, or use --force")


@pytest.mark.parametrize("champion", [None, Rival(scale=8)])
def test_what_loses_to_a_baseline_never_takes_over(champion: Rival | None) -> None:
    """With a champion that is worse still, and with none."""
    found = judged(Rival(scale=4), champion)
    assert not found.promote
    assert "It loses to a baseline on 2,880 forecasts of 120 days: persistence has MAE" in found.reasons[0]


def test_the_verdict_comes_back_as_it_was() -> None:
    """Through JSON; asked twice, or of rows in another order, it is the same to the last digit."""
    kept = windows(Rival(scale=0.97), Rival(), days=60)
    first = verdict(kept, "new", "old", "")
    whole = TypeAdapter(Verdict)
    written = to_json(first, inf_nan_mode="strings")
    assert whole.validate_json(written) == first
    assert to_json(verdict(kept, "new", "old", ""), inf_nan_mode="strings") == written
    assert kept.champion is not None
    ours, theirs = (
        rows.where(np.random.default_rng(seed).permutation(60 * 24)) for seed, rows in ((1, kept.candidate), (2, kept.champion))
    )
    ours, theirs = same_rows(ours, theirs)
    assert verdict(replace(kept, candidate=ours, champion=theirs), "new", "old", "") == first
    empty = np.array([], dtype=np.int64)
    none = verdict(replace(kept, candidate=kept.candidate.where(empty), champion=kept.champion.where(empty)), "new", "old", "")
    assert (none.promote, none.days, none.windows, none.by) == (False, 0, None, {})
    assert whole.validate_json(to_json(none)) == none


def test_where_one_has_no_forecast_nobody_is_compared() -> None:
    """A row counts for both or for neither, and an origin that only one has counts for nobody."""
    kept = windows(Rival(), Rival(), days=20)
    assert kept.champion is not None
    kept.champion.quantiles[30:40, 1] = np.nan
    kept.candidate.mean[35:50] = np.nan
    ours, theirs = same_rows(kept.candidate, kept.champion.where(np.arange(24, 480)))
    assert np.array_equal(ours.target_s, theirs.target_s)
    assert np.array_equal(ours.target_s, np.delete(kept.candidate.target_s, np.r_[:24, 30:50]))


def test_whoever_forces_it_says_why() -> None:
    """The reason is kept with the verdict that it overrules."""
    found = judged(Rival(), Rival())
    forced = found.force(" the meter was changed ")
    assert (forced.promote, forced.forced, forced.reasons) == (True, "the meter was changed", found.reasons)
    with pytest.raises(BadRequest, match="without a reason"):
        found.force("  ")


def test_bundles_are_judged_on_what_neither_was_trained_on() -> None:
    """The windows begin where the later of both trainings ended; the same bundles lead to the same verdict."""
    found = judge(opened(), opened("lgbm", days=105), table(), FIRST_TEST)
    assert found.windows == (table().start_s + 105 * 86_400, table().end_s)
    assert (found.days, found.by["all"]["candidate"].n) == (26, (25 * 24 - 23) * 24)
    again = judge(opened(), opened("lgbm", days=105), table(), FIRST_TEST)
    assert to_json(again) == to_json(found)
    late = judge(opened(), opened("lgbm", days=118), table(), FIRST_TEST)
    assert not late.promote
    assert late.reasons[0].startswith("13 days can be compared")


def test_the_champion_takes_over_from_nobody() -> None:
    """The same bundle again."""
    found = judge(opened(), opened(), table(), FIRST_TEST)
    assert (found.promote, found.reasons) == (False, ("It is the champion already.",))


def test_a_champion_of_another_horizon_is_compared_on_the_leads_of_both() -> None:
    """Twelve hours beside twenty-four: leads 1 to 12 of the same origins, with the same readings."""
    for candidate, champion in ((opened(), opened("lgbm", horizon=12)), (opened("lgbm", horizon=12), opened())):
        both = same_windows(candidate, champion, table(), FIRST_TEST)
        assert both.champion is not None
        for name in ("origin", "lead", "actual", "target_s"):
            assert np.array_equal(getattr(both.candidate, name), getattr(both.champion, name))
        assert set(both.candidate.lead.tolist()) == set(range(1, 13))
        mine = candidate.models[0].forecast(table(), FIRST_TEST)[1][:12]
        assert np.allclose(both.candidate.quantiles[:12], mine, atol=1e-5)


def without_heads() -> Bundle:
    """A bundle whose graph is none."""
    return open_bundle(tiny.repacked(trained("lgbm"), {"history/heads.onnx": b"no graph"}))


@cache
def of_minutes() -> Bundle:
    """A bundle of another step."""
    return open_bundle(tiny.bundle("next_minute", "xgb"))


def altered(**changes: object) -> Bundle:
    """A bundle whose spec says something else."""
    return open_bundle(tiny.repacked(trained("lgbm"), change=lambda facts: facts["models"][0]["spec"].update(changes)))


@pytest.mark.parametrize(
    ("champion", "why"),
    [
        (of_minutes, "it works at 60 s, these readings are at 3600 s"),
        (lambda: opened("lgbm", levels=(0.2, 0.5, 0.8)), "its quantiles are 0.2, 0.5, 0.8, the candidate's 0.1, 0.5, 0.9"),
        (lambda: altered(gate_s=6 * 3_600), "it forecasts from another time of day"),
        (lambda: altered(recent=[{"column": "voltage_v"}]), "it needs voltage_v, which these readings do not have"),
        (lambda: altered(seasonal=[{"column": "current_a"}]), "it needs current_a, which these readings do not have"),
        (lambda: altered(known=[{"column": "temperature_c"}]), "it needs temperature_c, which these readings do not have"),
        (without_heads, "the heads are not an ONNX graph"),
        (lambda: Unusable("a" * 64, "the file is torn"), "the file is torn"),
        (lambda: None, "There is no champion."),
    ],
)
def test_where_nothing_can_be_compared_the_baselines_decide(champion: object, why: str) -> None:
    """The champion cannot answer on these readings: the candidate takes over where it beats the baselines, and it is said why."""
    rival = champion()  # type: ignore[operator]
    found = judge(opened(), rival, table(), FIRST_TEST)
    assert found.promote
    assert why in found.reasons[0]
    assert found.reasons[1].startswith("It beats every baseline on ")
    assert (found.champion, set(found.by["all"])) == (rival.id if rival else "", {"candidate", "baseline"})
    assert json.loads(to_json(found))["promote"]
