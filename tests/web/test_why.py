"""GET /why: a forecast taken apart in a process of its own, remembered, one at a time; and its bars on the page."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from playwright.sync_api import Browser
from running import Start
from small_store import NOW_S, SECONDS, TITLES, flip_one_byte, wait_for
from test_browser import Visit, site  # noqa: F401 (fixtures)
from test_server import LEARNERS, libraries

from wattcast.adapters.files import FileSnapshots
from wattcast.adapters.model_store import FileModelStore
from wattcast.serving import Ask, ForecastService
from wattcast.web import explaining

Browse = Callable[..., FlaskClient]

JSON = {"Accept": "application/json"}
SLOW = """#!/bin/sh
touch {go}.awaited
while [ ! -e {go} ]; do sleep 0.05; done
exec {python} "$@"
"""


def asked(client: FlaskClient, **words: str) -> Any:
    """What /why answers, as JSON."""
    return client.get("/why", query_string=words, headers=JSON)


def means(store: Path, task: str, family: str = "") -> list[float]:
    """The mean of every step that the service forecasts for the house."""
    service = ForecastService(FileModelStore(store), FileSnapshots(store))
    service.load()
    return [step.mean for step in service.forecast(Ask("house", task, NOW_S, family=family)).steps]


@pytest.fixture
def interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Has the process that explains run by this script in place of Python; an empty one brings Python back."""

    def replaced(script: str) -> None:
        path = tmp_path / "python"
        path.write_text(script)
        path.chmod(0o755)
        monkeypatch.setattr(explaining, "PYTHON", str(path) if script else sys.executable)

    return replaced


