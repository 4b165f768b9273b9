"""Keys: shown once, kept as a hash, and worth what their scopes and meter say."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wattcast.access import SCOPES, new_key, opens, parts_of
from wattcast.errors import BadRequest


def test_a_key_opens_with_its_secret_alone() -> None:
    """Not with another's, not with its digest, not once it was revoked."""
    key, text = new_key("me", ["forecast"], "", 5)
    other, other_text = new_key("you", ["forecast"], "", 5)
    found = parts_of(text)
    assert found is not None
    identity, secret = found
    assert identity == key.id
    assert opens(key, secret)
    assert not opens(other, secret)
    assert not opens(key, key.digest)
    assert not opens(replace(key, revoked_s=6), secret)
    assert not opens(None, secret)
    assert text != other_text
    assert secret not in repr(key)


@pytest.mark.parametrize(
    "text", ["", "wc_", "wc_0123456789ab_short", "WC_0123456789ab_" + "a" * 43, "wc_0123456789ab_" + "a" * 43 + "\n", "é" * 60]
)
def test_what_is_no_key_has_no_parts(text: str) -> None:
    """Whatever is sent instead."""
    assert parts_of(text) is None


def test_a_scope_allows_itself_and_admin_everything() -> None:
    """Nothing else does."""
    for scope in SCOPES:
        key, _ = new_key("me", [scope], "", 0)
        assert {other for other in SCOPES if key.may(other)} == (set(SCOPES) if scope == "admin" else {scope})


def test_a_key_of_one_meter_sees_that_one() -> None:
    """And one without a meter sees all."""
    assert new_key("me", ["admin"], "house", 0)[0].sees("house")
    assert not new_key("me", ["admin"], "house", 0)[0].sees("barn")
    assert new_key("me", ["admin"], "", 0)[0].sees("barn")


@pytest.mark.parametrize(
    ("name", "scopes", "meter"),
    [
        ("", ["forecast"], ""),
        ("a\nb", ["forecast"], ""),
        ("me", [], ""),
        ("me", ["all"], ""),
        ("x" * 101, ["forecast"], ""),
        ("me", ["forecast"], "Bad Meter!"),
        ("me", ["forecast"], "house\n"),
        ("me", ["forecast"], "x" * 101),
    ],
)
def test_a_key_that_cannot_be_is_refused(name: str, scopes: list[str], meter: str) -> None:
    """A name that breaks lines, no scope, or one that is none, a meter that none can be called."""
    with pytest.raises(BadRequest):
        new_key(name, scopes, meter, 0)
