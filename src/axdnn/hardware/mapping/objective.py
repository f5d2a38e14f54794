"""Objectives of a sequential mapping: latency, energy, their product, or a weighted sum."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np

from axdnn.hardware.components import Floats
from axdnn.hardware.mapping.problem import Ints
from axdnn.records import InvalidInputError, unknown_name

Named = Literal["latency", "energy", "edp"]
Objective = Named | tuple[float, float]
SLACK = 1e-12
"""Relative: products that differ less are the same."""
PLAIN: dict[str, tuple[float, float]] = {"latency": (1.0, 0.0), "energy": (0.0, 1.0)}


def read_objective(objective: Objective) -> tuple[str, Floats | None]:
    """Label, and weights of (latency, energy), or None for the product.

    Raises:
        UnknownNameError: another name.
        InvalidInputError: not two weights >= 0, one of them above 0.
    """
    if isinstance(objective, str):
        if objective == "edp":
            return "edp", None
        if objective not in PLAIN:
            raise unknown_name("objective", objective, [*PLAIN, "edp"], "a pair of weights works too")
        return objective, np.array(PLAIN[objective])
    weights = np.asarray(objective, dtype=np.float64)
    if weights.shape != (2,) or not np.isfinite(weights).all() or weights.min() < 0 or weights.max() == 0:
        raise InvalidInputError(
            f"`objective` must be latency, energy, edp or two finite weights (1/s, 1/J) >= 0, but got {objective!r}"
        )
    return f"{weights[0]:g} x latency + {weights[1]:g} x energy", weights


def lines_through(left: Floats, right: Floats) -> Floats:
    """Weights `(..., 2)` whose sum is the same in two points (latency, energy) `(..., 2)`, >= 0 if one is faster."""
    return np.stack([left[..., 1] - right[..., 1], right[..., 0] - left[..., 0]], axis=-1)


def least_product(corner: Callable[[Ints, Floats], Floats], count: int) -> Floats:
    """Find the point (latency, energy) of least product for each of many problems; `(count, 2)`.

    The product of two positive numbers is quasi-concave, so over any set of points it is least at a corner of the lower
    left of their convex hull, and every such corner is least in some weighted sum. Corners are found between two known
    ones by the weights of the line through them; a stretch whose lower left end is no better than the best is left out.

    Args:
        corner: `(problems (n,), weights (n, 2))` -> points of least weighted sum, `(n, 2)`; `inf` = there is none.
        count: number of problems.
    """
    which: Ints = np.arange(count, dtype=np.int64)
    fast = corner(which, np.broadcast_to(np.array([1.0, 0.0]), (count, 2)))
    frugal = corner(which, np.broadcast_to(np.array([0.0, 1.0]), (count, 2)))
    best = np.where((fast.prod(axis=1) <= frugal.prod(axis=1))[:, None], fast, frugal)
    left, right = fast, frugal
    while len(which):
        with np.errstate(invalid="ignore"):  # problems without a mapping have infinite points
            weights = lines_through(left, right)
            open_ = (weights >= 0).all(axis=1) & (weights.max(axis=1) > 0)
            open_ &= left[:, 0] * right[:, 1] < best[which].prod(axis=1) * (1 - SLACK)
        which, weights, left, right = which[open_], weights[open_], left[open_], right[open_]
        if not len(which):
            break
        found = corner(which, weights)
        below = (weights * found).sum(axis=1) < (weights * left).sum(axis=1) * (1 - SLACK)
        which, found, left, right = which[below], found[below], left[below], right[below]
        for i, point in zip(which, found, strict=True):
            if point.prod() < best[i].prod():
                best[i] = point
        which = np.concatenate([which, which])
        left, right = np.concatenate([left, found]), np.concatenate([found, right])
    return best


def product_bound(bounds: list[tuple[Floats, float]]) -> float:
    """Lower bound of latency x energy from lower bounds of weighted sums, `(weights (2,), bound)`.

    The allowed region is an intersection of half planes; the product is least at one of its corners.
    """
    lines = [(w, b) for w, b in bounds] + [(np.array([1.0, 0.0]), 0.0), (np.array([0.0, 1.0]), 0.0)]
    least = np.inf
    for i, (w, b) in enumerate(lines):
        for v, c in lines[:i]:
            determinant = w[0] * v[1] - w[1] * v[0]
            if determinant == 0:
                continue
            point = np.array([b * v[1] - c * w[1], w[0] * c - v[0] * b]) / determinant
            scale = np.abs(point).max()
            if all(u @ point >= a - 1e-9 * max(abs(a), (u * scale).max()) for u, a in lines):
                least = min(least, float(point.prod()))
    return 0.0 if not np.isfinite(least) else max(least, 0.0)
