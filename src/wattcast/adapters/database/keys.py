"""Keys in the database: what is kept of each, when it was revoked, and the secret that sessions are signed with."""

from __future__ import annotations

import secrets

from sqlalchemy import insert, select, update

from wattcast.access import Key
from wattcast.adapters.database.connection import Database
from wattcast.adapters.database.schema import keys, settings
from wattcast.errors import NotFound

_SESSIONS = "session_secret"


class DatabaseKeys:
    """All keys that were ever made."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, key: Key) -> None:
        """Keep a new key."""
        with self._database.writing() as connection:
            connection.execute(
                insert(keys).values(
                    id=key.id,
                    name=key.name,
                    scopes=" ".join(key.scopes),
                    meter=key.meter,
                    digest=key.digest,
                    created_s=key.created_s,
                    revoked_s=key.revoked_s,
                )
            )

    def all(self) -> tuple[Key, ...]:
        """Every key, the oldest first, revoked ones too."""
        with self._database.reading() as connection:
            rows = connection.execute(select(keys).order_by(keys.c.created_s, keys.c.id))
            return tuple(
                Key(row.id, row.name, tuple(row.scopes.split()), row.meter, row.digest, row.created_s, row.revoked_s) for row in rows
            )

    def revoke(self, key_id: str, now_s: int) -> None:
        """Have a key count no more; one that was revoked before stays as it is. Raises NotFound."""
        with self._database.writing() as connection:
            if connection.execute(select(keys.c.id).where(keys.c.id == key_id)).one_or_none() is None:
                raise NotFound(f'there is no key "{key_id[:40]}"', "wattcast keys list shows them")
            connection.execute(update(keys).where(keys.c.id == key_id, keys.c.revoked_s.is_(None)).values(revoked_s=now_s))

    def session_secret(self) -> str:
        """What sessions are signed with: made once, the same for every worker and server of this database."""
        with self._database.writing() as connection:
            there = connection.execute(select(settings.c.value).where(settings.c.name == _SESSIONS)).scalar()
            if there is None:
                there = secrets.token_urlsafe(32)
                connection.execute(insert(settings).values(name=_SESSIONS, value=there))
            return str(there)
