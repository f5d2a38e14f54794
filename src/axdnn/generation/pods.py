"""Choices with more kinds of multipliers than the chip has pods, made to fit."""

from __future__ import annotations

import numpy as np

from axdnn.generation.problem import Floats, Ints, Problem


def within_pods(problem: Problem, choice: Ints, cost: Floats) -> Ints:
    """Return a choice with no more kinds than pods: again and again, the kind that is cheapest to replace goes.

    The layers of a kind that goes move to the other kinds in use or to the exact one, each to the cheapest.

    Args:
        problem: number of pods, exact multiplier.
        choice: indices of multipliers, `(L,)`.
        cost: of multiplier m in layer l, `(L, M)`; infinite where it is not allowed, finite for the exact one.
    """
    choice = choice.copy()
    while len(kinds := np.unique(choice)) > problem.table.pods:
        best, least = choice, np.inf
        for kind in kinds[kinds != problem.exact]:
            layers = np.flatnonzero(choice == kind)
            others = np.union1d(kinds[kinds != kind], [problem.exact])
            offers = cost[np.ix_(layers, others)]
            added = float((offers.min(axis=1) - cost[layers, kind]).sum())
            if added < least:
                least, best = added, choice.copy()
                best[layers] = others[offers.argmin(axis=1)]
        choice = best
    return choice
