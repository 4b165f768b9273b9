"""The first few thousand of `make fuzz`, from a fixed seed."""

from __future__ import annotations

from pathlib import Path

from fuzzing import fuzz_requests, fuzz_uploads
from running import Start

SEED = 20_101_126


def test_three_thousand_requests_from_the_description(trained: Path, start: Start) -> None:
    """None is answered with 5xx, outside of the schema, or late; some of every kind are answered."""
    tally = fuzz_requests(start(trained, limit="").ready().url, 3_000, SEED)
    assert tally.faults == []
    assert tally.sent == 3_000
    assert {200, 204, 404, 422} <= set(tally.statuses)


def test_a_thousand_damaged_meter_files(trained: Path, start: Start) -> None:
    """Each is taken or refused with a reason; some are taken."""
    tally = fuzz_uploads(start(trained, limit="").ready().url, 1_000, SEED)
    assert tally.faults == []
    assert tally.sent == 1_000
    assert {200, 422} <= set(tally.statuses)
