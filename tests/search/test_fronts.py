"""Ranks, crowding and hypervolume against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from axdnn.records import Constraint, InvalidInputError, Objective
from axdnn.search import Front, crowding, hypervolume, losses, ranks, violations


def dominates(a: np.ndarray, b: np.ndarray) -> bool:
    return bool((a <= b).all() and (a < b).any())


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_hypervolume_counts_the_cells_of_a_grid(dimensions: int, seed: int) -> None:
    """Points on a grid: the volume is a number of unit cells, each of which some point dominates."""
    side = 6
    points = np.random.default_rng(seed).integers(0, side + 2, (9, dimensions)).astype(float)  # some beyond
    cells = itertools.product(range(side), repeat=dimensions)
    dominated = sum(any((p <= np.array(cell)).all() for p in points) for cell in cells)
    assert hypervolume(points, [float(side)] * dimensions) == pytest.approx(dominated)


def test_hypervolume_of_nothing_and_of_bad_references() -> None:
    assert hypervolume(np.zeros((0, 2)), [1.0, 1.0]) == 0.0
    assert hypervolume(np.array([[1.0, 0.5]]), [1.0, 1.0]) == 0.0
    with pytest.raises(InvalidInputError, match="finite"):
        hypervolume(np.array([[0.0, 0.0]]), [1.0, np.inf])


@pytest.mark.parametrize("dimensions", [2, 3, 4])
def test_ranks_peel_front_after_front(dimensions: int) -> None:
    points = np.random.default_rng(dimensions).integers(0, 5, (40, dimensions)).astype(float)
    left, expected = set(range(40)), np.full(40, -1)
    for rank in range(40):
        front = {i for i in left if not any(dominates(points[j], points[i]) for j in left)}
        expected[list(front)] = rank
        left -= front
    assert ranks(points).tolist() == expected.tolist()


def test_broken_constraints_come_after_all_others() -> None:
    points = np.array([[0.0, 0.0], [5.0, 5.0], [1.0, 1.0], [0.0, 1.0]])
    assert ranks(points, np.array([2.0, 0.0, 1.0, 0.0])).tolist() == [3, 1, 2, 0]
    assert ranks(np.zeros((0, 2))).tolist() == []


def test_crowding_as_the_paper_defines_it() -> None:
    points = np.array([[0.0, 10.0], [1.0, 6.0], [4.0, 4.0], [10.0, 0.0]])
    assert crowding(points).tolist() == [np.inf, 4 / 10 + 6 / 10, 9 / 10 + 6 / 10, np.inf]
    assert crowding(np.zeros((3, 2))).tolist()[0] == np.inf
    assert crowding(np.zeros((0, 2))).tolist() == []


def test_a_front_kept_point_by_point_is_the_front_of_all() -> None:
    points = np.random.default_rng(3).integers(0, 8, (200, 3)).astype(float)
    front = Front(3)
    for i, point in enumerate(points):
        front.add(i, point)
    best = {tuple(p) for p in points if not any(dominates(q, p) for q in points)}
    assert {tuple(p) for p in front.points} == best
    assert len(front.members) == len(best)
    assert all(i == min(j for j in range(200) if (points[j] == points[i]).all()) for i in front.members)


def test_directions_and_constraints() -> None:
    objectives = (Objective(name="error"), Objective(name="speed", direction="maximize"))
    assert losses(objectives, {"error": 2.0, "speed": 3.0, "other": 1.0}) == [2.0, -3.0]
    limits = (Constraint(name="error", sense="<=", bound=1.5), Constraint(name="speed", sense=">=", bound=1.0))
    assert violations(limits, {"error": 2.0, "speed": 3.0}) == {"error <= 1.5": 0.5, "speed >= 1": -2.0}
    for wrong in ({"name": ""}, {"name": "a", "direction": "down"}, {"name": "a", "reference": float("nan")}):
        with pytest.raises(InvalidInputError):
            Objective(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="sense"):
        Constraint(name="a", sense="<", bound=1.0)  # type: ignore[arg-type]
