"""Columns known ahead: what was known at an origin, and how a table carries them."""

from __future__ import annotations

import io
import json
from dataclasses import asdict, replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from wattcast.errors import BadMeterFile
from wattcast.meter.known import ALWAYS_S, KnownColumn
from wattcast.meter.table import Meter, MeterTable

HOUR_S = 3_600
LATE_S = 4_102_444_800  # 2100
Entries = list[tuple[int, int, float]]


def column(entries: Entries, step_s: int = HOUR_S) -> KnownColumn:
    """A column of (start, available, value) in any order."""
    starts, moments, values = zip(*entries, strict=True) if entries else ((), (), ())
    return KnownColumn.of(np.array(starts, dtype=np.int64), np.array(moments, dtype=np.int64), np.array(values, dtype=np.float32), step_s)


def asked(known: KnownColumn, targets: list[int], origins: list[int]) -> list[float | None]:
    """What the column says, None where it says nothing."""
    found = known.as_of(np.array(targets, dtype=np.int64), np.array(origins, dtype=np.int64))
    assert found.dtype == np.float32
    return [None if np.isnan(value) else float(value) for value in found]


def by_hand(entries: Entries, step_s: int, target: int, origin: int) -> float | None:
    """The same said slowly: of the entries that cover the target and were known, the latest start, and of that the latest moment."""
    known = [
        (start, moment, place) for place, (start, moment, _) in enumerate(entries) if 0 <= target - start < step_s and moment <= origin
    ]
    return entries[max(known)[2]][2] if known else None


TABLE = MeterTable(
    Meter("house", zone="Europe/Paris", flow="net"),
    600,
    60,
    np.array([1, np.nan, 3, np.nan], dtype=np.float32),
    {"voltage_v": np.array([230, 231, np.nan, np.nan], dtype=np.float32)},
)
AHEAD = column([(540, 0, 1), (600, 0, 2), (660, 0, 3), (660, 700, 4), (720, 100, 5), (900, 780, 6), (960, 841, 7)], 60)
KNOWING = TABLE.with_known({"temperature_c": AHEAD, "away": column([(0, ALWAYS_S, 1)], 86_400)})


def test_of_several_issues_the_latest_known_one_counts() -> None:
    """An older forecast answers an older origin, a newer one takes over from the moment it was known."""
    known = column([(0, -100, 1), (0, 50, 2), (0, 60, 3)])
    assert asked(known, [0, 0, 0, 0, 0], [-100, 49, 50, 59, 10_000]) == [1, 1, 2, 2, 3]


def test_what_was_not_known_yet_is_null() -> None:
    """Known a second after the origin is not known; observations become known after their step."""
    known = column([(0, 3_700, 5), (HOUR_S, -7, 6)])
    assert asked(known, [0, 0, HOUR_S, HOUR_S], [3_699, 3_700, -8, -7]) == [None, 5, None, 6]


def test_a_value_holds_for_its_whole_step_and_no_longer() -> None:
    """A coarse value serves finer steps within it; before, after and between steps nothing is known."""
    known = column([(0, 0, 1), (HOUR_S, 0, 2), (5 * HOUR_S, 0, 3)])
    targets = [-1, 0, 1_800, 3_599, 3_600, 7_199, 7_200, 5 * HOUR_S, 6 * HOUR_S - 1, 6 * HOUR_S]
    assert asked(known, targets, [9] * 10) == [None, 1, 1, 1, 2, 2, None, 3, 3, None]
    assert asked(replace(known, step_s=1), [0, 1, HOUR_S], [9] * 3) == [1, None, 2]


def test_an_empty_column_knows_nothing() -> None:
    """No entry, or no target, is no error."""
    assert asked(column([]), [0, 5], [0, LATE_S]) == [None, None]
    assert asked(column([(0, 0, 1)]), [], []) == []
    assert column([]).share_of(np.array([0, 1])) == column([(0, 0, 1)]).share_of(np.array([], dtype=np.int64)) == 0.0


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([ALWAYS_S, 0, 60, 120, 180, 1_300_000_000, LATE_S]),
            st.sampled_from([ALWAYS_S, -1, 0, 59, 60, 61, 1_299_999_999, LATE_S]),
            st.integers(0, 9).map(float),
        ),
        max_size=30,
    ),
    st.sampled_from([1, 60, 90, 86_400]),
)
def test_what_is_asked_is_what_a_slow_search_finds(entries: Entries, step_s: int) -> None:
    """Any entries, targets and origins, centuries apart too: the same as looking at every entry by hand."""
    targets = [ALWAYS_S, -1, 0, 1, 59, 60, 61, 150, 210, 300, 1_300_000_000, 1_300_000_059, LATE_S]
    origins = [ALWAYS_S - 1, ALWAYS_S, -1, 0, 60, 61, 1_300_000_000, LATE_S, np.iinfo(np.int64).max]
    pairs = [(target, origin) for target in targets for origin in origins]
    expected = [by_hand(entries, step_s, *pair) for pair in pairs]
    assert asked(column(entries, step_s), *map(list, zip(*pairs, strict=True))) == expected  # type: ignore[arg-type]


