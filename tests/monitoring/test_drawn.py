"""What the plots of a comparison promise: two pictures of whatever is known, the same bytes for the same contest."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulated import CHALLENGER, CHAMPION, PROMISED_KW, START_S, days_of_rivals

from wattcast.adapters.plots import draw_comparison
from wattcast.monitoring.comparison import Contest, compare


@pytest.mark.parametrize(("days", "better"), [(1, 0.0), (2, 0.0), (40, 0.0), (60, 0.2)])
def test_a_comparison_is_drawn(days: int, better: float, tmp_path: Path) -> None:
    """Without a day that is complete, with one, undecided and decided."""
    table, found = days_of_rivals(days, 7, better)
    known = compare(found, table, Contest(CHAMPION, CHALLENGER, START_S, PROMISED_KW), table.end_s)
    assert (len(known.days), known.winner) == (days - 1, "challenger" if better else None)
    for folder in (tmp_path / "one", tmp_path / "again"):
        draw_comparison(folder, "house_day_ahead", "house, day ahead", known)
    for name in ("house_day_ahead_differences.png", "house_day_ahead_e_value.png"):
        picture = (tmp_path / "one" / name).read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert picture == (tmp_path / "again" / name).read_bytes()
    assert len({path.read_bytes() for path in (tmp_path / "one").iterdir()}) == 2
