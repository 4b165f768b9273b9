"""GET /models: roles, accuracy on what came, the verdict and the history; what cannot be had is said, and the rest is there."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from lived import CAME, expected, lived, log_forecasts, send_what_came
from small_store import NOW_S, Browse, flip_one_byte
from test_api_keys import made

from wattcast.adapters.database import Database, DatabaseKeys
from wattcast.adapters.model_store import FileModelStore
from wattcast.config import Settings
from wattcast.forecasting import succession
from wattcast.forecasting.changes import Move
from wattcast.forecasting.forecast import iso
from wattcast.forecasting.registry import Slot
from wattcast.web.app import create_app


def said(client: FlaskClient, path: str = "/models?meter=house", headers: dict[str, str] | None = None) -> str:
    """The page's words, blanks made one."""
    answer = client.get(path, headers=(headers or {}) | {"Accept": "text/html"})
    assert answer.status_code == 200, answer.text
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", answer.text)))


@pytest.fixture
def slot(store: Path) -> Slot:
    """The house's day ahead after a promotion, a verdict and a challenge."""
    return lived(store)


def test_the_page_tells_the_life_of_the_models(store: Path, slot: Slot, browse: Browse, tmp_path: Path) -> None:
    """Who is what, since when and from what; each model beside its baselines on the hours that came; the verdict; who changed what."""
    client = browse(store)
    send_what_came(client)
    log_forecasts(tmp_path, slot)
    words = said(client)
    for role, bundle in (("champion", slot.champion), ("challenger", slot.challenger), ("previous", slot.previous)):
        assert re.search(rf"Regressor {role} (Vetoed: [^%]*% of the days. )?{bundle[:12]} 2[45] Nov 2026", words), role
    assert "Vetoed: it lost to a baseline on the test" in words
    assert "Answers on 20 % of the days." in words
    assert "25 Nov 2026 09:00, on readings from 27 Oct 2010 23:00 to 20 Nov 2010 22:00 tester, from revision 0123456789ab" in words
    promised = {bundle: next(iter(FileModelStore(store).record(bundle).tests.values())) for bundle in (slot.champion, slot.challenger)}
    for tier, bundle, median in (("champion", slot.champion, 1.0), ("shadow", slot.challenger, 1.2)):
        figures, test = expected(median), promised[bundle]
        row = f"The {tier} {bundle[:12]} {tier} 12 forecasts wait for their readings {CAME} {figures.mae:.4f} {figures.rmse:.4f}"
        held = f"{figures.bias:+.4f} {100 * figures.coverage:.0f} % (aim 80 %)"
        assert f"{row} {held} {figures.skill} {test.mae:.4f} / {test.rmse:.4f}" in words
    for title, mae, rmse in expected(1.0).baselines:
        assert words.count(f"Baseline: {title} {CAME} {mae:.4f} {rmse:.4f}") == 2
    assert f"it may not {slot.challenger[:12]} beside {slot.champion[:12]} , the champion then. 20 days were compared" in words
    assert "MAE 0.2000 kW against the champion's <0.1900> on the same 480 forecasts." in words
    assert "Leads 2-6 480 0.2000 0.1900 0.3000 0.0700 0.0600 0.1000 78 % 80 % 90 %" in words
    assert f"26 Nov 2026 13:01 anna: promoted (a drill) 3 Day ahead: {slot.previous[:12]} → {slot.champion[:12]} forced: a drill" in words
    assert f"bert: changed who challenges 4 Day ahead: {slot.champion[:12]} stays answers on 20% of the days" in words


def test_every_page_leads_there(store: Path, slot: Slot, browse: Browse) -> None:
    """From the navigation, and from a forecast's version to its line."""
    client = browse(store)
    link = f'<a href="/models?meter=house#m-{slot.champion[:12]}"><code>{slot.champion[:12]}</code></a>'
    home = client.get("/").text
    assert link in home
    assert '<a href="/models?meter=house">Models</a>' in home
    assert f'id="m-{slot.champion[:12]}"' in client.get("/models?meter=house").text
    assert client.get("/models?meter=barn", headers={"Accept": "text/html"}).status_code == 404


