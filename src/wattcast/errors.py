"""What can go wrong, as kinds: each error says what, where and what to do. Nothing else lives here."""

from __future__ import annotations


class WattcastError(Exception):
    """A refusal with a message (what and where) and a hint (what to do about it)."""

    title = "Refused"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class BadMeterFile(WattcastError):
    """A meter file that cannot be read as readings."""

    title = "Bad meter file"


class BadParams(WattcastError):
    """A params.yaml, or a setting in the environment, that cannot be used."""

    title = "Bad parameters"


class BadRequest(WattcastError):
    """Input of a caller that is malformed: `fields` maps a field's name to what is wrong with it."""

    title = "Bad request"

    def __init__(self, message: str, hint: str = "", fields: dict[str, str] | None = None) -> None:
        super().__init__(message, hint)
        self.fields = fields or {}


class Unauthorized(WattcastError):
    """No key was given where one is needed, or none that counts."""

    title = "Unauthorized"


class Forbidden(WattcastError):
    """The key that was given does not allow this."""

    title = "Forbidden"


class NotFound(WattcastError):
    """What was asked for by name is not there."""

    title = "Not found"


class LeakingSpec(WattcastError):
    """A feature specification that would read past the origin."""

    title = "Leaking feature specification"


class NotEnoughHistory(WattcastError):
    """Too few readings for what was asked."""

    title = "Not enough history"


class NothingToScore(WattcastError):
    """No row is left on which a metric could be computed."""

    title = "Nothing to score"


class BadBundle(WattcastError):
    """A model file that is torn, altered, foreign, or does not forecast what its record says."""

    title = "Bad model file"


class RegistryConflict(WattcastError):
    """Another process published in between, or the store cannot be opened."""

    title = "Registry conflict"


class Unavailable(WattcastError):
    """Something outside this process is missing: a file, a port, disk space, the network."""

    title = "Unavailable"


def explain(error: WattcastError) -> str:
    """The error as a person reads it: one line, and one for the hint."""
    return f"error: {error.message}" + (f"\nhint: {error.hint}" if error.hint else "")
