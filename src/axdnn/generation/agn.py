"""Tolerated noise plus matching: the cheapest circuit in each layer whose noise the layer tolerates.

With the importance of a layer as the inverse of the noise power that it tolerates (a score that learns the noise by
gradients is one), this is the method of AGN-approx: E. Trommer, B. Waschneck, A. Kumar, "Combining gradients and
probabilities for heterogeneous approximation of neural networks", ICCAD 2022 (arXiv 2208.07265). With any other score
it is the same matching to another measure of tolerance. There the strength of the noise penalty is swept and each
setting trained again; here the tolerances keep their proportions and one common level is swept, over every value at
which a choice changes.
"""

from __future__ import annotations

import numpy as np

from axdnn.generation.halving import halve
from axdnn.generation.judge import Judge
from axdnn.generation.pods import within_pods
from axdnn.generation.problem import Ints, Problem


def agn(judge: Judge, rng: np.random.Generator) -> None:
    """Match circuits to tolerances at every level of noise, bisect the levels, then try the cheaper ones next to it.

    The noise that layer l tolerates, as a share of its output's variance, is the level divided by the layer's weight
    (`Problem.weights`): sigma_l^2 ~ level / weight_l. A choice with more kinds than the chip has pods gives up kinds,
    each layer staying within what it tolerates.
    """
    ladder = [c for c in matched_choices(judge.problem) if judge.cheaper(c)]
    found = halve(judge, ladder)
    for choice in reversed(ladder[:found]):  # more noise than at the level found, the least of it first
        if judge.left <= 0:
            return
        if judge.cheaper(choice):
            judge.try_(choice)


def matched_choices(problem: Problem) -> list[Ints]:
    """Return the matched choice of every level at which it changes, noisiest first, without repetition.

    Args:
        problem: prices, noise and weights; the exact multiplier is tolerated everywhere.
    """
    price = problem.table.dynamic_j
    found: dict[tuple[int, ...], Ints] = {}
    for level in np.unique(problem.damage)[::-1]:
        tolerated = problem.damage <= level
        tolerated[:, problem.exact] = True
        cost = np.where(tolerated, price, np.inf)
        choice = within_pods(problem, cost.argmin(axis=1).astype(np.int64), cost)
        found.setdefault(tuple(choice.tolist()), choice)
    return list(found.values())
