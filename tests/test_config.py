"""params.yaml is read strictly: a key that is not known, or a value that cannot be, is one sentence with a way out."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from wattcast.config import MeterFacts, Params, load_params, load_settings
from wattcast.errors import BadParams

ROOT = Path(__file__).resolve().parent.parent
SHIPPED = yaml.safe_load((ROOT / "params.yaml").read_text("utf-8"))
Load = Callable[..., Params]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """load({"path.to.key": value}) -> the params of the project's own params.yaml, changed there; DROP takes a key away."""

    def load_changed(changes: dict[str, Any]) -> Params:
        content = copy.deepcopy(SHIPPED)
        for place, value in changes.items():
            *parents, last = place.split(".")
            here = content
            for part in parents:
                here = here[int(part) if part.isdigit() else part]
            if value is DROP:
                del here[last]
            else:
                here[last] = value
        path = tmp_path / "params.yaml"
        path.write_text(yaml.safe_dump(content), "utf-8")
        return load_params(path)

    return load_changed


DROP = object()


def test_the_project_s_own_params_are_good(load: Load) -> None:
    """What ships is read: two tasks, four families, the three that every task has at both efforts."""
    params = load({})
    assert list(params.tasks) == ["day_ahead", "next_minute"]
    assert set(params.families) == {"xgb", "rf", "lgbm", "extra"}
    assert params.quantiles == (0.1, 0.5, 0.9)
    assert params.tasks["next_minute"].models[1].least_readings == 1


UNKNOWN = {
    "sed": "seed",
    "quantile": "quantiles",
    "train_shares": "train_share",
    "meter.flie": "file",
    "meters.simulated-house.zoone": "zone",
    "meters.simulated-house.holiday": "holidays",
    "tasks.day_ahead.horizons": "horizon",
    "tasks.day_ahead.embargo": "embargo_steps",
    "tasks.next_minute.models.0.least_reading": "least_readings",
    "tasks.next_minute.models.0.recents": "recent",
    "tasks.next_minute.models.0.recent.2.offset": "offsets",
    "tasks.next_minute.models.0.recent.0.extreme": "extremes",
    "tasks.day_ahead.models.0.seasonal.0.day": "days",
    "tasks.day_ahead.efforts.fast.max_row": "max_rows",
    "families.xgbb": "xgb",
    "families.lgbm.day_ahed": "day_ahead",
    "families.xgb.next_minute.fast.max_deph": "max_depth",
    "families.rf.day_ahead.best.tree": "trees",
    "families.lgbm.day_ahead.best.num_leafs": "num_leaves",
}


@pytest.mark.parametrize("place", UNKNOWN)
def test_an_unknown_key_is_refused_with_the_nearest_known_name(load: Load, place: str) -> None:
    """At every depth of params.yaml a key that is not known is named, with the one that was probably meant."""
    with pytest.raises(BadParams) as refusal:
        load({place: {} if place.count(".") < 2 or place.endswith("ahed") else 1})
    assert place.rsplit(".", maxsplit=1)[-1] in refusal.value.message
    assert f'did you mean "{UNKNOWN[place]}"?' in refusal.value.message
    assert refusal.value.hint


