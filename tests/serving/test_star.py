"""A meter without a model of its own is answered by the model of all meters known, and told so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from registered import HOURS, HOUSE, ask, bundle_path, flip, publish, serving, slot_in
from street import pooled, street

from wattcast.adapters.model_store import FileModelStore
from wattcast.errors import BadRequest
from wattcast.forecasting.baselines import Fallback
from wattcast.forecasting.bundle import open_bundle
from wattcast.forecasting.choosing import record_of, slot_of
from wattcast.forecasting.forecast import Forecast
from wattcast.forecasting.model import Model
from wattcast.forecasting.pooling import population_profile
from wattcast.forecasting.scorecard import ScoreRow
from wattcast.forecasting.star import ANSWERS, STAR, at_size, for_meter, with_star
from wattcast.meter.quality import QualityReport
from wattcast.meter.table import Meter, MeterTable

NEIGHBOUR = replace(street(1, first=30)[0], meter=Meter("neighbour", zone="America/New_York"))


def publish_star(folder: Path, task: str = "day_ahead") -> str:
    """Register the model of all meters; its id."""
    models, opened = FileModelStore(folder), pooled()
    models.put_bundle(opened.data)
    (facts,) = opened.manifest.models
    fallback = Fallback({}, population_profile(street(), tiny.LEVELS, 0.8))
    quality = QualityReport("usable", ())
    row = ScoreRow("day_ahead", "lgbm", facts.name, opened.id, facts.validation)
    record = record_of(opened, {facts.name: row}, fallback, quality, at="2010-03-01T00:00:00+00:00", by="tests", revision="")
    models.put_record(record)
    slot = slot_of("day_ahead", tiny.TASKS["day_ahead"], STAR, tiny.LEVELS, [record], "")
    tiny.put_manifest(models, with_star(models.manifest(), replace(slot, task=task)))
    return opened.id


def means(forecast: Forecast) -> np.ndarray:
    return np.array([step.mean for step in forecast.steps])


def asked(folder: Path, readings: MeterTable, **changes: object) -> Forecast:
    """The forecast of the neighbour from these readings."""
    return serving(folder).forecast(ask(meter="neighbour", readings=readings, **changes))


def test_a_meter_never_registered_is_answered_by_the_star(store: Path) -> None:
    """Its own name and clock, the model's version, and why."""
    star = publish_star(store)
    forecast = asked(store, NEIGHBOUR)
    assert (forecast.tier, forecast.version, forecast.reason) == ("shared", star, ANSWERS)
    assert (forecast.meter, forecast.zone, forecast.origin_s) == ("neighbour", "America/New_York", NEIGHBOUR.end_s)
    assert len(forecast.steps) == 24
    assert all(step.quantiles[0.1] <= step.quantiles[0.5] <= step.quantiles[0.9] for step in forecast.steps)


def test_it_reads_the_meters_own_clock(store: Path) -> None:
    """The calendar and the intervals are those of the meter's zone, not of the model's."""
    publish_star(store)
    (model,) = pooled().models
    young = NEIGHBOUR.rows(0, 24)
    own = for_meter(model, NEIGHBOUR.meter)
    assert own.facts.spec.zone == own.facts.calibration.zone == "America/New_York"
    np.testing.assert_allclose(means(asked(store, young)), np.maximum(own.forecast(young, 24)[0], 0), atol=1e-6)
    elsewhere = replace(young, meter=Meter("neighbour", zone="Asia/Tokyo"))
    assert not np.allclose(means(asked(store, elsewhere)), means(asked(store, young)))


@pytest.mark.parametrize("hours", [1, 24, 400])
def test_any_history_is_enough(store: Path, hours: int) -> None:
    """One reading, a day, weeks: the same model, no baseline."""
    publish_star(store)
    forecast = asked(store, NEIGHBOUR.rows(0, hours))
    assert (forecast.tier, len(forecast.steps)) == ("shared", 24)
    assert np.isfinite(means(forecast)).all()


def test_a_stated_yearly_use_sets_the_scale_until_readings_do(store: Path) -> None:
    """Twice the use, twice the load where nothing was measured; after four weeks what was measured counts."""
    publish_star(store)
    blank = replace(NEIGHBOUR.rows(0, 24), power_kw=np.full(24, np.nan, dtype=np.float32))
    usual, double = (means(asked(store, blank, yearly_kwh=kwh)) for kwh in (3_000.0, 6_000.0))
    np.testing.assert_allclose(double, 2 * usual, rtol=1e-3)
    assert 0.5 * 3_000 / 8_766 < usual.mean() < 2 * 3_000 / 8_766
    late = [means(asked(store, NEIGHBOUR.rows(0, 40 * 24), yearly_kwh=kwh)) for kwh in (3_000.0, 6_000.0)]
    np.testing.assert_allclose(late[1], late[0], rtol=0.1)
    large = asked(store, blank, yearly_kwh=3e6)
    assert (large.tier, means(large).mean() > 100) == ("shared", True)


