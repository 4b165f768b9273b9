"""Who serves is chosen by validation and may be vetoed by the test; what is published remembers what was there."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import tiny

from wattcast.errors import RegistryConflict
from wattcast.forecasting.bundle import open_bundle
from wattcast.forecasting.choosing import choose_champion, record_of, slot_of
from wattcast.forecasting.metrics import Score
from wattcast.forecasting.registry import (
    Record,
    ServingManifest,
    Slot,
    manifest_from_json,
    manifest_to_json,
    record_from_json,
    record_to_json,
)
from wattcast.forecasting.scorecard import ScoreRow
from wattcast.meter.quality import QualityReport
from wattcast.meter.table import Meter

HOUSE, BARN = Meter("house", zone="Europe/Paris"), Meter("barn")
TASK = tiny.TASKS["day_ahead"]


def a_score(mae: float, rmse: float, baseline: float = 1.0) -> Score:
    """A score against one baseline."""
    beside = {"mean_7_days": {"mae": baseline, "rmse": baseline}}
    skill = {"mae": 1 - mae / baseline, "rmse": 1 - rmse / baseline}
    return Score(100, mae, rmse, 0.5, 0.1, 0.8, 0.8, beside, skill)


def a_record(family: str, validated: Score, tested: Score, task: str = "day_ahead") -> Record:
    """A record of a bundle with these scores, vetoed where it lost the test."""
    whole = tiny.record(tiny.bundle("day_ahead", "xgb"))
    veto = tuple(tested.losing_to())
    named = replace(whole, bundle=family.ljust(64, "0"), task=task, family=family, veto=veto)
    return replace(named, validation={"history": validated}, tests={"history": tested})


GOOD, BETTER, LOST = a_score(0.5, 0.5), a_score(0.4, 0.4), a_score(1.2, 0.9)


def slot(champion: str = "", **changes: Any) -> Slot:
    """A slot of the house's day ahead."""
    families = {"xgb": champion} if champion else {}
    return replace(Slot("day_ahead", "house", 3600, 24, tiny.LEVELS, ("mean_7_days",), families, champion), **changes)


def test_validation_chooses_and_the_test_does_not() -> None:
    """The champion is the best of the validation, though another family did better on the test."""
    records = [a_record("xgb", GOOD, BETTER), a_record("rf", BETTER, GOOD)]
    champion = choose_champion(records)
    assert champion is not None
    assert champion.family == "rf"
    assert choose_champion(records[::-1]) == champion


def test_mae_and_rmse_count_alike() -> None:
    """What is compared is the mean of both errors, each over its baseline on the same rows."""
    sharp, steady = a_score(0.30, 0.90), a_score(0.59, 0.59)
    assert choose_champion([a_record("xgb", sharp, GOOD), a_record("rf", steady, GOOD)]) == a_record("rf", steady, GOOD)
    scaled = a_score(59.0, 59.0, baseline=200.0)
    assert choose_champion([a_record("xgb", scaled, GOOD), a_record("rf", steady, GOOD)]) == a_record("xgb", scaled, GOOD)


def test_the_richest_model_is_compared() -> None:
    """A bundle's second model, which answers with fewer readings, does not count."""
    weak = replace(a_record("xgb", GOOD, GOOD), validation={"history": GOOD, "one_reading": a_score(0.01, 0.01)})
    assert choose_champion([weak, a_record("rf", BETTER, GOOD)]) == a_record("rf", BETTER, GOOD)


def test_the_test_vetoes_with_its_reason() -> None:
    """A family that lost to a baseline on the test is not offered, and the slot says to which one and by how much."""
    records = [a_record("xgb", BETTER, LOST), a_record("rf", GOOD, GOOD), a_record("lgbm", GOOD, GOOD, task="next_minute")]
    made = slot_of("day_ahead", TASK, "house", tiny.LEVELS, records, "")
    assert (made.champion_family, list(made.families)) == ("rf", ["xgb", "rf"])
    assert list(made.vetoed) == ["xgb"]
    assert "mean_7_days has MAE 1.00000 kW, the family 1.20000" in made.vetoed["xgb"]
    assert (made.step_s, made.horizon, made.baselines, made.skipped) == (3600, 24, TASK.baselines, "")
    assert made.in_words()[0].startswith("day_ahead: rf rf000")
    assert made.in_words()[1].startswith("day_ahead: xgb is vetoed: it lost to a baseline on the test")


