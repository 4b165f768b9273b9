"""The page in a real browser: drawn, quiet on the console, alone on the network, usable by keyboard on a phone and in the dark."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page
from small_store import NOW_S, wait_for
from test_file_page import csv, house
from werkzeug.serving import make_server

from wattcast.access import new_key
from wattcast.adapters.database import Database, DatabaseKeys
from wattcast.config import Settings
from wattcast.web.app import create_app

pytestmark = pytest.mark.system

LINE = "getComputedStyle(document.querySelectorAll('#chart .scatterlayer path.js-line')[2]).stroke"
LIGHT, DARK = "rgb(15, 107, 92)", "rgb(92, 201, 179)"
SCREENS = [(width, scheme) for width in (1280, 390) for scheme in ("light", "dark")]


@pytest.fixture(scope="module")
def site(trained: Path) -> Iterator[str]:
    """A site that asks nobody for a key."""
    with served(Settings(store=trained)) as address:
        yield address


@pytest.fixture(scope="module")
def kept_apart(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A site that asks for a key, with a database of its own, and a key."""
    database = f"sqlite:///{tmp_path_factory.mktemp('keys') / 'wattcast.db'}"
    key, text = new_key("visitor", ["forecast", "readings:write"], "", int(NOW_S))
    DatabaseKeys(Database(database)).add(key)
    with served(Settings(store=trained, database=database)) as address:
        yield address, text


@contextmanager
def served(settings: Settings) -> Iterator[str]:
    """The app at a fixed moment, on a port of its own."""
    server = make_server("127.0.0.1", 0, create_app(settings, now=lambda: NOW_S), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


class Visit:
    """A page and everything that should not have happened on it."""

    def __init__(self, browser: Browser, site: str, width: int = 1280, scheme: str = "light", *, path: str = "") -> None:
        self.faults: list[str] = []
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
        self.page: Page = context.new_page()
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self._look(request.url, site))
        self.page.goto(site + path)
        if not path:
            self.page.wait_for_selector("#chart[data-drawn]")

    def _look(self, url: str, site: str) -> None:
        if not url.startswith((site, "data:")):
            self.faults.append(f"request to {url}")


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_the_page_is_drawn_and_quiet(chromium: Browser, site: str, width: int, scheme: str) -> None:
    """No console message under the content policy, no foreign request, nothing wider than the screen; the chart has the scheme's colour."""
    visit = Visit(chromium, site, width, scheme)
    assert visit.page.locator("#chart .scatterlayer .trace").count() == 4
    assert visit.page.evaluate(LINE) == (DARK if scheme == "dark" else LIGHT)
    assert visit.page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
    visit.page.hover("#chart .nsewdrag", position={"x": width * 0.6, "y": 100})
    visit.page.wait_for_selector("#chart .hoverlayer .hovertext")
    visit.page.get_by_role("button", name="Predict the next minute").click()
    visit.page.wait_for_selector(".sentence")
    assert visit.page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
    assert visit.faults == []


def test_the_chart_follows_a_change_to_dark(chromium: Browser, site: str) -> None:
    """When the system turns dark the chart is drawn again in the dark colours."""
    visit = Visit(chromium, site)
    visit.page.emulate_media(color_scheme="dark")
    wait_for(lambda: visit.page.evaluate(LINE) == DARK)
    assert visit.faults == []


def test_the_form_works_by_keyboard_alone(chromium: Browser, site: str) -> None:
    """Tab reaches the skip link first; Enter in a field sends the form; focus goes to the errors, and from there to the field."""
    visit = Visit(chromium, site, 390)
    page = visit.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.focus("#Voltage")
    page.keyboard.press("Control+A")
    page.keyboard.type("nan")
    page.keyboard.press("Enter")
    page.wait_for_selector("#summary")
    assert page.evaluate("document.activeElement.id") == "summary"
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    wait_for(lambda: page.evaluate("document.activeElement.id") == "Voltage")
    assert page.input_value("#Voltage") == "nan"
    page.keyboard.press("Control+A")
    page.keyboard.type("240")
    page.keyboard.press("Enter")
    page.wait_for_selector(".sentence")
    assert "Predicted Energy Consumption: " in page.inner_text(".sentence")
    # Chromium itself notes the 422 of the refused form.
    assert [fault for fault in visit.faults if "422" not in fault] == []


def test_without_the_charts_script_the_table_is_open(chromium: Browser, site: str) -> None:
    """Where Plotly cannot be had, the table takes the chart's place."""
    page = chromium.new_page()
    page.route("**/vendor/plotly.js*", lambda route: route.abort())
    page.goto(site)
    page.wait_for_selector("#values[open]")
    assert page.locator("#chart").count() == 0
    assert page.locator("#values tbody tr").count() == 24


