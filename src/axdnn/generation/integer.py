"""Integer programme on a predicted loss table: solve, verify by bit-exact simulation, correct, repeat."""

from __future__ import annotations

import numpy as np

from axdnn.evaluation import Z_95
from axdnn.generation.judge import Judge
from axdnn.generation.outlook import Outlook, unseen, width_of
from axdnn.generation.predictor import LossPredictor
from axdnn.generation.probe import Probe, ProbeOptions, keys_of
from axdnn.generation.problem import Floats, Ints
from axdnn.generation.programme import Programme
from axdnn.generation.skip_programme import programme_of

# The programme is asked for the cheapest choice at these predicted losses, as multiples of the one aimed at and of the
# budget, on tables that add so many standard deviations to each layer's loss.
LEVELS: dict[float, tuple[float, ...]] = {0.0: (0.6, 0.85, 1.0, 1.2), 1.0: (0.85, 1.2), 2.0: (1.0,)}
SHARES = (0.3, 0.55, 0.8, 1.1)
HOPELESS = 4.0
# Neighbours of so many choices are looked at before a probe, so many of them closely.
CENTRES, CLOSELY = 4, 64


def integer(judge: Judge, rng: np.random.Generator, options: ProbeOptions | None = None) -> None:
    """Minimise energy under a predicted loss, verify, correct the prediction, repeat while evaluations last.

    Each round asks the programme for the cheapest choice at several levels of predicted loss and caution, and for the
    safest choice that is cheaper than the best accepted one. Those of the largest expected saving (energy saved times
    the chance of acceptance), and their neighbours, are probed on the images that the exact network is least sure of,
    and the best of all is tried. Caution keeps the programme from choosing just what the prediction underrates. Each
    probe and each verdict corrects the prediction and how far it is trusted. Ends when nothing cheaper is left, when
    even the safest is hopeless, or with the evaluations.

    Args:
        judge: budget, evaluations, verdicts.
        rng: not used; all is decided by what was measured.
        options: how much is probed.
    """
    options = options or ProbeOptions()
    predictor = learned(judge)
    while judge.left >= 2:  # a choice needs two evaluations to be accepted
        choice = _propose(judge, predictor, options)
        if choice is None:
            return
        verdict = judge.try_(choice, predictor.predict(choice))
        predictor.learn(choice, verdict.loss, width_of(judge) / Z_95)


def learned(judge: Judge) -> LossPredictor:
    """Return the prediction after all that a judge has seen."""
    predictor, sampled = LossPredictor(judge.problem), width_of(judge) / Z_95
    for key, seen in judge.probe.seen.items() if judge.probe else ():
        if key not in judge.tried:
            predictor.learn(np.array(key, dtype=np.int64), *_told(judge, seen.loss))
    for key, verdict in judge.tried.items():
        choice = np.array(key, dtype=np.int64)
        if (choice != judge.problem.baseline).any():
            predictor.learn(choice, verdict.loss, sampled)
    return predictor


def _told(judge: Judge, probed: float) -> tuple[float, float]:
    """Return what a probed loss says of the loss on the search split, and its standard deviation."""
    hidden = unseen(judge)
    return probed + hidden.mean, float(np.hypot(hidden.sd, width_of(judge) / Z_95))


def _propose(judge: Judge, predictor: LossPredictor, options: ProbeOptions) -> Ints | None:
    """Return the choice of largest expected saving, or None if nothing is worth a try."""
    problem, outlook = judge.problem, Outlook(judge, predictor)
    tried = np.array(list(judge.tried), dtype=np.int64)
    plain = _programme(judge, predictor.table, outlook)
    most_energy = judge.best_energy_j * (1 - 1e-6)
    safest = plain.safest(most_energy, tried, quick=True)
    if safest is None:
        safest = plain.safest(most_energy, tried)
    if safest is None or predictor.predict(safest) > HOPELESS * problem.budget + 1e-12:
        return None
    found = [safest]
    aim = max(outlook.aim, 0.1 * problem.budget, predictor.predict(safest))
    for caution, levels in LEVELS.items():
        programme = _programme(judge, predictor.cautious(caution), outlook) if caution else plain
        for most in (*(level * aim for level in levels), *(share * problem.budget for share in SHARES)):
            quick = caution > 0 or most != aim
            cheapest = programme.cheapest(most, np.vstack([tried, *found]), quick=quick)
            if cheapest is not None and judge.cheaper(cheapest):
                found.append(cheapest)
    pool = _probed(judge, predictor, plain, np.stack(found), options)
    return np.asarray(pool[int(np.argmax(Outlook(judge, predictor).gain(pool)))])


def _programme(judge: Judge, table: Floats, outlook: Outlook) -> Programme:
    programme, budget = programme_of(judge.problem, table), judge.problem.budget
    for known, verdict in judge.tried.items():
        choice, refused = np.array(known, dtype=np.int64), verdict.bound > budget or verdict.sent
        (programme.refuse if refused and not verdict.accepted else programme.forbid)(choice)
    for choice in outlook.hopeless():
        programme.forbid(choice)
    return programme


def _probed(
    judge: Judge, predictor: LossPredictor, programme: Programme, found: Ints, options: ProbeOptions
) -> Ints:  # fmt: skip
    """Probe the most promising choices, their neighbours among them; return all that may be tried, `(C, N)`.

    Args:
        judge: gets a probe if it has none, and options allow it.
        predictor: learns what is seen.
        programme: knows which choices are near one, and which are out.
        found: what it proposes.
        options: how much is probed.
    """
    if judge.probe is None and options.choices > 0:
        judge.probe = Probe(judge.evaluator, options.choices)
    probe, pool = judge.probe, found
    for _ in range(options.rounds):
        if probe is None or probe.left <= 0:
            break
        outlook = Outlook(judge, predictor)
        known = np.array(list(probe.seen), dtype=np.int64).reshape(-1, found.shape[1])
        known = known[~programme.taken(known)] if len(known) else known  # nor what a refused one takes with it
        centres = _best(judge, outlook, np.vstack([pool, known]), CENTRES)
        near = [programme.moves(choice) for choice in (judge.best, *centres)]
        pool = _best(judge, outlook, np.vstack([pool, known, *near]), CLOSELY)
        gains = outlook.gain(pool)
        pool = pool[np.argsort(-gains, kind="stable")]
        new = np.array([key not in probe.seen for key in keys_of(pool)])
        if not new[0]:  # the best of all has been seen
            break
        chosen = pool[new][: min(options.batch, probe.left)]
        for choice, seen in zip(chosen, probe.look(judge.problem, chosen), strict=True):
            predictor.learn(choice, *_told(judge, seen.loss))
    return pool


def _best(judge: Judge, outlook: Outlook, choices: Ints, most: int) -> Ints:
    """Return the choices of the largest expected saving as it looks at first, none that was tried, `(C, N)`."""
    choices = np.unique(choices, axis=0)
    cheaper = judge.problem.energy_j(choices) < judge.best_energy_j * (1 - 1e-9)
    fresh = np.array([key not in judge.tried for key in keys_of(choices)])
    choices = choices[cheaper & fresh]
    spread = float(np.median([outlook.predictor.spread(c) for c in choices[:: max(1, len(choices) // 32)]]))
    return np.asarray(choices[np.argsort(-outlook.gain(choices, spread), kind="stable")[:most]])
