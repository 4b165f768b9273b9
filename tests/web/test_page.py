"""GET /: the day ahead and everything that stands behind it; the tiers, seen through HTTP."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import tiny
from flask.testing import FlaskClient
from small_store import HOUSE, READING, flip_one_byte

from wattcast.adapters.files import FileSnapshots
from wattcast.adapters.model_store import FileModelStore
from wattcast.web.app import create_app
from wattcast.web.views import duration

Browse = Callable[..., FlaskClient]

STATIC = Path(create_app.__code__.co_filename).parent / "static"


def chart_of(page: str) -> dict[str, object]:
    """The data that the page hands to its chart."""
    found = re.search(r'<script type="application/json" id="chart-data">(.*?)</script>', page, re.DOTALL)
    assert found
    chart: dict[str, object] = json.loads(found[1])
    return chart


def test_the_page_says_everything_about_the_forecast(client: FlaskClient) -> None:
    """Span, age of the data, model, training, scores beside baselines, vetoes, quality and SIMULATED are all on the page."""
    page = client.get("/")
    assert page.status_code == 200
    for said in (
        "26 Nov 2010 22:00 to 27 Nov 2010 22:00 (Europe/Paris)",
        "The last reading is from 26 Nov 2010 21:59, 2 days ago.",
        "the champion",
        "24 Nov 2026 21:58, on readings from 27 Oct 2010 23:00 to 20 Nov 2010 22:00",
        "Baseline: the mean of the same time on the last 7 days",
        "% (aim 80 %)",
        "LightGBM Regressor does not answer: it lost to a baseline on the test",
        'LightGBM Regressor <span class="badge vetoed">vetoed</span>',
        '<span class="verdict usable">usable</span>',
        "The longest gap lasts &lt;3&gt; days.",
        "SIMULATED",
    ):
        assert said in page.text, said
    assert re.search(r"\d+ % (less|more) MAE, \d+ % (less|more) RMSE", page.text)


def test_the_chart_and_its_table_hold_the_same_24_values(client: FlaskClient) -> None:
    """The chart's data are in the page as data, with the last two days measured, and again as a table."""
    page = client.get("/").text
    chart = chart_of(page)
    steps = chart["steps"]
    assert isinstance(steps, list)
    assert len(steps) == 24
    assert steps[0]["start"] == "2010-11-26T22:00"
    assert all(step["low"] <= step["high"] for step in steps)
    for step in steps:
        assert f"{step['label']}</th><td>{step['mean']:.3f}</td><td>{step['low']:.3f} to {step['high']:.3f}</td>" in page
    measured = chart["measured"]
    assert isinstance(measured, list)
    assert (measured[0][0], measured[-1][0]) == ("2010-11-24T22:00", "2010-11-26T22:00")


def test_the_form_starts_with_the_latest_reading(client: FlaskClient) -> None:
    """The form's first values are the last stored minute, and its labels say unit and range."""
    page = client.get("/").text
    assert re.search(r'name="datetime"[^>]*value="2010-11-26T21:59"', page, re.DOTALL)
    assert re.search(r'name="Voltage"[^>]*value="2[34]\d\.\d+"', page, re.DOTALL)
    assert "50 to 500 V; mean of that minute" in page


def test_another_meter_can_be_chosen(client: FlaskClient) -> None:
    """The drop-down holds every meter; a skipped task gives its reason; a real meter is not called simulated; an unknown one is 404."""
    page = client.get("/?meter=hourly").text
    assert "<option selected>hourly</option>" in page
    assert "<option>house</option>" in page
    assert "Skipped: the readings are 3600 s apart" in page
    assert "The last reading is from 26 Nov 2010 21:00, 2 days ago." in page
    assert "SIMULATED" not in page
    assert client.get("/?meter=garage").status_code == 404
    assert client.get("/?meter=garage", headers={"Accept": "application/json"}).json == {
        "type": "/docs#problem-meter-not-known",
        "title": "Meter not known",
        "status": 404,
        "detail": 'meter "garage" is not known',
        "hint": "known meters: hourly, house",
    }


def test_the_settings_choose_the_first_meter(trained: Path, browse: Browse) -> None:
    """WATTCAST_METER decides what is shown first; otherwise it is the meter registered last."""
    assert "(+01:00)" in browse(trained, meter="hourly").get("/").text
    assert "(Europe/Paris)" in browse(trained).get("/").text


def test_an_empty_store_says_what_to_do(tmp_path: Path, browse: Browse) -> None:
    """Without a model: the page explains `make run`, /predict and /readyz are 503, /healthz is 200."""
    client = browse(tmp_path / "nothing")
    assert client.get("/").status_code == 503
    assert "make run" in client.get("/").text
    assert client.get("/healthz").json == {"alive": True}
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json["ready"]) == (503, False)
    refused = client.post("/predict", json=READING)
    assert refused.status_code == 503
    assert refused.json["hint"] == "train one first: make run"


def test_ready_says_what_is_loaded(client: FlaskClient) -> None:
    """/readyz is 200 with models and names the meters."""
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.json is not None
    assert (answer.json["loaded"], sorted(answer.json["meters"]), answer.json["refused"]) == (6, ["hourly", "house"], {})