def test_where_every_family_lost_a_baseline_answers() -> None:
    """No champion, and no family may answer; one bundle stands by for what the lower tiers need of its record."""
    records = [a_record("xgb", BETTER, LOST), a_record("rf", BETTER, LOST)]
    made = slot_of("day_ahead", TASK, "house", tiny.LEVELS, records, "")
    assert (made.champion, made.champion_family, made.answering, made.bundles()) == ("", "", {}, [])
    assert set(made.families) == {"xgb", "rf"}
    assert set(made.vetoed) == {"xgb", "rf"}
    assert made.standby == records[0].bundle
    assert "a baseline answers" in made.in_words()[0]


def test_a_skipped_task_says_why() -> None:
    """A task that the file's resolution cannot serve has a slot with the reason and nothing else."""
    made = slot_of("next_minute", tiny.TASKS["next_minute"], "house", tiny.LEVELS, [], "the readings are 3600 s apart")
    assert (made.skipped, made.champion, made.standby) == ("the readings are 3600 s apart", "", "")
    assert made.in_words() == ["next_minute: skipped, the readings are 3600 s apart"]


def published(*champions: str) -> Slot:
    """The slot after registering these champions one after the other."""
    manifest = ServingManifest()
    for champion in champions:
        manifest = manifest.with_slots(HOUSE, [slot(champion)])
    found = manifest.slot("day_ahead", "house")
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("champions", "previous"),
    [
        (["a"], ""),
        (["a", "b"], "a"),
        (["a", "b", "b"], "a"),
        (["a", "b", "c"], "b"),
        (["a", "b", "a"], "b"),
        (["a", ""], "a"),
        (["a", "", "b"], "a"),
        (["a", "", ""], "a"),
        (["", "a"], ""),
    ],
)
def test_the_champion_before_is_remembered(champions: list[str], previous: str) -> None:
    """The previous champion is the last other one, however often the same is trained again and though all were vetoed in between."""
    assert published(*champions).previous == previous


def test_another_meter_is_left_alone() -> None:
    """A second house gets its own slots and never takes the first one's champion."""
    first = ServingManifest().with_slots(HOUSE, [slot("a")])
    second = first.with_slots(BARN, [slot("b", meter="barn"), slot("", task="next_minute", meter="barn")])
    assert set(second.slots) == {"day_ahead/house", "day_ahead/barn", "next_minute/barn"}
    assert second.slot("day_ahead", "house") == first.slot("day_ahead", "house")
    assert (second.latest_meter, dict(second.meters)) == ("barn", {"house": HOUSE, "barn": BARN})
    assert second.slot("day_ahead", "shed") is None


def test_a_task_that_is_gone_is_gone() -> None:
    """A meter's slots are those of its latest registration."""
    both = ServingManifest().with_slots(HOUSE, [slot("a"), slot("b", task="week_ahead")])
    assert set(both.with_slots(HOUSE, [slot("a")]).slots) == {"day_ahead/house"}


def test_every_bundle_that_may_answer_is_named_once() -> None:
    """Champion first, then the families, then the champion before."""
    mixed = slot("a", families={"xgb": "b", "rf": "a"}, before=slot("c"))
    assert mixed.bundles() == ["a", "b", "c"]
    assert mixed.champion_family == "rf"


def test_a_record_of_a_bundle() -> None:
    """What register writes: scores beside baselines, the veto with its model, golden forecasts, spread, profile, who and when."""
    opened = open_bundle(tiny.bundle("day_ahead", "rf"))
    quality = QualityReport("usable", ("A gap.",), {"rows": 5, "start": "2010"})
    row = ScoreRow("day_ahead", "rf", "history", opened.id, LOST, {"days1": 0.2})
    made = record_of(opened, {"history": row}, tiny.fallback_of(opened, tiny.hour_table()), quality, at="now", by="me", revision="abc")
    assert made.veto == ("from history, mean_7_days has MAE 1.00000 kW, the family 1.20000",)
    assert (made.bundle, made.task, made.family, made.meter) == (opened.id, "day_ahead", "rf", "house")
    assert (made.trained_at, made.trained_by, made.revision, made.quality) == ("now", "me", "abc", quality)
    assert set(made.fallback.spread) == set(TASK.baselines)
    assert made.fallback.profile.levels == tiny.LEVELS
    assert made.importance == {"history": {"days1": 0.2}}
    opened.replay(made.golden)


