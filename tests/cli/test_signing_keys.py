"""`wattcast signing-keys`: a pair of files that sign and verify, made once."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from small_project import in_process

from wattcast.adapters.signatures import Signer, Trust
from wattcast.config import Settings, load_settings
from wattcast.errors import BadParams


def test_a_pair_is_made_and_never_overwritten(tmp_path: Path) -> None:
    """The private key for its owner alone, whatever the umask; what is there stays, and half a pair is not left."""
    before = os.umask(0)
    try:
        made = in_process(tmp_path, "signing-keys", "create")
    finally:
        os.umask(before)
    private, public = tmp_path / "wattcast-signing.key", tmp_path / "wattcast-signing.pub"
    assert sorted(path.name for path in tmp_path.iterdir()) == [private.name, public.name]
    assert [path.stat().st_mode & 0o777 for path in (private, public)] == [0o600, 0o644]
    signer, trust = Signer.from_file(private), Trust.from_files([public])
    assert trust.unsealed(signer.seal({"serial": 1}, 0, 0), 0) == {"serial": 1}
    assert all(word in made.stdout for word in (signer.id, "WATTCAST_SIGNING_KEY", "WATTCAST_TRUSTED_KEYS"))

    contents = private.read_bytes(), public.read_bytes()
    for gone in (None, public):
        if gone:
            gone.unlink()
        again = in_process(tmp_path, "signing-keys", "create")
        assert (again.returncode, again.stdout) == (1, "")
        assert "File exists; nothing was changed\nhint: choose another name, or move it away" in again.stderr
        assert private.read_bytes() == contents[0]
        assert public.exists() == (gone is None)


def test_ids_are_shown(tmp_path: Path) -> None:
    """Of several files, public and private; as JSON for scripts; what is no key is named."""
    first, second = (json.loads(in_process(tmp_path, "signing-keys", "create", "--out", name, "--json").stdout) for name in ("a", "sub/b"))
    assert second["private"] == "sub/b.key"
    shown = in_process(tmp_path, "signing-keys", "show", "a.key", "a.pub", "sub/b.pub").stdout.splitlines()
    assert shown == [f"{first['id']}  a.key", f"{first['id']}  a.pub", f"{second['id']}  sub/b.pub"]
    (key,) = json.loads(in_process(tmp_path, "signing-keys", "show", "sub/b.pub", "--json").stdout)["keys"]
    assert key == {"file": "sub/b.pub", "id": second["id"]}
    (tmp_path / "c.pub").write_text("no key")
    for words, said in ((("show", "a.pub", "c.pub"), "c.pub holds no public key"), (("create", "--out", ""), '"." is no name of a file')):
        refused = in_process(tmp_path, "signing-keys", *words)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert said in refused.stderr


def test_a_private_key_is_not_for_git(tmp_path: Path) -> None:
    """What `create` writes in a project, git leaves alone."""
    root = Path(__file__).resolve().parent.parent.parent
    found = subprocess.run(
        ["git", "check-ignore", "wattcast-signing.key", "deep/any.key", "any.pub"], cwd=root, capture_output=True, text=True, check=False
    )
    assert found.stdout.split() == ["wattcast-signing.key", "deep/any.key"]


def test_signing_is_set_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is signed or looked at by default; several keys are separated by commas."""
    bare = Settings()
    assert (bare.signing_key, bare.trusted_key_files, bare.signature_days) == ("", (), 0)
    monkeypatch.setenv("WATTCAST_SIGNING_KEY", "/run/secrets/release.key")
    monkeypatch.setenv("WATTCAST_TRUSTED_KEYS", "/etc/wattcast/old.pub, /etc/wattcast/new.pub,")
    monkeypatch.setenv("WATTCAST_SIGNATURE_DAYS", "90")
    settings = load_settings()
    assert settings.signing_key == Path("/run/secrets/release.key")
    assert settings.trusted_key_files == (Path("/etc/wattcast/old.pub"), Path("/etc/wattcast/new.pub"))
    assert settings.signature_days == 90
    monkeypatch.setenv("WATTCAST_SIGNING_KEY", "")
    assert load_settings().signing_key == ""
    monkeypatch.setenv("WATTCAST_SIGNATURE_DAYS", "-1")
    with pytest.raises(BadParams, match="WATTCAST_SIGNATURE_DAYS=-1"):
        load_settings()
