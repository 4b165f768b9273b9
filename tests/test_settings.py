"""Operations come from the environment, and a meter is called as its file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from wattcast.config import MeterFacts, Params, Settings, load_settings, meter_id_of, nearest
from wattcast.config.settings import variable_of
from wattcast.errors import BadParams


@pytest.mark.parametrize(
    ("name", "meter"),
    [
        ("household_power_consumption.txt", "household-power-consumption"),
        ("House 12 (new).CSV.GZ", "house-12-new"),
        ("a.csv.zip", "a"),
        ("backup.2020.csv", "backup-2020"),
        ("no_ending", "no-ending"),
        ("---.csv", "meter-aa210a3b"),
        (".csv", "meter-00000000"),
        ("Straße.csv", "stra-e"),
        ("x" * 200 + ".csv", "x" * 80),
        ("../../etc/passwd", "passwd"),
    ],
)
def test_the_meter_is_called_as_its_file(name: str, meter: str) -> None:
    """Small letters, digits and dashes, without the endings of a meter file."""
    assert meter_id_of(Path(name)) == meter


def test_the_nearest_name_or_all_of_them() -> None:
    """One name where one is near, else the choice."""
    assert nearest("sed", ["seed", "threads"]) == '; did you mean "seed"?'
    assert nearest("x", ["seed", "threads"]) == "; known: seed, threads"


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each setting has its variable, and a value where none is set."""
    for name in [name for name in os.environ if name.startswith("WATTCAST_")]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("AWS_REGION", raising=False)
    assert load_settings() == Settings(host="127.0.0.1", port=5000, workers=1, threads=4, store=Path("store"), meter="")
    monkeypatch.setenv("WATTCAST_PORT", "8080")
    monkeypatch.setenv("WATTCAST_STORE", "/srv/models")
    monkeypatch.setenv("WATTCAST_METER", "barn")
    assert load_settings() == Settings(port=8080, store=Path("/srv/models"), meter="barn")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "http"),
        ("PORT", "-1"),
        ("PORT", "65536"),
        ("PORT", ""),
        ("WORKERS", "0"),
        ("WORKERS", "65"),
        ("THREADS", "1.5"),
        ("THREADS", "nan"),
    ],
)
def test_a_setting_that_cannot_be_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    """The refusal names the variable, its value and what is wrong with it."""
    monkeypatch.setenv(f"WATTCAST_{name}", value)
    with pytest.raises(BadParams, match=f"WATTCAST_{name}={value}: ") as refusal:
        load_settings()
    assert "environment variable" in refusal.value.hint


def test_the_variables_of_the_original_project_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its bucket is the model store where no other is named, region and keys are read, and no setting has a second variable."""
    for name, value in {"MODEL_S3_BUCKET": "models", "AWS_REGION": "eu-west-1", "RF_MODEL_KEY": "rf.wattcast"}.items():
        monkeypatch.setenv(name, value)
    settings = load_settings()
    assert (settings.s3_url, settings.region, settings.model_keys) == ("s3://models", "eu-west-1", {"RF_MODEL_KEY": "rf.wattcast"})
    monkeypatch.setenv("WATTCAST_S3", "s3://other/store")
    assert load_settings().s3_url == "s3://other/store"
    assert Settings(bucket="models", s3="").s3_url == "s3://models"
    monkeypatch.setenv("WATTCAST_BUCKET", "models")
    with pytest.raises(BadParams, match="unknown variable WATTCAST_BUCKET"):
        load_settings()


@pytest.mark.parametrize("key", ["models/xgb_model.pkl", "model.PICKLE", "a.b.joblib"])
def test_original_fault_a_key_that_names_a_pickle_is_refused(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    """A pickle runs what it holds: it is neither loaded nor converted, and the refusal names the variable."""
    monkeypatch.setenv("XGB_MODEL_KEY", key)
    with pytest.raises(BadParams, match=f"XGB_MODEL_KEY={key} names a pickle") as refusal:
        load_settings()
    assert "retrained, never converted" in refusal.value.hint


def test_settings_cannot_be_changed_or_invented() -> None:
    """Frozen, and no field that is not known."""
    with pytest.raises(ValueError, match="frozen"):
        Settings().port = 1  # type: ignore[misc]
    with pytest.raises(ValueError, match="Extra inputs"):
        Settings(prot=1)  # type: ignore[call-arg]


@pytest.mark.parametrize("model", [Settings, Params, MeterFacts])
def test_every_field_is_described(model: Any) -> None:
    """What can be set says what it is for."""
    undescribed = [name for name, field in model.model_fields.items() if not field.description]
    assert undescribed == (["meter", "tasks", "families"] if model is Params else [])


def test_the_table_of_settings_is_the_code() -> None:
    """docs/settings.md has every variable, its default and what it is, and no other."""
    rows = []
    for name, field in Settings.model_fields.items():
        default = int(field.default) if isinstance(field.default, bool) else field.default
        shown = "" if field.default == "" else f"`{default}`"
        rows.append(f"| `{variable_of(name)}` | {shown} | {field.description} |")
    written = (Path(__file__).parent.parent / "docs" / "settings.md").read_text("utf-8").splitlines()
    assert [line for line in written if line.startswith("| `")] == rows


def test_workers_that_are_never_told_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several workers that never look by themselves would answer from different models for ever."""
    monkeypatch.setenv("WATTCAST_POLL", "0")
    assert load_settings().poll == 0
    monkeypatch.setenv("WATTCAST_WORKERS", "2")
    with pytest.raises(BadParams, match="WATTCAST_POLL=0 with WATTCAST_WORKERS=2"):
        load_settings()


def test_trusted_keys_that_name_nothing_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comma alone is no way to switch verification off."""
    monkeypatch.setenv("WATTCAST_TRUSTED_KEYS", " , ")
    with pytest.raises(BadParams, match="names no file"):
        load_settings()