def equal(one: Any, other: Any) -> bool:
    """Whether two values are the same, NaN being itself."""
    if isinstance(one, float) and math.isnan(one):
        return isinstance(other, float) and math.isnan(other)
    if isinstance(one, Mapping):
        return one.keys() == other.keys() and all(equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(equal, one, other))
    return bool(one == other)


def no_constant(name: str) -> None:
    """What strict JSON does not have."""
    raise AssertionError(f"{name} is no JSON")


@pytest.mark.parametrize(("task", "family"), [("next_minute", "lgbm"), ("day_ahead", "rf")])
def test_records_come_back_as_they_were(task: str, family: str) -> None:
    """A record through JSON is the same record."""
    record = tiny.record(tiny.bundle(task, family))
    assert record_from_json(record_to_json(record)) == record


def test_a_skill_that_does_not_exist_comes_back_so() -> None:
    """NaN and infinity (a perfect baseline, a constant load, a gap at the end) are valid JSON and the same record afterwards."""
    odd = replace(GOOD, r2=math.nan, skill={"mae": math.nan, "rmse": -math.inf})
    record = replace(a_record("xgb", odd, odd), golden={"history": [[math.nan, 1.0, math.inf, 2.0]]})
    written = record_to_json(record)
    json.loads(written, parse_constant=no_constant)
    read = record_from_json(written)
    assert equal(vars(read.tests["history"]), vars(odd))
    assert equal(read.golden, record.golden)


def test_manifests_come_back_as_they_were() -> None:
    """A serving manifest through JSON is the same manifest, the empty one too."""
    manifest = ServingManifest().with_slots(HOUSE, [slot("a", vetoed={"rf": "why"}, skipped="so")]).with_slots(BARN, [])
    assert manifest_from_json(manifest_to_json(manifest)) == manifest
    assert manifest_from_json(manifest_to_json(ServingManifest())) == ServingManifest()


def torn(whole: bytes) -> list[bytes]:
    """Some ways in which JSON is not what was written."""
    cuts = [whole[:length] for length in range(0, len(whole) - 1, max(len(whole) // 50, 1))]
    return [*cuts, b"[]", b"null", b"{}}", b"\xff\xfe", b"{" * 10_000, whole.replace(b":", b"=", 1), bytes(len(whole))]


def test_torn_records_are_refused() -> None:
    """Half a record is no record."""
    for data in [*torn(record_to_json(tiny.record(tiny.bundle()))), b"{}"]:
        with pytest.raises(RegistryConflict, match="a record cannot be read"):
            record_from_json(data)


@pytest.mark.parametrize("facts", [{"serial": "many"}, {"meters": {"house": {"id": "house", "zone": "Europe/Pari"}}}, {"slots": {"a": {}}}])
def test_a_manifest_that_cannot_be_ours_is_refused(facts: dict[str, Any]) -> None:
    """A serving manifest with values that cannot be is refused with what to do."""
    with pytest.raises(RegistryConflict, match="the serving manifest cannot be read") as refusal:
        manifest_from_json(json.dumps(facts).encode())
    assert "make run" in refusal.value.hint


def test_torn_manifests_are_refused() -> None:
    """Half a serving manifest is none."""
    for data in torn(manifest_to_json(ServingManifest().with_slots(HOUSE, [slot("a")]))):
        with pytest.raises(RegistryConflict):
            manifest_from_json(data)


@pytest.mark.parametrize("change", [{"baselines": ("foo",)}, {"horizon": 0}, {"step_s": 0}, {"levels": (0.1, 0.9)}])
def test_a_manifest_that_cannot_be_served_is_refused(change: dict[str, Any]) -> None:
    """Somebody edited serving.json: one refusal when it is read, not a failure in every answer."""
    facts = json.loads(manifest_to_json(ServingManifest().with_slots(HOUSE, [slot("a")])))
    next(iter(facts["slots"].values())).update(change)
    with pytest.raises(RegistryConflict, match="cannot be read"):
        manifest_from_json(json.dumps(facts).encode())
