"""The accuracy protocols: their baselines come out as published, and what choices are made on never reaches the test span."""

from __future__ import annotations

import csv
import re
import subprocess
from pathlib import Path

import accuracy
import protocols.settings
import pytest
from protocols import Protocol
from protocols.house import PROTOCOLS
from protocols.settings import revision, settings_of

from wattcast.forecasting.backtest import Frame, folds

BY_NAME = {protocol.name: protocol for protocol in PROTOCOLS}
FIGURES = {
    "P1": ["next_minute_mae", "next_minute_rmse", "rf_mae", "rf_rmse"],
    "P1 single": ["single_mae", "single_rmse"],
    "P2": ["p2_mae", "p2_rmse"],
    "P3a": ["p3a_mae", "p3a_rmse"],
    "P3a causal": ["p3a_causal_mae", "p3a_causal_rmse"],
    "P3c": ["p3c_mse"],
    "P3c own": ["p3c_mse_own"],
    "P4 own": ["p4_mse_own"],
    "P4": ["p4_mse_all"],
    "P5": ["p5_rmse"],
    "P6": ["p6_nrmse", "p6_untrained_nrmse"],
    "P6 week": ["p6_week_nrmse"],
    "P7": ["p7_pinball", "p7_nmae"],
}


@pytest.mark.parametrize("name", [name for name, protocol in BY_NAME.items() if protocol.checks])
def test_every_published_baseline_comes_out_to_its_last_digit(name: str, shared_data: Path) -> None:
    """What a publication (or an earlier computation) printed is what the engine computes: the protocol was understood."""
    protocol = BY_NAME[name]
    setup = protocol.prepare(shared_data)
    settings = settings_of(protocol.settings, protocol.levels, calibrated=protocol.calibrated)
    spec = settings.task.spec(settings.plan, setup.training, ())
    checks = accuracy._reproduced(
        protocol, setup, Frame(spec, accuracy._point_baselines(protocol), protocol.levels, setup.against, setup.beside)
    )
    assert {(check["measure"], check["printed"], f"{check['value']:.6g}") for check in checks if not check["agrees"]} == set()
    assert len(checks) == len(protocol.checks)


@pytest.mark.parametrize("name", BY_NAME)
def test_nothing_of_a_test_span_is_learned_from_or_chosen_on(name: str, shared_data: Path) -> None:
    """Every fit ends before the origins that it forecasts, and a rehearsal is cut off where the test begins."""
    protocol: Protocol = BY_NAME[name]
    setup = protocol.prepare(shared_data)
    for fold in folds(setup.origins, setup.refits, protocol.embargo):
        assert fold.learn_before + protocol.embargo <= fold.origins.min()
    assert setup.origins.min() >= setup.first_test
    rehearsal = setup.rehearsal(protocol.rehearse_rows)
    assert all(len(table) <= setup.first_test for table in (rehearsal.table, rehearsal.against, rehearsal.beside))
    assert rehearsal.origins.max() < setup.first_test


@pytest.mark.parametrize("name", BY_NAME)
def test_settings_name_families_that_are_fitted(name: str) -> None:
    """Whoever answers for a figure is fitted, a baseline, or the blend of members that are fitted; the hash tells settings apart."""
    protocol = BY_NAME[name]
    settings = settings_of(protocol.settings, protocol.levels, calibrated=protocol.calibrated)
    assert set(settings.blend) <= set(settings.recipes)
    for figure in protocol.figures:
        assert settings.answers[figure.key] in {*settings.recipes, *protocol.baselines, "blend"}
    others = {
        settings_of(other.settings, other.levels, calibrated=other.calibrated).sha256
        for other in PROTOCOLS
        if other.settings != protocol.settings
    }
    assert settings.sha256 not in others


def test_every_figure_of_the_issue_is_somebodys() -> None:
    """Each figure has one protocol."""
    assert {protocol.name: [figure.key for figure in protocol.figures] for protocol in PROTOCOLS} == FIGURES


@pytest.mark.parametrize(
    "changed", ["src/wattcast/model.py", "benchmarks/accuracy.py", "benchmarks/protocols/settings.yaml", "params.yaml"]
)
def test_nothing_is_scored_before_what_decides_it_is_committed(changed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Uncommitted settings, scorer or product refuse the scoring and are named; another meter, or results, do not."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=tmp_path, check=True, capture_output=True, text=True).stdout.strip()

    for name in ("src/wattcast/model.py", "benchmarks/accuracy.py", "benchmarks/protocols/settings.yaml", "benchmarks/results/a.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a: 1\n")
    (tmp_path / "params.yaml").write_text("meter: {file: one.csv}\nseed: 1\n")
    git("init", "--quiet")
    git("add", ".")
    git("-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "--message", "all")
    monkeypatch.setattr(protocols.settings, "ROOT", tmp_path)
    monkeypatch.setattr(protocols.settings, "PARAMS", tmp_path / "params.yaml")
    (tmp_path / "params.yaml").write_text("meter: {file: two.csv}\nseed: 1\n")
    (tmp_path / "benchmarks/results/a.json").write_text("a: 2\n")
    assert revision() == git("rev-parse", "--short=12", "HEAD")
    (tmp_path / changed).write_text("meter: {file: one.csv}\nseed: 2\n")
    with pytest.raises(SystemExit, match=changed):
        revision()


def test_each_scoring_is_a_line_of_the_log() -> None:
    """When, at which revision, which protocol, with which settings, and what came out."""
    if not accuracy.LOG.exists():
        pytest.skip("nothing was scored yet")
    with accuracy.LOG.open(newline="") as file:
        lines = list(csv.DictReader(file))
    for line in lines:
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", line["when"])
        assert re.fullmatch("[0-9a-f]{12}", line["revision"])
        assert line["protocol"] in BY_NAME
        assert line["figures"]
