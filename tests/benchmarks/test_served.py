"""The harness of `make bench-serving`: what it makes of loads, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from served import in_process
from served.asked import Case
from served.figures import GROWTH, TARGETS
from served.load import JSON, Load, Request, require_wrk, run_load
from served.rounds import Rounds

SRC = Path(__file__).resolve().parents[2] / "src"


def at(per_second: float, p50_ms: float = 1.0, p99_ms: float = 2.0) -> Load:
    """A load of a second."""
    return Load(int(per_second), per_second, p50_ms, p99_ms)


def test_a_ratio_is_that_of_one_round() -> None:
    """A round in which the whole machine was slow alters no ratio."""
    rounds = Rounds({("minute", "plain"): [at(1000), at(100), at(1000)], ("minute", "ours"): [at(700), at(70), at(700)]})
    assert rounds.ratio("minute", "ours") == pytest.approx(0.7)
    assert rounds.middle("minute", "plain").per_second == 1000


def test_a_spread_is_that_of_one_round() -> None:
    """p99 over p50 is taken within each round."""
    rounds = Rounds({("minute", "ours"): [at(9, 1, 3), at(9, 10, 30), at(9, 1, 9)]})
    assert rounds.spread("minute", "ours") == 3


def test_without_wrk_one_sentence_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where wrk is not installed the run ends with what to type."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit, match="hint: apt install wrk"):
        require_wrk()


def test_a_load_with_failures_is_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A refused request or a broken connection ends the run, and a load without any is taken as it is."""
    said = {
        "requests": 500,
        "took_us": 250_000,
        "p50_us": 400,
        "p99_us": 800,
        "refused": 0,
        "connect": 0,
        "read": 0,
        "write": 0,
        "timeout": 0,
    }
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    wrk = tmp_path / "wrk"
    wrk.touch(0o755)
    for wrong in ({}, {"refused": 3}, {"read": 1}, {"requests": 0}):
        wrk.write_text(f"#!/bin/sh\necho 'Running 1s test'\necho '{json.dumps(said | wrong)}'\n")
        if not wrong:
            assert run_load("http://127.0.0.1:1", [Request("GET", "/")], 1, tmp_path) == Load(500, 2000.0, 0.4, 0.8)
            continue
        with pytest.raises(SystemExit, match=r"^error: GET / at http://127.0.0.1:1: "):
            run_load("http://127.0.0.1:1", [Request("GET", "/")], 1, tmp_path)


def test_bare_flask_is_sent_the_same_bodies() -> None:
    """Only the path differs, and what only ours looks at is left out."""
    case = Case("minute", "next minute", (Request("POST", "/api/v1/forecast", "{}", JSON),)).with_key("secret")
    assert case.requests[0].headers["Authorization"] == "Bearer secret"
    assert case.plain_requests == (Request("POST", "/minute", "{}", JSON),)


def test_a_target_is_met_at_its_bound() -> None:
    """Ratios have to be at least their target, costs at most."""
    assert (TARGETS["xgb_ratio"].met(0.7), TARGETS["xgb_ratio"].met(0.699)) == (True, False)
    assert (TARGETS[GROWTH].met(5.0), TARGETS[GROWTH].met(5.01)) == (True, False)


def test_the_parts_of_an_answer_are_where_the_rules_look() -> None:
    """Every file and function of ours that a rule names is there: one that moved would be counted for another part."""
    ours = [pattern.partition(":") for pattern, _ in in_process._RULES if pattern.startswith("/wattcast/")]
    assert ours
    for path, _, function in ours:
        place = SRC / path.lstrip("/")
        assert place.exists(), path
        assert not function or f"def {function}(" in place.read_text("utf-8"), function
