"""The arrays of a problem, and which candidates it keeps."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from axdnn.generation import Problem, undominated
from axdnn.hardware import estimate
from axdnn.records import Assignment

levels = st.integers(0, 4).map(float)


def beats(values: np.ndarray, a: int, b: int) -> bool:
    return all(values[:, a] <= values[:, b]) and any(values[:, a] < values[:, b])


@st.composite
def candidates(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, int]:
    count = draw(st.integers(1, 8))
    costs = draw(hnp.arrays(np.float64, (draw(st.integers(1, 3)), count), elements=levels))
    noise = draw(hnp.arrays(np.float64, (draw(st.integers(1, 3)), count), elements=levels))
    return costs, noise, draw(st.integers(0, count - 1))


@given(candidates())
@settings(max_examples=200)
def test_undominated_is_the_front_by_brute_force(drawn: tuple[np.ndarray, np.ndarray, int]) -> None:
    costs, noise, keep = drawn
    values = np.concatenate([costs, noise])
    count = values.shape[1]
    expected = []
    for m in range(count):
        beaten = any(beats(values, other, m) for other in range(count))
        repeated = any((values[:, other] == values[:, m]).all() for other in range(m))
        if m == keep or not (beaten or repeated):
            expected.append(m)
    assert undominated(costs, noise, keep) == expected


@given(candidates(), st.floats(1.0, 3.0))
@settings(max_examples=200)
def test_whatever_goes_is_beaten_by_one_that_stays(drawn: tuple[np.ndarray, np.ndarray, int], slack: float) -> None:
    """With slack no chain of neighbours may lead away: the one that stays is within the slack itself."""
    costs, noise, keep = drawn
    stays = undominated(costs, noise, keep, slack)
    front = undominated(costs, noise, keep)
    assert keep in stays
    assert set(stays) <= set(front)
    for m in set(range(costs.shape[1])) - set(stays):
        stands_for = [
            s for s in stays
            if (costs[:, s] <= costs[:, m]).all() and (noise[:, s] <= slack * noise[:, m] + 1e-12).all()
        ]  # fmt: skip
        assert stands_for


def test_a_chain_of_neighbours_is_not_followed() -> None:
    """Each is a quarter noisier and a little cheaper than the one before; only direct neighbours stand in."""
    noise = 1.2 ** np.arange(10)[None, :]
    costs = (10.0 - np.arange(10))[None, :]
    assert undominated(costs, noise, 0, 1.25) == [0, 1, 3, 5, 7, 9]


def test_damage_energy_and_names(problem: Callable[..., Problem]) -> None:
    p = problem(3, layers=3, kinds=4, pods=2)
    choices = np.array([[0, 1, 1], [3, 3, 3], [0, 1, 2]])
    for choice, damage in zip(choices, p.damage_of(choices), strict=True):
        assert np.isclose(damage, sum(p.weights[i] * p.noise[i, m] for i, m in enumerate(choice)))
    energies = p.energy_j(choices)
    assert np.isfinite(energies[:2]).all()
    assert np.isinf(energies[2]), "three kinds do not fit on two pods"
    assert p.assignment(choices[0]).multipliers == {"l0": "m0", "l1": "m1", "l2": "m1"}
    assert p.baseline.tolist() == [0, 0, 0]


def test_prices_of_a_real_problem_agree_with_the_report(real_problem: Problem, lenet) -> None:
    from axdnn.multipliers import load_multiplier

    rng = np.random.default_rng(0)
    for choice in rng.integers(0, len(real_problem.multipliers), (10, 5)):
        names = {n: real_problem.multipliers[m] for n, m in zip(real_problem.layers, choice, strict=True)}
        wired = {n: load_multiplier(n) for n in set(names.values())}
        wired = {n: m.sign_magnitude() if m.coding == "unsigned" else m for n, m in wired.items()}
        report = estimate(lenet, Assignment(multipliers=names), "tpu_v4", multipliers=wired)
        assert np.isclose(real_problem.energy_j(choice)[0], report.energy_j, rtol=1e-9)
