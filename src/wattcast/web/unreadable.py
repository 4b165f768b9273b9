"""What cannot be read as a request is refused in the one error shape too, before there is an app to ask."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Any

from gunicorn.http.errors import LimitRequestHeaders, LimitRequestLine, ParseException

_TOO_LARGE = {LimitRequestLine: 414, LimitRequestHeaders: 431}
_HINT = "shorten the address and the headers, and send the rest in the body"


def refusal_of(error: Exception) -> bytes | None:
    """The whole answer to what gunicorn could not read; None for any other error."""
    if not isinstance(error, ParseException):
        return None
    # The master, which only passes this class on, needs no Flask.
    from wattcast.web.problems import Problem  # noqa: PLC0415

    status = _TOO_LARGE.get(type(error), 400)
    if status == 400:
        problem = Problem(400, "Bad request", "What was sent cannot be read as an HTTP request.", "send it with a well-kept HTTP client")
    else:
        problem = Problem(status, "Too large", "The address or the headers of the request are longer than they may be.", _HINT)
    body = json.dumps(problem.to_json()).encode()
    lines: list[tuple[str, Any]] = [
        ("Connection", "close"),
        ("Content-Type", "application/problem+json"),
        ("Content-Length", len(body)),
        ("Content-Security-Policy", "default-src 'none'"),
        ("X-Content-Type-Options", "nosniff"),
    ]
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{head}\r\n".encode() + body
