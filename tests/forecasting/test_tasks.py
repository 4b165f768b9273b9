"""Tasks as params.yaml states them."""

from __future__ import annotations

from dataclasses import replace

import tiny


def test_the_fast_preset_looks_at_the_first_parts_alone() -> None:
    """fast_parts cuts the recent parts of its model for the preset fast; 0 leaves all, and so does the preset best."""
    rich, poor = tiny.TASKS["next_minute"].models
    task = replace(tiny.TASKS["next_minute"], models=(replace(rich, fast_parts=1), poor))
    assert [len(plan.recent) for plan in task.at("fast").models] == [1, len(poor.recent)]
    assert task.at("fast").models[0].recent == rich.recent[:1]
    assert task.at("best") == task
    assert len(task.spec(task.at("fast").models[0], tiny.minute_table(2), ()).names) < len(task.spec(rich, tiny.minute_table(2), ()).names)
