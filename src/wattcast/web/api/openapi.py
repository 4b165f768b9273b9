"""The OpenAPI document, made from what the operations are registered with."""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec

from wattcast.meter.table import METER_ID
from wattcast.web.api.answers.problems import ProblemDetails
from wattcast.web.api.headers import ASKED_BY_ID, COMPONENTS, GIVEN, IF_NONE_MATCH, SECURITY, by_reference
from wattcast.web.api.operations import OPERATIONS, Operation, api, status_words
from wattcast.web.api.words import A_VERSION

_SCHEMAS = "#/components/schemas/{name}"
_PARTS = {
    "meter_id": {"description": "Meter id.", "schema": {"type": "string", "pattern": METER_ID, "examples": ["house"]}},
    "version": {"description": "Id of a model file.", "schema": {"type": "string", "maxLength": 64, "examples": [A_VERSION]}},
}
# What is said of a value, wherever its type stands.
_SAID = ("description", "examples", "x-unit")


@cache
def document() -> dict[str, Any]:
    """The whole document, as plain values."""
    types = [kind for each in OPERATIONS for kind in (each.body, each.gives) if kind is not None]
    paths: dict[str, dict[str, Any]] = {}
    for each in OPERATIONS:
        paths.setdefault(f"{api.url_prefix}{each.path}", {})[each.method.lower()] = _operation(each)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "wattcast",
            "version": version("wattcast"),
            "description": "Load forecasts of a house or building, with intervals, the tier that answered and why, and what came.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {"schemas": _types([*dict.fromkeys(types), ProblemDetails]), **COMPONENTS},
    }


def _types(kinds: list[type]) -> dict[str, Any]:
    """The schemas of these types and of those in them; what is said of a field that may be null stands at the field itself."""
    _, schemas = msgspec.json.schema_components(kinds, ref_template=_SCHEMAS)
    for schema in schemas.values():
        schema["properties"] = {name: _lifted(field) for name, field in schema["properties"].items()}
    return schemas


def _lifted(field: dict[str, Any]) -> dict[str, Any]:
    lifted = {key: part.pop(key) for part in field.get("anyOf", ()) for key in _SAID if key in part}
    return lifted | field


def _operation(each: Operation) -> dict[str, Any]:
    asked_again = [IF_NONE_MATCH] if each.tagged else []
    said: dict[str, Any] = {
        "operationId": each.name,
        "summary": each.summary.rstrip("."),
        "description": f"{each.text} Where keys are asked for it needs one that allows `{each.scope}`.".lstrip(),
        "tags": [each.path.split("/")[1]],
        "security": SECURITY,
        "parameters": [*_parts(each.path), *_query(each), *asked_again, ASKED_BY_ID],
        "responses": _responses(each),
    }
    if each.body is not None:
        content: dict[str, Any] = {"application/json": {"schema": _schema(each.body)}}
        content |= {kind: {"schema": {"type": "string", "format": "binary"}} for kind in each.also}
        said["requestBody"] = {"required": True, "content": content}
    return said


def _parts(path: str) -> list[dict[str, Any]]:
    return [{"name": name, "in": "path", "required": True, **_PARTS[name]} for name in re.findall(r"{(\w+)}", path)]


def _query(each: Operation) -> list[dict[str, Any]]:
    if each.query is None:
        return []
    found = []
    for name, part in _types([each.query])[each.query.__name__]["properties"].items():
        description = part.pop("description")
        found.append({"name": name, "in": "query", "required": False, "description": description, "schema": part})
    return found


def _responses(each: Operation) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": status_words(each.status), "headers": by_reference(GIVEN)}
    if each.gives is not None:
        answer["content"] = {"application/json": {"schema": _schema(each.gives)}}
    known = {}
    if each.tagged:
        answer["headers"] = by_reference(("ETag", *GIVEN))
        known = {"304": {"description": status_words(304), "headers": answer["headers"]}}
    # A body may take too long to arrive.
    refusals = sorted({*each.problems, *((408,) if each.body else ())})
    return {str(each.status): answer} | known | {str(status): _refusal(status) for status in refusals}


def _refusal(status: int) -> dict[str, Any]:
    own = {401: ("WWW-Authenticate",), 429: ("Retry-After",)}.get(status, ())
    content = {"application/problem+json": {"schema": _schema(ProblemDetails)}}
    return {"description": status_words(status), "headers": by_reference((*own, *GIVEN)), "content": content}


def _schema(kind: type) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_SCHEMAS)
    return schema
