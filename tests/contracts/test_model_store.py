"""What every model store promises."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache
from threading import Barrier

import pytest
import tiny

from wattcast.errors import BadBundle, RegistryConflict
from wattcast.forecasting.bundle import open_bundle
from wattcast.forecasting.changes import Move
from wattcast.forecasting.registry import Record, ServingManifest, Slot
from wattcast.forecasting.succession import Step, Transition
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
    """Before anything was published the serial is 0, nobody answers, and nothing has a history."""
    assert models.manifest() == ServingManifest()
    assert models.version() == ""
    assert list(models.history()) == []


def kept(models: ModelStore, number: int) -> str:
    """The id of a bundle that is in the store, with its record."""
    bundle = models.put_bundle(b"bundle %d" % number)
    models.put_record(replace(known(), bundle=bundle))
    return bundle


@cache
def known() -> Record:
    """What is known of a bundle, whichever."""
    return tiny.record(tiny.bundle("day_ahead", "xgb"))


def champion(bundle: str) -> Transition:
    """Has this bundle answer for the house."""
    return lambda manifest: Step(after(manifest, bundle), "register", (Move("day_ahead", "house", "", bundle),))


def change(models: ModelStore, transition: Transition, why: str = "") -> ServingManifest:
    """The manifest after it."""
    return models.change(transition, at="2010-03-01T00:00:00+00:00", by="tests", why=why)


def test_what_is_published_is_there(models: ModelStore, connect_models: Callable[[], ModelStore]) -> None:
    """A change is seen by whoever connects, has the serial that follows, and another version; the next one follows it."""
    first = change(models, champion(kept(models, 1)))
    assert first.serial == 1
    assert models.manifest() == first == connect_models().manifest()
    version = models.version()
    second = change(connect_models(), champion(kept(models, 2)))
    assert (second.serial, models.manifest()) == (2, second)
    assert models.version() not in ("", version)
    slot = second.slot("day_ahead", "house")
    assert slot is not None
    assert slot.previous == kept(models, 1)


def test_history_tells_every_change(models: ModelStore, connect_models: Callable[[], ModelStore]) -> None:
    """Who, when, why, from and to, the latest first, each naming the one before it."""
    for number in range(3):
        change(models, champion(kept(models, number)), why=f"reason {number}")
    told = list(connect_models().history())
    assert [(one.serial, one.why, one.by, one.moves[0].after) for one in told] == [
        (number + 1, f"reason {number}", "tests", kept(models, number)) for number in (2, 1, 0)
    ]
    assert told[-1].earlier == ""


def test_a_refused_change_changes_nothing(models: ModelStore) -> None:
    """What a transition raises comes out, a bundle that is not in the store is refused, and both leave manifest and history alone."""
    there = change(models, champion(kept(models, 1)))

    def refuse(manifest: ServingManifest) -> Step:
        raise RegistryConflict(f"not after {manifest.serial}")

    with pytest.raises(RegistryConflict, match="not after 1"):
        change(models, refuse)
    with pytest.raises(RegistryConflict, match="bundle bbbbbbbbbbbb is not in the store any more"):
        change(models, champion("b" * 64))
    with pytest.raises(RegistryConflict, match=r"the record of bundle [0-9a-f]{12} is not in the store any more"):
        change(models, champion(models.put_bundle(b"without a record")))
    assert models.manifest() == there
    assert len(list(models.history())) == 1


def test_of_many_who_publish_at_once_none_is_lost(models: ModelStore, connect_models: Callable[[], ModelStore]) -> None:
    """Fifty change the manifest at the same time: fifty entries in the history, each the successor of the one before, and one champion."""
    bundles = [kept(models, number) for number in range(50)]
    start = Barrier(len(bundles))

    def publish(bundle: str) -> int:
        store = connect_models()
        start.wait()
        return change(store, champion(bundle), why=bundle).serial

    with ThreadPoolExecutor(len(bundles)) as pool:
        serials = list(pool.map(publish, bundles))
    assert sorted(serials) == list(range(1, 51))
    told = list(models.history())
    assert [one.serial for one in told] == list(range(50, 0, -1))
    assert {one.why for one in told} == set(bundles)
    slot = models.manifest().slots["day_ahead/house"]
    assert (slot.champion, slot.previous) == (told[0].why, told[1].why)
