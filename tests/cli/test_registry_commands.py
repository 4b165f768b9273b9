"""`wattcast registry`: who answers, changed by one command each, and a history that tells of all of them."""

from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny
from small_project import in_process

from wattcast.adapters.database import Database, DatabaseForecasts, DatabaseReadings
from wattcast.adapters.model_store import FileModelStore
from wattcast.forecasting.choosing import slot_of
from wattcast.forecasting.forecast import SHADOW, Forecast, Served, Steps, Tier
from wattcast.forecasting.promotion import Verdict
from wattcast.forecasting.succession import Application, challenge, register
from wattcast.meter.arrivals import Batch

HOUSE = tiny.hour_table().meter
TASK = "day_ahead"
AT = "2010-03-01T00:00:00+00:00"
START_S = 1_267_401_600
DAY_S = 86_400


@pytest.fixture
def store(tmp_path: Path) -> FileModelStore:
    """A champion (xgb) with another family (lgbm), and a candidate (rf) that did not prove better."""
    models = FileModelStore(tmp_path / "store")
    first = [tiny.record(tiny.bundle(TASK, key)) for key in ("xgb", "lgbm")]
    second = tiny.record(tiny.bundle(TASK, "rf"))
    for key in ("xgb", "lgbm", "rf"):
        models.put_bundle(tiny.bundle(TASK, key))
    slots = [slot_of(TASK, tiny.TASKS[TASK], HOUSE.id, tiny.LEVELS, records, "") for records in (first, [second])]
    verdict = Verdict(
        promote=False, candidate=second.bundle, champion=slots[0].champion, reasons=("The champion stays: no gain is shown.",)
    )
    for record in (*first, replace(second, verdict=verdict)):
        models.put_record(record)
    applications = [
        Application(slots[0], "", accepted=True, reasons=("There is no champion.",)),
        Application(slots[1], slots[0].champion, accepted=False, reasons=verdict.reasons),
    ]
    for application in applications:
        models.change(lambda manifest, one=application: register(manifest, HOUSE, [one]), at=AT, by="anna")
    return models


def roles(tmp_path: Path) -> dict[str, str]:
    """What `list` says of the house."""
    told = in_process(tmp_path, "registry", "list", "--json")
    assert told.returncode == 0, told.stderr
    (slot,) = json.loads(told.stdout)["slots"]
    return dict(slot)


def run(tmp_path: Path, *words: str) -> str:
    """What a command that succeeds prints."""
    told = in_process(tmp_path, "registry", *words)
    assert told.returncode == 0, told.stderr
    return str(told.stdout)


def refused(tmp_path: Path, *words: str) -> str:
    """What a command that is refused says."""
    told = in_process(tmp_path, "registry", *words)
    assert told.returncode == 1, told.stdout
    assert told.stderr.count("hint: ") == 1
    return str(told.stderr)


def test_a_candidate_is_promoted_by_force_alone_and_rolled_back(store: FileModelStore, tmp_path: Path) -> None:
    """Refused with the reasons of its verdict; forced with a reason, which is kept; one command takes it back."""
    before = roles(tmp_path)
    assert before["candidate"]
    assert "no gain is shown" in refused(tmp_path, "promote", before["candidate"][:12])
    assert "wants a reason" in refused(tmp_path, "promote", before["candidate"], "--force")
    assert roles(tmp_path) == before
    run(tmp_path, "promote", before["candidate"][:12], "--force", "--reason", "the meter was exchanged")
    after = roles(tmp_path)
    assert (after["champion"], after["previous"], after["candidate"]) == (before["candidate"], before["champion"], "")
    verdict = store.record(after["champion"]).verdict
    assert verdict is not None
    assert (verdict.promote, verdict.forced) == (True, "the meter was exchanged")
    run(tmp_path, "rollback", "--reason", "it was worse")
    back = roles(tmp_path)
    assert (back["champion"], back["candidate"]) == (before["champion"], after["champion"])
    told = json.loads(run(tmp_path, "history", "--json"))
    assert [(change["action"], change["why"]) for change in told] == [
        ("rollback", "it was worse"),
        ("promote", "the meter was exchanged"),
        ("register", ""),
        ("register", ""),
    ]
    words = run(tmp_path, "history", "--limit", "2")
    assert "forced: the meter was exchanged" in words
    assert f"{before['candidate'][:12]} -> {before['champion'][:12]}" in words
    assert "had another champion before" in refused(tmp_path, "rollback")


