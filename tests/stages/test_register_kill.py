"""`kill -9` at any moment of register leaves a store that opens and serves: the earlier manifest whole, or the new one."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import tiny
import yaml

from wattcast.adapters.files import FileSnapshots, write_atomically
from wattcast.adapters.model_store import FileModelStore
from wattcast.config import load_params
from wattcast.forecasting.backtest import first_test_row
from wattcast.forecasting.scorecard import Scorecard, ScoreRow, score_families
from wattcast.forecasting.succession import promote
from wattcast.meter.sample import as_uci_text, simulate
from wattcast.serving import Ask, ForecastService
from wattcast.stages import preprocess, register, train
from wattcast.stages.outputs import METRICS, read_bundles, read_facts, read_table

ROOT = Path(__file__).resolve().parents[2]
METER = "killed-house"
TRAINED = (("next_minute", "xgb"), ("day_ahead", "xgb"), ("day_ahead", "lgbm"))
KILLS = 200
Kill = Callable[[Path, str, float], str]


def write_params(seed: int) -> None:
    """The project's params.yaml, with features and settings that train in a moment."""
    content = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
    content |= {"meter": {"file": f"{METER}.txt"}, "seed": seed, "threads": 1, "preset": "fast"}
    for name, task in content["tasks"].items():
        effort = {"max_rows": 3_000, "validation_blocks": 1, "validation_max_rows": 1_000}
        task["efforts"] = {"fast": effort, "best": effort}
        for model in task["models"]:
            model["least_readings"] = 1
            model["recent"] = [{"column": "power_kw", "offsets": [0, 1]}]
            model["seasonal"] = [{"days": [1]}] if name == "day_ahead" else []
        for family in content["families"].values():
            for settings in family[name].values():
                settings.pop("rounds_for_rows", None)
            if "fast" in family[name]:
                family[name]["fast"] = {next(iter(family[name]["fast"])): 3, "max_bin": 31}
    Path("params.yaml").write_text(yaml.safe_dump(content), "utf-8")


def write_scorecard() -> None:
    """What the evaluate stage leaves for register, without its plots; no family is vetoed, however little it learnt."""
    params, facts = load_params(), read_facts()
    by_model: list[list[ScoreRow]] = []
    for name, task in params.tasks.items():
        own = {bundle.manifest.family: bundle for bundle in read_bundles(name, 1)}
        table = read_table(task.resolution_s)
        by_model += [rows for rows, _ in score_families(own, table, first_test_row(table, params.train_share))]
    for row in (row for rows in by_model for row in rows):
        for errors in row.score.baselines.values():
            assert isinstance(errors, dict)
            errors |= {"mae": 1e3, "rmse": 1e3}
    write_atomically(METRICS / "scorecard.json", Scorecard.of(facts.meter, by_model, facts.skipped).to_json().encode())


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two projects of one meter as train and evaluate leave them, with other models each, ready to register into `store`."""
    folders = [tmp_path_factory.mktemp(name) for name in ("one", "other")]
    text = as_uci_text(simulate(days=16))
    with pytest.MonkeyPatch.context() as patch:
        for seed, folder in enumerate(folders, 1):
            patch.chdir(folder)
            (folder / f"{METER}.txt").write_bytes(text)
            write_params(seed)
            preprocess.main()
            for task, family in TRAINED:
                patch.setattr(sys, "argv", ["train", task, family])
                train.main()
            write_scorecard()
    return folders


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that both projects register into, empty at first."""
    monkeypatch.setenv("WATTCAST_STORE", str(tmp_path / "store"))
    return tmp_path / "store"