def test_fault_4_an_altered_model_is_refused_and_the_next_tier_answers(store: Path, browse: Browse) -> None:
    """One flipped bit in the model asked for: it is not loaded, the champion answers, and page, JSON and /readyz say why."""
    slot = FileModelStore(store).manifest().slots["next_minute/house"]
    other = next(family for family in slot.families if family != slot.champion_family)
    flip_one_byte(store, slot.families[other])
    client = browse(store)
    title = {"xgb": "XGBoost Regressor", "rf": "Random Forest Regressor", "lgbm": "LightGBM Regressor"}[other]
    answer = client.post("/predict", data=READING | {"model_choice": title}, headers={"Accept": "application/json"}).json
    assert answer["tier"] == "champion"
    assert answer["version"] == slot.champion
    assert "altered or torn" in answer["reason"]
    assert f"{title} did not answer: the file is not bundle" in client.post("/predict", data=READING | {"model_choice": title}).text
    assert list(client.get("/readyz").json["refused"]) == [slot.families[other][:12]]


def test_the_tiers_follow_one_another(store: Path, browse: Browse) -> None:
    """Champion, previous champion, baseline, typical day: each answers when those above it cannot, and the page says which and why."""
    models = FileModelStore(store)
    manifest = models.manifest()
    slot = manifest.slots["day_ahead/house"]
    before = next(bundle for bundle in slot.families.values() if bundle != slot.champion)
    alone = replace(slot, families={slot.champion_family: slot.champion}, before=replace(slot, champion=before))
    tiny.put_manifest(models, replace(manifest, slots={**manifest.slots, "day_ahead/house": alone}))
    assert ", the champion" in browse(store).get("/").text
    flip_one_byte(store, slot.champion)
    page = browse(store).get("/").text
    assert "the previous champion" in page
    assert "altered or torn" in page
    flip_one_byte(store, before)
    page = browse(store).get("/").text
    assert "the mean of the same time on the last 7 days (a baseline from the readings given)" in page
    assert "no model file" in page
    shutil.rmtree(store / "readings")
    page = browse(store).get("/").text
    assert "the typical day (the typical day of this meter)" in page
    assert len(chart_of(page)["steps"]) == 24
    shutil.rmtree(store / "records")
    page = browse(store).get("/").text
    assert "The service cannot answer this at the moment. What to do: train one (make run), or give at least one reading." in page


def test_readings_that_cannot_be_read_leave_a_page(store: Path, browse: Browse) -> None:
    """Torn stored readings cost a tier, not the page: the typical day answers, form, scores and verdict stay."""
    for path in (store / "readings").iterdir():
        path.write_bytes(b"torn")
    page = browse(store).get("/")
    assert page.status_code == 200
    assert "the typical day" in page.text
    assert "Predict the next minute" in page.text


def test_readings_with_gaps_are_drawn_as_gaps(store: Path, browse: Browse) -> None:
    """A reading that was not measured is null in the chart, and empty in the form."""
    readings = FileSnapshots(store)
    hours, minutes = readings.latest("house", 3_600), readings.latest("house", 60)
    assert hours
    assert minutes
    hours.power_kw[-5] = float("nan")
    minutes.covariates["voltage_v"][-1] = float("nan")
    readings.put(hours)
    readings.put(minutes)
    page = browse(store).get("/").text
    measured = chart_of(page)["measured"]
    assert isinstance(measured, list)
    assert [value for _, value in measured].count(None) == 1
    assert re.search(r'name="Voltage"[^>]*value=""', page, re.DOTALL)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (5, "less than a minute"),
        (60, "1 minute"),
        (7_300, "2 hours"),
        (86_400, "1 day"),
        (40 * 86_400, "1 month"),
        (16.1 * 31_557_600, "16 years"),
    ],
)
def test_ages_are_said_in_their_largest_unit(seconds: float, said: str) -> None:
    """An age is one whole number and its unit."""
    assert duration(seconds) == said


def _luminance(color: str) -> float:
    parts = [int(color[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("front", "back", "least"),
    [
        ("text", "page", 4.5), ("text", "card", 4.5), ("text", "note", 4.5), ("muted", "page", 4.5), ("muted", "card", 4.5),
        ("accent", "card", 4.5), ("accent", "page", 4.5), ("on-accent", "accent", 4.5), ("bad", "card", 4.5), ("bad", "bad-back", 4.5),
        ("warn", "warn-back", 4.5), ("edge", "card", 3.0),
    ],
)  # fmt: skip
def test_colours_have_contrast(scheme: int, front: str, back: str, least: float) -> None:
    """Text has the contrast of WCAG AA (4.5), edges of fields 3, in light and in dark."""
    style = (STATIC / "style.css").read_text()
    colors = dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", style.split("prefers-color-scheme: dark")[scheme]))
    bright, dim = sorted((_luminance(colors[front]), _luminance(colors[back])), reverse=True)
    assert (bright + 0.05) / (dim + 0.05) >= least


def test_the_house_is_the_one_registered_last(client: FlaskClient) -> None:
    """The title names the meter that is shown."""
    assert f"<title>Day ahead · {HOUSE.id} · wattcast</title>" in client.get("/").text
