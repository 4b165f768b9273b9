"""What every forecast log promises whoever scores it: a span of origins in order, and which forecasts nobody was given."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, event
from test_reading_store import NOW_S, START_S, forecast, served

from wattcast.adapters.database import Database, DatabaseForecasts, WrittenBehind
from wattcast.forecasting.forecast import Forecast
from wattcast.ports import ForecastLog

HOUR_S = 3600


def at(hour: int, tier: Any = "champion", version: str = "a" * 64) -> Forecast:
    """A forecast of a tier, made from an hour."""
    return replace(forecast(origin_s=START_S + HOUR_S * hour, version=version), tier=tier)


def test_a_span_of_origins_is_read_in_their_order(log: ForecastLog) -> None:
    """From the first up to the end, those of the shadow too, whenever they were kept; of this meter and task alone."""
    log.add([served(at(hour), NOW_S) for hour in (5, 3, 1, 4, 2)])
    log.add([served(at(3, "shadow", "b" * 64), NOW_S), served(forecast("house"), NOW_S), served(replace(at(2), task="next_minute"), NOW_S)])
    span = list(log.between("barn", "day_ahead", START_S + HOUR_S * 2, START_S + HOUR_S * 5))
    assert [(each.origin_s - START_S) // HOUR_S for each in span] == [2, 3, 3, 4]
    assert [(each.tier, each.served) for each in span] == [("champion", 1), ("champion", 1), ("shadow", 0), ("champion", 1)]
    assert span[0].steps == at(2).steps
    assert list(log.between("attic", "day_ahead", 0, NOW_S)) == []


def test_nobody_is_shown_a_forecast_of_the_shadow(log: ForecastLog) -> None:
    """Only those that were given out are listed."""
    log.add([served(at(1), NOW_S), served(at(1, "shadow", "b" * 64), NOW_S), served(at(2, "challenger", "b" * 64), NOW_S)])
    assert [each.tier for each in log.latest("barn", "", 9)] == ["challenger", "champion"]


def test_what_was_in_the_shadow_and_is_given_out_is_an_answer(log: ForecastLog) -> None:
    """In one write or another; and an answer that is made in the shadow once more stays one."""
    asked = replace(at(1, "family"), reason="asked for")
    log.add([served(at(1, "shadow"), NOW_S)])
    log.add([served(asked, NOW_S + 5)])
    log.add([served(at(1, "shadow"), NOW_S + 9)])
    log.add([served(at(2, "shadow"), NOW_S), served(at(2), NOW_S + 5), served(at(2, "shadow"), NOW_S + 9)])
    kept = [
        (each.tier, each.reason, each.first_served_s - NOW_S, each.last_served_s - NOW_S, each.served) for each in log.latest("barn", "", 9)
    ]
    assert kept == [("champion", "", 5, 5, 1), ("family", "asked for", 5, 5, 1)]


def test_on_its_way_the_shadow_is_no_answer(database: Database) -> None:
    """The same forecast made in the shadow and given out before either was written."""
    log = DatabaseForecasts(database)
    behind = WrittenBehind(log, every_s=3600)
    behind.add(at(1, "shadow"), NOW_S)
    behind.add(at(1), NOW_S + 1)
    behind.close()
    assert [(each.tier, each.served) for each in log.latest("barn", "", 9)] == [("champion", 1)]


def test_a_span_is_found_by_an_index_and_not_sorted(database: Database) -> None:
    """However long the log is, only the span is read, in the order that it lies in."""
    log = DatabaseForecasts(database)
    log.add([served(at(hour), NOW_S) for hour in range(3_000)])
    log.add([served(replace(at(hour), meter="house"), NOW_S) for hour in range(3_000)])
    if not database.sqlite:
        with database.writing() as connection:
            connection.exec_driver_sql("analyze forecast")
    asked: list[tuple[str, Any]] = []

    def hear(_: Connection, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        asked.append((statement, parameters))

    event.listen(database._engine, "before_cursor_execute", hear)
    assert len(list(log.between("barn", "day_ahead", START_S, START_S + 30 * HOUR_S))) == 30
    event.remove(database._engine, "before_cursor_execute", hear)
    statement, parameters = next((words, values) for words, values in asked if "order by" in words.lower())
    with database.reading() as connection:
        explain = "explain query plan " if database.sqlite else "explain "
        plan = " ".join(str(row) for row in connection.exec_driver_sql(explain + statement, parameters)).lower()
    assert "index" in plan
    assert "uq_forecast" in plan or "autoindex" in plan
    assert "sort" not in plan
    assert "temp b-tree" not in plan