def test_entries_come_in_any_order_and_null_is_left_out() -> None:
    """Sorted by step and moment; the last of two for the same counts; NaN and infinity are no values."""
    known = column([(60, 5, 1), (0, 9, 2), (0, 3, 3), (0, 9, 4), (60, 5, float("nan")), (120, 0, float("inf"))], 60)
    assert (known.start_s.tolist(), known.available_s.tolist(), known.values.tolist()) == ([0, 0, 60], [3, 9, 5], [3, 4, 1])
    with pytest.raises(ValueError, match="as many"):
        KnownColumn.of(np.arange(3), np.arange(3), np.zeros(2, dtype=np.float32))


@pytest.mark.parametrize("step_s", [1, 60, 150])
def test_what_was_known_by_an_instant_answers_every_origin_up_to_it(step_s: int) -> None:
    """The restricted column, of steps that overlap too, says the same to each of them and holds nothing that became known later."""
    chance = np.random.default_rng(1)
    known = KnownColumn.of(
        chance.integers(0, 9, 300) * 60, chance.integers(0, 500, 300), chance.uniform(0, 9, 300).astype(np.float32), step_s=step_s
    )
    origins, targets = np.arange(250), chance.integers(-60, 600, 250)
    cut = known.known_by(249)
    assert 0 < len(cut.values) < len(known.values)
    assert cut.available_s.max() <= 249
    assert_array_equal(cut.as_of(targets, origins), known.as_of(targets, origins))
    assert known.known_by(500) is known


def test_steps_since_an_instant_are_those_that_end_after_it() -> None:
    """A step that the instant lies in is kept."""
    known = column([(0, 0, 1), (60, 0, 2), (60, 1, 3), (120, 0, 4)], 60)
    assert [len(known.since(instant).values) for instant in (-9, 59, 60, 119, 120, 179, 180)] == [4, 4, 3, 3, 1, 1, 0]


def test_finer_values_become_the_mean_of_what_was_known_of_each_part() -> None:
    """Per issue the mean of a step; a part forecast anew replaces its older value and leaves the others; below half it is null."""
    quarters = column([(0, 0, 1), (900, 0, 2), (1_800, 0, 3), (2_700, 0, 6), (1_800, 50, 5), (2_700, 70, 8)], 900)
    hours = quarters.at_step(HOUR_S)
    assert hours.step_s == HOUR_S
    assert asked(hours, [0] * 5, [-1, 0, 49, 50, 70]) == [None, 3, 3, 3.5, 4]
    partly = column([(1_800, 0, 3), (2_700, 5, 6), (3_600, 0, 9)], 900)
    assert asked(partly.at_step(HOUR_S), [0, 0, HOUR_S], [4, 5, 5]) == [None, 4.5, None]
    assert asked(partly.at_step(HOUR_S, least_share=1.0), [0], [9]) == [None]
    assert asked(partly.at_step(HOUR_S, phase_s=1_800), [-1_800, 1_800], [9, 9]) == [None, 6]
    assert len(column([], 900).at_step(HOUR_S).values) == 0


def test_coarser_values_stay_as_they_are() -> None:
    """They hold for every finer step within theirs already."""
    known = column([(0, 0, 1)])
    assert known.at_step(60) is known.at_step(HOUR_S) is known


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(0, 6), st.integers(-9, 9)), max_size=40), st.integers(0, 3))
def test_a_mean_says_at_every_origin_what_its_parts_say_then(entries: list[tuple[int, int, int]], phase: int) -> None:
    """Averaging first and asking then is asking the parts and averaging: nothing is known earlier, nothing later."""
    fine = column([(start * 900, moment, float(value)) for start, moment, value in entries], 900)
    coarse = fine.at_step(HOUR_S, phase * 900)
    steps = np.repeat(np.arange(-1, 4) * HOUR_S + phase * 900, 8)
    origins = np.tile(np.arange(8), 5)
    parts = np.stack([fine.as_of(steps + part * 900, origins) for part in range(4)])
    counts = np.isfinite(parts).sum(axis=0)
    means = np.where(counts >= 2, np.nan_to_num(parts).sum(axis=0) / np.maximum(counts, 1), np.nan)
    for second in (0, HOUR_S - 1):
        np.testing.assert_allclose(coarse.as_of(steps + second, origins), means, rtol=1e-6)


