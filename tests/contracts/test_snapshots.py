"""What every store of snapshots promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import tiny

from wattcast.errors import RegistryConflict
from wattcast.meter.table import Meter, MeterTable
from wattcast.ports import Snapshots


def same(one: MeterTable | None, other: MeterTable) -> bool:
    """Whether every value, name and time is the same, gaps included."""
    return one is not None and one.sha256() == other.sha256() and one.meter == other.meter


def test_readings_come_back_as_they_were(snapshots: Snapshots, connect_snapshots: Callable[[], Snapshots]) -> None:
    """Values, gaps, covariates, times and the meter's facts are read as they were put, by whoever connects."""
    meter = Meter("house_2.b", zone="+05:30", flow="net", holidays="DE-BY", simulated=True)
    table = replace(tiny.minute_table().rows(0, 300), meter=meter)
    snapshots.put(table)
    assert np.isnan(table.power_kw).any()
    assert same(snapshots.latest("house_2.b", 60), table)
    assert same(connect_snapshots().latest("house_2.b", 60), table)


def test_no_reading_is_none(snapshots: Snapshots) -> None:
    """A meter or a resolution that was never put has no readings, and that is no error."""
    snapshots.put(tiny.hour_table())
    assert snapshots.latest("barn", 3600) is None
    assert snapshots.latest("house", 60) is None


def test_the_latest_replace_the_earlier(snapshots: Snapshots) -> None:
    """Of one meter at one resolution the readings put last are there; others are left alone."""
    hours, minutes = tiny.hour_table(), tiny.minute_table()
    barn = replace(hours.rows(0, 30), meter=Meter("barn"))
    for table in (hours, minutes, barn, hours.rows(5, 9)):
        snapshots.put(table)
    assert same(snapshots.latest("house", 3600), hours.rows(5, 9))
    assert same(snapshots.latest("house", 60), minutes)
    assert same(snapshots.latest("barn", 3600), barn)


def test_a_table_without_rows_is_kept(snapshots: Snapshots) -> None:
    """No row is a table too."""
    snapshots.put(tiny.hour_table().rows(0, 0))
    latest = snapshots.latest("house", 3600)
    assert latest is not None
    assert len(latest) == 0


@pytest.mark.parametrize(
    "name", ["", "..", "../house", "/etc/passwd", "house/../barn", "House", "a b", "house\n", ".hidden", "x" * 101, "maß"]
)
def test_only_an_id_is_an_id(snapshots: Snapshots, name: str) -> None:
    """What is no meter id names no readings, wherever it might lead."""
    with pytest.raises(RegistryConflict, match="is no meter id"):
        snapshots.latest(name, 60)
    with pytest.raises(RegistryConflict, match="is no meter id"):
        snapshots.put(replace(tiny.hour_table().rows(0, 2), meter=Meter(name)))
