"""What every model store promises."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
import tiny

from wattcast.errors import BadBundle, RegistryConflict, WattcastError
from wattcast.forecasting.bundle import open_bundle
from wattcast.forecasting.registry import Record, ServingManifest, Slot
from wattcast.meter.table import Meter
from wattcast.ports import ModelStore

UNKNOWN = "0" * 64
HOUSE = Meter("house", zone="Europe/Paris")


@pytest.fixture(scope="module")
def record() -> Record:
    """What is known of a trained bundle."""
    return tiny.record(tiny.bundle("day_ahead", "xgb"))


def after(manifest: ServingManifest, champion: str = "a" * 64) -> ServingManifest:
    """The next manifest."""
    return manifest.with_slots(HOUSE, [Slot("day_ahead", "house", 3600, 24, tiny.LEVELS, ("daily_naive",), {"xgb": champion}, champion)])


def test_bundles_are_kept_by_their_content(models: ModelStore) -> None:
    """What was put comes back byte for byte under the SHA-256 of its bytes; putting it again changes nothing."""
    data = tiny.bundle()
    bundle_id = models.put_bundle(data)
    assert bundle_id == hashlib.sha256(data).hexdigest() == models.put_bundle(data)
    assert models.bundle(bundle_id) == data
    open_bundle(models.bundle(bundle_id), expected_id=bundle_id)


def test_bundles_do_not_disturb_each_other(models: ModelStore) -> None:
    """Two bundles have two ids, and each keeps its bytes."""
    contents = [b"", b"\x00" * 100_000, tiny.bundle()]
    ids = [models.put_bundle(content) for content in contents]
    assert len(set(ids)) == 3
    assert [models.bundle(bundle_id) for bundle_id in ids] == contents


def test_a_bundle_that_is_not_there_is_refused(models: ModelStore) -> None:
    """An unknown id is a BadBundle that names it."""
    with pytest.raises(BadBundle, match="bundle 000000000000") as refusal:
        models.bundle(UNKNOWN)
    assert refusal.value.hint


@pytest.mark.parametrize(
    "name", ["", "..", "../serving", "/etc/passwd", "a" * 63, "A" * 64, "a" * 64 + "\n", f"../{'a' * 61}", "a" * 65, "ä" * 64]
)
def test_only_an_id_is_an_id(models: ModelStore, record: Record, name: str) -> None:
    """What is no SHA-256 names no bundle and no record, wherever it might lead."""
    for use in (models.bundle, models.record, lambda bundle: models.put_record(replace(record, bundle=bundle))):
        with pytest.raises(BadBundle, match="is no bundle id"):
            use(name)


def test_records_come_back_as_they_were(models: ModelStore, record: Record) -> None:
    """A record is read as it was put; putting another for the same bundle replaces it."""
    models.put_record(record)
    assert models.record(record.bundle) == record
    later = replace(record, veto=("it lost",), trained_by="somebody else")
    models.put_record(later)
    assert models.record(record.bundle) == later


def test_a_record_keeps_what_does_not_exist(models: ModelStore, record: Record) -> None:
    """NaN in a score stays NaN."""
    models.put_record(replace(record, tests={"history": replace(record.tests["history"], r2=math.nan)}))
    assert math.isnan(models.record(record.bundle).tests["history"].r2)


def test_a_record_that_is_not_there_is_refused(models: ModelStore) -> None:
    """A bundle without a record is a RegistryConflict, though the bundle is there."""
    with pytest.raises(RegistryConflict, match="has no record"):
        models.record(models.put_bundle(tiny.bundle()))


def test_an_empty_store_has_an_empty_manifest(models: ModelStore) -> None:
    """Before anything was published the serial is 0 and nobody answers."""
    assert models.manifest() == ServingManifest()


def test_what_is_published_is_there(models: ModelStore, connect_models: Callable[[], ModelStore]) -> None:
    """A published manifest is read by whoever connects, and the next one follows it."""
    first = after(models.manifest())
    models.publish(first)
    assert models.manifest() == first == connect_models().manifest()
    second = after(first, "b" * 64)
    connect_models().publish(second)
    assert models.manifest() == second


@pytest.mark.parametrize("serial", [-1, 0, 1, 3, 10**6])
def test_a_serial_that_does_not_follow_is_refused(models: ModelStore, serial: int) -> None:
    """Somebody else published in between: nothing changes, and the refusal says to register again."""
    there = after(ServingManifest())
    models.publish(there)
    with pytest.raises(RegistryConflict, match="someone else published in between") as refusal:
        models.publish(replace(after(there, "b" * 64), serial=serial))
    assert "register again" in refusal.value.hint
    assert models.manifest() == there


def test_of_many_who_publish_at_once_one_succeeds(models: ModelStore, connect_models: Callable[[], ModelStore]) -> None:
    """Eight publish the same serial at the same time: one manifest is there, whole, and seven are told."""
    there = after(ServingManifest())
    models.publish(there)
    rivals = [after(there, f"{number}" * 64) for number in range(8)]
    start = Barrier(len(rivals))

    def publish(rival: ServingManifest) -> WattcastError | None:
        store = connect_models()
        start.wait()
        try:
            store.publish(rival)
        except RegistryConflict as refusal:
            return refusal
        return None

    with ThreadPoolExecutor(len(rivals)) as pool:
        outcomes = list(pool.map(publish, rivals))
    assert outcomes.count(None) == 1
    assert models.manifest() == rivals[outcomes.index(None)]
