"""/docs: the OpenAPI document as a page that people read, drawn on the server from local assets; no script."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from flask import render_template
from flask.typing import ResponseReturnValue

from wattcast.web.api.headers import ASKED_BY_ID
from wattcast.web.api.openapi import document
from wattcast.web.problems import KINDS


@dataclass(frozen=True)
class Line:
    """One field, parameter or header: its type in words, a mark such as "required", its unit and an example."""

    name: str
    kind: str
    mark: str
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
    again: bool
    problems: tuple[str, ...]


def docs() -> ResponseReturnValue:
    """The API's documentation."""
    said = document()
    return render_template(
        "reference.html",
        sections=_sections(),
        headers=_headers(),
        schemas=_schemas(),
        kinds=KINDS,
        version=said["info"]["version"],
        key=said["components"]["securitySchemes"]["bearer"]["description"],
    )


@cache
def _sections() -> tuple[Section, ...]:
    return tuple(_section(path, method, said) for path, methods in document()["paths"].items() for method, said in methods.items())


def _section(path: str, method: str, said: Mapping[str, Any]) -> Section:
    takes = said.get("requestBody", {}).get("content", {})
    good, *others = said["responses"]
    gives = said["responses"][good].get("content", {}).get("application/json", {}).get("schema", {})
    return Section(
        id=said["operationId"],
        method=method.upper(),
        path=path,
        summary=said["summary"],
        text=said.get("description", ""),
        parameters=tuple(_parameter(each) for each in said["parameters"] if each != ASKED_BY_ID),
        takes=tuple(takes),
        body=_name(takes.get("application/json", {}).get("schema", {})),
        gives=_name(gives),
        status=good,
        again="304" in others,
        problems=tuple(status for status in others if status != "304"),
    )


@cache
def _schemas() -> tuple[tuple[str, str, tuple[Line, ...]], ...]:
    """Every type: its name, what it is, its fields."""
    return tuple(
        (name, said.get("description", ""), tuple(_fields(said))) for name, said in sorted(document()["components"]["schemas"].items())
    )


def _fields(said: Mapping[str, Any]) -> Iterator[Line]:
    for name, field in said.get("properties", {}).items():
        example = json.dumps(field["examples"][0], ensure_ascii=False) if "examples" in field else ""
        mark = "required" if name in said.get("required", ()) else ""
        yield Line(name, _kind(field), mark, field["description"], field.get("x-unit", ""), example, _name(field))


def _parameter(each: Mapping[str, Any]) -> Line:
    said = document()["components"]["parameters"][_name(each)] if "$ref" in each else each
    mark = "required" if said["required"] else "header" if said["in"] == "header" else ""
    return _as_text(said["name"], said, mark)


@cache
def _headers() -> tuple[Line, ...]:
    """The headers of answers."""
    return tuple(_as_text(name, said, "") for name, said in document()["components"]["headers"].items())


def _as_text(name: str, said: Mapping[str, Any], mark: str) -> Line:
    """What is sent as it stands, without the quotes of JSON."""
    field = said["schema"]
    return Line(name, _kind(field), mark, said["description"], field.get("x-unit", ""), str(field.get("examples", [""])[0]), "")


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
