"""A service with keys over HTTP: who gets in, what a key allows, and that another's meter is not even hinted at."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from small_store import NOW_S, READING, Browse

from wattcast.access import new_key
from wattcast.adapters.database import Database, DatabaseKeys

READINGS = {"readings": [{"start": f"2010-11-01T{hour:02d}:00:00Z", "power_kw": 1.0 + hour / 10} for hour in range(24)]}
FORECAST = {"task": "next_minute", "readings": [{"start": "2010-11-26T21:05:00Z", "power_kw": 1.2}]}


@pytest.fixture
def keys(tmp_path: Path) -> DatabaseKeys:
    """The keys of the service that `client` asks."""
    return DatabaseKeys(Database(f"sqlite:///{tmp_path / 'wattcast.db'}"))


@pytest.fixture
def client(trained: Path, browse: Browse, keys: DatabaseKeys) -> FlaskClient:
    """A client of a service that has a key."""
    made(keys, "admin")
    return browse(trained)


def made(keys: DatabaseKeys, *scopes: str, meter: str = "") -> dict[str, str]:
    """The header of a new key."""
    key, text = new_key("test", scopes, meter, int(NOW_S))
    keys.add(key)
    return {"Authorization": f"Bearer {text}"}


def status(client: FlaskClient, method: str, path: str, headers: dict[str, str], **more: Any) -> int:
    """The status of an answer, which is a problem where it refuses."""
    response = client.open(path, method=method, headers=headers, **more)
    if response.status_code >= 400:
        assert response.mimetype == "application/problem+json"
    return response.status_code


def test_nobody_gets_in_without_a_key_that_counts(client: FlaskClient, keys: DatabaseKeys) -> None:
    """401 as problem+json with what to do; health, the API's description and static files stay open."""
    good = made(keys, "admin")
    assert client.get("/readyz").get_json() == {"ready": True, "degraded": []}
    assert client.get("/readyz", headers=made(keys, "admin", meter="house")).get_json() == {"ready": True, "degraded": []}
    assert client.get("/readyz", headers=good).get_json()["meters"] == ["hourly", "house"]
    spoiled = {"Authorization": good["Authorization"][:-1] + ("A" if good["Authorization"][-1] != "A" else "B")}
    basic = {"Authorization": good["Authorization"].replace("Bearer", "Basic")}
    for path in ("/api/v1/meters", "/api/v1/nothing", "/why"):
        assert status(client, "GET", path, {"Accept": "application/json"}) == 401
        for bad in (spoiled, basic, {"Authorization": "Bearer "}, {"Authorization": "x"}):
            assert status(client, "GET", path, bad | {"Accept": "application/json"}) == 401
    refused = client.get("/api/v1/meters")
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert "Authorization: Bearer KEY" in refused.get_json()["hint"]
    assert status(client, "POST", "/predict", {"Accept": "application/json"}, data=READING) == 401
    for path in ("/healthz", "/readyz", "/openapi.json", "/docs", "/static/style.css"):
        with client.get(path) as answer:
            assert answer.status_code == 200
    assert status(client, "GET", "/api/v1/meters", good) == 200
    assert status(client, "POST", "/predict", good | {"Accept": "application/json"}, data=READING) == 200


ASKED: list[tuple[str, str, str, dict[str, Any]]] = [
    ("forecast", "POST", "/api/v1/forecast", {"json": FORECAST}),
    ("forecast", "POST", "/api/v1/forecast/batch", {"json": {"requests": [FORECAST]}}),
    ("forecast", "GET", "/api/v1/meters/house/forecast", {}),
    ("forecast", "GET", "/api/v1/meters/house/forecasts", {}),
    ("forecast", "GET", "/why?task=next_minute", {}),
    ("forecast", "POST", "/predict", {"data": READING}),
    ("readings:read", "GET", "/api/v1/meters", {}),
    ("readings:read", "GET", "/api/v1/meters/house", {}),
    ("readings:read", "GET", "/api/v1/meters/house/readings", {}),
    ("readings:write", "PUT", "/api/v1/meters/house/readings?resolution_s=3600", {"json": READINGS}),
    ("readings:write", "DELETE", "/api/v1/meters/house", {}),
    ("models", "GET", "/api/v1/models", {}),
    ("models", "GET", "/api/v1/models/history", {}),
    ("models", "GET", "/api/v1/meters/house/accuracy", {}),
    ("models", "GET", "/models", {}),
]


