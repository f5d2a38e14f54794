"""The paired bound covers what it says, and moves as it should."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from axdnn.evaluation import Z_95, paired_loss_bound
from axdnn.records import InvalidInputError


def outcome(n: int, only_exact: int, only_approximate: int, both: int) -> tuple[np.ndarray, np.ndarray]:
    exact, approximate = np.zeros(n, dtype=bool), np.zeros(n, dtype=bool)
    exact[:only_exact] = True
    approximate[only_exact : only_exact + only_approximate] = True
    exact[n - both :] = approximate[n - both :] = True
    return exact, approximate


@pytest.mark.parametrize(
    ("n", "p_exact", "p_approximate"),
    [
        (5_000, 0.010, 0.000), (5_000, 0.012, 0.002), (5_000, 0.030, 0.020), (5_000, 0.004, 0.004), (5_000, 0.10, 0.09),
        (1_000, 0.010, 0.000), (1_000, 0.020, 0.010), (1_000, 0.015, 0.010), (500, 0.03, 0.02), (200, 0.05, 0.05),
        (500, 0.01, 0.0),
    ],
)  # fmt: skip
def test_coverage_by_simulation(n: int, p_exact: float, p_approximate: float) -> None:
    """Drawn images differ in favour of one network or the other with known probabilities; 20,000 draws."""
    rng = np.random.default_rng(7)
    draws = 20_000
    counts = rng.multinomial(n, [p_exact, p_approximate, 1 - p_exact - p_approximate], size=draws)
    pairs, times = np.unique(counts[:, :2], axis=0, return_counts=True)
    bounds = np.array([paired_loss_bound(*outcome(n, int(b), int(c), 0)) for b, c in pairs])
    coverage = float(times[bounds >= p_exact - p_approximate].sum()) / draws
    assert coverage >= 0.94
    assert coverage < 0.98, "a bound that is never wrong is too wide"


@pytest.mark.parametrize(("b", "c", "n"), [(30, 10, 1000), (8, 0, 500), (3, 5, 200)])
def test_the_bound_is_the_edge_of_the_score_test(b: int, c: int, n: int) -> None:
    """The most likely probabilities with that loss, found by brute force, put the data z standard deviations away."""
    bound = paired_loss_bound(*outcome(n, b, c, 50))
    q = np.linspace(max(0.0, -bound), (1 - bound) / 2, 2_000_001)[1:-1]  # only the approximate network is right
    p = q + bound
    likelihood = b * np.log(p) + c * np.log(q) + (n - b - c) * np.log1p(-p - q)
    best = int(likelihood.argmax())
    deviation = math.sqrt((p[best] + q[best] - bound**2) / n)
    assert (bound - (b - c) / n) / deviation == pytest.approx(Z_95, rel=2e-3)


def test_without_differences_it_is_wilsons_bound() -> None:
    for n in (10, 500, 5000):
        assert paired_loss_bound(*outcome(n, 0, 0, n // 2)) == pytest.approx(Z_95**2 / (n + Z_95**2), rel=1e-9)


def test_everything_lost() -> None:
    assert paired_loss_bound(*outcome(30, 30, 0, 0)) == 1.0
    assert paired_loss_bound(*outcome(30, 0, 30, 0)) < -0.8


@given(st.integers(20, 400), st.data())
def test_the_bound_moves_as_it_should(n: int, data: st.DataObject) -> None:
    b = data.draw(st.integers(0, n // 2 - 2))
    c = data.draw(st.integers(0, n // 2 - 2))
    bound = paired_loss_bound(*outcome(n, b, c, 0))
    assert (b - c) / n < bound <= 1
    assert paired_loss_bound(*outcome(n, b + 1, c, 0)) > bound  # one more image lost
    assert paired_loss_bound(*outcome(n, b, c, n - b - c)) == bound  # images on which both agree do not matter
    assert paired_loss_bound(*outcome(n, b, c, 0), z=3.0) > bound
    assert paired_loss_bound(*outcome(n, b, c, 0), z=0.0) == pytest.approx((b - c) / n, abs=1e-12)
    order = np.random.default_rng(0).permutation(n)
    exact, approximate = outcome(n, b, c, 0)
    assert paired_loss_bound(exact[order], approximate[order]) == bound


def test_more_images_tighten_the_bound() -> None:
    bounds = [paired_loss_bound(*outcome(n, n // 100, 0, 0)) for n in (100, 1_000, 10_000)]
    assert bounds == sorted(bounds, reverse=True)


def test_equal_networks_still_have_a_bound_above_zero() -> None:
    assert 0 < paired_loss_bound(*outcome(5000, 0, 0, 4000)) < 0.0006


def test_different_images_are_refused() -> None:
    with pytest.raises(InvalidInputError):
        paired_loss_bound(np.zeros(3, dtype=bool), np.zeros(4, dtype=bool))
    with pytest.raises(InvalidInputError):
        paired_loss_bound(np.zeros(0, dtype=bool), np.zeros(0, dtype=bool))
