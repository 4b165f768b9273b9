"""/docs: the OpenAPI document as a page that people read, drawn on the server from local assets; no script."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue

from wattcast.web.api.openapi import document
from wattcast.web.problems import KINDS


@dataclass(frozen=True)
class Line:
    """One field or parameter: its type in words, whether it must be given, its unit and an example."""

    name: str
    kind: str
    required: bool
    text: str
    unit: str
    example: str
    link: str


@dataclass(frozen=True)
class Section:
    """One operation as it is drawn."""

    id: str
    method: str
    path: str
    summary: str
    text: str
    parameters: tuple[Line, ...]
    takes: tuple[str, ...]
    body: str
    gives: str
    status: str
    problems: tuple[str, ...]


def docs() -> ResponseReturnValue:
    """The API's documentation."""
    return render_template("reference.html", sections=_sections(), schemas=_schemas(), kinds=KINDS, version=document()["info"]["version"])


@cache
def _sections() -> tuple[Section, ...]:
    return tuple(_section(path, method, said) for path, methods in document()["paths"].items() for method, said in methods.items())


def _section(path: str, method: str, said: Mapping[str, Any]) -> Section:
    takes = said.get("requestBody", {}).get("content", {})
    good, *problems = said["responses"]
    gives = said["responses"][good].get("content", {}).get("application/json", {}).get("schema", {})
    return Section(
        id=said["operationId"],
        method=method.upper(),
        path=path,
        summary=said["summary"],
        text=said.get("description", ""),
        parameters=tuple(_line(each["name"], each["schema"], each["required"], each.get("description", "")) for each in said["parameters"]),
        takes=tuple(takes),
        body=_name(takes.get("application/json", {}).get("schema", {})),
        gives=_name(gives),
        status=good,
        problems=tuple(problems),
    )


@cache
def _schemas() -> tuple[tuple[str, str, tuple[Line, ...]], ...]:
    """Every type: its name, what it is, its fields."""
    return tuple(
        (name, said.get("description", ""), tuple(_fields(said))) for name, said in sorted(document()["components"]["schemas"].items())
    )


def _fields(said: Mapping[str, Any]) -> Iterator[Line]:
    for name, field in said.get("properties", {}).items():
        yield _line(name, field, name in said.get("required", ()), "")


def _line(name: str, field: Mapping[str, Any], required: bool, text: str) -> Line:
    parts = [field, *field.get("anyOf", ())]
    first = {key: part[key] for key in ("description", "x-unit", "examples") for part in reversed(parts) if key in part}
    example = json.dumps(first["examples"][0], ensure_ascii=False) if "examples" in first else ""
    return Line(name, _kind(field), required, text or first.get("description", ""), first.get("x-unit", ""), example, _name(field))


def _kind(field: Mapping[str, Any]) -> str:
    """The type in words."""
    if "anyOf" in field:
        # What may be left out or empty is said by "required".
        return " or ".join(dict.fromkeys(_kind(part) for part in field["anyOf"] if part.get("enum") != [""] and part.get("type") != "null"))
    if "$ref" in field:
        return _name(field)
    if "enum" in field:
        return " or ".join(json.dumps(value) for value in field["enum"] if value)
    if field.get("type") == "array":
        return f"list of {_kind(field['items'])}"
    if field.get("type") == "object" and isinstance(field.get("additionalProperties"), Mapping):
        return f"object of {_kind(field['additionalProperties'])}"
    return str(field.get("format", field.get("type", "anything"))).replace("date-time", "time")


def _name(field: Mapping[str, Any]) -> str:
    """The type that a field is of or is a list of, "" where it is a plain one."""
    for part in (field, field.get("items", {}), *field.get("anyOf", ())):
        if "$ref" in part or "$ref" in part.get("items", {}):
            return str(part.get("$ref") or part["items"]["$ref"]).rpartition("/")[2]
    return ""
