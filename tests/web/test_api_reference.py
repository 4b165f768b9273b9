"""The API's description: a valid OpenAPI 3.1 document of what is really there, and the page that is drawn from it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from openapi_schema_validator import OAS31Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from small_store import Browse

from wattcast import errors
from wattcast.web.api.operations import OPERATIONS
from wattcast.web.problems import KINDS

UNITS_IN_NAMES = ("_kw", "_kwh", "_kvar", "_s", "_v", "_a", "_wh", ".mae", ".rmse", ".mean", ".actual")


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    """/openapi.json."""
    said: dict[str, Any] = client.get("/openapi.json").get_json()
    return said


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    """By the standard's own schema."""
    OpenAPIV31SpecValidator(document).validate()


def test_every_address_of_the_api_is_described_and_no_other(client: FlaskClient, document: dict[str, Any]) -> None:
    """The routes of the app, with their methods."""
    rules = [rule for rule in client.application.url_map.iter_rules() if rule.rule.startswith("/api/")]
    own = {(rule.rule.replace("<", "{").replace(">", "}"), method) for rule in rules for method in rule.methods or ()}
    there = {(path, method.lower()) for path, method in own if method not in ("HEAD", "OPTIONS")}
    assert there == {(path, method) for path, methods in document["paths"].items() for method in methods}


def values_of(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every field, parameter and header: where it stands, what is said of it, its schema."""
    for name, schema in document["components"]["schemas"].items():
        for field, said in schema["properties"].items():
            yield f"{name}.{field}", said.get("description", ""), said
    for name, said in (*document["components"]["headers"].items(), *document["components"]["parameters"].items()):
        yield name, said.get("description", ""), said["schema"]
    for operation in operations(document):
        for said in operation["parameters"]:
            if "$ref" not in said:
                yield f"{operation['operationId']}.{said['name']}", said.get("description", ""), said["schema"]


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Every operation."""
    return [said for methods in document["paths"].values() for said in methods.values()]


def plain(schema: dict[str, Any]) -> bool:
    """Whether a value is a number, text or time, or holds such: an example tells what it looks like. A choice names what it can be."""
    parts = [part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"]
    return any("enum" not in part and "$ref" not in part and "$ref" not in part.get("items", {}) for part in parts)


def test_every_value_says_what_it_is_and_shows_an_example(document: dict[str, Any]) -> None:
    """Types have a sentence, values too; an example of each that is plain, as its schema has it; numbers with a unit say it."""
    for name, schema in document["components"]["schemas"].items():
        assert schema["description"].endswith("."), name
    for name, text, schema in values_of(document):
        assert text.endswith("."), name
        assert not plain(schema) or schema.get("examples"), name
        for example in schema.get("examples", ()):
            OAS31Validator({"components": document["components"], **schema}).validate(example)
        if name.endswith(UNITS_IN_NAMES) and "$ref" not in str(schema):
            assert schema.get("x-unit"), name


def test_a_key_and_what_it_has_to_allow_are_described(document: dict[str, Any]) -> None:
    """Bearer, or none where none is asked for; each operation names its scope."""
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    assert "loopback" in document["components"]["securitySchemes"]["bearer"]["description"]
    scopes = {each.name: each.scope for each in OPERATIONS}
    for said in operations(document):
        assert said["security"] == [{"bearer": []}, {}]
        assert f"`{scopes[said['operationId']]}`" in said["description"]


def test_what_takes_too_long_to_arrive_is_described(document: dict[str, Any]) -> None:
    """408 of every operation with a body, and of no other."""
    for said in operations(document):
        assert ("408" in said["responses"]) == ("requestBody" in said)


def test_answers_have_the_headers_that_are_described(trained: Path, browse: Browse, document: dict[str, Any]) -> None:
    """And no others of their kind: 200 and 304 of a forecast, 401 without a key, 429 of who asked too often."""
    path, described = "/api/v1/meters/house/forecast", document["paths"]["/api/v1/meters/{meter_id}/forecast"]["get"]["responses"]
    open_to_all, closed = (browse(trained, limit="2 per day", host="0.0.0.0", open=wide) for wide in (True, False))
    first = open_to_all.get(path)
    again = open_to_all.get(path, headers={"If-None-Match": first.headers["ETag"]})
    answers = [first, again, open_to_all.get(path), closed.get(path)]
    assert [answer.status_code for answer in answers] == [200, 304, 429, 401]
    for answer in answers:
        given = set(answer.headers.keys()) & document["components"]["headers"].keys()
        assert given == described[str(answer.status_code)]["headers"].keys()
    assert {"$ref": "#/components/parameters/If-None-Match"} in document["paths"]["/api/v1/meters/{meter_id}/forecast"]["get"]["parameters"]


def test_every_refusal_is_the_one_shape(document: dict[str, Any]) -> None:
    """Each operation names its refusals, all of them problem+json."""
    for methods in document["paths"].values():
        for said in methods.values():
            for status, response in said["responses"].items():
                if status.startswith(("2", "304")):
                    continue
                assert list(response["content"]) == ["application/problem+json"]
                assert response["content"]["application/problem+json"]["schema"] == {"$ref": "#/components/schemas/ProblemDetails"}


def test_every_kind_of_problem_is_listed() -> None:
    """All that a request can meet."""
    refusals = {kind.title for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.WattcastError)}
    # What only training, a command or a spec can meet.
    refusals -= {errors.WattcastError.title, errors.LeakingSpec.title, errors.NothingToScore.title}
    assert refusals <= {kind.title for kind in KINDS}


def test_the_page_draws_every_operation_type_and_problem(client: FlaskClient, document: dict[str, Any]) -> None:
    """With anchors that every link of the page leads to, and no script."""
    page = client.get("/docs").get_data(as_text=True)
    for path, methods in document["paths"].items():
        for method in methods:
            assert f"{method.upper()} {path}" in page
    for name in document["components"]["schemas"]:
        assert f'id="type-{name}"' in page
    for kind in KINDS:
        assert f'id="problem-{kind.slug}"' in page
    anchors = set(re.findall(r'id="([^"]+)"', page))
    assert set(re.findall(r'href="#([^"]+)"', page)) <= anchors
    for scheme in document["components"]["securitySchemes"].values():
        assert scheme["description"].split("`")[1] in page
    for name in document["components"]["headers"]:
        assert f"<code>{name}</code>" in page
    assert page.count("304 when asked again with its ETag") == 1
    assert not re.search(r"Refusals: [^.]*304", page)
    assert "needs one that allows <code>readings:write</code>" in page
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="https?://', page)


def test_a_problem_leads_to_its_description(client: FlaskClient) -> None:
    """`type` is an address that is there."""
    kind = client.get("/api/v1/meters/barn").get_json()["type"]
    address, _, anchor = kind.partition("#")
    assert f'id="{anchor}"' in client.get(address).get_data(as_text=True)
