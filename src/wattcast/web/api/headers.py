"""What goes with every request and answer of the API beside the body: the key, and headers, as the OpenAPI document says them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

A_TAG = 'W/"e12530367fddb890d2227ad91ffe15f9"'
KEY_IN_WORDS = (
    "A key is sent as `Authorization: Bearer KEY`; `wattcast keys create` makes one. "
    "Where only this machine reaches the service (loopback), and no key was ever made, none is asked for."
)
# With a key, or without.
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {}]
# Headers of every answer.
GIVEN = ("X-Request-ID", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")

_HEADERS: dict[str, tuple[str, dict[str, Any]]] = {
    "X-Request-ID": (
        "Id of the request, which the log of the service has too: as it was sent, or made.",
        {"type": "string", "examples": ["7f3c2a9e4b1d"]},
    ),
    "X-RateLimit-Limit": (
        "How often the key, or the address, may ask in a window of time; without it nothing is counted.",
        {"type": "integer", "examples": [600]},
    ),
    "X-RateLimit-Remaining": ("How often it may still ask in this window.", {"type": "integer", "examples": [599]}),
    "X-RateLimit-Reset": (
        "When the window ends, seconds since 1970 in UTC.",
        {"type": "integer", "examples": [1_290_805_200], "x-unit": "s"},
    ),
    "Retry-After": ("Of 429: how long to wait before asking again.", {"type": "integer", "examples": [17], "x-unit": "s"}),
    "WWW-Authenticate": ("Of 401: how a key is sent.", {"type": "string", "examples": ['Bearer realm="wattcast"']}),
    "ETag": ("Of a forecast from stored readings: send it as If-None-Match to ask again.", {"type": "string", "examples": [A_TAG]}),
}
_PARAMETERS = {
    "If-None-Match": ("ETag of an answer that is there already: 304 while it still holds.", {"type": "string", "examples": [A_TAG]}),
    "X-Request-ID": (
        "Id for the request: up to 64 letters, digits, dots, dashes and underscores. For anything else one is made.",
        {"type": "string", "examples": ["7f3c2a9e4b1d"]},
    ),
}
IF_NONE_MATCH, ASKED_BY_ID = ({"$ref": f"#/components/parameters/{name}"} for name in _PARAMETERS)
# The parts of the document that operations refer to.
COMPONENTS: dict[str, Any] = {
    "headers": {name: {"description": text, "schema": schema} for name, (text, schema) in _HEADERS.items()},
    "parameters": {
        name: {"name": name, "in": "header", "required": False, "description": text, "schema": schema}
        for name, (text, schema) in _PARAMETERS.items()
    },
    "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer", "description": KEY_IN_WORDS}},
}


def by_reference(names: Iterable[str]) -> dict[str, dict[str, str]]:
    """The headers of an answer, by reference to what is said of them."""
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
