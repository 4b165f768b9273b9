"""How it came to who answers: every change of the serving manifest, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError
from pydantic_core import to_json

from wattcast.errors import RegistryConflict

Action = Literal["register", "promote", "rollback", "retire", "challenge", "name", "sign"]


@dataclass(frozen=True)
class Move:
    """What a change did to one slot: its champion before and after it, empty for none, and why, in words."""

    task: str
    meter: str
    before: str
    after: str
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Change:
    """One entry of the history. serial: of the manifest that it led to; earlier: the SHA-256 of the entry before it, empty for the first.

    A manifest names its latest entry and each entry the one before, so that none can be left out or altered unseen.
    """

    serial: int
    action: Action
    at: str
    by: str
    why: str
    moves: tuple[Move, ...] = ()
    earlier: str = ""


_CHANGE = TypeAdapter(Change)


def change_to_json(change: Change) -> bytes:
    """The entry as JSON bytes."""
    return to_json(change, indent=1)


def change_from_json(data: bytes) -> Change:
    """The entry in these bytes. Raises RegistryConflict when they are none."""
    try:
        return _CHANGE.validate_json(data)
    except ValidationError as cause:
        raise RegistryConflict(
            f"an entry of the history cannot be read ({str(cause).splitlines()[0]})", "restore it from a backup"
        ) from cause