def test_an_unknown_key_far_from_all_names_is_refused_with_them(load: Load) -> None:
    """Where nothing is near, everything that is known is listed."""
    with pytest.raises(BadParams, match=r"unknown key meter\.xyzzy; known: file"):
        load({"meter.xyzzy": 1})
    with pytest.raises(BadParams, match="unknown key 7; known: meter, meters, preset"):
        load({"7": 1})


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "a word for a number": ({"seed": "one"}, "seed: Input should be a valid integer"),
    "a negative seed": ({"seed": -1}, "seed: Input should be greater than or equal to 0"),
    "half a thread": ({"threads": 1.5}, "threads: "),
    "fewer than no threads": ({"threads": -1}, "threads: "),
    "an unknown preset": ({"preset": "fastest"}, "preset: Input should be 'auto', 'fast' or 'best'"),
    "a share over one": ({"train_share": 1.0}, "train_share: "),
    "no share": ({"least_share_measured": 0}, "least_share_measured: "),
    "no file": ({"meter.file": DROP}, "meter.file: Field required"),
    "no meter": ({"meter": DROP}, "meter: Field required"),
    "no tasks": ({"tasks": DROP}, "tasks: Field required"),
    "a list for a task": ({"tasks.day_ahead": []}, "tasks.day_ahead: "),
    "words for steps": ({"tasks.day_ahead.horizon": "a day"}, "tasks.day_ahead.horizon: Input should be a valid integer"),
    "an unknown target": ({"tasks.day_ahead.target": "sum"}, "tasks.day_ahead.target: Input should be 'level', 'change' or 'deviation'"),
    "no name of a model": ({"tasks.day_ahead.models.0.name": DROP}, "tasks.day_ahead.models.0.name: Field required"),
    "more readings than it looks back on": ({"tasks.day_ahead.models.0.least_readings": 2_000}, "least_readings must be 1 to 1346"),
    "no reading": ({"tasks.next_minute.models.1.least_readings": 0}, "least_readings must be 1 to 1"),
    "an unknown baseline": ({"tasks.day_ahead.baselines": ["weekly_naiv"]}, 'did you mean "weekly_naive"?'),
    "no baseline": ({"tasks.day_ahead.baselines": []}, "day_ahead needs a baseline"),
    "no model": ({"tasks.day_ahead.models": []}, "day_ahead needs a baseline, and models"),
    "two models of one name": ({"tasks.next_minute.models.1.name": "history"}, "models with names of their own"),
    "no horizon": ({"tasks.day_ahead.horizon": 0}, "tasks.day_ahead.horizon: Input should be greater than or equal to 1"),
    "a horizon without end": ({"tasks.day_ahead.horizon": 8761}, "tasks.day_ahead.horizon: Input should be less than or equal to 8760"),
    "no resolution": ({"tasks.day_ahead.resolution_s": 0}, "tasks.day_ahead.resolution_s: Input should be greater than or equal to 1"),
    "an embargo that overlaps": ({"tasks.day_ahead.embargo_steps": -24}, "embargo_steps: Input should be greater than or equal to 0"),
    "all of it for validation": ({"tasks.day_ahead.validation_share": 1.0}, "validation_share: Input should be less than 1"),
    "more blocks than there is": ({"tasks.day_ahead.efforts.fast.validation_blocks": 10}, "day_ahead: validation_blocks times"),
    "fewer than no leads": ({"tasks.day_ahead.leads_per_origin": -5}, "leads_per_origin: Input should be greater than or equal to 0"),
    "a memory of the future": ({"tasks.day_ahead.event_memory": -1}, "event_memory: Input should be greater than or equal to 0"),
    "no block": ({"tasks.day_ahead.efforts.fast.validation_blocks": 0}, "efforts.fast.validation_blocks: Input should be greater"),
    "no row to learn from": ({"tasks.day_ahead.efforts.best.max_rows": -1}, "efforts.best.max_rows: Input should be greater"),
    "no row to validate on": ({"tasks.day_ahead.efforts.best.validation_max_rows": 0}, "validation_max_rows: Input should be greater"),
    "forty times the rows": ({"tasks.day_ahead.models.0.rows_share": 40}, "models.0.rows_share: Input should be less than or equal to 1"),
    "a gate between hours": ({"tasks.day_ahead.gate": "06:30"}, "day_ahead: a gate at 06:30 lies between steps of 3600 s"),
    "fewer rounds validated than served": (
        {"tasks.day_ahead.efforts.best.validation_max_rows": 50_000},
        "best: rounds_for_rows 100000 is more than the rows that tasks.day_ahead.efforts.best validates on",
    ),
    "no share of the rows": ({"tasks.day_ahead.models.0.rows_share": 0}, "models.0.rows_share: Input should be greater than 0"),
    "a mean of nothing": ({"tasks.day_ahead.models.0.seasonal.0.means": [[1], []]}, "tasks.day_ahead.models.0.seasonal.0.means.1: "),
    "a model out of its folder": ({"tasks.day_ahead.models.0.name": "../../x"}, 'tasks: day_ahead: "../../x" is no name'),
    "a model without a name": ({"tasks.day_ahead.models.0.name": ""}, 'tasks: day_ahead: "" is no name'),
    "a task with a capital": ({"tasks.Weekly": SHIPPED["tasks"]["day_ahead"]}, 'tasks: Weekly: "Weekly" is no name'),
    "facts of a file": ({"meters": {"My House.csv": {"unit": "W"}}}, 'meters: "My House.csv" is no meter id: write "my-house"'),
    "facts that are a list": ({"meters.simulated-house": []}, "meters.simulated-house: "),
    "a preset of a family missing": (
        {"families.rf.day_ahead.best": DROP},
        "must each state fast and best",
    ),
    "a preset of a family misspelt": ({"families.rf.day_ahead.bets": {}}, "Input should be 'fast' or 'best'"),
    "an effort missing": ({"tasks.day_ahead.efforts.fast": DROP}, "must each state fast and best"),
    "a family missing": ({"families.lgbm": DROP}, "families.lgbm."),
    "a task of a family missing": ({"families.lgbm.day_ahead": DROP}, "families.lgbm.day_ahead and"),
    "no rounds": ({"families.xgb.day_ahead.fast.rounds": DROP}, "xgb.day_ahead.fast lacks rounds"),
    "no trees": ({"families.rf.day_ahead.fast.trees": 0}, "rf.day_ahead.fast.trees must be a whole number from 1"),
    "half a round": ({"families.xgb.day_ahead.fast.tail_rounds": 1.5}, "xgb.day_ahead.fast.tail_rounds must be a whole number from 1"),
    "a list of rounds": ({"families.xgb.day_ahead.fast.rounds": [1, 2]}, "families.xgb.day_ahead.fast.rounds"),
    "an unknown unit": ({"meters.simulated-house.unit": "MW"}, "meters.simulated-house.unit: "),
    "an unknown flow": ({"meters.simulated-house.flow": "both"}, "meters.simulated-house.flow: "),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_value_that_cannot_be_is_refused_with_its_place(load: Load, what: str) -> None:
    """Wrong types, impossible amounts and missing parts: the file, the place and what is wrong, and a hint."""
    changes, words = WRONG[what]
    with pytest.raises(BadParams) as refusal:
        load(changes)
    assert words in refusal.value.message
    assert "params.yaml: " in refusal.value.message
    assert "mend params.yaml" in refusal.value.hint