@pytest.mark.parametrize("scope", ["forecast", "readings:read", "readings:write", "models", "admin"])
def test_a_key_allows_what_its_scopes_say(scope: str, client: FlaskClient, keys: DatabaseKeys) -> None:
    """Everything else is 403."""
    header = made(keys, scope) | {"Accept": "application/json"}
    for needed, method, path, more in ASKED:
        expected = (200, 202, 204) if scope in (needed, "admin") else (403,)
        assert status(client, method, path, header, **more) in expected, path


def test_a_key_of_one_meter_knows_no_other(client: FlaskClient, keys: DatabaseKeys) -> None:
    """404 for another's as for one that nobody has, word for word; lists hold its own alone; no name of another is told."""
    own = made(keys, "admin", meter="hourly") | {"Accept": "application/json"}
    for _, method, path, more in ASKED:
        if "/house" not in path:
            continue
        theirs, nobodys = (client.open(path.replace("house", name), method=method, headers=own, **more) for name in ("house", "attic"))
        assert theirs.status_code == nobodys.status_code == 404
        assert theirs.get_data(as_text=True).replace("house", "attic") == nobodys.get_data(as_text=True)
    assert [each["id"] for each in client.get("/api/v1/meters", headers=own).get_json()["meters"]] == ["hourly"]
    assert {each["meter"] for each in client.get("/api/v1/models", headers=own).get_json()["models"]} == {"hourly"}
    others = [each["version"] for each in client.get("/api/v1/models", headers=made(keys, "models")).get_json()["models"]]
    seen = [version for version in others if client.get(f"/api/v1/models/{version}", headers=own).status_code == 200]
    assert 0 < len(seen) < len(others)
    for body in ({"task": "day_ahead", "meter": "house"}, FORECAST | {"meter": "house"}):
        response = client.post("/api/v1/forecast", json=body, headers=own)
        assert response.status_code == 404
    assert client.post("/api/v1/forecast", json={"task": "day_ahead"}, headers=own).get_json()["meter"] == "hourly"
    for response in (client.get("/?meter=house", headers=own), client.post("/predict", data=READING | {"meter": "house"}, headers=own)):
        assert response.status_code in (404, 422)
        assert "hourly" in response.get_data(as_text=True)
        assert response.get_data(as_text=True).count("house") == str(response.get_json()).count('"house"')
    assert client.get("/readyz").status_code == 200


def test_a_revoked_key_counts_no_more(client: FlaskClient, keys: DatabaseKeys) -> None:
    """Within a second, while others go on."""
    header, other = made(keys, "admin"), made(keys, "admin")
    assert status(client, "GET", "/api/v1/meters", header) == 200
    keys.revoke(header["Authorization"].split("_")[1], int(NOW_S))
    time.sleep(1.1)
    assert status(client, "GET", "/api/v1/meters", header) == 401
    assert status(client, "GET", "/api/v1/meters", other) == 200


def token_in(page: str) -> str:
    """The mark that the page's form must be sent with."""
    return re.search(r'name="csrf_token"[^>]* value="([^"]+)"', page)[1]  # type: ignore[index]


