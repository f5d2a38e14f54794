"""Greedy descent: from a good uniform choice, swap what saves most energy per predicted damage."""

from __future__ import annotations

import numpy as np

from axdnn.generation.judge import Judge
from axdnn.generation.problem import Ints
from axdnn.generation.uniform import uniform_choices


def greedy(judge: Judge, rng: np.random.Generator) -> None:
    """Halve the list of uniform choices for a start, then take cheaper neighbours as long as one is accepted.

    A neighbour changes one layer, or one kind wherever it is used. Neighbours are tried in the order of energy saved
    per damage added; those that add no damage come first, cheapest first.
    """
    _start(judge)
    while judge.left > 0:
        moves = _moves(judge)
        if not any(judge.try_(move).accepted for move in moves):
            return


def _start(judge: Judge) -> None:
    choices = [c for c in uniform_choices(judge) if judge.cheaper(c)]
    low, high = 0, len(choices)
    while low < high and judge.left > 0:
        middle = (low + high) // 2
        if judge.try_(choices[middle]).accepted:
            high = middle
        else:
            low = middle + 1


def _moves(judge: Judge) -> list[Ints]:
    problem, best = judge.problem, judge.best
    candidates = len(problem.multipliers)
    moves = []
    for m in range(candidates):
        for where in [*np.eye(len(best), dtype=bool), *(best == kind for kind in np.unique(best))]:
            moves.append(np.where(where, m, best))
    choices = np.unique(np.stack(moves), axis=0).astype(np.int64)
    saved = judge.best_energy_j - problem.energy_j(choices)
    added = problem.damage_of(choices) - problem.damage_of(best)
    order = sorted(
        (i for i in range(len(choices)) if saved[i] > 0 and not judge.knows(choices[i])),
        key=lambda i: (-np.inf if added[i] <= 0 else -saved[i] / added[i], -saved[i]),
    )
    return [choices[i] for i in order]