@pytest.mark.parametrize("changes", [{"meters.simulated-house": None}, {"meters": None}])
def test_a_meter_without_facts_has_the_usual_ones(load: Load, changes: dict[str, Any]) -> None:
    """A key below which everything was taken away or commented out says nothing."""
    assert load(changes).meter_facts(Path("simulated-house.txt")) == ("simulated-house", MeterFacts())


@pytest.mark.parametrize(
    "levels",
    [
        [],
        [0.5, 0.5],
        [0.9, 0.5, 0.1],
        [0.1, 0.9],
        [0, 0.5],
        [0.5, 1],
        [-0.1, 0.5],
        [0.5, 1.1],
        [0.5, float("nan")],
        ["low", 0.5],
        0.5,
        None,
    ],
)
def test_quantiles_rise_between_0_and_1_around_the_median(load: Load, levels: Any) -> None:
    """Any other set of levels is refused."""
    with pytest.raises(BadParams, match="quantiles"):
        load({"quantiles": levels})


@pytest.mark.parametrize("levels", [[0.5], [0.1, 0.5], [0.05, 0.25, 0.5, 0.75, 0.95], [1e-6, 0.5, 1 - 1e-6]])
def test_any_rising_levels_around_the_median_will_do(load: Load, levels: list[float]) -> None:
    """Any sorted set with the median."""
    assert load({"quantiles": levels}).quantiles == tuple(levels)


LEAKS = {
    "the reading after the origin": ({"tasks.next_minute.models.0.recent.0.offsets": [0, -1]}, "offset -1 lies after the origin"),
    "a window of nothing": ({"tasks.next_minute.models.0.recent.0.means": [0]}, "a window must hold at least the last reading"),
    "the target itself": ({"tasks.day_ahead.models.0.seasonal.0.days": [0, 1]}, "is the target itself or lies after it"),
    "tomorrow": ({"tasks.day_ahead.models.0.seasonal.0.hours": [-24]}, "is the target itself or lies after it"),
    "a mean over today": ({"tasks.day_ahead.models.0.seasonal.0.means": [[0, 1]]}, "is the target itself or lies after it"),
    "what nobody knows ahead": ({"tasks.day_ahead.models.0.calendar": ["weather"]}, "is not known of a moment ahead"),
}


