"""What is promised of forecasts on their way to the log."""

from __future__ import annotations

import threading
from functools import partial

from test_reading_store import METER, NOW_S, batch, forecast

from wattcast.adapters.database import Database, DatabaseForecasts, DatabaseReadings, WrittenBehind
from wattcast.forecasting.forecast import Forecast


def test_a_deleted_meter_has_no_forecast_on_its_way(database: Database) -> None:
    """Those that wait are dropped, also of a meter without readings; those of others are written."""
    log, readings = DatabaseForecasts(database), DatabaseReadings(database)
    readings.put(METER, batch(), NOW_S)
    behind = WrittenBehind(log, every_s=3600)
    for one in (forecast(), forecast(kw=2.0), forecast("house")):
        behind.add(one, NOW_S)
    assert behind.forget("barn", readings.delete)
    assert not behind.forget("barn", readings.delete)
    behind.add(forecast(kw=3.0), NOW_S)
    assert behind.forget("barn", readings.delete)
    behind.close()
    assert log.latest("barn", "", 9) == []
    assert len(log.latest("house", "", 9)) == 1


def test_what_is_being_written_is_deleted_too(database: Database) -> None:
    """A meter is deleted after what was under way to the log, not before."""
    log, readings = DatabaseForecasts(database), DatabaseReadings(database)
    behind = WrittenBehind(log, every_s=0.0)
    began, go_on = threading.Event(), threading.Event()

    def slowly() -> Forecast:
        began.set()
        go_on.wait()
        return forecast()

    behind.again("one", slowly, NOW_S)
    began.wait()
    deleting = threading.Thread(target=partial(behind.forget, "barn", readings.delete))
    deleting.start()
    deleting.join(0.2)
    go_on.set()
    deleting.join()
    behind.close()
    assert log.latest("barn", "", 9) == []


def test_one_that_cannot_be_made_keeps_no_other_from_the_log(database: Database) -> None:
    """Whatever it raises: it is counted as lost, the others are written, and the thread goes on."""
    log = DatabaseForecasts(database)
    behind = WrittenBehind(log, every_s=0.0)

    def broken() -> Forecast:
        raise ZeroDivisionError

    behind.again("broken", broken, NOW_S)
    behind.add(forecast(), NOW_S)
    behind.close()
    assert (behind.lost, len(log.latest("barn", "", 9))) == (1, 1)
    assert behind.waiting == 0
