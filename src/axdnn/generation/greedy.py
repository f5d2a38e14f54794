"""Greedy descent: from a good uniform choice, swap what saves most energy per predicted damage."""

from __future__ import annotations

import numpy as np

from axdnn.generation.halving import halve
from axdnn.generation.judge import Judge
from axdnn.generation.problem import Floats, Ints
from axdnn.generation.uniform import uniform_choices


def greedy(judge: Judge, rng: np.random.Generator) -> None:
    """Halve the list of uniform choices for a start, then take cheaper neighbours as long as one is accepted.

    A neighbour changes one layer, or one kind wherever it is used. Neighbours are tried in the order of energy saved
    per damage added (importance times noise); those that add no damage come first, cheapest first.
    """
    _descend(judge, judge.problem.damage)


def noise_greedy(judge: Judge, rng: np.random.Generator) -> None:
    """Greedy descent that ranks neighbours by noise alone: what `greedy` is without the importance of layers.

    Start, neighbours and rules are those of `greedy`, so that the difference between the two is what importance is
    worth. Ranking layers by their resilience to noise is the usual design method of approximate networks without
    explanations, see M. A. Hanif et al., "Error resilience analysis for systematically employing approximate computing
    in convolutional neural networks", DATE 2018.
    """
    _descend(judge, judge.problem.noise)


def _descend(judge: Judge, damage: Floats) -> None:
    halve(judge, [c for c in uniform_choices(judge) if judge.cheaper(c)])
    while judge.left > 0:
        moves = _moves(judge, damage)
        if not any(judge.try_(move).accepted for move in moves):
            return


def _moves(judge: Judge, damage: Floats) -> list[Ints]:
    problem, best = judge.problem, judge.best
    candidates, layers = len(problem.multipliers), np.arange(len(best))
    moves = []
    for m in range(candidates):
        for where in [*np.eye(len(best), dtype=bool), *(best == kind for kind in np.unique(best))]:
            moves.append(np.where(where, m, best))
    choices = np.unique(np.stack(moves), axis=0).astype(np.int64)
    saved = judge.best_energy_j - problem.energy_j(choices)
    added = damage[layers, choices].sum(axis=1) - damage[layers, best].sum()
    order = sorted(
        (i for i in range(len(choices)) if saved[i] > 0 and not judge.knows(choices[i])),
        key=lambda i: (-np.inf if added[i] <= 0 else -saved[i] / added[i], -saved[i]),
    )
    return [choices[i] for i in order]
