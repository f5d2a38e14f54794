"""From a problem of multipliers to one that chooses levels of skipping as well: levels, prices, divergences."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from axdnn.evaluation import Evaluator
from axdnn.generation.neurons import Neurons
from axdnn.generation.objective import objective_table
from axdnn.generation.prepare import layer_weights
from axdnn.generation.problem import Floats, Ints, Problem
from axdnn.generation.sensitivity import SensitivityOptions
from axdnn.generation.skip_levels import SkipOptions, skip_levels
from axdnn.generation.skip_prices import SkipPrices
from axdnn.generation.skip_problem import expect_levels, with_levels
from axdnn.hardware import cost_table
from axdnn.layers import coded
from axdnn.records import Assignment, InvalidInputError, LayerScores


def with_skipping(
    problem: Problem, neurons: Neurons, options: SkipOptions, evaluator: Evaluator, score: LayerScores | None,
    divergences: Callable[[Sequence[Assignment]], Floats], sensitivity: SensitivityOptions, seed: int,
) -> Problem:  # fmt: skip
    """Return a problem whose choices skip neurons too; the same problem if no layer can.

    Args:
        problem: multipliers, what they spoil and cost.
        neurons: importance of the neurons.
        options: fractions.
        evaluator: network, chip and circuits.
        score: importance of the layers, or None.
        divergences: measures assignments on few images.
        sensitivity: how many levels are measured; nothing is with 0 points.
        seed: of the levels that are held out.

    Raises:
        InvalidInputError: neurons alone are to be skipped, and no layer can skip any.
        InfeasibleError: a limit of latency that no choice can keep.
    """
    network, chip = evaluator.network, evaluator.accelerator
    members = problem.members or tuple((name,) for name in problem.layers)
    owner = np.array([next(i for i, m in enumerate(members) if name in m) for name in network.layer_names])
    weights = layer_weights(network, score.values if score else None) * len(members) / len(owner)
    levels = skip_levels(
        neurons, network.layer_names, options, dict(zip(network.layer_names, weights.tolist(), strict=True))
    )
    if levels is None:
        if options.multipliers:
            return problem
        raise InvalidInputError(
            f"no layer can skip any of its neurons: fractions up to {max(options.fractions):g} round to none of them"
        )
    wired = [coded(evaluator.multipliers[name], evaluator.bank.recipe) for name in problem.multipliers]
    together = chip.weights_stay_on_chip == 1
    prices = SkipPrices(
        network, levels, owner, lambda n: objective_table(n, wired, chip, problem.objective), together
    )  # fmt: skip
    of_chip = None
    if problem.constraints:
        of_chip = SkipPrices(network, levels, owner, lambda n: cost_table(n, wired, chip), together)
    found = with_levels(problem, levels, prices, of_chip)
    if of_chip is not None:
        fastest = np.concatenate([problem.baseline, levels.last])
        latency = float(of_chip.energy(fastest).latency_s[0])
        found.constraints.require_possible(latency, 0.0, " and as many neurons skipped as can be")
    if sensitivity.points == 0:
        return found

    def measure(choices: Ints) -> Floats:
        return divergences([found.assignment(choice) for choice in choices])

    return expect_levels(found, measure, sensitivity, np.random.default_rng(seed))
