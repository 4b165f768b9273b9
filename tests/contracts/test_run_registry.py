"""What every registry promises."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import pytest
import tiny

from wattcast.adapters.model_store import FileModelStore
from wattcast.errors import NotFound
from wattcast.forecasting.runs import PipelineRun
from wattcast.ports import Registry

# Of MLflow's own tables, as SQLAlchemy sees them.
pytestmark = pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
MINUTE, DAY = ("next_minute", "house"), ("day_ahead", "house")
UNKNOWN = "0" * 64
Logged = Callable[..., list[str]]


@pytest.fixture
def logged(registry: Registry, tmp_path: Path) -> Logged:
    """logged(*bundles) -> their ids, once a run that made them is logged."""

    def log(*bundles: bytes, meter: str = "house") -> list[str]:
        ids = [FileModelStore(tmp_path / "store").put_bundle(data) for data in bundles]
        registry.log_run(tiny.pipeline_run(*bundles, meter=meter))
        return ids

    return log


@cache
def seeds(count: int) -> list[bytes]:
    """Bundles of one task that differ."""
    return [tiny.repacked(tiny.bundle(), change=lambda facts, seed=seed: facts["params"].update(seed=seed)) for seed in range(count)]


def test_every_bundle_of_a_run_becomes_a_version(registry: Registry, connect_registry: Callable[[], Registry], logged: Logged) -> None:
    """Each under its own task, for whoever connects; those of the next run follow."""
    one, other, day = logged(*seeds(2), tiny.bundle("day_ahead", "xgb"))
    for connection in (registry, connect_registry()):
        assert connection.versions(*MINUTE) == [one, other]
        assert connection.versions(*DAY) == [day]
    (later,) = logged(seeds(3)[2])
    assert registry.versions(*MINUTE) == [one, other, later]


def test_a_bundle_that_is_logged_again_stays_one_version(registry: Registry, logged: Logged) -> None:
    """It keeps its place, its verdict and its alias."""
    one, other = logged(*seeds(2))
    registry.judge(*MINUTE, one, "it won")
    registry.point(*MINUTE, "champion", one)
    assert logged(*reversed(seeds(2))) == [other, one]
    assert registry.versions(*MINUTE) == [one, other]
    assert (registry.verdict(*MINUTE, one), registry.aliased(*MINUTE)) == ("it won", {"champion": one})


def test_meters_are_kept_apart(registry: Registry, logged: Logged) -> None:
    """What one meter calls champion, another knows nothing of, nor does the model of all meters."""
    (one,) = logged(tiny.bundle())
    (same,) = logged(tiny.bundle(), meter="*")
    registry.point("next_minute", "*", "champion", same)
    assert registry.versions("next_minute", "*") == [one]
    assert (registry.aliased(*MINUTE), registry.aliased("next_minute", "*")) == ({}, {"champion": one})


def test_nothing_is_known_at_first(registry: Registry) -> None:
    """No version, no alias, and to take an alias away is no fault."""
    registry.point(*MINUTE, "champion", "")
    assert (registry.versions(*MINUTE), registry.aliased(*MINUTE)) == ([], {})


def test_an_alias_moves_and_can_be_taken_away(registry: Registry, connect_registry: Callable[[], Registry], logged: Logged) -> None:
    """One version at a time is called so; the same version may be called both."""
    one, other = logged(*seeds(2))
    registry.point(*MINUTE, "champion", one)
    registry.point(*MINUTE, "challenger", other)
    assert connect_registry().aliased(*MINUTE) == {"champion": one, "challenger": other}
    registry.point(*MINUTE, "champion", other)
    assert registry.aliased(*MINUTE) == {"champion": other, "challenger": other}
    registry.point(*MINUTE, "challenger", "")
    assert connect_registry().aliased(*MINUTE) == {"champion": other}


def test_a_verdict_is_kept_in_its_words(registry: Registry, connect_registry: Callable[[], Registry], logged: Logged) -> None:
    """None at first; the last one counts, each version has its own."""
    one, other = logged(*seeds(2))
    assert registry.verdict(*MINUTE, one) == ""
    registry.judge(*MINUTE, one, "vetoed: 0.2 kW > 0.1 kW")
    registry.judge(*MINUTE, one, 'won, by "12 %" \N{EM DASH} größer')
    registry.judge(*MINUTE, other, "lost")
    assert connect_registry().verdict(*MINUTE, one) == 'won, by "12 %" \N{EM DASH} größer'
    assert registry.verdict(*MINUTE, other) == "lost"


def test_what_was_never_logged_is_refused(registry: Registry, logged: Logged) -> None:
    """Not called anything, not judged; whoever is called so stays it."""
    (one,) = logged(tiny.bundle())
    registry.point(*MINUTE, "champion", one)
    for use in (
        lambda: registry.point(*MINUTE, "champion", UNKNOWN),
        lambda: registry.point(*DAY, "champion", one),
        lambda: registry.judge(*MINUTE, UNKNOWN, "won"),
        lambda: registry.verdict(*DAY, one),
    ):
        with pytest.raises(NotFound, match="was never logged") as refusal:
            use()
        assert refusal.value.hint
    assert registry.aliased(*MINUTE) == {"champion": one}


def test_of_many_who_judge_at_once_nothing_is_lost(connect_registry: Callable[[], Registry], logged: Logged) -> None:
    """Six versions, six verdicts, each through a connection of its own."""
    ids = logged(*seeds(6))
    with ThreadPoolExecutor(len(ids)) as pool:
        list(pool.map(lambda bundle: connect_registry().judge(*MINUTE, bundle, f"of {bundle}"), ids))
    assert [connect_registry().verdict(*MINUTE, bundle) for bundle in ids] == [f"of {bundle}" for bundle in ids]


def test_a_run_that_made_nothing_is_a_run(registry: Registry) -> None:
    """A meter whose every task was skipped leaves no version."""
    registry.log_run(PipelineRun("house", (), {}, "", "2010-03-01T00:00:00+00:00", "tests", ""))
    assert registry.versions(*MINUTE) == []
