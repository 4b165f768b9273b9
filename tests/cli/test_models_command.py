"""`wattcast models` and `wattcast inspect`: what is served, and what is in a model file."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tiny
from small_project import Trained, in_process


def test_models_show_scores_beside_their_baselines(trained: Trained) -> None:
    """Every family's error stands above the baselines of the same rows, and a veto with its reason."""
    told = in_process(trained.folder, "models").stdout
    assert "meter minutes" in told
    assert "meter hours (quality good, registered last)" in told
    assert "champion" in told
    assert "the mean of the same time on the last 7 days" in told
    assert "next_minute: skipped, the readings are 3600 s apart" in told
    listing = json.loads(in_process(trained.folder, "models", "--json").stdout)
    for task in (task for meter in listing["meters"] for task in meter["tasks"] if not task["skipped"]):
        assert task["families"]
        assert {"xgb", "lgbm"} <= {family["family"] for family in task["families"]} <= {"xgb", "lgbm", "blend"}
        assert {family["family"] for family in task["families"] if family["vetoed"]} == task["vetoed"].keys()
        answering = [family for family in task["families"] if not family["vetoed"]]
        assert all(family["mae"] < errors["mae"] for family in answering for errors in task["baselines"].values())


def test_a_vetoed_family_shows_its_figures_too(trained: Trained, tmp_path: Path) -> None:
    """A veto is read beside the errors that led to it."""
    store = Path(shutil.copytree(trained.folder / "store", tmp_path / "store"))
    manifest = json.loads((store / "serving.json").read_text())
    slot = manifest["slots"]["day_ahead/hours"]
    loser = next(family for family, bundle in slot["families"].items() if bundle != slot["champion"])
    slot["vetoed"][loser], slot["previous"], slot["standby"] = "it lost to a baseline on the test", "", slot["champion"]
    (store / "serving.json").write_text(json.dumps(manifest))
    meters = json.loads(in_process(tmp_path, "models", "--json").stdout)["meters"]
    families = [family for meter in meters for task in meter["tasks"] for family in task["families"] if family["vetoed"]]
    assert all(family["mae"] > 0 for family in families)
    assert loser in {family["family"] for family in families}


def test_an_empty_store_says_what_to_do(tmp_path: Path) -> None:
    """No model yet: a sentence for people, an empty list for programs."""
    assert "make run" in in_process(tmp_path, "models").stdout
    assert json.loads(in_process(tmp_path, "models", "--json").stdout) == {"serial": 0, "latest_meter": "", "meters": []}


def test_a_record_that_is_lost_does_not_hide_the_models(trained: Trained, tmp_path: Path) -> None:
    """One unreadable record is a warning; its model is listed without scores."""
    store = Path(shutil.copytree(trained.folder / "store", tmp_path / "store"))
    listing = json.loads(in_process(trained.folder, "models", "--json").stdout)
    (store / "records" / f"{listing['meters'][0]['tasks'][0]['champion']}.json").unlink()
    told = in_process(tmp_path, "models")
    assert told.returncode == 0
    assert told.stderr.startswith("warning: bundle ")
    assert "meter minutes" in told.stdout


def test_inspect_tells_what_a_bundle_is(trained: Trained) -> None:
    """By path and by the beginning of its id: facts, features in words, validation scores, files."""
    path = trained.folder / "models" / "day_ahead" / "lgbm" / "model.wattcast"
    facts = json.loads(in_process(trained.folder, "inspect", path, "--json").stdout)
    by_id = in_process(trained.folder, "inspect", facts["id"][:8])
    assert (facts["task"], facts["family"], facts["meter"]["id"]) == ("day_ahead", "lgbm", "hours")
    assert facts["replay"] == "it forecasts what its record says"
    assert by_id.returncode == 0, by_id.stderr
    for words in ("bundle " + facts["id"], "the same time 1, 2, 7 days before", "the same time a day before", "history/heads.onnx"):
        assert words in by_id.stdout


def test_a_model_file_that_is_not_whole_is_refused_with_a_sentence(tmp_path: Path) -> None:
    """One flipped byte, half a file, a foreign format, another file altogether: an error and a hint, exit 1."""
    good = tiny.bundle()
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 1
    foreign = tiny.repacked(good, change=lambda manifest: manifest.update(format=99))
    for name, data in {"flipped": bytes(flipped), "torn": good[: len(good) // 2], "foreign": foreign, "other": b"PK"}.items():
        path = tmp_path / f"{name}.wattcast"
        path.write_bytes(data)
        told = in_process(tmp_path, "inspect", path)
        assert (told.returncode, told.stdout) == (1, "")
        assert [line.split(":")[0] for line in told.stderr.splitlines()] == ["error", "hint"]
    path.write_bytes(good)
    assert in_process(tmp_path, "inspect", path).returncode == 0


@pytest.mark.parametrize(
    ("name", "said"), [("nothing.wattcast", "neither a file nor"), ("ab" * 32, "is not in the store"), ("abcdef12", "neither")]
)
def test_a_bundle_that_is_nowhere_is_said(name: str, said: str, tmp_path: Path) -> None:
    """No file, no registered id."""
    told = in_process(tmp_path, "inspect", name)
    assert told.returncode == 1
    assert said in told.stderr
