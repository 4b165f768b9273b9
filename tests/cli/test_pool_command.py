"""`wattcast pool`: one model of many meters into the store, which then answers for a file never seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import tiny
from small_project import HEAD, in_process, small_params, write_csv
from street import RECIPE, street

from wattcast.adapters.model_store import FileModelStore


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small params and a model of six files and two simulated houses in its store."""
    folder = tmp_path_factory.mktemp("pool")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(tiny.SETTINGS, "lgbm", dict(RECIPE.settings))
        enough = small_params().replace('"max_rows": 3000', '"max_rows": 10000').replace('_max_rows": 1500', '_max_rows": 8000')
    (folder / "params.yaml").write_text(HEAD + enough)
    files = [write_csv(folder / f"meter-{number}.csv", table) for number, table in enumerate(street(6))]
    told = in_process(folder, "pool", *files, "--simulated", "2", "--days", "61", "--json")
    assert told.returncode == 0, told.stderr
    (folder / "told.json").write_text(told.stdout)
    return folder


def test_a_pool_is_trained_and_published(project: Path) -> None:
    """The store's slot of `*`, the score on meters held out beside its baseline, and how many meters it learned from."""
    told = json.loads((project / "told.json").read_text())
    manifest = FileModelStore(project / "store").manifest()
    assert (told["meters"], told["simulated"], told["family"], told["serial"]) == (8, 2, "lgbm", manifest.serial)
    assert told["held_out"]["baselines"].keys() == {"mean_7_days"}
    slot = manifest.slots["day_ahead/*"]
    assert list(slot.families) == ["lgbm"]
    assert told["champion"] == slot.champion != ""
    assert not manifest.meters


def test_it_is_listed_among_the_models(project: Path) -> None:
    """`wattcast models` names it, with its score beside the baseline, though it is no meter."""
    told = in_process(project, "models").stdout
    assert "meter * (answers for meters that have no model of their own)" in told
    (listed,) = json.loads(in_process(project, "models", "--json").stdout)["meters"]
    ((task,),) = [listed["tasks"]]
    assert (listed["id"], task["task"], [family["family"] for family in task["families"]]) == ("*", "day_ahead", ["lgbm"])
    assert task["baselines"]["mean_7_days"]["mae"] > task["families"][0]["mae"]


def test_a_file_never_seen_is_answered(project: Path, tmp_path: Path) -> None:
    """The forecast says that a model of all meters answered; a stated yearly use moves it where little was measured."""
    few = write_csv(tmp_path / "newcomer.csv", tiny.hour_table(60).rows(0, 3))
    plain, stated = (json.loads(in_process(project, "forecast", few, *more).stdout) for more in ([], ["--yearly-kwh", "60000"]))
    assert (plain["meter"], plain["tier"], len(plain["steps"])) == ("newcomer", "shared", 24)
    assert "a model of all meters known answers: this meter has none of its own" in plain["reason"]
    assert sum(step["mean"] for step in stated["steps"]) > 2 * sum(step["mean"] for step in plain["steps"])
    told = in_process(project, "forecast", few, "--yearly-kwh", "-3")
    assert (told.returncode, "hint: give the kWh of a year" in told.stderr) == (1, True)


def test_its_forecast_is_taken_apart(project: Path, tmp_path: Path) -> None:
    """--why: the groups sum to the mean in kW, with a stated yearly use too."""
    few = write_csv(tmp_path / "newcomer.csv", tiny.hour_table(60).rows(0, 30))
    told = json.loads(in_process(project, "forecast", few, "--why", "--yearly-kwh", "9000").stdout)
    sums = [sum(step) for step in zip(*told["why"]["groups"].values(), strict=True)]
    assert told["tier"] == "shared"
    assert sums == pytest.approx([step["mean"] for step in told["steps"]], abs=1e-3)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--simulated", "2", "--days", "61"], "at least 8 are needed"),
        (["--task", "next_minute", "--simulated", "8", "--days", "61"], "forecasts changes of the load"),
        (["--family", "lgmb"], 'did you mean "lgbm"?'),
        (["nowhere.csv"], "nowhere.csv"),
    ],
)
def test_what_cannot_be_pooled_is_said(words: list[str], said: str, project: Path) -> None:
    """Exit 1, a line and a hint; the store stays as it was."""
    before = FileModelStore(project / "store").manifest()
    told = in_process(project, "pool", *words)
    assert told.returncode == 1
    assert said in told.stderr
    assert "hint: " in told.stderr
    assert FileModelStore(project / "store").manifest() == before