@pytest.mark.parametrize("kwh", [0.0, -5.0, float("nan"), float("inf")])
def test_a_yearly_use_that_is_none_is_refused(store: Path, kwh: float) -> None:
    """Said with an example."""
    publish_star(store)
    with pytest.raises(BadRequest, match="a yearly use of") as refusal:
        asked(store, NEIGHBOUR, yearly_kwh=kwh)
    assert "3500" in refusal.value.hint


def test_a_building_fifty_times_as_large_is_plausible(store: Path) -> None:
    """The largest load ever seen counts in the meter's own size, and so do the totals of a day."""
    publish_star(store)
    building = replace(NEIGHBOUR, power_kw=NEIGHBOUR.power_kw * 50)
    forecast = asked(store, building)
    assert forecast.tier == "shared"
    assert forecast.totals
    energy, usual = (each.totals["energy_kwh"]["quantiles"] for each in (forecast, asked(store, NEIGHBOUR)))
    assert energy["0.9"] - energy["0.1"] == pytest.approx(50 * (usual["0.9"] - usual["0.1"]), rel=0.15)
    assert means(forecast).mean() == pytest.approx(50 * means(asked(store, NEIGHBOUR)).mean(), rel=0.1)


def test_a_model_of_the_meters_own_goes_first(store: Path) -> None:
    """The champion answers for its meter; from too few readings for it the star does, and says what would be needed."""
    publish_star(store)
    service = serving(store)
    assert service.forecast(ask()).tier == "champion"
    few = service.forecast(ask(readings=HOURS.rows(0, 30)))
    assert few.tier == "shared"
    assert "needs 48 measured readings" in few.reason
    assert ANSWERS not in few.reason
    assert service.forecast(ask(yearly_kwh=99_999.0)).steps == service.forecast(ask()).steps


def test_where_a_baseline_beat_every_family_it_answers(store: Path) -> None:
    """The star was never tried on that meter: what is known to be better goes first."""
    publish_star(store)
    publish(store, Meter("shed"), {"day_ahead": [tiny.bundle("day_ahead", "rf")]}, vetoed=("rf",))
    assert serving(store).forecast(ask(meter="shed", readings=HOURS)).tier == "baseline"


def test_a_meter_registered_for_other_tasks_is_answered_too(store: Path) -> None:
    """A registered meter without a slot for the task, from its stored readings."""
    publish_star(store)
    models = FileModelStore(store)
    manifest = models.manifest()
    slots = {key: slot for key, slot in manifest.slots.items() if key != "day_ahead/barn"}
    tiny.put_manifest(models, replace(manifest, slots=slots))
    forecast = serving(store).forecast(ask(meter="barn"))
    assert (forecast.meter, forecast.tier, forecast.reason) == ("barn", "shared", ANSWERS)


def test_the_star_is_no_meter(store: Path) -> None:
    """It is not among the meters nor the latest, and registering it leaves every other slot as it was."""
    before = FileModelStore(store).manifest()
    publish_star(store)
    publish_star(store, task="week_ahead")
    publish(store, HOUSE, {"day_ahead": [tiny.bundle("day_ahead", "xgb")]})
    after = FileModelStore(store).manifest()
    assert (after.meters, after.latest_meter, after.serial) == (before.meters, HOUSE.id, before.serial + 3)
    assert {f"{task}/{STAR}" for task in ("day_ahead", "week_ahead")} <= after.slots.keys()
    assert after.slots["day_ahead/barn"] == before.slots["day_ahead/barn"]


def test_without_readings_the_meter_is_unknown_and_without_a_star_it_has_no_model(registered: Path, store: Path) -> None:
    """Nothing is made up for a name alone; and where there is no star, a baseline of the meter's own readings answers."""
    publish_star(store)
    with pytest.raises(BadRequest, match='meter "nobody" is not known'):
        serving(store).forecast(ask(meter="nobody"))
    forecast = asked(registered, NEIGHBOUR)
    assert (forecast.tier, forecast.version, forecast.meter) == ("baseline", "", "neighbour")
    assert forecast.reason == "this meter was never registered, and there is no model of all meters"
    with pytest.raises(BadRequest, match='task "week_ahead" is not known for meter "neighbour"'):
        serving(registered).forecast(replace(ask(readings=NEIGHBOUR, meter="neighbour"), task="week_ahead"))


def test_a_star_that_is_torn_leaves_the_baseline(store: Path) -> None:
    """With the reason, and without a spread that nobody knows."""
    star = publish_star(store)
    flip(bundle_path(store, star))
    forecast = asked(store, NEIGHBOUR)
    assert forecast.tier == "baseline"
    assert "altered or torn" in forecast.reason
    assert slot_in(store, meter=STAR).champion == star


def test_a_model_of_one_meter_stays_as_it_is() -> None:
    """Neither clock nor yearly use changes a model whose loads are kW."""
    (model,) = open_bundle(tiny.bundle("day_ahead", "xgb")).models
    assert isinstance(model, Model)
    assert for_meter(model, NEIGHBOUR.meter, 3_500.0) is model
    assert at_size(model, NEIGHBOUR, 100, model) == (model, 1.0)