def test_one_that_was_judged_better_needs_no_force(store: FileModelStore, tmp_path: Path) -> None:
    """A verdict for it counts while the champion is the one that it was judged beside."""
    before = roles(tmp_path)
    record = store.record(before["candidate"])
    assert record.verdict is not None
    better = replace(record.verdict, promote=True, reasons=("The candidate takes over.",))
    store.put_record(replace(record, verdict=replace(better, champion="0" * 64)))
    assert "was not judged beside the champion that serves" in refused(tmp_path, "promote", before["candidate"])
    store.put_record(replace(record, verdict=better))
    assert "The candidate takes over." in run(tmp_path, "promote", before["candidate"])
    assert roles(tmp_path)["champion"] == before["candidate"]


def test_retired_named_and_swept(store: FileModelStore, tmp_path: Path) -> None:
    """gc leaves what is live, before, candidate or named, and says what it freed; what is young stays too."""
    before = roles(tmp_path)
    assert "cannot be retired" in refused(tmp_path, "retire", before["champion"])
    run(tmp_path, "name", before["candidate"], "winter")
    run(tmp_path, "retire", before["candidate"])
    bundle = tmp_path / "store" / "bundles" / f"{before['candidate']}.wattcast"
    old = time.time() - 7_200
    for path in (tmp_path / "store").rglob("*.*"):
        os.utime(path, (old, old))
    assert json.loads(run(tmp_path, "gc", "--json"))["deleted"] == []
    run(tmp_path, "name", "winter", "winter", "--remove")
    stray = store.put_bundle(b"being published")
    assert before["candidate"] in run(tmp_path, "gc", "--dry-run")
    assert bundle.exists()
    size = bundle.stat().st_size
    said = json.loads(run(tmp_path, "gc", "--json"))
    assert said["deleted"] == [f"bundles/{before['candidate']}.wattcast", f"records/{before['candidate']}.json"]
    assert said["bytes"] > size
    assert not bundle.exists()
    assert store.bundle(stray) == b"being published"
    assert f"bundles/{stray}.wattcast" in run(tmp_path, "gc", "--hours", "0")
    assert run(tmp_path, "gc").startswith("0 files")
    assert "no model is called" in refused(tmp_path, "retire", "feed")


def made(version: str, tier: Tier, day: int, values: np.ndarray) -> Served:
    """A forecast of the day, made at its midnight."""
    origin_s = START_S + day * DAY_S
    starts = origin_s + np.arange(24) * 3_600
    steps = Steps(starts, tiny.LEVELS, np.column_stack([values, values - 0.3, values, values + 0.3]))
    return Served(Forecast("house", "UTC", TASK, origin_s, 3_600, steps, tier, "", "some model", version, 0), origin_s, origin_s)


def test_compare_names_the_better_one_and_follows_it_up(store: FileModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thirty days on which the challenger was closer: it is named, plotted, and promoted only where the setting says so."""
    assert "nobody challenges" in refused(tmp_path, "compare")
    champion = roles(tmp_path)["champion"]
    challenger = roles(tmp_path)["candidate"]
    store.change(lambda manifest: challenge(manifest, store.record(challenger), 0.0), at=AT, by="anna")
    rng, days = np.random.default_rng(3), 30
    actual = 1.0 + rng.random((days, 24))
    database = Database(f"sqlite:///{tmp_path / 'store' / 'wattcast.db'}")
    starts = START_S + np.arange(days * 24) * 3_600
    DatabaseReadings(database).put(replace(HOUSE, zone="UTC"), Batch.of(3_600, starts, {"power_kw": actual.ravel()}), START_S)
    served = [made(champion, "champion", day, actual[day] + rng.normal(0, 0.4, 24)) for day in range(days)]
    served += [made(challenger, SHADOW, day, actual[day] + rng.normal(0, 0.1, 24)) for day in range(days)]
    DatabaseForecasts(database).add(served)
    database.close()
    said = json.loads(run(tmp_path, "compare", "--json", "--plots", "plots"))[0]
    assert (said["winner"], said["verdict"]) == ("challenger", "challenger")
    assert said["challenger"]["mae"] < said["champion"]["mae"]
    assert len(list((tmp_path / "plots").glob("*.png"))) == 2
    assert roles(tmp_path)["champion"] == champion
    monkeypatch.setenv("WATTCAST_PROMOTE_WINNERS", "1")
    assert "is the champion now" in run(tmp_path, "compare")
    after = roles(tmp_path)
    assert (after["champion"], after["previous"], after["challenger"]) == (challenger, champion, "")


def test_a_challenger_answers_on_its_share_until_it_ends(store: FileModelStore, tmp_path: Path) -> None:
    """Named with a share, shown, and ended."""
    candidate = roles(tmp_path)["candidate"]
    assert "25%" in run(tmp_path, "challenge", candidate, "--share", "0.25").replace(" %", "%")
    assert (roles(tmp_path)["challenger"], roles(tmp_path)["share"]) == (candidate, 0.25)
    assert "(25%)" in run(tmp_path, "list")
    run(tmp_path, "challenge", candidate, "--end")
    assert roles(tmp_path)["challenger"] == ""