@pytest.mark.parametrize("what", LEAKS)
def test_a_spec_that_leaks_is_refused_when_params_are_read(load: Load, what: str) -> None:
    """Features that look past the origin never reach a training: the refusal names the file and the feature."""
    changes, words = LEAKS[what]
    with pytest.raises(BadParams, match=words) as refusal:
        load(changes)
    assert "params.yaml: " in refusal.value.message


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "valid dictionary"),
        (b"- 1\n- 2\n", "valid dictionary"),
        (b"seed: [1\n", "is not YAML"),
        (b"\xff\xfe s", "is not YAML"),
        (b"seed: !!python/object/apply:os.system ['touch ran']\n", "is not YAML"),
        (b"\t: 1", "is not YAML"),
        (b"seed: 1\nthreads: 0\nseed: 2\n", 'params.yaml: line 3: key "seed" stands there a second time'),
        (b"meters: {barn: {},\n  barn: {}}\n", 'params.yaml: line 2: key "barn" stands there a second time'),
        (b'"seed": 1, seed: 2', "is not YAML"),
        (b'{"seed": 1, seed: 2}', 'params.yaml: line 1: key "seed" stands there a second time'),
    ],
)
def test_a_file_that_holds_no_params_is_refused(tmp_path: Path, content: bytes, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty, a list, torn YAML, other bytes, YAML that would run code: one line, and nothing runs."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_bytes(content)
    with pytest.raises(BadParams, match=words) as refusal:
        load_params()
    assert "\n" not in refusal.value.message
    assert not Path("ran").exists()


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """Another folder than the project's is the usual reason, and the hint."""
    for path in (tmp_path / "params.yaml", tmp_path):
        with pytest.raises(BadParams, match="cannot be read") as refusal:
            load_params(path)
        assert "project's folder" in refusal.value.hint


def test_params_cannot_be_changed(load: Load) -> None:
    """What was read stays as it was."""
    with pytest.raises(ValueError, match="frozen"):
        load({}).seed = 2  # type: ignore[misc]


@pytest.mark.parametrize(
    ("preset", "rows", "effort"), [("auto", 999_999, "best"), ("auto", 10**6, "fast"), ("best", 10**7, "best"), ("fast", 1, "fast")]
)
def test_the_effort_follows_the_file(load: Load, preset: str, rows: int, effort: str) -> None:
    """auto trains its best below a million rows; a stated preset holds whatever the file."""
    assert load({"preset": preset}).effort(rows) == effort


def test_no_threads_stated_are_all_cores(load: Load) -> None:
    """0 is every core of the machine, another number is that number."""
    assert load({"threads": 0}).training_threads() == os.cpu_count()
    assert load({"threads": 3}).training_threads() == 3


def test_facts_belong_to_the_meter_of_the_file(load: Load) -> None:
    """A file's facts are found by its meter id; a file that none are stated for gets the usual ones."""
    params = load({})
    assert params.meter_facts(Path("data/raw/simulated-house.txt")) == ("simulated-house", MeterFacts(simulated=True, holidays="FR"))
    assert params.meter_facts(Path("elsewhere.csv")) == ("elsewhere", MeterFacts())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("WATTCAST_NONSENSE", "unknown variable WATTCAST_NONSENSE; known: WATTCAST_HOST, WATTCAST_PORT, "),
        ("WATTCAST_PROT", 'unknown variable WATTCAST_PROT; did you mean "WATTCAST_PORT"?'),
        ("WATTCAST_", "unknown variable WATTCAST_; known: "),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_known_name(monkeypatch: pytest.MonkeyPatch, name: str, words: str) -> None:
    """A setting that was misspelt is not ignored."""
    monkeypatch.setenv(name, "1")
    with pytest.raises(BadParams) as refusal:
        load_settings()
    assert words in refusal.value.message
    assert "unset it" in refusal.value.hint


def test_what_tests_and_other_programs_set_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the real meter files is not refused, and nothing is that is not called WATTCAST_."""
    before = load_settings()
    monkeypatch.setenv("WATTCAST_SHARED_DATA", "/data")
    monkeypatch.setenv("MY_WATTCAST_NONSENSE", "1")
    assert load_settings() == before
