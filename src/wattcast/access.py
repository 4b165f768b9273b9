"""Who may do what: keys with scopes, and how a secret is told from another. Pure: no store, no clock."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass

from wattcast.errors import BadRequest
from wattcast.meter.table import METER_ID, METER_ID_IN_WORDS

# What a key may be allowed, and what that means; admin is all of them.
SCOPES = {
    "forecast": "ask for forecasts, see those of before, and use the pages",
    "readings:read": "see meters and their readings",
    "readings:write": "send readings, and delete a meter's",
    "models": "see registered models, their history and how good they were",
    "admin": "everything",
}
_SHAPE = re.compile(r"wc_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
_NAME = re.compile(r"[^\x00-\x1f\x7f]{1,100}")


@dataclass(frozen=True)
class Key:
    """A key as it is kept: never its secret, but the SHA-256 of it, which is enough for 256 random bits.

    meter: the only meter that it is for, empty for all; revoked_s: since when it counts no more, None while it does.
    """

    id: str
    name: str
    scopes: tuple[str, ...]
    meter: str
    digest: str
    created_s: int
    revoked_s: int | None = None

    def may(self, scope: str) -> bool:
        """Whether it allows this."""
        return scope in self.scopes or "admin" in self.scopes

    def sees(self, meter: str) -> bool:
        """Whether a meter is there for it."""
        return self.meter in ("", meter)


def new_key(name: str, scopes: Iterable[str], meter: str, now_s: int) -> tuple[Key, str]:
    """A new key, and its text, which is kept nowhere. Raises BadRequest for a scope, a name or a meter that cannot be."""
    wanted = tuple(dict.fromkeys(scopes))
    unknown = [scope for scope in wanted if scope not in SCOPES]
    if unknown or not wanted:
        raise BadRequest(f'"{", ".join(unknown)}" is no scope' if unknown else "a key needs a scope", f"known: {', '.join(SCOPES)}")
    if not _NAME.fullmatch(name):
        raise BadRequest("a key needs a name of up to 100 characters", "such as the program or person that it is for")
    if meter and not re.fullmatch(METER_ID, meter):
        raise BadRequest(f'no meter can be called "{meter[:100]}"', f"a meter id {METER_ID_IN_WORDS}")
    secret, identity = secrets.token_urlsafe(32), secrets.token_hex(6)
    return Key(identity, name, wanted, meter, _digest(secret), now_s), f"wc_{identity}_{secret}"


def parts_of(text: str) -> tuple[str, str] | None:
    """The id and the secret in the text of a key, None where it is none."""
    found = _SHAPE.fullmatch(text)
    return (found[1], found[2]) if found else None


def opens(key: Key | None, secret: str) -> bool:
    """Whether the secret is this key's, in a time that does not tell; False for no key and for a revoked one."""
    same = hmac.compare_digest(_digest(secret), key.digest if key else _digest(""))
    return same and key is not None and key.revoked_s is None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
