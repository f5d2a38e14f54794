"""Lower bounds: limits get a price, a maximum becomes a weighted sum, and what is left is a tree.

The goals here are `max_k (rows[k] . x + offset[k])` over the values x of a mapping: one row for a weighted sum, one for
each core for the period of a pipeline. For any weights on the rows that sum to 1, prices >= 0 of capacity and fines
>= 0 of values with a ceiling, the least `weights . x + prices . (used - capacity) + fines . (x - ceiling)` is a lower
bound (Lagrange); a subgradient climbs to good ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from axdnn.hardware.components import Floats
from axdnn.hardware.mapping.problem import Bools, Ints
from axdnn.hardware.mapping.terms import Terms
from axdnn.hardware.mapping.tree import Tree, chosen_edges, solve_tree

ITERATIONS = 150
PATIENCE = 5
"""Steps without a better bound after which they are halved."""
LEAST_STEP = 1e-4
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
    """A lower bound and how it came about: `weights` `(D,)` of values, `prices` `(C,)` of capacity, solved `tree`.

    `offset` is the part of the bound that no choice changes, `terms.constant` left out. `resident` `(L, C)`: whether
    weights stay at these prices.
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


class Multipliers(NamedTuple):
    """Shares of the goal's rows `(K,)`, >= 0 and together 1, prices of capacity `(C,)` and fines of values `(D,)`.

    Prices are 0 where capacity cannot bind, fines where there is no ceiling.
    """

    shares: Floats
    prices: Floats
    fines: Floats


def relax(terms: Terms, goal: Goal, at: Multipliers, ceiling: Floats) -> Relaxed:
    """Lower bound of the goal at given multipliers."""
    problem, binding, finite = terms.problem, list(terms.problem.limited), np.isfinite(ceiling)
    weights = at.shares @ goal.rows + at.fines
    node, reload, edge = terms.weighted(weights)
    stay = np.where(problem.can_stay, at.prices * np.where(problem.can_stay, problem.need, 0.0), np.inf)
    cost = np.where(problem.allowed, node + np.minimum(stay, reload), np.inf)
    tree = solve_tree(problem, cost, edge)
    limits = at.prices[binding] @ problem.capacity[binding] + at.fines[finite] @ ceiling[finite]
    offset = float(at.shares @ goal.offset - limits)
    bound = tree.value + offset + float(weights @ terms.constant)
    return Relaxed(bound, weights, at.prices, offset, tree, np.asarray(stay <= reload))


def best_bound(
    terms: Terms, goal: Goal, price: Price, start: Candidate, ceiling: Floats | None = None
) -> tuple[Relaxed, Candidate]:
    """Climb to the best lower bound; every mapping met on the way is priced, and the best one returned too.

    Args:
        terms: costs.
        goal: what is to be least.
        price: goal of a mapping with its resident weights chosen, `inf` where a limit is broken.
        start: a mapping to begin with, of any value.
        ceiling: greatest values `(D,)`.
    """
    size, rows = len(terms.constant), len(goal.rows)
    above = np.full(size, np.inf) if ceiling is None else ceiling
    at = Multipliers(np.full(rows, 1 / rows), np.zeros(terms.problem.cores), np.zeros(size))
    fixed = not terms.problem.limited and rows == 1 and not np.isfinite(above).any()
    current = best = relax(terms, goal, at, above)
    candidate, step, stuck = start, 1.0, 0
    for _ in range(ITERATIONS):
        value, resident = price(current.tree.cores[None])
        if value[0] < candidate.value:
            candidate = Candidate(float(value[0]), current.tree.cores, resident[0])
        met = candidate.value <= best.bound + MET * abs(best.bound)
        if fixed or met or not np.isfinite(best.bound) or step < LEAST_STEP:
            break
        scale = candidate.value if np.isfinite(candidate.value) else 2 * abs(best.bound)
        moved = _stepped(terms, goal, at, above, current, scale, step)
        if moved is None:
            break
        at, current = moved, relax(terms, goal, moved, above)
        stuck = 0 if current.bound > best.bound else stuck + 1
        best = max(best, current, key=lambda relaxed: relaxed.bound)
        if stuck >= PATIENCE:
            step, stuck = step / 2, 0
    return best, candidate


def _stepped(
    terms: Terms, goal: Goal, at: Multipliers, ceiling: Floats, current: Relaxed, scale: float, step: float
) -> Multipliers | None:
    """Multipliers one step up the slope (Polyak's length), or None where it is flat.

    Limits are compared in units of themselves and multipliers in units of the goal, so one length suits all.
    """
    problem, binding = terms.problem, list(terms.problem.limited)
    finite = np.isfinite(ceiling) & (ceiling > 0)
    cores = current.tree.cores
    values, used = _walk(terms, cores, current.resident[np.arange(problem.layers), cores])
    reached = values @ goal.rows.T + goal.offset
    rows = reached - reached.mean()
    excess = scale * (used[binding] / problem.capacity[binding] - 1)
    over = scale * (values[finite] / ceiling[finite] - 1)
    length = float(rows @ rows + excess @ excess + over @ over)
    stride = step * max(scale - current.bound, 0.0) / length if length > 0 else 0.0
    if stride == 0.0:
        return None
    prices, fines = at.prices.copy(), at.fines.copy()
    prices[binding] = np.maximum(prices[binding] + stride * excess * scale / problem.capacity[binding], 0.0)
    fines[finite] = np.maximum(fines[finite] + stride * over * scale / ceiling[finite], 0.0)
    return Multipliers(_onto_simplex(at.shares + stride * rows), prices, fines)


def _walk(terms: Terms, cores: Ints, resident: Bools) -> tuple[Floats, Floats]:
    """Values over the tree's edges and capacity used, of the relaxed mapping: the slope of the bound."""
    problem = terms.problem
    layers = np.arange(problem.layers)
    values = terms.constant + terms.node[layers, cores].sum(axis=0)
    values = values + terms.reload[layers, cores][~resident].sum(axis=0)
    for kept in chosen_edges(problem):
        if kept >= 0:
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
