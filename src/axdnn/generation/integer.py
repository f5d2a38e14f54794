"""Integer programme on a predicted loss table: solve, verify by bit-exact simulation, correct, repeat."""

from __future__ import annotations

import numpy as np
from scipy.special import log_ndtr, ndtr

from axdnn.evaluation import Z_95
from axdnn.generation.judge import Judge
from axdnn.generation.predictor import LossPredictor
from axdnn.generation.problem import Floats, Ints
from axdnn.generation.programme import Programme
from axdnn.generation.skip_programme import programme_of

# The programme is asked for the cheapest choice at these predicted losses, as multiples of the one aimed at and of the
# budget, on tables that add so many standard deviations to each layer's loss.
LEVELS: dict[float, tuple[float, ...]] = {0.0: (0.6, 0.85, 1.0, 1.2), 1.0: (0.85, 1.2), 2.0: (1.0,)}
SHARES = (0.3, 0.55, 0.8, 1.1)
HOPELESS = 4.0
# Of the sampling error of a loss the share that a choice does not have in common with the others on the same images.
OWN_SAMPLING = 0.5
TINY = 1e-24


def integer(judge: Judge, rng: np.random.Generator) -> None:
    """Minimise energy under a predicted loss, verify, correct the prediction, repeat while evaluations last.

    Each round asks the programme for the cheapest choice at several levels of predicted loss and caution, and for the
    safest choice that is cheaper than the best accepted one; it tries the one with the largest expected saving (energy
    saved times the chance of acceptance). Caution keeps the programme from choosing just what the prediction
    underrates. Each verdict corrects the prediction and how far it is trusted. Ends when nothing cheaper is left, when
    even the safest is hopeless, or with the evaluations.
    """
    predictor = learned(judge)
    while judge.left >= 2:  # a choice needs two evaluations to be accepted
        choice = _propose(judge, predictor)
        if choice is None:
            return
        verdict = judge.try_(choice, predictor.predict(choice))
        predictor.learn(choice, verdict.loss, _width(judge) / Z_95)


def learned(judge: Judge) -> LossPredictor:
    """Return the prediction after all that a judge has seen."""
    predictor = LossPredictor(judge.problem)
    for key, verdict in judge.tried.items():
        choice = np.array(key, dtype=np.int64)
        if (choice != judge.problem.baseline).any():
            predictor.learn(choice, verdict.loss, _width(judge) / Z_95)
    return predictor


def _propose(judge: Judge, predictor: LossPredictor) -> Ints | None:
    """Return the choice of largest expected saving, or None if nothing is worth a try."""
    problem, limit = judge.problem, _limit(judge)
    tried = np.array(list(judge.tried), dtype=np.int64)
    plain = _programme(judge, predictor.table)
    most_energy = judge.best_energy_j * (1 - 1e-6)
    safest = plain.safest(most_energy, tried, quick=True)
    if safest is None:
        safest = plain.safest(most_energy, tried)
    if safest is None or predictor.predict(safest) > HOPELESS * problem.budget + 1e-12:
        return None
    found = [safest]
    shifts, chances = _shift(judge, limit)
    aim = max(limit - max(float(shifts @ chances), 0.0), 0.1 * problem.budget, predictor.predict(safest))
    for caution, levels in LEVELS.items():
        programme = _programme(judge, predictor.cautious(caution)) if caution else plain
        for most in (*(level * aim for level in levels), *(share * problem.budget for share in SHARES)):
            quick = caution > 0 or most != aim
            cheapest = programme.cheapest(most, np.vstack([tried, *found]), quick=quick)
            if cheapest is not None and judge.cheaper(cheapest):
                found.append(cheapest)
    saved = judge.best_energy_j - problem.energy_j(np.stack(found))
    return found[int(np.argmax(np.log(saved) + _log_chance(judge, predictor, found, limit)))]


def _programme(judge: Judge, table: Floats) -> Programme:
    programme, budget = programme_of(judge.problem, table), judge.problem.budget
    for known, verdict in judge.tried.items():
        choice, refused = np.array(known, dtype=np.int64), verdict.bound > budget or verdict.sent
        (programme.refuse if refused and not verdict.accepted else programme.forbid)(choice)
    return programme


def _log_chance(judge: Judge, predictor: LossPredictor, choices: list[Ints], limit: float) -> Floats:
    """Logarithm of the chance that a choice holds on the search and on the accept split."""
    room = limit - np.array([predictor.predict(choice) for choice in choices])
    spread = np.array([predictor.spread(choice) for choice in choices])
    sampled = _width(judge) / Z_95
    search = log_ndtr(room / np.sqrt(spread**2 + sampled**2 + TINY))
    shifts, chances = _shift(judge, limit)
    own = np.sqrt(spread**2 + (OWN_SAMPLING * sampled) ** 2 + TINY)
    accept = ndtr((room[:, None] - shifts) / own[:, None]) @ chances
    return np.asarray(search + np.log(np.maximum(accept, 1e-300)))


def _shift(judge: Judge, limit: float) -> tuple[Floats, Floats]:
    """How much larger losses are on the accept split than on the search split, as values and their probabilities.

    Images of the two differ, and what they differ by is much the same for all choices. It is inferred from the yes or
    no of the choices that were sent, as those who search may not see more of that split.
    """
    sampled = _width(judge) / Z_95
    shifts = np.sqrt(2.0) * sampled * np.linspace(-3.0, 3.0, 61)
    likely = -0.5 * np.linspace(-3.0, 3.0, 61) ** 2
    for verdict in judge.tried.values():
        if verdict.sent:
            side = 1.0 if verdict.accepted else -1.0
            likely += log_ndtr(side * (limit - verdict.loss - shifts) / (OWN_SAMPLING * sampled + np.sqrt(TINY)))
    chances = np.exp(likely - likely.max())
    return shifts, chances / chances.sum()


def _width(judge: Judge) -> float:
    """Distance from a measured loss to its bound on the search split, where the loss is not far above the budget."""
    budget = judge.problem.budget
    widths = [v.bound - v.loss for v in judge.tried.values() if v.bound > 0 and v.loss < 3 * budget]
    return float(np.median(widths)) if widths else 0.25 * budget


def _limit(judge: Judge) -> float:
    """Loss on the search split that is just accepted: the budget less the width of the bound; may be negative."""
    return judge.problem.budget - _width(judge)
