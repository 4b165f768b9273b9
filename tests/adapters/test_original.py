"""A bucket as the original project filled it: a model file for each family, named by the original's variables."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny
from pairs import make_pair

from wattcast.adapters.s3 import S3Blobs
from wattcast.adapters.wiring import Services, connect
from wattcast.config import load_settings
from wattcast.errors import BadBundle, BadParams
from wattcast.forecasting.choosing import slot_of
from wattcast.forecasting.succession import Step, promote
from wattcast.serving import Ask, Current

TASK = "day_ahead"
KEYS = {"XGB_MODEL_KEY": "models/xgb.wattcast", "RF_MODEL_KEY": "models/rf.wattcast", "LGBM_MODEL_KEY": "models/lgbm.wattcast"}


@pytest.fixture
def blobs(s3_server: str, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> S3Blobs:
    """The bucket with three model files, and the variables that name them."""
    there = S3Blobs(bucket, endpoint=s3_server)
    for family, name in zip(("xgb", "rf", "lgbm"), KEYS.values(), strict=True):
        there.put(name, tiny.bundle(TASK, family))
    for variable, value in {**KEYS, "WATTCAST_S3": bucket, "WATTCAST_S3_ENDPOINT": s3_server, "WATTCAST_STORE": str(tmp_path)}.items():
        monkeypatch.setenv(variable, value)
    return there


def services() -> Services:
    """The adapters for the environment."""
    return connect(load_settings())


def running() -> Current:
    """What answers from them."""
    own = services()
    current = Current(own.store, own.snapshots)
    current.start()
    return current


def test_each_variable_names_a_family(blobs: S3Blobs) -> None:
    """All three answer, the best in the validation as champion, though nothing was ever registered; the record says so."""
    service = running().service
    assert service.refused == {}
    slot = service.slot(TASK, "house")
    assert set(slot.families) == {"xgb", "rf", "lgbm"}
    for family in ("", "xgb", "rf", "lgbm"):
        forecast = service.forecast(Ask("house", TASK, 2_000_000_000, tiny.hour_table(), family=family))
        assert forecast.version == slot.families.get(family, slot.champion)
    assert "never registered" in service.records[slot.champion].quality.reasons[0]


def test_another_file_under_a_key_is_taken(blobs: S3Blobs) -> None:
    """Put there while a service runs, it answers at the next look."""
    current = running()
    before = current.service.slot(TASK, "house").families["xgb"]
    blobs.put(KEYS["XGB_MODEL_KEY"], tiny.bundle(TASK, "xgb", seed=7))
    assert current.refresh(0)
    assert current.service.slot(TASK, "house").families["xgb"] != before


def test_a_serving_manifest_counts_over_the_keys(blobs: S3Blobs) -> None:
    """Once something was published the variables say nothing."""
    models, data = services().store, tiny.bundle(TASK, "lgbm", seed=3)
    record = tiny.record(data)
    models.put_bundle(data)
    models.put_record(record)
    slot = slot_of(TASK, tiny.TASKS[TASK], "house", tiny.LEVELS, [record], "")
    house = tiny.hour_table().meter
    made = models.change(lambda manifest: Step(manifest.with_slots(house, [slot]), "register"), at="now", by="tests")
    assert made.serial == 1
    assert set(running().service.slot(TASK, "house").families) == {"lgbm"}


def test_the_first_change_goes_on_from_the_keys(blobs: S3Blobs) -> None:
    """A family of theirs is promoted: the files are in the store from then on, and the variables say nothing any more."""
    models = services().store
    slot = models.manifest().slots["day_ahead/house"]
    other = next(bundle for bundle in slot.families.values() if bundle != slot.champion)
    made = models.change(lambda manifest: promote(manifest, models.record(other), ("tried",)), at="now", by="tests")
    assert (made.serial, made.slots["day_ahead/house"].previous) == (1, slot.champion)
    for name in KEYS.values():
        blobs.delete(name)
    service = running().service
    assert (service.refused, service.slot(TASK, "house").champion) == ({}, other)


def test_what_is_not_signed_is_refused_all_the_same(blobs: S3Blobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key is no way round signatures."""
    monkeypatch.setenv("WATTCAST_TRUSTED_KEYS", str(make_pair(tmp_path, "ours")[1]))
    with pytest.raises(BadBundle, match="is not signed"):
        running()


def test_a_key_that_names_nothing_is_said(blobs: S3Blobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of its variable; a pickle with the way out."""
    monkeypatch.setenv("RF_MODEL_KEY", "models/forest.wattcast")
    with pytest.raises(BadParams, match=r"RF_MODEL_KEY=models/forest\.wattcast names no file"):
        running()
    monkeypatch.setenv("RF_MODEL_KEY", "models/rf_model.pkl")
    with pytest.raises(BadParams, match=r"names a pickle") as refusal:
        services()
    assert "retrained, never converted" in refusal.value.hint
