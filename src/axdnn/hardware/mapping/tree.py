"""Dynamic programming along the edges: exact on chains and forests, a lower bound on any graph."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from axdnn.hardware.components import Floats
from axdnn.hardware.mapping.problem import Ints, Problem


class Tree(NamedTuple):
    """The solution of a forest: its value, one core a layer, and what each layer tells its producer.

    `below` `(L, C)`: least cost of a layer and all that hangs below it, by its core. `message` `(L, C)`: the same with
    the edge to the producer, by the producer's core; zeros for a layer without one.
    """

    value: float
    cores: Ints
    below: Floats
    message: Floats
    producer: tuple[int, ...]


def chosen_edges(problem: Problem) -> tuple[int, ...]:
    """Return the edge that each layer keeps: of the most bytes among those that end at it; -1 without any."""
    return tuple(max(edges, key=lambda e: problem.edge_bytes[e], default=-1) for edges in problem.inputs_of)


def solve_tree(problem: Problem, cost: Floats, edge: Floats) -> Tree:
    """Least `sum_l cost[l, core_l] + sum_e edge[e, core, core]` over the kept edges.

    Dropping edges whose cost is not negative can only lower the least sum, so the value bounds the whole graph's from
    below; it is equal to it if every layer has at most one producer.

    Args:
        problem: graph.
        cost: `(L, C)`, `inf` = forbidden.
        edge: `(E, C, C)`, `inf` = no link.
    """
    kept, pairs = chosen_edges(problem), problem.pairs()
    producer = tuple(pairs[e][0] if e >= 0 else -1 for e in kept)
    below, message = cost.copy(), np.zeros_like(cost)
    pointer = np.zeros(cost.shape, dtype=np.int64)
    value = 0.0
    for layer in range(problem.layers - 1, -1, -1):
        if producer[layer] < 0:
            value += float(below[layer].min())
            continue
        options = edge[kept[layer]] + below[layer]
        pointer[layer] = options.argmin(axis=1)
        message[layer] = options.min(axis=1)
        below[producer[layer]] += message[layer]
    cores = np.zeros(problem.layers, dtype=np.int64)
    for layer in range(problem.layers):
        above = producer[layer]
        cores[layer] = below[layer].argmin() if above < 0 else pointer[layer, cores[above]]
    return Tree(value, cores, below, message, producer)
