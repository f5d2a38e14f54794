"""Comparing candidates by several objectives: non-dominated ranks, crowding, exact hypervolume, the front.

Everything here minimises: `losses` turns objectives that are maximised around. Ranks and hypervolume are Optuna's
(WFG: L. While, L. Bradstreet, L. Barone, "A fast way of calculating exact hypervolumes", IEEE Trans. Evolutionary
Computation 16(1), 2012); tests hold them to brute force.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from axdnn.records import Constraint, InvalidInputError, Objective

Floats = np.ndarray


def losses(objectives: Sequence[Objective], values: Mapping[str, float]) -> list[float]:
    """Return the values of the objectives, in their order, with the sign at which small is good."""
    return [values[o.name] if o.direction == "minimize" else -values[o.name] for o in objectives]


def violations(constraints: Sequence[Constraint], values: Mapping[str, float]) -> dict[str, float]:
    """Return by how much each constraint is broken, in its unit; 0 or less where it is fulfilled."""
    return {
        f"{c.name} {c.sense} {c.bound:g}": values[c.name] - c.bound if c.sense == "<=" else c.bound - values[c.name]
        for c in constraints
    }


def ranks(points: Floats, penalty: Floats | None = None) -> np.ndarray:
    """Return the non-dominated rank of each point, `(n,)` int64, 0 for the front.

    Args:
        points: `(n, m)`, small is good.
        penalty: `(n,)`, sum of broken constraints; a point with a positive one comes after all others, ordered by it.
    """
    from optuna.study._multi_objective import _fast_non_domination_rank

    if len(points) == 0:
        return np.zeros(0, dtype=np.int64)
    return np.asarray(_fast_non_domination_rank(np.asarray(points, dtype=np.float64), penalty=penalty), dtype=np.int64)


def crowding(points: Floats) -> Floats:
    """Return the crowding distance of each point among points of one rank, `(n,)`, infinite at the ends.

    K. Deb et al., "A fast and elitist multiobjective genetic algorithm: NSGA-II", IEEE TEC 6(2), 2002, section III-B.
    """
    points = np.asarray(points, dtype=np.float64)
    distance = np.zeros(len(points))
    for column in points.T if len(points) else ():
        order = np.argsort(column, kind="stable")
        low, high = column[order[0]], column[order[-1]]
        distance[order[[0, -1]]] = np.inf
        if high > low:
            distance[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / (high - low)
    return distance


def hypervolume(points: Floats, reference: Sequence[float]) -> float:
    """Return the exact volume between points and the reference point; points that do not dominate it count nothing.

    Args:
        points: `(n, m)`, small is good.
        reference: `(m,)`, finite.
    """
    from optuna._hypervolume import compute_hypervolume

    corner = np.asarray(reference, dtype=np.float64)
    if not np.isfinite(corner).all():
        raise InvalidInputError(f"a reference point must be finite, but got {list(reference)}")
    points = np.asarray(points, dtype=np.float64).reshape(-1, len(corner))
    inside = points[(points < corner).all(axis=1)]
    if len(inside) == 0:
        return 0.0
    if len(corner) == 1:
        return float(corner[0] - inside.min())
    return float(compute_hypervolume(inside, corner))


class Front:
    """The non-dominated points of a sequence, kept up to date point by point; of equal points the first stays."""

    def __init__(self, dimensions: int) -> None:
        self.points = np.zeros((0, dimensions))
        self.members: list[int] = []

    def add(self, member: int, point: Sequence[float]) -> bool:
        """Take a point in, unless one is as good everywhere; whether it was taken."""
        new = np.asarray(point, dtype=np.float64)
        if len(self.points) and bool((self.points <= new).all(axis=1).any()):
            return False
        keep = np.logical_not((self.points >= new).all(axis=1)).tolist()
        self.members = [m for m, kept in zip(self.members, keep, strict=True) if kept] + [member]
        self.points = np.vstack([self.points[keep], new])
        return True
