"""Whole mappings: their values, which weights stay when not all fit, and local search."""

from __future__ import annotations

import numpy as np

from axdnn.hardware.components import Floats
from axdnn.hardware.mapping.labels import FULL
from axdnn.hardware.mapping.problem import Bools, Ints, Problem
from axdnn.hardware.mapping.relaxation import Candidate, Price
from axdnn.hardware.mapping.terms import Terms, stages_of

RUNS = (1, 2, 3, 5, 8)
"""Lengths of runs of layers that move together."""


def values_of(terms: Terms, cores: Ints, resident: Bools) -> Floats:
    """Values `(B, D)` of mappings `(B, L)`; `inf` in all of them where a pair is forbidden or a link is missing."""
    problem = terms.problem
    layers = np.arange(problem.layers)
    legal = np.all(problem.allowed[layers, cores] & (resident | problem.can_reload[layers, cores]), axis=1)
    values = terms.constant + terms.node[layers, cores].sum(axis=1)
    values = values + np.where(resident[..., None], 0.0, terms.reload[layers, cores]).sum(axis=1)
    for e, (producer, consumer) in enumerate(problem.pairs()):
        values = values + terms.edge[e, cores[:, producer], cores[:, consumer]]
        legal &= terms.linked[cores[:, producer], cores[:, consumer]]
    if terms.waiting >= 0:
        values[:, terms.waiting] += stages_of(problem, cores)[1]
    return np.where(legal[:, None], values, np.inf)


def choose_resident(problem: Problem, cores: Ints, saving: Floats) -> Bools:
    """Which weights stay, `(B, L)`: those that must, then those that save most for what they take, as long as they fit.

    A greedy knapsack for each core: exact where all fit, else within the saving of one layer of the best.

    Args:
        problem: needs and capacities.
        cores: mappings, `(B, L)`.
        saving: cost of a reload, `(L, C)`.
    """
    layers = np.arange(problem.layers)
    resident = problem.can_stay[layers, cores]
    for core in problem.limited:
        need = problem.need[:, core]
        counts = (need > 0) & np.isfinite(need)
        density = np.divide(saving[:, core], need, out=np.full(problem.layers, np.inf), where=counts)
        must = ~problem.can_reload[:, core]
        used = np.zeros(len(cores))
        for layer in np.lexsort((-density, ~must)):
            if problem.can_stay[layer, core]:
                here = cores[:, layer] == core
                fits = here & (used + need[layer] <= problem.capacity[core] * FULL)
                used = used + np.where(fits, need[layer], 0.0)
                resident[here, layer] = fits[here]
    return resident


def is_contiguous(cores: Ints, count: int) -> Bools:
    """Whether every core runs one unbroken stretch of layers, for mappings `(B, L)`."""
    begins = np.concatenate([np.ones((len(cores), 1), dtype=bool), np.diff(cores, axis=1) != 0], axis=1)
    runs = np.stack([(begins & (cores == core)).sum(axis=1) for core in range(count)], axis=1)
    return np.asarray((runs <= 1).all(axis=1))


def starts(terms: Terms, weights: Floats) -> Ints:
    """Mappings to begin with, `(C + 1, L)`: each core alone as far as it can, and each layer where it is cheapest."""
    problem = terms.problem
    node, reload, _ = terms.weighted(weights)
    cost = node + np.where(problem.can_stay, 0.0, reload)
    cheapest = cost.argmin(axis=1)
    alone = [np.where(problem.allowed[:, core], core, cheapest) for core in range(problem.cores)]
    return np.stack([*alone, cheapest])


def improve(problem: Problem, candidate: Candidate, price: Price, rounds: int = 60) -> Candidate:
    """Move a layer, a run of layers or both ends of an edge to another core, the best move first, until none helps."""
    count = problem.layers
    runs = [range(i, i + length) for length in RUNS for i in range(count - length + 1)]
    groups = [*runs, *(pair for pair in problem.pairs() if pair[1] > pair[0] + 1)]
    for _ in range(rounds):
        moved = np.repeat(candidate.cores[None], len(groups) * problem.cores, axis=0)
        for i, group in enumerate(groups):
            for core in range(problem.cores):
                moved[i * problem.cores + core, list(group)] = core
        value, resident = price(moved)
        best = int(value.argmin())
        if not value[best] < candidate.value * (1 - 1e-12):
            break
        candidate = Candidate(float(value[best]), moved[best], resident[best])
    return candidate
