"""The page in a real browser: drawn, quiet on the console, alone on the network, usable by keyboard on a phone and in the dark."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from small_store import NOW_S, wait_for
from werkzeug.serving import make_server

from wattcast.config import Settings
from wattcast.web.app import create_app

pytestmark = pytest.mark.system

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
QUIET += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
LINE = "getComputedStyle(document.querySelectorAll('#chart .scatterlayer path.js-line')[2]).stroke"
LIGHT, DARK = "rgb(15, 107, 92)", "rgb(92, 201, 179)"
SCREENS = [(width, scheme) for width in (1280, 390) for scheme in ("light", "dark")]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A headless Chromium from the system's packages."""
    found = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    if found is None:
        reason = "no Chromium is installed (apt-get install chromium)"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as player:
        browser = player.chromium.launch(executable_path=found, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(trained: Path) -> Iterator[str]:
    """The app at a fixed moment, on a port of its own."""
    server = make_server("127.0.0.1", 0, create_app(Settings(store=trained), now=lambda: NOW_S), threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()
    server.server_close()


class Visit:
    """A page and everything that should not have happened on it."""

    def __init__(self, browser: Browser, site: str, width: int = 1280, scheme: str = "light") -> None:
        self.faults: list[str] = []
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
        self.page: Page = context.new_page()
        self.page.on("console", lambda message: self.faults.append(message.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self._look(request.url, site))
        self.page.goto(site)
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