def test_a_table_carries_them_through_its_bytes() -> None:
    """Names, steps and every entry come back, from bytes that are always the same and hold plain arrays only."""
    data = KNOWING.to_bytes()
    again = MeterTable.from_bytes(data)
    assert list(again.known) == ["temperature_c", "away"]
    for name, before in KNOWING.known.items():
        after = again.known[name]
        assert after.step_s == before.step_s
        for part in ("start_s", "available_s", "values"):
            assert_array_equal(getattr(after, part), getattr(before, part))
            assert getattr(after, part).dtype == getattr(before, part).dtype
    assert again.to_bytes() == data
    assert again.sha256() == KNOWING.sha256()
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        assert all(arrays[name].dtype.kind in "iuf" for name in arrays.files)


def test_bytes_and_hash_of_a_table_without_them_are_what_they_were() -> None:
    """Tables written before there were columns known ahead are read, and hash to what records say of them."""
    assert TABLE.sha256() == "78ee69ce17bfbe53541ce40c487525174d3f67189485020fdaa236196839be7e"
    facts = {"meter": asdict(TABLE.meter), "start_s": 600, "step_s": 60, "covariates": ["voltage_v"]}
    old = io.BytesIO()
    columns = np.stack([TABLE.power_kw, TABLE.covariates["voltage_v"]])
    np.savez(old, facts=np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8), columns=columns)
    assert old.getvalue() == TABLE.to_bytes()
    assert MeterTable.from_bytes(old.getvalue()).known == {}


def test_every_part_of_them_is_in_the_fingerprint() -> None:
    """Another value, moment, start, step, name, or none: another hash."""
    last = (np.arange(len(AHEAD.values)) == len(AHEAD.values) - 1).astype(np.int64)
    changes: list[dict[str, npt.NDArray[np.generic] | int]] = [
        {},
        {"values": AHEAD.values + last},
        {"available_s": AHEAD.available_s - last},
        {"start_s": AHEAD.start_s + last},
        {"step_s": 30},
    ]
    tables = [TABLE.with_known({"temperature_c": replace(AHEAD, **change)}) for change in changes]  # type: ignore[arg-type]
    assert len({table.sha256() for table in (*tables, TABLE, TABLE.with_known({"temperature_f": AHEAD}))}) == 7


@pytest.mark.parametrize(
    ("part", "array"),
    [("values", np.zeros(3, dtype=np.float32)), ("start_s", np.array(["x"] * 7)), ("available_s", np.array([None] * 7)), ("values", None)],
)
def test_bytes_with_spoiled_columns_are_refused(part: str, array: npt.NDArray[np.generic] | None) -> None:
    """Arrays of other lengths or kinds, objects, or none at all: no meter table, and no code is run."""
    with np.load(io.BytesIO(KNOWING.to_bytes())) as whole:
        arrays = {name: whole[name] for name in whole.files}
    arrays.pop(f"temperature_c.{part}")
    spoiled = io.BytesIO()
    np.savez(spoiled, **(arrays if array is None else {**arrays, f"temperature_c.{part}": array}))  # type: ignore[arg-type]
    with pytest.raises(BadMeterFile, match="not a meter table"):
        MeterTable.from_bytes(spoiled.getvalue())


def test_rows_keep_every_step_and_lose_what_no_origin_of_theirs_can_see() -> None:
    """Steps before the first row and after the last stay, for features look there; what became known after the last row's end goes."""
    assert KNOWING.rows(0, 4).known["temperature_c"].available_s.max() == 780  # not 841: the table ends at 840
    assert KNOWING.rows(0, 3).known["temperature_c"].available_s.max() == 780  # known at the end is known
    cut = KNOWING.rows(1, 2).known["temperature_c"]
    assert list(zip(cut.start_s.tolist(), cut.available_s.tolist(), strict=True)) == [(540, 0), (600, 0), (660, 0), (660, 700), (720, 100)]
    assert KNOWING.until(699).known["temperature_c"].available_s.max() == 100


def test_the_last_rows_keep_the_steps_from_the_first_of_them_on() -> None:
    """What is kept to answer from is small: no step that ended before it, every one ahead."""
    last = KNOWING.last(2)
    assert (last.start_s, len(last)) == (720, 2)
    assert last.known["temperature_c"].start_s.tolist() == [720, 900]
    assert last.known["away"].start_s.tolist() == [0]
    assert len(KNOWING.last(99)) == 4


def test_a_measured_column_is_not_known_ahead_too() -> None:
    """One name for two columns would give two features of one name: refused."""
    for name in ("power_kw", "voltage_v"):
        with pytest.raises(BadMeterFile, match=f'"{name}" is a column of the meter file') as refusal:
            TABLE.with_known({"away": AHEAD, name: AHEAD})
        assert refusal.value.hint