DROPPED = """([name, text]) => {
    const carried = new DataTransfer();
    carried.items.add(new File([text], name));
    return carried;
}"""


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_a_file_is_dropped_and_its_curve_is_drawn(chromium: Browser, site: str, width: int, scheme: str) -> None:
    """Its name and size are told, the area shows that it takes it; then the curve is drawn, quiet, nothing wider than the screen."""
    visit = Visit(chromium, site, width, scheme, path="/file")
    page = visit.page
    carried = page.evaluate_handle(DROPPED, ["my house.csv", csv(house()).decode()])
    page.dispatch_event("#drop", "dragover", {"dataTransfer": carried})
    assert page.locator("#drop.over").count() == 1
    page.dispatch_event("#drop", "drop", {"dataTransfer": carried})
    assert page.locator("#drop.over").count() == 0
    assert page.inner_text("#chosen") == "my house.csv, 21 kB"
    page.get_by_role("button", name="Judge and forecast").click()
    page.wait_for_selector("#chart[data-drawn]")
    assert page.inner_text("h1") == "my house.csv is good"
    assert page.locator("#chart .scatterlayer .trace").count() == 4
    assert page.evaluate(LINE) == (DARK if scheme == "dark" else LIGHT)
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
    assert visit.faults == []


def test_a_file_dropped_beside_the_area_does_not_replace_the_page(chromium: Browser, site: str) -> None:
    """The browser would open it: the page stays, and takes nothing."""
    visit = Visit(chromium, site, path="/file")
    carried = visit.page.evaluate_handle(DROPPED, ["house.csv", "time,load_kw"])
    beside = """carried => document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: carried, bubbles: true, cancelable: true }))"""
    assert visit.page.evaluate(beside, carried) is False
    assert visit.page.inner_text("#chosen") == ""
    assert visit.faults == []


def test_a_chosen_file_is_kept_when_the_box_is_ticked(chromium: Browser, kept_apart: tuple[str, str], tmp_path: Path) -> None:
    """A meter's name is asked for then alone; one that is too large is not sent; a refusal has the focus, its link leads to the field."""
    site, key = kept_apart
    visit = Visit(chromium, site, path="/login?next=/file")
    page = visit.page
    page.fill("#key", key)
    page.keyboard.press("Enter")
    page.wait_for_selector("#drop")
    assert not page.is_visible("#meter")
    page.check("#keep")
    assert page.is_visible("#meter")
    large = tmp_path / "large.csv"
    with large.open("wb") as file:
        file.truncate(51 << 20)
    page.set_input_files("#file", large)
    page.get_by_role("button", name="Judge and forecast").click()
    assert "50 MB are the most" in page.evaluate("document.getElementById('file').validationMessage")
    good = tmp_path / "house.csv"
    good.write_bytes(csv(house()))
    page.set_input_files("#file", good)
    page.fill("#meter", "My House")
    page.get_by_role("button", name="Judge and forecast").click()
    page.wait_for_selector("#summary")
    assert page.evaluate("document.activeElement.id") == "summary"
    page.click("#summary a")
    wait_for(lambda: page.evaluate("document.activeElement.id") == "meter")
    page.fill("#meter", "home")
    page.set_input_files("#file", good)
    page.get_by_role("button", name="Judge and forecast").click()
    page.wait_for_selector("#chart[data-drawn]")
    assert "Kept as meter home: 960 new" in page.inner_text("#kept")
    # Chromium itself notes the 422 of the refused form.
    assert [fault for fault in visit.faults if "422" not in fault] == []


@pytest.mark.parametrize("path", ["/file", "/docs", "/login", ""])
def test_every_page_is_quiet_under_the_content_policy(chromium: Browser, kept_apart: tuple[str, str], site: str, path: str) -> None:
    """Nothing on the console and nothing wider than the screen, on a phone in the dark."""
    visit = Visit(chromium, kept_apart[0] if path == "/login" else site, 390, "dark", path=path)
    assert visit.page.inner_text("h1")
    assert visit.page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
    assert visit.faults == []


def test_a_file_works_without_scripts(chromium: Browser, site: str, tmp_path: Path) -> None:
    """With JavaScript switched off: chosen, sent, judged, and its values in a table."""
    good = tmp_path / "house.csv"
    good.write_bytes(csv(house()))
    page = chromium.new_context(java_script_enabled=False).new_page()
    page.goto(f"{site}/file")
    page.set_input_files("#file", good)
    page.get_by_role("button", name="Judge and forecast").click()
    page.wait_for_selector("#values")
    page.click("#values summary")
    assert page.locator("#values tbody tr").count() == 24
    assert page.is_visible("noscript .note")
