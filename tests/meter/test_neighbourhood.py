"""Simulated houses differ as houses do, and each is the same whenever it is drawn."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from wattcast.meter.neighbourhood import draw_house, simulated_meters
from wattcast.meter.sample import as_uci_text, simulate


def test_a_house_is_drawn_from_its_seed():
    """The same seed gives the same house, another seed another one."""
    assert draw_house(3) == draw_house(3)
    assert draw_house(3) != draw_house(4)


def test_houses_differ_in_more_than_noise():
    """Early and late risers, workers at home, with and without electric heating, other appliances, absences and seasons."""
    houses = [draw_house(seed) for seed in range(40)]
    rises = [house.awake_h[0] for house in houses]
    assert min(rises) < 5.5
    assert max(rises) > 8.0
    assert {house.heating_kw_per_c > 0 for house in houses} == {True, False}
    assert {house.out_share > 0.5 for house in houses} == {True, False}
    assert len({len(house.appliances) for house in houses}) >= 4
    assert len({house.first_day.month for house in houses}) >= 8
    assert len({house.absences for house in houses}) >= 30
    free = [np.mean([each.per_day[1] / each.per_day[0] for each in house.appliances]) for house in houses]
    assert max(free) > 1.5 * min(free)


def test_their_meters_are_tables_at_any_resolution():
    """Each house from its own first day on; loads differ between houses, the same houses come again."""
    hours, again = ({table.meter.id: table for table in simulated_meters(4, 6, 20, 3_600)} for _ in range(2))
    assert list(hours) == ["simulated-20", "simulated-21", "simulated-22", "simulated-23"]
    for name, table in hours.items():
        assert (len(table), table.step_s, table.meter.simulated) == (6 * 24, 3_600, True)
        np.testing.assert_array_equal(table.power_kw, again[name].power_kw)
    means = sorted(float(np.nanmean(table.power_kw)) for table in hours.values())
    assert means[-1] > 1.2 * means[0] > 0
    (minutes,) = simulated_meters(1, 6, 20, 60)
    assert np.nanmean(minutes.power_kw[:60]) == pytest.approx(hours["simulated-20"].power_kw[0], abs=1e-5)


def test_the_sample_house_stays_what_it_was():
    """Drawing other houses changed no byte of the one that ships."""
    assert hashlib.sha256(as_uci_text(simulate(3))).hexdigest() == "fbe7b3c65bf229541ac4d1824b64c51dc714d30de581b4f54c9049e32a04060e"
