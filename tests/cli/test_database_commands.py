"""`wattcast db` and `wattcast keys`: what they do and say, and how they refuse."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from small_project import in_process

from wattcast.access import opens, parts_of
from wattcast.adapters.database import HEAD, Database, DatabaseKeys, DatabaseReadings
from wattcast.meter.arrivals import Batch
from wattcast.meter.table import Meter


def store_of(folder: Path) -> Database:
    """The database that commands use in this folder."""
    return Database(f"sqlite:///{folder / 'store' / 'wattcast.db'}")


def test_the_database_is_upgraded_backed_up_restored_and_pruned(tmp_path: Path) -> None:
    """Each says what it did, where."""
    assert f"was empty, is now at {HEAD}" in in_process(tmp_path, "db", "upgrade").stdout
    assert f"is at {HEAD}" in in_process(tmp_path, "db", "upgrade").stdout
    DatabaseReadings(store_of(tmp_path)).put(
        Meter("barn"), Batch.of(3600, np.array([0, 3600]), {"power_kw": np.array([1.0, 2.0], dtype=np.float32)}), 0
    )
    assert "3 rows" in in_process(tmp_path, "db", "backup", "kept.gz").stdout
    assert "there is no database" in in_process(tmp_path, "db", "backup", "kept.gz", "--store", "sotre").stderr
    assert not (tmp_path / "sotre").exists()
    assert "has rows already" in in_process(tmp_path, "db", "restore", "kept.gz").stderr
    told = in_process(tmp_path, "db", "restore", "kept.gz", "--store", "other")
    assert "3 rows from kept.gz" in told.stdout
    assert "0 readings and 0 forecasts" in in_process(tmp_path, "db", "prune").stdout
    assert "2 readings and 0 forecasts" in in_process(tmp_path, "db", "prune", "--readings-days", "1").stdout
    missing = in_process(tmp_path, "db", "restore", "nowhere.gz")
    assert missing.returncode == 1
    assert "nowhere.gz is no whole backup" in missing.stderr


def test_a_database_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A URL that is none, and one where nobody answers; no password is shown."""
    for url, said in (
        ("nonsense", "names no database"),
        ("postgresql://me:hush@127.0.0.1:1/x", "does not answer"),
        ("postgresql://me@127.0.0.1:1/x?password=hush&sslpassword=hush&connect_timeout=2", "password=hidden"),
        ("postgresql://me@127.0.0.1:hush/x", "its port, or an option, is no number"),
    ):
        monkeypatch.setenv("WATTCAST_DATABASE", url)
        told = in_process(tmp_path, "db", "upgrade")
        assert told.returncode == 1
        assert said in told.stderr
        assert "hush" not in told.stderr


def test_a_key_is_shown_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    """On stdout alone, for scripts; list shows no secret; a revoked one says so."""
    made = in_process(tmp_path, "keys", "create", "home assistant", "--scope", "readings:write", "--scope", "forecast", "--meter", "house")
    text = made.stdout.strip()
    parts = parts_of(text)
    assert parts is not None
    assert "not shown again" in made.stderr
    (key,) = DatabaseKeys(store_of(tmp_path)).all()
    assert opens(key, parts[1])
    assert (key.name, key.scopes, key.meter) == ("home assistant", ("readings:write", "forecast"), "house")
    listed = in_process(tmp_path, "keys", "list")
    assert key.id in listed.stdout
    assert parts[1] not in listed.stdout
    assert parts[1] not in (tmp_path / "store" / "wattcast.db").read_bytes().decode("latin-1")
    assert in_process(tmp_path, "keys", "revoke", key.id).returncode == 0
    (shown,) = json.loads(in_process(tmp_path, "keys", "list", "--json").stdout)["keys"]
    assert shown["revoked_s"]
    assert "digest" not in shown
    as_json = json.loads(in_process(tmp_path, "keys", "create", "b", "--json").stdout)
    assert as_json["scopes"] == ["forecast"]


def test_a_key_that_cannot_be_is_refused(tmp_path: Path) -> None:
    """A scope that is none, a meter that none can be called, and an id that is none's."""
    assert 'no meter can be called "Bad Meter!"' in in_process(tmp_path, "keys", "create", "a", "--meter", "Bad Meter!").stderr
    assert '"all" is no scope' in in_process(tmp_path, "keys", "create", "a", "--scope", "all").stderr
    assert "there is no key" in in_process(tmp_path, "keys", "revoke", "nobody").stderr
    assert "there is no key: on 127.0.0.1" in in_process(tmp_path, "keys", "list").stdout


def test_others_are_not_let_in_without_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """0.0.0.0, and a proxy in front: refused with what to do, before anything is served or trained; a revoked key is none."""
    for words in (("serve", "--host", "0.0.0.0"), ("serve", "--host", "::")):
        told = in_process(tmp_path, *words)
        assert told.returncode == 1
        assert "without a key would let everybody in" in told.stderr
        assert "--create-key" in told.stderr
    monkeypatch.setenv("WATTCAST_PROXIES", "1")
    in_process(tmp_path, "keys", "create", "a")
    (key,) = DatabaseKeys(store_of(tmp_path)).all()
    in_process(tmp_path, "keys", "revoke", key.id)
    assert "127.0.0.1 behind a proxy without a key" in in_process(tmp_path, "serve").stderr
    assert "without a key" in in_process(tmp_path, "run", "--data", "none.csv").stderr
