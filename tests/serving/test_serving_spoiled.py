"""A model file that is not to be believed, or a forecast that cannot be true, is refused in words and the next tier answers."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
from registered import HOURS, HOUSE, MINUTES, ask, bundle_path, flip, publish, serving, slot_in

from wattcast.adapters.model_store import FileModelStore
from wattcast.meter.table import Meter

SPOILED: dict[str, tuple[Callable[[Path, str], object], str]] = {
    "one flipped byte": (lambda store, bundle: flip(bundle_path(store, bundle)), "it was altered or torn"),
    "truncated": (
        lambda store, bundle: os.truncate(bundle_path(store, bundle), 5_000),
        "it was altered or torn",
    ),
    "empty": (lambda store, bundle: bundle_path(store, bundle).write_bytes(b""), "it was altered or torn"),
    "gone": (lambda store, bundle: bundle_path(store, bundle).unlink(), "is not in the store"),
    "record gone": (lambda store, bundle: (store / "records" / f"{bundle}.json").unlink(), "has no record"),
    "record torn": (lambda store, bundle: (store / "records" / f"{bundle}.json").write_bytes(b"{"), "a record cannot be read"),
    "another's record": (
        lambda store, bundle: shutil.copy(store / "records" / f"{slot_in(store).previous}.json", store / "records" / f"{bundle}.json"),
        "does not forecast what its record says",
    ),
}


@pytest.mark.parametrize("how", SPOILED)
def test_a_spoiled_champion_hands_over_to_the_one_before(store: Path, how: str) -> None:
    """A champion that cannot be believed is refused with a sentence, and the previous champion answers and repeats it."""
    slot = slot_in(store)
    spoil, words = SPOILED[how]
    spoil(store, slot.champion)
    service = serving(store)
    forecast = service.forecast(ask())
    assert (forecast.tier, forecast.version) == ("previous", slot.previous)
    assert words in forecast.reason
    assert set(service.refused) == {slot.champion}
    assert service.ready()


def with_facts(store: Path, change: Callable[[Any], object], task: str = "day_ahead", family: str = "xgb") -> None:
    """Register a changed bundle, its record right, as the only one of the task."""
    publish(store, HOUSE, {task: [tiny.repacked(tiny.bundle(task, family), change=change)]})


def test_a_bundle_of_a_foreign_format_is_said(store: Path) -> None:
    """A file that a later version wrote, whole under its own id: the next tier answers and names the format."""
    slot = slot_in(store)
    foreign = tiny.repacked(tiny.bundle("day_ahead", "rf"), change=lambda facts: facts.update(format=2))
    models = FileModelStore(store)
    bundle = models.put_bundle(foreign)
    models.put_record(tiny.record(tiny.bundle("day_ahead", "rf"), bundle=bundle))
    tiny.put_manifest(models, models.manifest().with_slots(HOUSE, [replace(slot, champion=bundle, families={"rf": bundle})]))
    forecast = serving(store).forecast(ask())
    assert (forecast.tier, forecast.version) == ("previous", slot.champion)
    assert forecast.reason.startswith("the file has format 2: it needs a newer wattcast than ")


def test_the_champion_stands_in_for_a_spoiled_family(store: Path) -> None:
    """A family asked for whose file is altered: the champion answers and says so."""
    slot = slot_in(store)
    family = next(key for key in slot.families if key != slot.champion_family)
    flip(bundle_path(store, slot.families[family]))
    forecast = serving(store).forecast(ask(family=family))
    assert (forecast.tier, forecast.version) == ("champion", slot.champion)
    assert "it was altered or torn" in forecast.reason


def test_a_spoiled_champion_asked_for_by_name_is_said_once(store: Path) -> None:
    """Asked for as a family, the champion is not tried twice."""
    slot = slot_in(store)
    flip(bundle_path(store, slot.champion))
    forecast = serving(store).forecast(ask(family=slot.champion_family))
    assert forecast.tier == "previous"
    assert forecast.reason.count("altered or torn") == 1


def spoil_all(store: Path) -> None:
    """Change a bit in every bundle."""
    for path in (store / "bundles").iterdir():
        flip(path)


def test_without_a_model_a_baseline_answers(store: Path) -> None:
    """With every bundle spoiled the first known baseline answers, with the spread that it had in training."""
    spoil_all(store)
    service = serving(store)
    forecast = service.forecast(ask())
    assert (forecast.tier, forecast.model, forecast.version) == ("baseline", "the mean of the same time on the last 7 days", "")
    assert forecast.reason.count("altered or torn") == 2
    assert len(forecast.steps) == 24
    for step in forecast.steps:
        values = list(step.quantiles.values())
        assert values == sorted(values)
        assert values[0] < step.mean < values[-1]
    last = service.forecast(ask("next_minute"))
    assert (last.tier, last.model) == ("baseline", "the last reading repeated")
    assert last.steps[0].mean == pytest.approx(float(MINUTES.power_kw[-1]))


def test_a_forecast_that_is_too_large_is_not_given_out(store: Path) -> None:
    """Beyond twice the largest load ever seen the next tier answers and says what was refused."""
    before = slot_in(store)
    with_facts(store, lambda facts: facts.update(largest_kw=0.2))
    forecast = serving(store).forecast(ask())
    assert (forecast.tier, forecast.version) == ("previous", before.champion)
    assert "XGBoost Regressor gave an implausible forecast (" in forecast.reason
    assert " kW)" in forecast.reason


def net_bundle() -> bytes:
    """A bundle trained on a meter that feeds in at noon."""
    return tiny.train_on(tiny.hour_table(flow="net"), tiny.recipe("day_ahead"))


@pytest.mark.parametrize(("flow", "tier"), [("net", "champion"), ("consumption", "baseline")])
def test_negative_load_is_possible_for_net_meters_alone(store: Path, flow: Any, tier: str) -> None:
    """What feeds in may be forecast below zero; a meter of consumption may not, in no tier and no quantile."""
    table = tiny.hour_table(flow="net")
    publish(store, Meter("roof", flow=flow), {"day_ahead": [net_bundle()]})
    forecast = serving(store).forecast(ask(meter="roof", readings=table))
    assert forecast.tier == tier
    lowest = min(value for step in forecast.steps for value in (step.mean, *step.quantiles.values()))
    assert lowest < -1 if flow == "net" else lowest == 0
    assert ("implausible" in forecast.reason) is (flow == "consumption")


def test_a_net_forecast_can_be_too_small(store: Path) -> None:
    """The multiple of the largest load counts below zero too."""
    table = tiny.hour_table(flow="net")
    small = tiny.repacked(net_bundle(), change=lambda facts: facts.update(largest_kw=0.5))
    publish(store, Meter("roof", flow="net"), {"day_ahead": [small]})
    forecast = serving(store).forecast(ask(meter="roof", readings=table))
    assert (forecast.tier, "implausible" in forecast.reason) == ("baseline", True)


def test_quantiles_of_consumption_end_at_zero(store: Path) -> None:
    """A quantile head below zero is cut there where the meter cannot feed in."""
    with_facts(store, lambda facts: facts["models"][0]["calibration"].update(factors=[[[20.0, 1.0, 1.0]] * 3] * 4))
    forecast = serving(store).forecast(ask())
    assert forecast.tier == "champion"
    assert min(step.quantiles[0.1] for step in forecast.steps) == 0.0


def test_quantiles_that_are_no_numbers_are_not_given_out(store: Path) -> None:
    """A calibration gone wrong is a forecast that is not given out."""
    with_facts(store, lambda facts: facts["models"][0]["calibration"].update(factors=[[[float("inf"), 1.0, 1.0]] * 3] * 4))
    forecast = serving(store).forecast(ask())
    assert (forecast.tier, "implausible" in forecast.reason) == ("previous", True)


@pytest.mark.parametrize("change", [{"levels": (0.05, 0.5, 0.95)}, {"horizon": 12}, {"step_s": 1_800}])
def test_a_champion_of_another_shape_is_passed_over(store: Path, change: dict[str, Any]) -> None:
    """After quantiles, horizon or resolution changed, the champion of before is not answered under new names."""
    models, slot = FileModelStore(store), slot_in(store)
    now = replace(slot, champion="", families={}, standby="", **change)
    tiny.put_manifest(models, models.manifest().with_slots(HOUSE, [now]))
    readings = replace(HOURS, step_s=now.step_s)
    forecast = serving(store).forecast(ask(readings=readings))
    assert forecast.tier == "baseline"
    assert "was trained for another resolution, horizon or other quantiles" in forecast.reason
    assert len(forecast.steps) == now.horizon
    assert set(forecast.steps[0].quantiles) == set(now.levels)


def test_loading_again_forgets_what_was_refused(store: Path) -> None:
    """A bundle that was put right is loaded by the next load and no longer listed as refused."""
    slot = slot_in(store)
    path = bundle_path(store, slot.champion)
    whole = path.read_bytes()
    flip(path)
    service = serving(store)
    assert service.health()["refused"] == {slot.champion[:12]: service.refused[slot.champion]}
    path.write_bytes(whole)
    service.load()
    assert service.health()["refused"] == {}
    assert service.forecast(ask()).tier == "champion"
