"""The API's description: a valid OpenAPI 3.1 document of what is really there, and the page that is drawn from it."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import OpenAPIV31SpecValidator

from wattcast import errors
from wattcast.web.problems import KINDS


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


def test_every_type_and_field_of_power_says_what_it_is(document: dict[str, Any]) -> None:
    """Types have a sentence; numbers of power and energy their unit."""
    for name, schema in document["components"]["schemas"].items():
        assert schema["description"].endswith("."), name
        for field, said in schema.get("properties", {}).items():
            if field.endswith(("_kw", "_kwh", "_s", "_v", "_a", "_wh")) and "x-unit" not in str(said):
                assert "$ref" in str(said), (name, field)


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
    assert "<script" not in page
    assert not re.search(r'(?:src|href)="https?://', page)


def test_a_problem_leads_to_its_description(client: FlaskClient) -> None:
    """`type` is an address that is there."""
    kind = client.get("/api/v1/meters/barn").get_json()["type"]
    address, _, anchor = kind.partition("#")
    assert f'id="{anchor}"' in client.get(address).get_data(as_text=True)
