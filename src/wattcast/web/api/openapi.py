"""The OpenAPI 3.1 document, made from the registered operations and the very types that check and write what they take and give."""

from __future__ import annotations

import re
from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec

from wattcast.meter.table import METER_ID
from wattcast.web.api.answers import ProblemDetails
from wattcast.web.api.operations import OPERATIONS, Operation, api, status_words

_SCHEMAS = "#/components/schemas/{name}"
_PARTS = {
    "meter_id": {"description": "Meter id.", "example": "house", "schema": {"type": "string", "pattern": METER_ID}},
    "version": {"description": "Id of a model file.", "example": "9f2c" * 16, "schema": {"type": "string", "maxLength": 64}},
}


@cache
def document() -> dict[str, Any]:
    """The whole document, as plain values."""
    types = [kind for each in OPERATIONS for kind in (each.body, each.gives) if kind is not None]
    _, schemas = msgspec.json.schema_components([*dict.fromkeys(types), ProblemDetails], ref_template=_SCHEMAS)
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
        "components": {"schemas": schemas},
    }


def _operation(each: Operation) -> dict[str, Any]:
    said: dict[str, Any] = {
        "operationId": each.name,
        "summary": each.summary.rstrip("."),
        "tags": [each.path.split("/")[1]],
        "parameters": [*_parts(each.path), *_query(each)],
        "responses": _responses(each),
    }
    if each.text:
        said["description"] = each.text
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
    (schema,), components = msgspec.json.schema_components([each.query], ref_template=_SCHEMAS)
    found = []
    for name, part in components[schema["$ref"].rpartition("/")[2]]["properties"].items():
        parameter: dict[str, Any] = {"name": name, "in": "query", "required": False, "schema": part}
        if "description" in part:
            parameter["description"] = part["description"]
        found.append(parameter)
    return found


def _responses(each: Operation) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": status_words(each.status)}
    if each.gives is not None:
        answer["content"] = {"application/json": {"schema": _schema(each.gives)}}
    if each.tagged:
        answer["headers"] = {"ETag": {"description": "Send it as If-None-Match to ask again.", "schema": {"type": "string"}}}
    problem = {"application/problem+json": {"schema": _schema(ProblemDetails)}}
    known = {"304": {"description": status_words(304)}} if each.tagged else {}
    problems = {str(status): {"description": status_words(status), "content": problem} for status in each.problems}
    return {str(each.status): answer} | known | problems


def _schema(kind: type) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=_SCHEMAS)
    return schema
