"""Integer programme on a predicted loss table: solve, verify by bit-exact simulation, correct, repeat."""

from __future__ import annotations

import numpy as np

from axdnn.generation.judge import Judge
from axdnn.generation.predictor import LossPredictor
from axdnn.generation.problem import Ints
from axdnn.generation.programme import Programme

# Share of the evaluations spent on aiming at the budget before the search turns to the safest cheaper choice.
AIM_SHARE = 0.5
HOPELESS = 4.0


def integer(judge: Judge, rng: np.random.Generator) -> None:
    """Minimise energy under a predicted loss, verify, correct the prediction, repeat until the budget is tight.

    First aims: the cheapest choice whose predicted loss meets the budget (less the width of the confidence bound);
    each verdict corrects the prediction. Then tightens: the choice of least predicted loss among those cheaper than
    the best accepted one. Ends when nothing cheaper is left, when it is hopeless, or with the evaluations.
    """
    predictor = LossPredictor(judge.problem)
    start = judge.left
    while judge.left > start * (1 - AIM_SHARE):
        choice = _solve(judge, predictor, aim=True)
        if choice is None or not judge.cheaper(choice):
            break
        _verify(judge, predictor, choice)
    while judge.left > 0:
        choice = _solve(judge, predictor, aim=False)
        if choice is None or predictor.predict(choice) > HOPELESS * judge.problem.budget + 1e-12:
            return
        _verify(judge, predictor, choice)


def _solve(judge: Judge, predictor: LossPredictor, aim: bool) -> Ints | None:
    programme = Programme(judge.problem, predictor.table)
    for known in judge.tried:
        programme.forbid(np.array(known, dtype=np.int64))
    if aim:
        return programme.cheapest(max(judge.problem.budget - _margin(judge), 0.25 * judge.problem.budget))
    return programme.safest(judge.best_energy_j * (1 - 1e-6))


def _margin(judge: Judge) -> float:
    """Typical distance between a measured loss and its bound, from what was tried near the budget."""
    gaps = [v.bound - v.loss for v in judge.tried.values() if v.bound > 0 and v.loss < 3 * judge.problem.budget]
    return float(np.median(gaps)) if gaps else 0.25 * judge.problem.budget


def _verify(judge: Judge, predictor: LossPredictor, choice: Ints) -> None:
    verdict = judge.try_(choice, predictor.predict(choice))
    predictor.learn(choice, verdict.loss)
