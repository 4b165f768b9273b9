"""What the test for every day promises: a martingale mixture as published, and no more winners than alpha by chance."""

from __future__ import annotations

import numpy as np

from wattcast.monitoring.sequential import decided_at, e_values, mean_between


def test_e_is_the_mixture_that_the_proof_is_about() -> None:
    """exp(a S - a^2 V / 2) averaged over a normal a, and that over the grid, by integration."""
    differences = np.array([0.02, -0.01, 0.05, 0.03])
    total, square, scale = differences.sum(), (differences**2).sum(), 0.3
    at = np.linspace(-12, 12, 20_001)
    density = np.exp(-(at**2) / 2) / np.sqrt(2 * np.pi)
    mixed = [
        np.trapezoid(np.exp(rho * at * total - (rho * at) ** 2 * square / 2) * density, at) for rho in np.array([1, 2, 4, 8, 16]) / scale
    ]
    np.testing.assert_allclose(e_values(differences, scale)[-1], np.mean(mixed), rtol=1e-6)


def test_the_unit_does_not_matter() -> None:
    """Watts or kilowatts, E is the same; and long certainty stays a number."""
    differences = np.random.default_rng(1).normal(0.01, 0.1, 400)
    np.testing.assert_allclose(e_values(differences, 0.3), e_values(1000 * differences, 300.0))
    assert np.isfinite(e_values(np.full(5_000, 1.0), 1.0)).all()


def test_chance_seldom_names_a_winner_however_wild() -> None:
    """Symmetric differences that have no mean, and ones whose spread follows those before: in 2,000 tests of 200 looks below alpha."""
    chance = np.random.default_rng(2)
    wild = chance.standard_cauchy((2_000, 200)) * 0.1
    swinging = chance.normal(size=(2_000, 200))
    swinging[:, 1:] *= 0.05 + 0.5 * np.abs(swinging[:, :-1])
    for differences in (wild, swinging):
        assert (e_values(differences, 1.0) >= 20).any(axis=1).mean() < 0.05


def test_looking_begins_on_a_day_and_the_first_look_decides() -> None:
    """What was reached before and lost since does not count, what is lost later does."""
    assert decided_at(np.array([1.0, 30.0, 5.0, 21.0, 3.0]), 0.05, 3) == 4
    assert decided_at(np.array([1.0, 30.0, 21.0]), 0.05, 3) == 3
    assert decided_at(np.array([30.0, 5.0]), 0.05, 3) is None


def test_the_mean_is_enclosed_at_every_look_at_once() -> None:
    """In 95 of 100 tests at least, over 150 looks; closer with every season; nothing is said of nothing."""
    missed = 0
    for seed in range(100):
        differences = np.random.default_rng(seed).normal(0.03, 0.1, 150)
        looks = [mean_between(differences[:count], 1.0, 0.05) for count in range(1, 151, 3)]
        missed += any(not low < 0.03 < high for low, high in looks)
    assert missed <= 5
    assert mean_between(differences[:0], 1.0, 0.05) == (-np.inf, np.inf)
    widths = [high - low for low, high in (mean_between(differences[:count], 1.0, 0.05) for count in (5, 30, 150))]
    assert widths[0] > widths[1] > widths[2]
    assert widths[2] < 0.08
