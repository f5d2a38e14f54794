"""Taylor-only choice: an additive predicted loss with one measured scale, an integer programme a level, no correction.

The prediction is that of methods which substitute circuits by a second-order expansion of the loss alone, in the way of
"FAMES: Fast approximate multiplier substitution for mixed-precision quantized DNNs" (arXiv 2411.18055, withdrawn by its
author in version 4; no public code): squared errors of the layers' outputs, weighed and added up. What strategy
`integer` does beyond that, learning a scale for each layer and how far to trust it, is left out.
"""

from __future__ import annotations

import numpy as np

from axdnn.generation.judge import Judge
from axdnn.generation.predictor import FIRST_SCALE
from axdnn.generation.problem import Ints
from axdnn.generation.programme import Programme

# Levels of predicted loss, as powers of this ratio times the budget, up or down from the budget, and how many at most;
# then how often the interval between the last accepted and the first refused level is halved.
RATIO, RUNGS, HALVINGS = 1.5, 10, 5
# A measured loss below this share of the budget counts as that much: few images show zero or less now and then.
LEAST_SHARE = 0.1


def taylor(judge: Judge, rng: np.random.Generator) -> None:
    """Fit one scale to one measurement, then take the programme's cheapest choice at level after level.

    From the budget on the level of predicted loss is raised while choices are accepted, or lowered until one is; then
    the interval between the two is halved. The prediction stays as it is.
    """
    fitted = _fitted(judge)
    if fitted is None:
        return
    ok = _Levels(judge, fitted).ok
    step = 1 if ok(0.0) else -1
    last = 0.0
    for rung in range(1, RUNGS + 1):
        if judge.left <= 0:
            return
        last = float(step * rung)
        if ok(last) != (step > 0):
            break
    else:
        return
    low, high = (last - 1, last) if step > 0 else (last, last + 1)
    for _ in range(HALVINGS):
        if judge.left <= 0:
            return
        middle = (low + high) / 2
        low, high = (middle, high) if ok(middle) else (low, middle)


class _Levels:
    """The programme's answers at levels of predicted loss."""

    def __init__(self, judge: Judge, programme: Programme) -> None:
        self.judge, self.programme = judge, programme

    def ok(self, rung: float) -> bool:
        """Try the cheapest choice at `RATIO**rung` times the budget; whether it, or nothing but exact, is accepted."""
        level = RATIO**rung * self.judge.problem.budget
        choice = self.programme.cheapest(level)
        if choice is None or np.array_equal(choice, self.judge.problem.baseline):
            return True
        if not self.judge.knows(choice) and not self.judge.cheaper(choice):
            return True  # dearer than what is accepted already: nothing to gain at this level
        return self.judge.try_(choice, float(self.programme.damage_of(choice)[0])).accepted


def _fitted(judge: Judge) -> Programme | None:
    """Measure the cheapest choice under the guessed scale and return a programme with the scale that it shows."""
    problem = judge.problem
    guessed = Programme(problem, FIRST_SCALE * problem.damage)
    first: Ints | None = guessed.cheapest(problem.budget)
    if first is None or not judge.cheaper(first):
        first = guessed.safest(judge.best_energy_j * (1 - 1e-6))
    damage = 0.0 if first is None else float(problem.damage_of(first)[0])
    if first is None or damage <= 0.0:
        return None
    loss = judge.try_(first, FIRST_SCALE * damage).loss
    return Programme(problem, max(loss, LEAST_SHARE * problem.budget) / damage * problem.damage)
