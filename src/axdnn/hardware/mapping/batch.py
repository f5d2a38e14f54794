"""Many chains at once: dynamic programming over all candidates together, no loop over them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from axdnn.hardware.components import Floats
from axdnn.hardware.mapping.objective import Objective, least_product, read_objective
from axdnn.hardware.mapping.problem import Bools, Ints, Problem
from axdnn.hardware.mapping.terms import always_w, awake_w, sequential_terms
from axdnn.records import InvalidInputError


class ManyMapped(NamedTuple):
    """Mappings of B candidates: cores `(B, L)`, latency, energy and goal `(B,)`; -1 and `inf` where there is none."""

    cores: Ints
    latency_s: Floats
    energy_j: Floats
    value: Floats


def sequential_many(
    problem: Problem, latency_s: Floats, energy_j: Floats, objective: Objective = "latency"
) -> ManyMapped:
    """Map many candidates of one chain on one chip; the least goal of each, as `sequential` finds it one by one.

    Weights that can stay do, without regard to capacity that may bind; so `problem` must have none that does.

    Args:
        problem: links, output bytes, static power and so on; its own latency and energy are not read.
        latency_s: of every candidate's layers on every core, `(B, L, C)`, `inf` = forbidden.
        energy_j: the same, without static power.
        objective: `latency`, `energy`, `edp`, or weights.

    Raises:
        InvalidInputError: not a chain, capacity that binds, or other shapes.
    """
    latency, energy = np.asarray(latency_s, dtype=np.float64), np.asarray(energy_j, dtype=np.float64)
    if latency.ndim != 3 or latency.shape[1:] != problem.latency_s.shape or energy.shape != latency.shape:
        raise InvalidInputError(
            f"`latency_s` and `energy_j` must have shape (B, {problem.layers}, {problem.cores}), "
            f"but got {latency.shape} and {energy.shape}"
        )
    if problem.pairs() != tuple((i, i + 1) for i in range(problem.layers - 1)):
        raise InvalidInputError("`sequential_many` maps chains only; use `sequential` for other graphs")
    if problem.limited:
        names = ", ".join(problem.core_names[core] for core in problem.limited)
        raise InvalidInputError(f"`sequential_many` knows no capacity, but it can bind on {names}; use `sequential`")
    if np.isnan(latency).any() or np.isnan(energy).any() or min(latency.min(initial=0), energy.min(initial=0)) < 0:
        raise InvalidInputError("`latency_s` and `energy_j` must be >= 0, but got a negative number or nan")
    chain = _Chain(problem, latency, energy)
    weights = read_objective(objective)[1]
    count = len(latency)
    if weights is not None:
        cores = chain.best(np.arange(count), np.broadcast_to(weights, (count, 2)))
        points = chain.points(np.arange(count), cores)
        return chain.answer(cores, points, np.where(np.isfinite(points), points, 0.0) @ weights)
    return _least_products(chain, count)


def _least_products(chain: _Chain, count: int) -> ManyMapped:
    """Least latency x energy of every candidate; keeps the cores of the best point met."""
    kept = np.full((count, chain.layers), -1, dtype=np.int64)
    best = np.full((count, 2), np.inf)

    def corner(which: Ints, weights: Floats) -> Floats:
        cores = chain.best(which, weights)
        points = chain.points(which, cores)
        for row in np.flatnonzero(points.prod(axis=1) < best[which].prod(axis=1)):
            # A candidate may be met twice in a round, so later rows must see earlier ones.
            if points[row].prod() < best[which[row]].prod():
                best[which[row]], kept[which[row]] = points[row], cores[row]
        return points

    least_product(corner, count)
    return chain.answer(kept, best, best.prod(axis=1))


class _Chain:
    """Costs of all candidates, latency and energy last: node `(B, L, C, 2)`, edge `(L - 1, C, C, 2)`."""

    def __init__(self, problem: Problem, latency: Floats, energy: Floats) -> None:
        terms = sequential_terms(problem)
        fits = problem.can_stay | problem.can_reload
        self.allowed: Bools = np.asarray(np.isfinite(latency) & np.isfinite(energy) & fits)
        time = np.where(self.allowed, latency, 0.0)
        joules = np.where(self.allowed, energy, 0.0) + time * (always_w(problem) + awake_w(problem))
        extra = np.where(problem.can_stay[..., None], 0.0, terms.reload)
        self.node = np.stack([time, joules], axis=-1) + extra
        self.edge, self.linked, self.constant = terms.edge, terms.linked, terms.constant
        self.layers = problem.layers

    def best(self, which: Ints, weights: Floats) -> Ints:
        """Cores `(n, L)` of least weighted sum, for problems `(n,)` with weights `(n, 2)`."""
        cost = np.where(self.allowed[which], (self.node[which] * weights[:, None, None]).sum(axis=-1), np.inf)
        pointers = []
        total = cost[:, 0]
        for layer in range(1, self.layers):
            edge = np.where(self.linked, np.tensordot(weights, self.edge[layer - 1], axes=(1, 2)), np.inf)
            options = total[:, :, None] + edge
            pointers.append(options.argmin(axis=1))
            total = options.min(axis=1) + cost[:, layer]
        cores = np.zeros((len(which), self.layers), dtype=np.int64)
        cores[:, -1] = total.argmin(axis=1)
        for layer in range(self.layers - 2, -1, -1):
            cores[:, layer] = pointers[layer][np.arange(len(which)), cores[:, layer + 1]]
        return cores

    def points(self, which: Ints, cores: Ints) -> Floats:
        """Latency and energy `(n, 2)` of mappings `(n, L)`; `inf` where one is not legal."""
        layers = np.arange(self.layers)
        total = self.constant + self.node[which[:, None], layers, cores].sum(axis=1)
        total = total + self.edge[layers[:-1], cores[:, :-1], cores[:, 1:]].sum(axis=1)
        joined = np.all(self.linked[cores[:, :-1], cores[:, 1:]], axis=1)
        legal = np.all(self.allowed[which[:, None], layers, cores], axis=1) & joined
        return np.where(legal[:, None], total, np.inf)

    @staticmethod
    def answer(cores: Ints, points: Floats, value: Floats) -> ManyMapped:
        legal = np.all(np.isfinite(points), axis=1)
        value = np.where(legal, value, np.inf)
        return ManyMapped(np.where(legal[:, None], cores, -1), points[:, 0], points[:, 1], value)
