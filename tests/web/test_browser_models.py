"""The page of models in a real browser: quiet, no wider than the screen, nothing inline, in the light and in the dark."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from lived import lived, log_forecasts, send_what_came
from playwright.sync_api import Browser
from small_store import NOW_S
from test_browser import SCREENS, Visit, served

from wattcast.config import Settings
from wattcast.web.app import create_app

pytestmark = pytest.mark.system


@pytest.fixture(scope="module")
def site(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A site whose models have lived."""
    folder = tmp_path_factory.mktemp("lived")
    shutil.copytree(trained, folder / "store")
    slot = lived(folder / "store")
    settings = Settings(store=folder / "store", database=f"sqlite:///{folder / 'wattcast.db'}")
    send_what_came(create_app(settings, now=lambda: NOW_S).test_client())
    log_forecasts(folder, slot)
    with served(settings) as address:
        yield address


@pytest.mark.parametrize(("width", "scheme"), SCREENS)
def test_the_page_of_models_is_quiet_and_fits(chromium: Browser, site: str, width: int, scheme: str) -> None:
    """No console message under the content policy, no script or style inline; tables too wide scroll in their box."""
    visit = Visit(chromium, site, width, scheme, path="/models?meter=house")
    page = visit.page
    assert page.locator("script, style, [style], [onclick]").count() == 0
    page.get_by_text("By lead and season").click()
    assert page.locator(".sides").is_visible()
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0
    assert page.locator(".came").first.evaluate("table => table.scrollWidth - table.parentElement.clientWidth") <= 0
    page.locator("nav").get_by_role("link", name="Models").click()
    page.get_by_label("Meter").select_option("hourly")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/models?meter=hourly")
    assert visit.faults == []


def test_a_version_leads_to_its_line(chromium: Browser, site: str) -> None:
    """From the forecast on the first page, without a look around."""
    visit = Visit(chromium, site, 390)
    visit.page.locator(".facts a code").click()
    visit.page.wait_for_url("**/models?meter=house#m-*")
    assert "champion" in visit.page.locator(":target").inner_text()
    assert visit.page.locator(":target").evaluate("line => line.getBoundingClientRect().top >= 0")
