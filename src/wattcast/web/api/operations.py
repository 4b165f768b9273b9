"""Operations of the API: each is registered once, with the types that it takes and gives; what is sent is checked in one pass."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import msgspec
from flask import Blueprint, Request, Response, g, request
from werkzeug.exceptions import UnsupportedMediaType

from wattcast.errors import BadRequest
from wattcast.web.security.guard import require

api = Blueprint("api", __name__, url_prefix="/api/v1")

_PATH = re.compile(r" - at `\$(?P<path>[^`]*)`$")
_SHORT_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(:\d\d(?:\.\d+)?)?(Z|[ +-]\d\d:\d\d)?")
# Refusals that any operation may meet.
_ALWAYS = (400, 401, 403, 414, 429, 431, 503)
_JSON_BYTES = 4 * 1024 * 1024
encoded = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class Operation:
    """One operation, as it is registered and documented.

    body: type of a JSON body; query: type of the parameters; also: further media types of the body, which the function reads itself, and
    JSON too where `own`; with a body in JSON there are no parameters. scope: what a key must allow; problems: statuses of refusals.
    tagged: whether the answer has an ETag, for who asks again.
    """

    method: str
    path: str
    name: str
    summary: str
    text: str
    scope: str
    gives: type | None
    body: type | None = None
    query: type | None = None
    also: tuple[str, ...] = ()
    problems: tuple[int, ...] = ()
    status: int = 200
    largest_bytes: int = _JSON_BYTES
    own: bool = False
    tagged: bool = False


OPERATIONS: list[Operation] = []


def operation(  # noqa: PLR0913 (what is to be said of an operation)
    method: str,
    path: str,
    gives: type | None,
    *,
    scope: str,
    body: type | None = None,
    query: type | None = None,
    also: tuple[str, ...] = (),
    problems: tuple[int, ...] = (),
    **more: Any,
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a function. It is called with the parts of the path, then `body` (None for a media type of `also`), then `query`."""

    def registered(function: Callable[..., Any]) -> Callable[..., Any]:
        summary, _, text = (function.__doc__ or "").strip().partition("\n")
        said = (method, path, function.__name__, summary, " ".join(text.split()))
        own = Operation(*said, scope, gives, body, query, also, (*problems, *_ALWAYS), **more)
        OPERATIONS.append(own)
        rule = path.replace("{", "<").replace("}", ">")
        api.add_url_rule(rule, function.__name__, _view(own, function), methods=[method])
        return function

    return registered


def _view(own: Operation, function: Callable[..., Any]) -> Callable[..., Response]:
    """What Flask calls: the key is asked, the body and the parameters are read, and what the function says is written."""
    decode: Callable[[bytes], Any] | None = msgspec.json.Decoder(own.body).decode if own.body and not own.own else None

    def answer(**parts: str) -> Response:
        require(own.scope, parts.get("meter_id", ""))
        sent = request._get_current_object()  # type: ignore[attr-defined]  # each look through the proxy takes a while
        sent.max_content_length = own.largest_bytes
        given: dict[str, Any] = dict(parts)
        if decode is not None:
            kind = sent.environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
            given["body"] = None if kind in own.also else _body(sent, kind, decode)
        if own.query is not None:
            given["query"] = _query(own.query) if given.get("body") is None else None
        try:
            said = function(**given)
        except _Known as known:
            return Response(status=304, headers=[known.header])
        written = Response(b"" if said is None else encoded(said), own.status, mimetype="application/json")
        if own.tagged and "tag" in g:
            written.headers.add(*_Known(g.tag).header)
        return written

    return answer


class _Known(Exception):
    """Whoever asks has the answer already."""

    def __init__(self, tag: str) -> None:
        super().__init__(tag)
        # Weak: the age of the readings goes on meanwhile.
        self.header = ("ETag", f'W/"{tag}"')


def unless_known(tag: str) -> None:
    """Go on, unless the request was sent with this tag: then the answer is 304. A tag names all that the answer follows from."""
    if "If-None-Match" in request.headers and request.if_none_match.contains_weak(tag):
        raise _Known(tag)
    g.tag = tag


def untagged() -> None:
    """Give no tag after all: the answer follows from the clock too."""
    g.pop("tag", None)


def _body(sent: Request, kind: str, decode: Callable[[bytes], Any]) -> Any:
    if kind not in ("application/json", ""):
        raise UnsupportedMediaType
    try:
        return decode(_bytes(sent))
    except msgspec.ValidationError as cause:
        raise refusal(cause) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as cause:
        raise BadRequest(f"the body is not JSON: {cause}", "send one JSON object, as /docs describes it") from None


def _bytes(sent: Request) -> bytes:
    """The body: at once where its length is told and allowed, else as Werkzeug reads it, which is slower but looks after the rest."""
    length, most = sent.environ.get("CONTENT_LENGTH", ""), sent.max_content_length or 0
    if length.isdecimal() and int(length) <= most:
        read: bytes = sent.environ["wsgi.input"].read(int(length))
        return read
    return sent.get_data(cache=False)


def _query(kind: type) -> Any:
    sent = request.args
    twice = [name for name in sent if len(sent.getlist(name)) > 1]
    if twice:
        raise BadRequest("a parameter is given twice", "give it once", dict.fromkeys(twice, "is given twice"))
    values = {name: _whole_moment(value) for name, value in sent.items()}
    try:
        return msgspec.convert(values, kind, strict=False)
    except msgspec.ValidationError as cause:
        raise refusal(cause) from None


def _whole_moment(text: str) -> str:
    """A parameter; a moment with the seconds that ISO 8601 lets leave out, and with the plus that arrives as a blank where not escaped."""
    found = _SHORT_MOMENT.fullmatch(text)
    return f"{found[1]}{found[2] or ':00'}{(found[3] or '').replace(' ', '+')}" if found else text


def refusal(cause: msgspec.ValidationError, before: str = "") -> BadRequest:
    """The refusal of what does not fit its type: the field, and what is wrong with it."""
    said = str(cause)
    found = _PATH.search(said)
    field = (before + (found["path"] if found else "")).lstrip(".")
    message = _PATH.sub("", said)
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", message)
    missing = re.fullmatch(r"Object missing required field `(.*)`", message)
    if named := unknown or missing:
        field = f"{field}.{named[1]}".lstrip(".")
        message = "is not known" if unknown else "is missing"
    return BadRequest(f"{field or 'the body'}: {message}", "correct it; /docs describes every field", {field or "body": message})


def status_words(status: int) -> str:
    """The standard words for a status."""
    return HTTPStatus(status).phrase
