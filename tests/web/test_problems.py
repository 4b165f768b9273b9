"""The one error shape, the headers of every answer, and nothing of an exception shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from small_store import NOW_S

from wattcast.config import Settings
from wattcast.errors import BadBundle, BadRequest, NotEnoughHistory, Unavailable, WattcastError
from wattcast.web.app import create_app

JSON = {"Accept": "application/json"}


def with_error(store: Path, error: Exception) -> Flask:
    """An app with a page that raises this."""
    app = create_app(Settings(store=store), now=lambda: NOW_S)

    @app.get("/broken")
    def broken() -> str:
        raise error

    return app


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (BadRequest("no", "do", {"field": "wrong"}), 422, "bad-request"),
        (BadRequest("no", "do"), 400, "bad-request"),
        (NotEnoughHistory("no", "do"), 422, "not-enough-history"),
        (Unavailable("no", "do"), 503, "unavailable"),
        (BadBundle("no", "do"), 503, "bad-model-file"),
    ],
)
def test_every_kind_has_its_status_and_type(trained: Path, error: WattcastError, status: int, kind: str) -> None:
    """A refusal is problem details with title, detail and hint, its type an address of its kind."""
    answer = with_error(trained, error).test_client().get("/broken", headers=JSON)
    assert (answer.status_code, answer.mimetype) == (status, "application/problem+json")
    assert answer.json is not None
    assert answer.json["type"] == f"/docs#problem-{kind}"
    assert (answer.json["title"], answer.json["status"], answer.json["hint"]) == (error.title, status, "do")


@pytest.mark.parametrize("error", [ValueError("secret /srv/key"), Unavailable("secret /srv/key cannot be written", "free some space")])
def test_fault_7_nothing_of_an_exception_is_shown(trained: Path, error: Exception, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    """What broke inside goes to the log; the visitor sees neither its text nor a trace, as JSON or as a page."""
    client = with_error(trained, error).test_client()
    page, told = client.get("/broken"), client.get("/broken", headers=JSON)
    assert page.status_code == told.status_code == (503 if isinstance(error, WattcastError) else 500)
    assert b"secret" in capfdbinary.readouterr().err
    for answer in (page, told):
        assert "secret" not in answer.text
        assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nothing", 404), ("GET", "/predict", 405), ("DELETE", "/", 405), ("POST", "/readyz", 405)]
)
def test_http_errors_have_the_same_shape(client: FlaskClient, method: str, path: str, status: int) -> None:
    """404 and 405 are pages in the site's look, and problem details where JSON is asked for."""
    page, told = client.open(path, method=method, headers={"Accept": "text/html"}), client.open(path, method=method, headers=JSON)
    assert page.status_code == told.status_code == status
    assert "Go to the forecast" in page.text
    assert told.json is not None
    assert told.json["status"] == status
    assert ("Allow" in told.headers) == (status == 405)


def test_a_redirect_stays_one(trained: Path) -> None:
    """What Flask answers with a redirect is no problem."""
    app = create_app(Settings(store=trained))
    app.add_url_rule("/slashed/", view_func=lambda: "here", endpoint="slashed")
    assert app.test_client().get("/slashed").status_code == 308


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("application/json", "application/problem+json"),
        ("application/problem+json", "application/problem+json"),
        ("application/json;q=0.9, text/html;q=0.5", "application/problem+json"),
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("*/*", "text/html"),
        ("nonsense", "text/html"),
    ],
)
def test_accept_decides_the_shape(client: FlaskClient, accept: str, kind: str) -> None:
    """Whoever prefers JSON gets JSON; a browser, and who does not care, gets a page."""
    assert client.get("/nothing", headers={"Accept": accept}).mimetype == kind


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json"])
def test_what_programs_ask_for_refuses_in_json(client: FlaskClient, path: str) -> None:
    """Unless a browser asks; a redirect to a page is no answer for them."""
    assert client.post(path, headers={"Accept": "*/*"}).mimetype == "application/problem+json"
    assert client.head(f"{path}/nothing").mimetype == "application/problem+json"
    assert client.post(path, headers={"Accept": "text/html,*/*;q=0.8"}).mimetype == "text/html"


@pytest.mark.parametrize("path", ["/", "/nothing", "/readyz", "/static/style.css", "/vendor/plotly.js"])
def test_fault_7_every_answer_is_guarded(client: FlaskClient, path: str) -> None:
    """Each answer has a content policy without unsafe-inline and the headers that keep browsers from guessing and framing."""
    answer = client.get(path)
    policy = answer.headers["Content-Security-Policy"]
    assert "script-src 'self';" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert "Accept" in answer.headers["Vary"]
    answer.close()


def test_no_script_or_style_is_inline_and_none_is_foreign(client: FlaskClient) -> None:
    """The page's scripts and styles are files of this server, its data is no script."""
    page = client.get("/").text
    assert "<style" not in page
    assert "style=" not in page
    assert "http://" not in page
    assert "https://" not in page
    assert page.count("<script") == 3
    assert page.count('<script type="application/json"') == 1


def test_plotly_comes_from_its_package_and_is_kept(client: FlaskClient) -> None:
    """The chart's script is served by us, kept for long by the version in its address, and not sent twice."""
    with client.get("/vendor/plotly.js") as first:
        assert first.status_code == 200
        assert len(first.data) > 1_000_000
        assert "max-age=31536000" in first.headers["Cache-Control"]
    with client.get("/vendor/plotly.js", headers={"If-None-Match": first.headers["ETag"]}) as second:
        assert second.status_code == 304


def test_debug_mode_is_off(trained: Path) -> None:
    """The app is never in debug mode by itself."""
    assert not create_app(Settings(store=trained)).debug
