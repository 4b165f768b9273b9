"""Who may send a file to the page: nobody's form but its own, and no key further than its scopes and its meter."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from small_store import NOW_S, Browse
from test_file_page import JSON, csv, house, send, text_of, token

from wattcast.access import new_key
from wattcast.adapters.database import Database, DatabaseKeys

HTML = {"Accept": "text/html"}
KEEP = {"keep": "y", "meter": "home"}


@pytest.fixture
def keys(tmp_path: Path) -> DatabaseKeys:
    """The keys of the services that `browse` opens."""
    return DatabaseKeys(Database(f"sqlite:///{tmp_path / 'wattcast.db'}"))


def made(keys: DatabaseKeys, *scopes: str, meter: str = "") -> str:
    """The text of a new key."""
    key, text = new_key("test", scopes, meter, int(NOW_S))
    keys.add(key)
    return text


def entered(client: FlaskClient, text: str) -> FlaskClient:
    """The client, once it entered with a key."""
    mark = re.search(r'name="csrf_token"[^>]* value="([^"]+)"', client.get("/login", headers=HTML).text)
    assert mark
    assert client.post("/login", data={"csrf_token": mark[1], "key": text, "next": "/file"}).headers["Location"] == "/file"
    return client


def meters(client: FlaskClient, text: str = "") -> list[str]:
    """The meters that are there for a key."""
    headers = {"Authorization": f"Bearer {text}"} if text else {}
    return [each["id"] for each in client.get("/api/v1/meters", headers=headers).get_json()["meters"]]


@pytest.mark.parametrize("settings", [{}, {"open": True, "host": "0.0.0.0"}], ids=["loopback", "open"])
def test_a_form_of_another_site_is_refused(settings: dict[str, Any], trained: Path, browse: Browse) -> None:
    """Without the mark, with a forged one and with one of another visitor: 400 as page and problem, nothing kept; its own is taken."""
    client, other = browse(trained, **settings), browse(trained, **settings)
    cookie = client.get("/file").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Secure" not in cookie
    for mark in ("none", f"{token(client)}x", token(other)):
        page = send(client, csv(house()), csrf_token=mark, **KEEP)
        told = send(client, csv(house()), csrf_token=mark, headers=JSON, **KEEP)
        assert page.status_code == told.status_code == 400
        assert "Open the page again, and send its form." in text_of(page)
        assert told.mimetype == "application/problem+json"
        assert told.get_json()["title"] == "Form not accepted"
        assert told.get_json()["type"] == "/docs#problem-form-not-accepted"
    assert client.post("/file", data=KEEP, headers=JSON).status_code == 400
    stranger = browse(trained, **settings)
    assert send(stranger, csv(house()), csrf_token=token(client), **KEEP).status_code == 400
    assert meters(client) == ["hourly", "house"]
    assert send(client, csv(house()), **KEEP).status_code == 200
    assert meters(client) == ["home", "hourly", "house"]


def test_without_a_key_nobody_gets_to_the_form(trained: Path, browse: Browse, keys: DatabaseKeys) -> None:
    """A visitor is led to where keys are asked for and back, a form without a session is refused, before its file is looked at."""
    made(keys, "admin")
    client = browse(trained)
    assert client.get("/file", headers=HTML).headers["Location"] == "/login?next=/file"
    assert send(client, csv(house()), csrf_token="x").status_code == 401
    assert send(client, b"0" * (51 << 20), csrf_token="x").status_code == 401


def test_a_key_needs_the_scope_for_what_is_asked(trained: Path, browse: Browse, keys: DatabaseKeys) -> None:
    """`forecast` to see a curve, `readings:write` beside it to keep; who may not keep is not offered it, and refused at the box."""
    admin = made(keys, "admin")
    for scopes in (("readings:write",), ("readings:read", "models")):
        refused = entered(browse(trained), made(keys, *scopes)).get("/file")
        assert refused.status_code == 403
        assert "does not allow forecast" in text_of(refused)
    reader = entered(browse(trained), made(keys, "forecast"))
    assert 'id="keep"' not in reader.get("/file").text
    assert "house.csv is good" in text_of(send(reader, csv(house())))
    page, told = send(reader, csv(house()), **KEEP), send(reader, csv(house()), headers=JSON, **KEEP)
    assert page.status_code == told.status_code == 403
    assert "this key does not allow readings:write" in text_of(page)
    assert told.get_json()["errors"] == [{"field": "keep", "message": "this key does not allow readings:write"}]
    assert meters(reader, admin) == ["hourly", "house"]
    writer = entered(browse(trained), made(keys, "forecast", "readings:write"))
    kept = send(writer, csv(house()), **KEEP)
    assert "960 new" in text_of(kept)
    assert "with your key in the header Authorization" in text_of(kept)
    assert meters(writer, admin) == ["home", "hourly", "house"]


def test_a_key_of_one_meter_keeps_no_other(trained: Path, browse: Browse, keys: DatabaseKeys) -> None:
    """Another meter is refused in the same words whether it is there or not; its own needs no name; a file unkept is still forecast."""
    own = made(keys, "forecast", "readings:write", meter="barn")
    admin = made(keys, "admin")
    client = entered(browse(trained), own)
    assert re.search(r'id="meter"[^>]* value="barn" readonly', client.get("/file").text)
    said = []
    for name in ("house", "nobodys"):
        page, told = (send(client, csv(house()), headers=headers, keep="y", meter=name) for headers in (HTML, JSON))
        assert page.status_code == told.status_code == 403
        assert '<a href="#meter">' in page.text
        said.append(told.text)
    assert said[0] == said[1]
    assert "this key is for meter barn alone" in said[0]
    assert meters(client, admin) == ["hourly", "house"]
    assert send(client, csv(house())).status_code == 200
    assert "Kept as meter barn" in text_of(send(client, csv(house()), keep="y"))
    assert meters(client, admin) == ["barn", "hourly", "house"]