def test_what_is_missing_is_said(store: Path, slot: Slot, browse: Browse, tmp_path: Path) -> None:
    """No forecast, no reading of it yet, no model, no registered meter: each in words."""
    client = browse(store)
    assert "No forecast of the 28 days up to the last reading, 26 Nov 2010 22:00, is in the log" in said(client)
    assert "None of these models was judged beside a champion yet" in said(client)
    log_forecasts(tmp_path, slot, (0,))
    waiting = said(browse(store))
    row = f"The last 7 and 28 days: The champion {slot.champion[:12]} (the champion): 24 forecasts wait for their readings."
    assert row in waiting
    skipped = said(client, "/models?meter=hourly")
    assert "Next minute Skipped: the readings are 3600 s apart, it needs 60 s or finer. Day ahead Who is who" in skipped
    empty = browse(tmp_path / "nothing").get("/models")
    assert (empty.status_code, "There is no forecast yet" in empty.text) == (503, True)


def test_what_is_away_costs_its_own_part_alone(store: Path, slot: Slot, browse: Browse) -> None:
    """The database, an entry of the history, the file of a model that is refused: said where it would stand."""
    client = browse(store, database=f"sqlite:///{store / 'serving.json' / 'wattcast.db'}")
    words = said(client)
    assert words.count("The log of forecasts, or the readings, cannot be read now. What to do: ") == 2
    assert "anna: promoted" in words
    shutil.rmtree(store / "history")
    flip_one_byte(store, slot.previous)
    (store / "records" / f"{slot.challenger}.json").unlink()
    words = said(browse(store))
    assert "The history cannot be read now. What to do: restore it from a backup." in words
    assert re.search(r"previous Not loaded: [^.]+\.", words)
    assert "A model challenger Vetoed: it lost to a baseline on the test: from history, daily_naive has MAE 0.1000 kW" in words
    assert f"{slot.challenger[:12]} not known: its record cannot be read" in words
    assert "No forecast of the 28 days" in words


def test_a_model_of_which_nobody_wrote_down_when_is_shown(store: Path, slot: Slot, browse: Browse) -> None:
    """As one that only a key of a bucket names: on both pages."""
    kept = FileModelStore(store)
    kept.put_record(replace(kept.record(slot.champion), trained_at="", trained_by=""))
    client = browse(store)
    for path in ("/?meter=house", "/models?meter=house"):
        assert "Nobody wrote down when, on readings from 27 Oct 2010 23:00 to" in said(client, path)


def test_a_task_that_never_had_a_champion_is_no_news(store: Path, slot: Slot, browse: Browse) -> None:
    """A registration tells of the tasks that it trained alone."""
    moves = (Move("next_minute", "house", "", ""), Move("day_ahead", "house", "", slot.champion, ("There is no champion.",)))
    kept = FileModelStore(store)
    kept.change(lambda manifest: succession.Step(manifest, "register", moves), at="2026-11-26T13:00:00+00:00", by="eve")
    words = said(browse(store))
    assert f"eve: trained and registered 5 Day ahead: none → {slot.champion[:12]} There is no champion." in words


def test_who_was_forced_is_not_said_to_have_won(store: Path, slot: Slot, browse: Browse) -> None:
    """The reason of whoever forced it stands before those of the verdict."""
    kept = FileModelStore(store)
    record = kept.record(slot.challenger)
    assert record.verdict is not None
    kept.put_record(replace(record, verdict=record.verdict.force("a drill")))
    words = said(browse(store))
    assert f"forced {slot.challenger[:12]} beside {slot.champion[:12]}" in words
    assert "Promoted against the verdict: a drill The champion stays: no gain is shown." in words


