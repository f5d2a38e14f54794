"""Integer programme on a predicted loss table: solve, verify by bit-exact simulation, correct, repeat."""

from __future__ import annotations

import math

import numpy as np

from axdnn.generation.judge import Judge
from axdnn.generation.predictor import LossPredictor
from axdnn.generation.problem import Ints
from axdnn.generation.programme import Programme

# Predicted losses, as multiples of the one aimed at, at which the programme is asked for the cheapest choice.
LEVELS = (0.6, 0.85, 1.0, 1.2)
HOPELESS = 4.0
# Standard deviation of the logarithm of measured over predicted loss: before any measurement, and at best.
FIRST_SPREAD, LEAST_SPREAD = 1.0, 0.15
RECENT = 6


def integer(judge: Judge, rng: np.random.Generator) -> None:
    """Minimise energy under a predicted loss, verify, correct the prediction, repeat while evaluations last.

    Each round asks the programme for the cheapest choice at a few levels of predicted loss, and for the safest choice
    that is cheaper than the best accepted one; it tries the one with the largest expected saving (energy saved times
    the chance of acceptance). Each verdict corrects the prediction and how far it is trusted. Ends when nothing cheaper
    is left, when even the safest is hopeless, or with the evaluations.
    """
    predictor = LossPredictor(judge.problem)
    errors: list[float] = []
    while judge.left >= 2:  # a choice needs two evaluations to be accepted
        choice = _propose(judge, predictor, _spread(errors))
        if choice is None:
            return
        predicted = predictor.predict(choice)
        verdict = judge.try_(choice, predicted)
        floor = 0.05 * judge.problem.budget + 1e-9
        errors.append(math.log(max(verdict.loss, floor) / max(predicted, floor)))
        predictor.learn(choice, verdict.loss)


def _propose(judge: Judge, predictor: LossPredictor, spread: float) -> Ints | None:
    """Return the choice of largest expected saving, or None if nothing is worth a try."""
    programme = Programme(judge.problem, predictor.table)
    tried = np.array(list(judge.tried), dtype=np.int64)
    for known in tried:
        programme.forbid(known)
    most_energy = judge.best_energy_j * (1 - 1e-6)
    safest = programme.safest(most_energy, tried, quick=True)
    if safest is None:
        safest = programme.safest(most_energy, tried)
    if safest is None or predictor.predict(safest) > HOPELESS * judge.problem.budget + 1e-12:
        return None
    limit = _limit(judge)
    found = [safest]
    for level in LEVELS:
        most = max(level * limit, predictor.predict(safest))
        cheapest = programme.cheapest(most, np.vstack([tried, *found]), quick=level != 1.0)
        if cheapest is not None and judge.cheaper(cheapest):
            found.append(cheapest)
    saved = [judge.best_energy_j - float(judge.problem.energy_j(choice)[0]) for choice in found]
    chance = [_chance(predictor.predict(choice), limit, spread) for choice in found]
    return found[int(np.argmax([s * c for s, c in zip(saved, chance, strict=True)]))]


def _chance(predicted: float, limit: float, spread: float) -> float:
    """Chance that the measured loss stays within the limit."""
    if predicted <= 0:
        return 1.0
    if limit <= 0:
        return 1e-12
    return max(0.5 * math.erfc(math.log(predicted / limit) / spread / math.sqrt(2)), 1e-12)


def _spread(errors: list[float]) -> float:
    """How far predictions were off lately, as the standard deviation of a logarithm."""
    if not errors:
        return FIRST_SPREAD
    return min(max(float(np.sqrt(np.mean(np.square(errors[-RECENT:])))), LEAST_SPREAD), FIRST_SPREAD)


def _limit(judge: Judge) -> float:
    """Loss on the search split that is just accepted: the budget less the width of the bound.

    Where choices passed the search split and failed on the accept split the limit moves below them. Only the yes or no
    of the accept split is used, never its losses.
    """
    budget = judge.problem.budget
    gaps = [v.bound - v.loss for v in judge.tried.values() if v.bound > 0 and v.loss < 3 * budget]
    limit = max(budget - (float(np.median(gaps)) if gaps else 0.25 * budget), 0.25 * budget)
    failed = [v.loss for v in judge.tried.values() if v.bound <= budget and not v.accepted]
    if failed:
        passed = [v.loss for v in judge.tried.values() if v.accepted and v.loss < min(failed)]
        limit = min(limit, (min(failed) + max(passed, default=0.0)) / 2)
    return max(limit, 0.1 * budget)
