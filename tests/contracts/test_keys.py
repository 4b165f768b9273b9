"""What every store of keys promises."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from wattcast.access import new_key
from wattcast.adapters.database import Database, DatabaseKeys
from wattcast.adapters.database.backup import backup
from wattcast.errors import NotFound


def test_keys_are_kept_and_revoked(database: Database, connect_database: Callable[[], Database]) -> None:
    """By whoever connects; revoked once, the first moment stays."""
    keys = DatabaseKeys(database)
    assert keys.all() == ()
    first, _ = new_key("first", ["readings:read", "forecast"], "house", 10)
    second, _ = new_key("second", ["admin"], "", 11)
    keys.add(first)
    keys.add(second)
    again = DatabaseKeys(connect_database())
    assert again.all() == (first, second)
    again.revoke(first.id, 20)
    again.revoke(first.id, 30)
    assert [key.revoked_s for key in keys.all()] == [20, None]
    with pytest.raises(NotFound, match="no key"):
        keys.revoke("0" * 12, 20)


def test_sessions_are_signed_with_one_secret_everywhere(database: Database, connect_database: Callable[[], Database]) -> None:
    """Made once."""
    secret = DatabaseKeys(database).session_secret()
    assert len(secret) >= 43
    assert DatabaseKeys(connect_database()).session_secret() == secret


def test_no_secret_is_in_a_backup(database: Database, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Neither keys nor the secret of sessions."""
    keys = DatabaseKeys(database)
    key, _ = new_key("first", ["admin"], "", 10)
    keys.add(key)
    keys.session_secret()
    assert backup(database, tmp_path_factory.mktemp("backup") / "backup.gz") == 0
