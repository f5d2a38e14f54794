"""From a trained model and calibration images to a problem: capture, score, screen, fit, price."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch

from axdnn.evaluation import CodingBank, give_back
from axdnn.generation.constraints import Constraints
from axdnn.generation.objective import Objective, objective_table
from axdnn.generation.problem import NO_CONSTRAINTS, Floats, Problem, undominated
from axdnn.hardware import Accelerator, cost_table, estimate
from axdnn.importance import SCORERS, Context, Scorer, load_scorer
from axdnn.layers import Calibration, Recipe, coded, screen_noise
from axdnn.multipliers import error_metrics
from axdnn.quant import CapturedModel
from axdnn.records import InvalidInputError, LayerScores, Multiplier, Network

Progress = Callable[[str, int, int], None]
SCORE_NAMES = (*SCORERS, "none")
# A circuit that is cheaper in every cost and at most this much noisier in every layer stands for its neighbour.
SLACK = 1.25


def score_layers(
    kind: str | Scorer,
    captured: CapturedModel,
    network: Network,
    calibration: Calibration,
    images: torch.Tensor,
    recipe: Recipe,
    progress: Progress | None,
) -> LayerScores | None:
    """Score the layers for the loss prediction; `none` weighs all alike.

    Args:
        kind: a name in `axdnn.importance.SCORERS`, a scorer, or `none`.
        captured: float network.
        network: its description.
        calibration: for ablation.
        images: held-out images, at most a tenth of the search split.
        recipe: conversion switches.
        progress: called with (message, done, total).
    """
    if kind == "none":
        return None
    scorer = kind if isinstance(kind, Scorer) else load_scorer(kind)
    return scorer.score(Context(captured, network, images, lambda: calibration, recipe, progress))


def prepare(
    network: Network,
    bank: CodingBank,
    multipliers: Sequence[Multiplier],
    exact: Multiplier,
    accelerator: Accelerator,
    budget: float,
    score: LayerScores | None,
    progress: Progress | None = None,
    objective: Objective = "energy",
    constraints: Constraints = NO_CONSTRAINTS,
    screened: bool = True,
    skips: bool = False,
) -> Problem:
    """Build the problem that every strategy gets.

    Screens all multipliers with one look at each layer, drops those that another one beats in cost and noise in every
    layer, fits the codings of the rest, and drops again; or fits all of them.

    Args:
        network: shapes.
        bank: codings.
        multipliers: candidates, with figures.
        exact: the baseline's circuit; always a candidate.
        accelerator: priced on.
        budget: largest accuracy loss, a fraction.
        score: importance of the layers, or None.
        progress: called with (message, done, total).
        objective: what is minimised, see `objective_table`.
        constraints: what every choice must keep besides the budget.
        screened: drop candidates that others beat; False keeps every one.
        skips: whether choices may skip neurons, so that one may be faster than the exact network: the caller checks
            the limit of latency.

    Raises:
        InvalidInputError: a multiplier has no figures.
        UnknownNameError: a pattern of `constraints` matches no layer.
        InfeasibleError: limits that no choice can keep.
    """
    groups = constraints.groups(network.layer_names)
    pool = {m.id: m for m in (exact, *multipliers)}
    candidates = list(pool.values())
    for m in candidates:
        if m.figures is None:
            raise InvalidInputError(f"multiplier {m.name!r} must have figures (power, area) to be priced")
    recipe = bank.recipe

    def costs() -> Floats:
        table = objective_table(network, [coded(m, recipe) for m in candidates], accelerator, objective)
        per_pod = [table.static_w_pod[None, :], table.area_m2_pod[None, :]] if objective == "energy" else []
        return np.vstack([table.dynamic_j, *per_pod])

    if screened:
        noise = _noise(
            candidates, network, lambda layer, m: screen_noise(bank.sample(layer), m, recipe), "screen", progress
        )
        candidates = [candidates[i] for i in undominated(costs(), noise, 0, SLACK)]
    noise = _noise(candidates, network, lambda layer, m: bank.get(layer, m).noise, "fit", progress)
    kept = undominated(costs(), noise, 0, SLACK) if screened else list(range(len(candidates)))
    candidates = [candidates[i] for i in kept]
    wired = [coded(m, recipe) for m in candidates]
    chip = cost_table(network, wired, accelerator) if constraints else None
    problem = Problem(
        layers=network.layer_names,
        multipliers=tuple(m.name for m in candidates),
        table=objective_table(network, wired, accelerator, objective),
        noise=noise[:, kept],
        weights=layer_weights(network, score.values if score else None),
        exact=0,
        budget=budget,
        mean_error=np.array([error_metrics(m).mae for m in candidates]),
        objective=objective,
        constraints=constraints,
        chip=chip,
    )
    if chip is not None:
        memory = estimate(network, problem.assignment(problem.baseline), accelerator, multipliers=_named(wired))
        latency = 0.0 if skips else float(chip.energy(problem.baseline).latency_s[0])
        constraints.require_possible(latency, memory.memory_bytes)
    return problem.tied(groups)


def _named(multipliers: Sequence[Multiplier]) -> dict[str, Multiplier]:
    return {m.name: m for m in multipliers}


def _noise(
    candidates: Sequence[Multiplier],
    network: Network,
    measure: Callable[[str, Multiplier], float],
    message: str,
    progress: Progress | None,
) -> Floats:
    noise = np.empty((len(network.layers), len(candidates)))
    for j, m in enumerate(candidates):
        for i, layer in enumerate(network.layer_names):
            noise[i, j] = measure(layer, m)
        give_back()
        if progress is not None:
            progress(f"{message} multipliers", j + 1, len(candidates))
    return noise


def layer_weights(network: Network, values: Mapping[str, float] | None) -> Floats:
    """Return the importance of each layer, mean about 1 and never below 0.05, `(L,)`; 1 without scores."""
    if values is None:
        return np.ones(len(network.layers))
    raw = np.array([max(values[name], 0.0) for name in network.layer_names])
    mean = float(raw.mean())
    return np.maximum(raw / mean, 0.05) if mean > 0 else np.ones(len(raw))
