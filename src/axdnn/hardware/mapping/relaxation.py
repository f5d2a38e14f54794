"""Lower bounds: capacity gets a price, a maximum becomes a weighted sum, and what is left is a tree.

The goals here are `max_k (rows[k] . x + offset[k])` over the values x of a mapping: one row for a weighted sum, one for
each core for the period of a pipeline. For any weights on the rows that sum to 1 and any prices >= 0 of capacity, the
least `weights . x + prices . (used - capacity)` is a lower bound (Lagrange); a subgradient climbs to good ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from axdnn.hardware.components import Floats
from axdnn.hardware.mapping.problem import Bools, Ints
from axdnn.hardware.mapping.terms import Terms
from axdnn.hardware.mapping.tree import Tree, solve_tree

ITERATIONS = 120
MET = 1e-9
"""Relative: a solution this near its bound is optimal."""


class Goal(NamedTuple):
    """A maximum of linear functions of the values: rows `(K, D)`, offset `(K,)`."""

    rows: Floats
    offset: Floats

    def of(self, values: Floats) -> Floats:
        """Return the goal of values `(..., D)`."""
        return np.asarray((values @ self.rows.T + self.offset).max(axis=-1))


class Relaxed(NamedTuple):
    """A lower bound and how it came about: value weights `(D,)`, capacity prices `(C,)`, tree, weights on rows.

    `offset` is the part of the bound that no choice changes, `terms.constant` left out.
    """

    bound: float
    weights: Floats
    prices: Floats
    offset: float
    tree: Tree
    resident: Bools


class Candidate(NamedTuple):
    """A mapping and its goal; `inf` = it breaks a limit."""

    value: float
    cores: Ints
    resident: Bools


Price = Callable[[Ints], tuple[Floats, Bools]]
"""Goal `(B,)` and resident weights `(B, L)` of cores `(B, L)`."""


def relax(terms: Terms, goal: Goal, shares: Floats, prices: Floats) -> Relaxed:
    """Lower bound for shares `(K,)` of the rows (>= 0, sum 1) and prices `(C,)` of capacity (0 = cannot bind)."""
    problem = terms.problem
    weights = shares @ goal.rows
    node, reload, edge = terms.weighted(weights)
    stay = np.where(problem.can_stay, prices * np.where(problem.can_stay, problem.need, 0.0), np.inf)
    cost = np.where(problem.allowed, node + np.minimum(stay, reload), np.inf)
    tree = solve_tree(problem, cost, edge)
    binding = list(problem.limited)
    offset = float(shares @ goal.offset - prices[binding] @ problem.capacity[binding])
    bound = tree.value + offset + float(weights @ terms.constant)
    return Relaxed(bound, weights, prices, offset, tree, np.asarray(stay <= reload))


def best_bound(terms: Terms, goal: Goal, price: Price, start: Candidate) -> tuple[Relaxed, Candidate]:
    """Climb to the best lower bound; every mapping met on the way is priced, and the best one returned too.

    Args:
        terms: costs.
        goal: what is to be least.
        price: goal of a mapping with its resident weights chosen, `inf` where a limit is broken.
        start: a mapping to begin with, of any value.
    """
    problem, binding = terms.problem, list(terms.problem.limited)
    shares = np.full(len(goal.rows), 1 / len(goal.rows))
    prices = np.zeros(problem.cores)
    best, candidate, step, stuck = relax(terms, goal, shares, prices), start, 1.0, 0
    current = best
    for _ in range(ITERATIONS):
        cores = current.tree.cores
        value, resident = price(cores[None])
        if value[0] < candidate.value:
            candidate = Candidate(float(value[0]), cores, resident[0])
        if not np.isfinite(best.bound) or candidate.value <= best.bound + MET * abs(best.bound):
            break
        if not binding and len(shares) == 1:
            break
        chosen = current.resident[np.arange(problem.layers), cores]
        values, used = _walk(terms, cores, chosen)
        slope = values @ goal.rows.T + goal.offset if len(shares) > 1 else np.zeros(1)
        scale = candidate.value if np.isfinite(candidate.value) else 2 * abs(best.bound) + 1e-300
        excess = scale * (used[binding] / problem.capacity[binding] - 1)
        slope = slope - slope.mean()
        length = float(slope @ slope + excess @ excess)
        if length == 0.0 or step < 1e-4:
            break
        stride = step * max(scale - current.bound, 0.0) / length
        shares = _onto_simplex(shares + stride * slope)
        rise = prices[binding] + stride * excess * scale / problem.capacity[binding]
        prices = prices.copy()
        prices[binding] = np.maximum(rise, 0.0)
        current = relax(terms, goal, shares, prices)
        stuck = 0 if current.bound > best.bound else stuck + 1
        best = max(best, current, key=lambda relaxed: relaxed.bound)
        if stuck >= 5:
            step, stuck = step / 2, 0
    return best, candidate


def _walk(terms: Terms, cores: Ints, resident: Bools) -> tuple[Floats, Floats]:
    """Values over the tree's edges and capacity used, of the relaxed mapping: the slope of the bound."""
    problem = terms.problem
    layers = np.arange(problem.layers)
    values = terms.constant + terms.node[layers, cores].sum(axis=0)
    values = values + terms.reload[layers, cores][~resident].sum(axis=0)
    for edges in problem.inputs_of:
        if edges:
            kept = max(edges, key=lambda e: problem.edge_bytes[e])
            producer, consumer = problem.pairs()[kept]
            values = values + terms.edge[kept, cores[producer], cores[consumer]]
    used = np.zeros(problem.cores)
    np.add.at(used, cores[resident], problem.need[layers, cores][resident])
    return values, used


def _onto_simplex(point: Floats) -> Floats:
    """Nearest point with coordinates >= 0 that sum to 1."""
    falling = np.sort(point)[::-1]
    excess = (np.cumsum(falling) - 1) / np.arange(1, len(point) + 1)
    last = np.flatnonzero(falling > excess)[-1]
    return np.asarray(np.maximum(point - excess[last], 0.0))