@pytest.fixture
def without_learners(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the image that serves: neither learner is installed for the processes started from here."""
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules.update(xgboost=None, lightgbm=None)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


@pytest.mark.parametrize("family", TITLES)
@pytest.mark.parametrize("task", ["day_ahead", "next_minute"])
def test_the_parts_sum_to_the_forecast(client: FlaskClient, trained: Path, task: str, family: str) -> None:
    """Every family by its key or its title, both tasks: kW per group and step, in the order to read them in."""
    answer = asked(client, task=task, meter="house", model=TITLES[family] if task == "day_ahead" else family)
    assert answer.status_code == 200
    said = answer.json
    assert (said["task"], said["meter"], said["unit"]) == (task, "house", "kW")
    expected = means(trained, task, family)
    np.testing.assert_allclose(np.sum(list(said["groups"].values()), axis=0), expected, atol=1e-4)
    assert len(said["starts"]) == len(expected)
    order = {
        "day_ahead": ["base", "last hours", "yesterday", "last week", "calendar"],
        "next_minute": ["the last reading", "base", "last minutes", "calendar"],
    }[task]
    places = [answer.text.index(f'"{name}"') for name in order]
    assert places == sorted(places)
    assert set(said["groups"]) == set(order)


def test_without_words_it_is_the_page_s_forecast(client: FlaskClient, trained: Path) -> None:
    """The champion's day ahead of the meter registered last, from the origin that the page shows."""
    said = asked(client).json
    champion = FileModelStore(trained).manifest().slots["day_ahead/house"].champion
    assert (said["task"], said["meter"], said["version"]) == ("day_ahead", "house", champion)
    assert said["origin"] == said["starts"][0] == "2010-11-26T22:00:00+01:00"


def test_the_worker_loads_no_learner(trained: Path) -> None:
    """After an answer of /why the worker's process holds no learner, no frame library and nothing that only trains."""
    code = f"""
import sys
from wattcast.config import Settings
from wattcast.web.app import create_app
client = create_app(Settings(store={str(trained)!r})).test_client()
assert client.get("/why").json["groups"]
loaded = [name for name in ("xgboost", "lightgbm", "polars", "pandas", "scipy", "onnx", "sklearn") if name in sys.modules]
assert not loaded, loaded
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks at the memory maps that Linux shows")
def test_the_real_server_explains_and_stays_light(trained: Path, start: Start) -> None:
    """gunicorn answers /why; neither its worker nor its master holds a learner then, and it still stops quietly."""
    server = start(trained).ready()
    connection = server.connect()
    connection.request("GET", "/why", headers=JSON)
    answer = connection.getresponse()
    assert (answer.status, "base" in json.loads(answer.read())["groups"]) == (200, True)
    connection.close()
    for pid in (server.process.pid, *server.workers()):
        assert [name for name in LEARNERS if name in libraries(pid)] == []
    assert server.stop(signal.SIGTERM) == 0
    assert server.said().splitlines()[-1] == "left"


def test_an_answer_is_remembered(client: FlaskClient, interpreter: Callable[[str], None]) -> None:
    """The same forecast is taken apart once: no second process is started for it."""
    first = asked(client)
    interpreter("#!/bin/sh\nexit 1\n")
    assert asked(client).data == first.data
    assert asked(client, task="next_minute").status_code == 503


def test_other_readings_are_another_question(store: Path, browse: Browse) -> None:
    """Readings put right, with the same origin, are taken apart anew."""
    client = browse(store)
    before = asked(client).json
    readings = FileSnapshots(store)
    hours = readings.latest("house", 3_600)
    assert hours
    hours.power_kw[-24:-1] += 2
    readings.put(hours)
    after = asked(client).json
    assert after["origin"] == before["origin"]
    assert after["groups"] != before["groups"]


def test_one_at_a_time(client: FlaskClient, trained: Path, tmp_path: Path, interpreter: Callable[[str], None]) -> None:
    """While one forecast is being taken apart another is 202 with when to ask again, and forecasts are answered; then it has its turn."""
    go, answers = tmp_path / "go", []
    interpreter(SLOW.format(go=go, python=sys.executable))
    app = client.application
    app.extensions["wattcast"].explainer.limit_s = SECONDS
    first = threading.Thread(target=lambda: answers.append(asked(app.test_client())))
    first.start()
    wait_for((tmp_path / "go.awaited").exists)
    other, page = asked(client, task="next_minute"), client.get("/")
    go.touch()
    first.join()
    assert (other.status_code, other.headers["Retry-After"], other.json) == (202, "1", {"wait_s": 1})
    assert page.status_code == 200
    assert [answer.status_code for answer in answers] == [200]
    assert asked(client, task="next_minute").status_code == 200


@pytest.mark.usefixtures("without_learners")
def test_missing_learners_are_a_problem_that_says_what_to_install(client: FlaskClient) -> None:
    """503 in the one error shape; the forecast itself is on the page all the same."""
    answer = asked(client)
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    assert 'pip install "wattcast[explain]", then start the service again' in answer.json["hint"]
    assert "Traceback" not in answer.text
    assert client.get("/").status_code == 200


@pytest.mark.parametrize(
    ("script", "limit_s", "logged"),
    [
        ("#!/bin/sh\nexec sleep 600\n", 0.3, "was not taken apart within 0.3 s"),
        ("#!/bin/sh\necho broken >&2\nkill -SEGV $$\n", 60, "ended with -11: broken"),
        ("#!/no/such/interpreter\n", 60, "no process can be started"),
    ],
    ids=["too long", "crashed", "not started"],
)
def test_a_process_that_fails_is_a_problem_and_tried_again(
    script: str,
    limit_s: float,
    logged: str,
    client: FlaskClient,
    interpreter: Callable[[str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """503 with a hint, the reason in the log, no way of the server in the answer; the next question starts a process again."""
    explainer = client.application.extensions["wattcast"].explainer
    explainer.limit_s = limit_s
    interpreter(script)
    answer = asked(client)
    assert (answer.status_code, answer.mimetype) == (503, "application/problem+json")
    assert answer.json["hint"] == "try again in a moment"
    assert answer.json["detail"] == "The service cannot answer this at the moment."
    assert logged in capsys.readouterr().err
    explainer.limit_s = 60
    interpreter("")
    assert asked(client).status_code == 200


def test_what_no_model_answered_has_no_parts(store: Path, browse: Browse) -> None:
    """A baseline is no model: no groups, and the reason; the page has no place for bars."""
    slot = FileModelStore(store).manifest().slots["day_ahead/hourly"]
    flip_one_byte(store, slot.champion)
    client = browse(store)
    said = asked(client, meter="hourly").json
    assert said["groups"] == {}
    assert "no model answered but the mean of the same time on the last 7 days" in said["reason"]
    assert 'id="why"' not in client.get("/?meter=hourly").text


def test_a_model_file_altered_meanwhile_is_refused(store: Path, browse: Browse) -> None:
    """What is taken apart is the model that answered, or nothing."""
    client = browse(store)
    flip_one_byte(store, FileModelStore(store).manifest().slots["day_ahead/house"].champion)
    answer = asked(client)
    assert (answer.status_code, answer.json["title"]) == (503, "Bad model file")


@pytest.mark.parametrize("field", ["task", "meter", "model"])
def test_what_is_not_known_is_named(client: FlaskClient, field: str) -> None:
    """422 in the one error shape, with the field and what is known."""
    answer = asked(client, **{field: "nonsense"})
    assert (answer.status_code, answer.mimetype) == (422, "application/problem+json")
    assert answer.json["errors"] == [{"field": field, "message": answer.json["errors"][0]["message"]}]
    assert "known" in answer.json["hint"]


def test_an_empty_store_has_nothing_to_explain(tmp_path: Path, browse: Browse) -> None:
    """503, and what to do."""
    answer = asked(browse(tmp_path / "nothing"))
    assert (answer.status_code, answer.json["hint"]) == (503, "train one first: make run")


@pytest.mark.system
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_the_page_draws_what_makes_up_the_forecast(chromium: Browser, site: str, width: int, scheme: str) -> None:  # noqa: F811
    """Bars for the highest step, then for the mean; values as text; quiet, and nothing wider than the screen."""
    visit = Visit(chromium, site, width, scheme)
    page = visit.page
    page.locator("#why").scroll_into_view_if_needed()
    page.wait_for_selector("#why[data-drawn]")
    rows = page.locator("#why tbody tr")
    assert [name.split("\n")[0] for name in rows.locator("th").all_inner_texts()] == [
        "Base", "Last hours", "Yesterday", "Last week", "Calendar", "In all",
    ]  # fmt: skip
    mean = page.evaluate("Math.max(...JSON.parse(document.getElementById('chart-data').textContent).steps.map((step) => step.mean))")
    assert float(rows.last.locator("td").last.inner_text()) == pytest.approx(mean, abs=0.006)
    widths = page.evaluate("[...document.querySelectorAll('#why .part')].map((part) => part.getBoundingClientRect().width)")
    assert len(widths) == 6
    assert max(widths) > 20
    page.get_by_label("For", exact=True).select_option("")
    table = page.get_by_role("table", name="What makes up the forecast, the mean of all 24 steps")
    assert float(table.locator("tr").last.locator("td").last.inner_text()) < mean
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
    assert visit.faults == []


@pytest.mark.system
@pytest.mark.usefixtures("without_learners")
def test_the_page_says_quietly_what_to_install(chromium: Browser, site: str) -> None:  # noqa: F811
    """Without the learners: one line in the place of the bars."""
    visit = Visit(chromium, f"{site}/?meter=hourly")
    told = visit.page.locator("#why [role=status]")
    told.scroll_into_view_if_needed()
    wait_for(lambda: "pip install" in told.inner_text())
    assert told.inner_text().startswith("To take a forecast apart, install the libraries that trained it: ")
    assert visit.page.locator("#why table").count() == 0
