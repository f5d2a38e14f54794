"""One multiplier everywhere, plain reduced precision included: the baseline every search has to beat."""

from __future__ import annotations

import numpy as np

from axdnn.generation.judge import Judge
from axdnn.generation.problem import Ints


def uniform_choices(judge: Judge) -> Ints:
    """Return the uniform choices `(M, L)`, cheapest first."""
    problem = judge.problem
    choices = np.repeat(np.arange(len(problem.multipliers))[:, None], len(problem.layers), axis=1)
    return choices[np.argsort(problem.energy_j(choices), kind="stable")]


def uniform(judge: Judge, rng: np.random.Generator) -> None:
    """Find the cheapest uniform choice within the budget.

    If the evaluations suffice for all that are cheaper than exact, tries them from the cheapest up and stops at the
    first accepted one, the cheapest of the candidates; otherwise halves the list first (a cheaper circuit is mostly a
    coarser one) and then walks down from what was accepted.
    """
    choices = [c for c in uniform_choices(judge) if judge.cheaper(c)]
    low, high = 0, len(choices)
    while high - low > max(judge.left // 2, 1):  # one try may cost two evaluations
        middle = (low + high) // 2
        if judge.try_(choices[middle]).accepted:
            high = middle
        else:
            low = middle + 1
    for choice in choices[low:high]:
        if judge.try_(choice).accepted:
            return
