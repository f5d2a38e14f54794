"""All choices: the true front of loss and energy, where there are few multipliers and layers."""

from __future__ import annotations

import itertools

import numpy as np

from axdnn.generation.judge import Judge
from axdnn.records import InvalidInputError

# Beside all choices on the search split: the exact network and one choice on the accept split.
ON_ACCEPT = 2


def exhaustive(judge: Judge, rng: np.random.Generator) -> None:
    """Measure every choice on the search split, then confirm those within the budget, cheapest first, until one is.

    Choices with more kinds than the chip has pods do not exist and are left out. Neighbouring choices differ in the
    last layers, so that they share the work of the first ones.

    Raises:
        InvalidInputError: the choices are more than the evaluations; nothing was measured.
    """
    kinds, layers = len(judge.problem.multipliers), len(judge.problem.layers)
    require_exhaustible(kinds, layers, judge.evaluator.cap)
    for genes in itertools.product(range(kinds), repeat=layers):
        if len(set(genes)) <= judge.problem.table.pods:
            judge.measure(np.array(genes, dtype=np.int64))
    for choice in judge.waiting(dominated=True):
        if judge.left <= 0 or judge.confirm(choice).accepted:
            return


def require_exhaustible(kinds: int, layers: int, evaluations: int) -> None:
    """Check that all choices can be measured and the cheapest confirmed.

    Args:
        kinds: multipliers to choose from, the exact one included.
        layers: of the network.
        evaluations: cap on full evaluations.

    Raises:
        InvalidInputError: they are more than the evaluations allow.
    """
    count = kinds**layers
    if count + ON_ACCEPT > evaluations:
        raise InvalidInputError(
            f"`exhaustive` tries all {kinds}^{layers} = {count:,} choices and needs {count + ON_ACCEPT:,} evaluations, "
            f"but the cap is {evaluations:,}: name fewer multipliers or raise `evaluations`"
        )