def test_a_champion_that_is_held_back_is_said(store: Path, slot: Slot, browse: Browse) -> None:
    """With the reason, while who answered before stays the champion here."""
    client, kept = browse(store), FileModelStore(store)
    broken = replace(kept.record(slot.challenger), bundle=kept.put_bundle(b"no bundle"))
    kept.put_record(broken)
    kept.change(lambda manifest: succession.promote(manifest, broken, ()), at="2026-11-26T13:00:00+00:00", by="eve")
    assert client.post("/api/v1/admin/refresh").get_json()["held_back"].keys() == {"day_ahead/house"}
    words = said(client)
    assert "Held back, and who answered before goes on. The champion that was published is refused: " in words
    assert re.search(rf"Regressor champion {slot.champion[:12]}", words)
    assert f"eve: promoted 5 Day ahead: {slot.champion[:12]} → {broken.bundle[:12]}" in words


def test_a_long_history_is_read_once_and_its_latest_twenty_entries_alone(store: Path, slot: Slot, browse: Browse) -> None:
    """Entries before those may be gone; what was read stays known as long as nothing is published."""
    kept = FileModelStore(store)
    for number in range(19):
        kept.change(lambda manifest, word=f"name{number}": succession.name(manifest, word, slot.champion), at=iso(NOW_S, "UTC"), by="bert")  # type: ignore[misc]
    for name, _ in list(kept.chain())[20:]:
        (store / "history" / f"{name}.json").unlink()
    client = browse(store)
    for _ in range(2):
        words = said(client)
        assert (words.count("bert: named"), words.count("bert: changed who challenges"), "anna" in words) == (19, 1, False)
        shutil.rmtree(store / "history", ignore_errors=True)
    assert "The history cannot be read now." in said(browse(store))


def test_scores_are_at_most_a_minute_old_and_of_the_last_reading(store: Path, slot: Slot, tmp_path: Path) -> None:
    """A forecast that reaches the log later counts after a minute, a reading that arrives at once."""
    now = [float(NOW_S)]
    settings = Settings(store=store, database=f"sqlite:///{tmp_path / 'wattcast.db'}")
    client = create_app(settings, now=lambda: now[0]).test_client()
    send_what_came(client, 30)
    log_forecasts(tmp_path, slot, (0,))
    champion = f"The champion {slot.champion[:12]} champion "
    assert champion + "24 " in said(client)
    log_forecasts(tmp_path, slot, (1,))
    assert champion + "24 " in said(client)
    now[0] += 61
    assert champion + "18 forecasts wait for their readings 30 " in said(client)
    send_what_came(client)
    assert champion + "12 forecasts wait for their readings 36 " in said(client)


def test_a_key_has_to_allow_it_and_sees_its_own_meter_alone(store: Path, slot: Slot, browse: Browse, tmp_path: Path) -> None:
    """Without the scope there is neither page nor link; of another meter neither models nor history."""
    keys = DatabaseKeys(Database(f"sqlite:///{tmp_path / 'wattcast.db'}"))
    client = browse(store)
    forecasts, every = made(keys, "forecast"), made(keys, "models")
    models, house = (made(keys, "models", meter=meter) for meter in ("hourly", "house"))
    for path in ("/models", "/models?meter=house"):
        assert client.get(path, headers=forecasts).status_code == 403
    assert "/models" not in client.get("/", headers=forecasts).text
    assert f"<dd><code>{slot.champion[:12]}</code></dd>" in client.get("/?meter=house", headers=forecasts).text.replace("\n", "")
    own = client.get("/models", headers=models)
    assert own.status_code == 200
    for secret in ("house", "anna", "bert", "drill", slot.champion[:12]):
        assert secret not in own.text
    assert client.get("/models?meter=house", headers=models | {"Accept": "text/html"}).status_code == 404
    assert ("anna: promoted" in said(client, headers=house), "tests: trained" in said(client, headers=house)) == (True, False)
    assert "tests: trained" in said(client, headers=every)