def test_without_any_key_this_machine_is_asked_for_none(trained: Path, browse: Browse) -> None:
    """And WATTCAST_OPEN=1 asks for none where there are some."""
    client = browse(trained)
    assert client.get("/api/v1/meters").status_code == 200
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:5000", "LOCALHOST.", "app.localhost:1", "127.0.0.1:5000", "127.8.8.8", "[::1]:5000"]
)
def test_this_machine_is_asked_by_its_own_names(trained: Path, browse: Browse, host: str) -> None:
    """With whatever port."""
    assert browse(trained).get("/api/v1/meters", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:5000", "localhost.evil.example", "evillocalhost", "127.0.0.1.evil.example", "[", ""]
)
def test_a_name_that_another_site_has_lead_here_reads_nothing(trained: Path, browse: Browse, keys: DatabaseKeys, host: str) -> None:
    """Where no key is asked for: neither API nor page, and health tells no names. A key, or WATTCAST_OPEN=1, makes any name do."""
    foreign, client = {"Host": host}, browse(trained)
    refused = client.get("/api/v1/meters", headers=foreign)
    assert (refused.status_code, refused.mimetype) == (403, "application/problem+json")
    assert "localhost" in refused.get_json()["hint"]
    assert client.get("/", headers=foreign | {"Accept": "text/html"}).status_code == 403
    assert client.get("/readyz", headers=foreign).get_json() == {"ready": True, "degraded": []}
    assert client.get("/healthz", headers=foreign).status_code == 200
    assert browse(trained, open=True).get("/api/v1/meters", headers=foreign).status_code == 200
    admin = made(keys, "admin")
    assert browse(trained).get("/api/v1/meters", headers=foreign | admin).status_code == 200


def test_a_key_that_nobody_needs_is_not_looked_at(store: Path, browse: Browse) -> None:
    """Where this machine alone asks, one that cannot be checked, for the database is away, is as good as none."""
    client = browse(store, database=f"sqlite:///{store / 'serving.json' / 'wattcast.db'}")
    _, text = new_key("test", ["admin"], "", int(NOW_S))
    assert client.post("/api/v1/forecast", json=FORECAST, headers={"Authorization": f"Bearer {text}"}).status_code == 200


def test_programs_are_never_led_to_a_page(client: FlaskClient, keys: DatabaseKeys) -> None:
    """Without a key that counts they are told so; a browser whose page was entered is too, for what has no page."""
    for path in ("/metrics", "/metrics/", "/api/v1/nothing"):
        assert status(client, "GET", path, {"Accept": "*/*"}) == 401
    page = client.get("/login", headers={"Accept": "text/html"}).get_data(as_text=True)
    form = {"csrf_token": token_in(page), "key": made(keys, "admin")["Authorization"].split()[1]}
    assert client.post("/login", data=form).status_code == 303
    refused = client.get("/metrics", headers={"Accept": "text/html"})
    assert refused.status_code == 401
    assert "Authorization: Bearer KEY" in refused.text


def test_others_are_never_let_in_without_a_key(trained: Path, browse: Browse) -> None:
    """Even where the database was lost, and every key with it, a service that others reach asks for one."""
    client = browse(trained, host="0.0.0.0")
    assert client.get("/api/v1/meters").status_code == 401
    assert client.get("/", headers={"Accept": "text/html"}).status_code == 303


def test_open_means_open(trained: Path, browse: Browse, keys: DatabaseKeys) -> None:
    """WATTCAST_OPEN=1 asks for no key though there is one."""
    made(keys, "admin")
    assert browse(trained, open=True).get("/api/v1/meters").status_code == 200


def test_a_page_asks_for_a_key_once(client: FlaskClient, keys: DatabaseKeys) -> None:
    """It leads to where one was going, by a cookie that no script reads and no other site sends, until one leaves."""
    html = {"Accept": "text/html"}
    sent = client.get("/?meter=hourly", headers=html)
    assert sent.status_code == 303
    assert sent.headers["Location"] == "/login?next=/?meter%3Dhourly"
    page = client.get(sent.headers["Location"], headers=html).get_data(as_text=True)
    token = token_in(page)
    text = made(keys, "forecast")["Authorization"].split()[1]
    form = {"csrf_token": token, "next": "/?meter=hourly", "key": "wc_nonsense"}
    assert client.post("/login", data=form, headers=html).status_code == 422
    assert client.post("/login", data=form | {"key": text, "csrf_token": "forged"}, headers=html).status_code in (400, 422)
    assert client.get("/", headers=html).status_code == 303
    entered = client.post("/login", data=form | {"key": text}, headers=html)
    assert (entered.status_code, entered.headers["Location"]) == (303, "/?meter=hourly")
    cookie = entered.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Expires" in cookie
    assert text not in cookie
    assert client.get("/?meter=hourly", headers=html).status_code == 200
    assert client.post("/predict", data=READING, headers=html).status_code == 200
    assert client.get("/api/v1/meters", headers=html).status_code == 401
    inside = client.get("/", headers=html).get_data(as_text=True)
    forged = client.post("/logout", data={"csrf_token": token}, headers=html)
    assert forged.status_code == 400
    assert "Form not accepted" in forged.text
    assert "Open the page again, and send its form." in forged.text
    assert client.post("/logout", data={"csrf_token": token_in(inside)}, headers=html).status_code == 303
    assert client.get("/", headers=html).status_code == 303


@pytest.mark.parametrize("address", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", "evil", "/a\nb"])
def test_entering_leads_nowhere_else(address: str, client: FlaskClient, keys: DatabaseKeys) -> None:
    """An address of another site is not followed."""
    page = client.get("/login", headers={"Accept": "text/html"}).get_data(as_text=True)
    token = token_in(page)
    text = made(keys, "forecast")["Authorization"].split()[1]
    entered = client.post("/login", data={"csrf_token": token, "next": address, "key": text})
    assert (entered.status_code, entered.headers["Location"]) == (303, "/")


def test_a_page_without_tls_says_that_it_needs_it(trained: Path, browse: Browse, keys: DatabaseKeys) -> None:
    """Where others reach it: no browser keeps its cookie, so no form is taken; a key in the header is, and behind TLS forms are."""
    header = made(keys, "admin")
    key = header["Authorization"].split()[1]
    client = browse(trained, host="0.0.0.0")
    page = client.get("/login", headers={"Accept": "text/html"}).get_data(as_text=True)
    # As every browser does.
    client.delete_cookie("wattcast")
    refused = client.post("/login", data={"csrf_token": token_in(page), "key": key})
    assert refused.status_code == 400
    assert "WATTCAST_PROXIES" in refused.text
    assert client.get("/api/v1/meters", headers=header).status_code == 200
    secure = {"X-Forwarded-Proto": "https", "Referer": "https://localhost/login"}
    client = browse(trained, host="0.0.0.0", proxies=1)
    page = client.get("/login", base_url="https://localhost", headers=secure).get_data(as_text=True)
    entered = client.post("/login", base_url="https://localhost", data={"csrf_token": token_in(page), "key": key}, headers=secure)
    assert entered.status_code == 303


def test_a_session_ends_with_its_key(client: FlaskClient, keys: DatabaseKeys) -> None:
    """A cookie whose key was revoked, or that was forged, opens nothing."""
    page = client.get("/login").get_data(as_text=True)
    token = token_in(page)
    text = made(keys, "forecast")["Authorization"].split()[1]
    assert client.post("/login", data={"csrf_token": token, "key": text}).status_code == 303
    assert client.get("/", headers={"Accept": "text/html"}).status_code == 200
    keys.revoke(text.split("_")[1], int(NOW_S))
    time.sleep(1.1)
    assert client.get("/", headers={"Accept": "text/html"}).status_code == 303
    client.set_cookie("wattcast", "eyJrZXkiOiJ4In0.aaaa.bbbb")
    assert client.get("/", headers={"Accept": "text/html"}).status_code == 303
