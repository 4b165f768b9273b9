"""The meter table: its rows, its bytes, its fingerprint."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest

from wattcast.errors import BadMeterFile, BadParams
from wattcast.meter.table import Meter, MeterTable

TABLE = MeterTable(
    Meter("house", zone="Europe/Paris", flow="net"),
    600,
    60,
    np.array([1, np.nan, 3, np.nan], dtype=np.float32),
    {"voltage_v": np.array([230, 231, np.nan, np.nan], dtype=np.float32)},
)


def test_rows_are_cut_to_those_that_exist():
    """Any two places give a table, and its start moves along."""
    cut = TABLE.rows(1, 3)
    assert (cut.start_s, len(cut), cut.end_s) == (660, 2, 780)
    np.testing.assert_array_equal(cut.covariates["voltage_v"], [231, np.nan])
    assert [len(TABLE.rows(first, stop)) for first, stop in ((-5, 99), (3, 2), (9, 12), (0, -1))] == [4, 0, 0, 0]


@pytest.mark.parametrize(("origin_s", "known"), [(0, 0), (659, 0), (660, 1), (719, 1), (10_000, 4)])
def test_only_ended_rows_are_known(origin_s, known):
    """A reading is known once its interval has ended."""
    assert len(TABLE.until(origin_s)) == known


def test_the_last_measured_moment_is_an_end():
    """Gaps at the end do not count; an empty table has none."""
    assert TABLE.last_measured_s() == 780
    assert TABLE.rows(1, 2).last_measured_s() is None
    assert TABLE.instants().tolist() == [600, 660, 720, 780]


def test_a_table_survives_its_bytes():
    """The same table gives the same bytes, and the bytes the table."""
    assert TABLE.to_bytes() == TABLE.to_bytes()
    again = MeterTable.from_bytes(TABLE.to_bytes())
    assert (again.meter, again.start_s, again.step_s) == (TABLE.meter, 600, 60)
    for name, values in TABLE.columns().items():
        np.testing.assert_array_equal(again.columns()[name], values)


@pytest.mark.parametrize(
    "data", [b"", b"x" * 100, TABLE.to_bytes()[:-30], TABLE.to_bytes()[:200]], ids=["empty", "foreign", "torn", "stump"]
)
def test_other_bytes_are_refused(data):
    """Torn and foreign bytes are named as such, and no code is run."""
    with pytest.raises(BadMeterFile, match="not a meter table"):
        MeterTable.from_bytes(data)


def test_every_part_of_a_table_is_in_its_fingerprint():
    """One value, the start, or the meter changed: another hash."""
    hashes = {
        table.sha256()
        for table in (
            TABLE,
            TABLE.rows(0, 3),
            TABLE.rows(1, 4),
            MeterTable(Meter("other"), 600, 60, TABLE.power_kw, TABLE.covariates),
            MeterTable(TABLE.meter, 600, 60, TABLE.power_kw),
        )
    }
    assert len(hashes) == 5
    assert TABLE.sha256() == MeterTable.from_bytes(TABLE.to_bytes()).sha256()


def test_a_meter_needs_a_zone_that_exists():
    """A zone that is not known is refused when the meter is made."""
    with pytest.raises(BadParams, match="Mars/Base"):
        Meter("house", zone="Mars/Base")


def test_a_table_that_unpacks_without_end_is_refused() -> None:
    """A small file that holds more than a gigabyte is not unpacked."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive, archive.open("columns.npy", "w") as member:
        for _ in range(1_025):
            member.write(bytes(1 << 20))
    with pytest.raises(BadMeterFile, match="more than 1 GB"):
        MeterTable.from_bytes(buffer.getvalue())