@pytest.fixture
def kill(store: Path) -> Iterator[Kill]:
    """kill(project, "seconds" or "event", amount) -> how far its register stage came: "killed" or "finished"."""
    script = Path(__file__).with_name("register_until_killed.py")
    with subprocess.Popen([sys.executable, script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=os.environ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        asked, told = process.stdin, process.stdout
        assert told.readline() == "ready\n"

        def run(project: Path, how: str, amount: float) -> str:
            print(project, how, amount, file=asked, flush=True)
            return told.readline().strip()

        yield run
        asked.close()
        assert process.wait(timeout=30) == 0


def bundles_of(project: Path) -> set[str]:
    """The ids of what a project trained."""
    store = FileModelStore(project / "own-store")
    return {store.put_bundle(path.read_bytes()) for path in project.glob("models/*/*/model.wattcast")}


def serial_that_serves(store: Path, trained: list[set[str]]) -> int:
    """The serial of the store, after looking at it: it opens, refuses no bundle, holds one registration whole, and answers."""
    models, readings = FileModelStore(store), FileSnapshots(store)
    service = ForecastService(models, readings)
    service.load()
    manifest = service.manifest
    assert service.refused == {}
    assert {bundle for slot in manifest.slots.values() for bundle in slot.families.values()} in (trained if manifest.serial else [set()])
    for slot in manifest.slots.values():
        assert slot.champion in slot.families.values()
        for family, bundle in slot.families.items():
            forecast = service.forecast(Ask(METER, slot.task, now_s=2_000_000_000, family=family))
            assert (forecast.version, forecast.reason) == (bundle, "")
    return manifest.serial


def test_200_kills_at_random_moments_leave_a_store_that_serves(projects: list[Path], store: Path, kill: Kill) -> None:
    """Killed anywhere between its start and its end, register has changed everything that serves or nothing; then a whole one works."""
    trained = [bundles_of(project) for project in projects]
    assert trained[0].isdisjoint(trained[1])
    assert kill(projects[0], "event", 10**6) == "finished"
    begin = time.monotonic()
    assert kill(projects[1], "event", 10**6) == "finished"
    chance, span, serial, before, after = random.Random(9), time.monotonic() - begin, 2, 0, 0
    for number in range(KILLS):
        if number % 10 == 9:
            shutil.rmtree(store, ignore_errors=True)
            serial = 0
        delay = chance.uniform(0, span)
        kill(projects[number % 2], "seconds", delay)
        now = serial_that_serves(store, trained)
        assert now in (serial, serial + 1)
        # Machines are fast and slow by turns: the span follows, so that the new manifest comes at about two thirds of it.
        span *= 0.95 if delay < 0.65 * span and now > serial else 1.05 if delay > 0.65 * span and now == serial else 1
        before, after = before + (now == serial), after + (now > serial)
        serial = now
    assert min(before, after) >= KILLS // 20, f"{before} kills came before the new manifest and {after} after: not all of register was hit"
    assert kill(projects[0], "event", 10**6) == "finished"
    assert serial_that_serves(store, trained) == serial + 1


def test_a_kill_before_each_change_of_a_file_leaves_a_store_that_serves(projects: list[Path], store: Path, kill: Kill) -> None:
    """Killed just before every single file that register creates, renames or removes: first the old serves, then the new."""
    trained, before = [bundles_of(project) for project in projects], store.with_name("before")
    kill(projects[0], "event", 10**6)
    store.rename(before)
    serials: list[int] = []
    outcome = "killed"
    while outcome == "killed":
        shutil.copytree(before, store)
        outcome = kill(projects[1], "event", len(serials) + 1)
        serials.append(serial_that_serves(store, trained))
        shutil.rmtree(store)
    assert set(serials) == {1, 2}
    assert serials == sorted(serials)
    # Three bundles, three records, the readings of two tasks, an entry of the history and one manifest: each is created and renamed,
    # its temporary name removed. What people see of it follows.
    assert serials.count(1) >= 3 * 9
    assert serials.count(2) > 3


def test_who_did_not_prove_better_waits_and_can_be_forced(projects: list[Path], store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second registration has too few days to prove anything: the first one's champion stays, and why is told; forced, it follows."""
    for project in projects:
        monkeypatch.chdir(project)
        register.main()
    models = FileModelStore(store)
    slot = models.manifest().slots[f"next_minute/{METER}"]
    assert slot.champion in bundles_of(projects[0])
    assert slot.candidate in bundles_of(projects[1])
    verdict = models.record(slot.candidate).verdict
    assert verdict is not None
    assert (verdict.promote, verdict.champion) == (False, slot.champion)
    first, second = reversed(list(models.history()))
    assert (first.action, second.action) == ("register", "register")
    assert "days can be compared with the champion, 14 are needed" in second.moves[1].reasons[0]
    record = models.record(slot.candidate)
    models.change(lambda manifest: promote(manifest, record, ("forced",)), at="", by="tests", why="tried")
    slot = models.manifest().slots[f"next_minute/{METER}"]
    assert slot.champion in bundles_of(projects[1])
    assert slot.previous in bundles_of(projects[0])
    slot = models.manifest().slots[f"day_ahead/{METER}"]
    assert set(slot.families) == {"xgb", "lgbm"}
    assert slot.levels == tiny.LEVELS


def test_the_same_models_registered_again_keep_their_verdict(projects: list[Path], store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A champion that is registered once more is still the one that took over for the reasons it did."""
    monkeypatch.chdir(projects[0])
    verdicts = []
    for _ in range(2):
        register.main()
        models = FileModelStore(store)
        slot = models.manifest().slots[f"next_minute/{METER}"]
        verdicts.append(models.record(slot.champion).verdict)
    assert verdicts[0] is not None
    assert verdicts[0] == verdicts[1]
    assert verdicts[0].champion == ""
    assert models.manifest().serial == 2
