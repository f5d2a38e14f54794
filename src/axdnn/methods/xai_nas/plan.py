"""`Plan`: what is found out before a search: candidates, levels of skipping, seeds, guidance; saved, so never twice."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod

import numpy as np

from axdnn.evaluation import Split
from axdnn.generation import (
    LossPredictor,
    Problem,
    SensitivityOptions,
    SkipOptions,
    SkippingProblem,
    expect,
    neurons_of,
    prepare,
    with_skipping,
)
from axdnn.generation.prepare import layer_weights, score_layers
from axdnn.importance import channel_conductance
from axdnn.methods.xai_nas.asked import XaiNasRequest
from axdnn.methods.xai_nas.ground import MULTIPLIER, SKIP, Ground
from axdnn.methods.xai_nas.pods import FitsPods, IntoPods, choices_within
from axdnn.methods.xai_nas.seeds import macs_seeds, xai_seeds
from axdnn.methods.xai_nas.trade import Floats, Ints, Trade
from axdnn.records import Assignment, LayerScores, Record, Scalar
from axdnn.search import Categorical, Named, Space

Progress = Callable[[str, int, int], None]
BUDGET = 0.02  # accuracy loss that predictions are scaled for; it decides no choice
LEAST_NOISE = 1e-9
SKIP_CAUTION = 3.0  # levels of several layers lose more together than the sum of what each loses alone
NO_SENSITIVITY = SensitivityOptions(points=0)


class Plan(Record, frozen=True, kw_only=True):
    """What a search begins with.

    Attributes:
        layers: names, in the order of the network.
        multipliers: candidates that screening left, the exact one first.
        pods: kinds of multipliers that fit the chip.
        noise: logarithm of the noise of each multiplier in each layer.
        shares: layer name -> shares of its neurons that may be skipped, the first 0; layers that can skip alone.
        least: layer name -> its neurons, least important first.
        energy: of each field, what each of its values leaves (multipliers) or adds (skipping), J; empty without seeds
            from XAI.
        harm: of each field, the predicted loss of each of its values, a fraction; likewise.
        seeds: evaluated first.
        scores: importance of the layers; empty without seeds from XAI.
        images: purpose -> images sent through the network before the search.
    """

    layers: tuple[str, ...]
    multipliers: tuple[str, ...]
    pods: int
    noise: tuple[tuple[float, ...], ...]
    shares: dict[str, tuple[float, ...]]
    least: dict[str, tuple[int, ...]]
    energy: tuple[tuple[float, ...], ...] = ()
    harm: tuple[tuple[float, ...], ...] = ()
    seeds: tuple[dict[str, Scalar], ...] = ()
    scores: tuple[LayerScores, ...] = ()
    images: dict[str, int] = {}

    @property
    def fields(self) -> dict[str, tuple[Scalar, ...]]:
        """Path of each field -> its values: multipliers of all layers, then levels of those that can skip."""
        chosen: dict[str, tuple[Scalar, ...]] = {name + MULTIPLIER: self.multipliers for name in self.layers}
        return chosen | {name + SKIP: shares for name, shares in self.shares.items()}

    def space(self) -> Space:
        """Return the space: a multiplier for each layer, a share for each that can skip, no more kinds than pods."""
        fields = tuple(Categorical(name=path, values=values) for path, values in self.fields.items())
        if min(len(self.multipliers), len(self.layers)) <= self.pods:
            return Space(fields)
        paths = tuple(name + MULTIPLIER for name in self.layers)
        return Space(
            fields, FitsPods(paths, self.pods), IntoPods(paths, self.pods, self.noise, self.multipliers)
        )  # fmt: skip

    @property
    def space_size(self) -> int:
        """Exact number of valid candidates."""
        ways = choices_within(len(self.layers), len(self.multipliers), self.pods)
        return ways * prod(len(shares) for shares in self.shares.values())

    def guidance(self) -> Named:
        """Return what guides mutations, by name."""
        fields = self.fields
        return Named(
            "axdnn.methods.xai_nas.guidance:make_guidance",
            {"fields": list(fields), "values": [list(values) for values in fields.values()],
             "energy": [list(row) for row in self.energy], "harm": [list(row) for row in self.harm]},
        )  # fmt: skip


def make_plan(ground: Ground, request: XaiNasRequest, progress: Progress | None = None) -> Plan:
    """Screen the candidates, order the neurons, and for an arm with seeds from XAI score, measure and seed.

    Args:
        ground: network, images, prices.
        request: what is asked.
        progress: called with (message, done, total).
    """
    evaluator, bank = ground.evaluator, ground.evaluator.bank
    captured, guided = bank.calibration.model, request.how.seeds == "xai"
    problem = prepare(
        ground.network, bank, ground.circuits, ground.exact, evaluator.accelerator, BUDGET, None, progress,
        request.objective,
    )  # fmt: skip
    few = ground.search.images[: request.score_images]
    images = {"calibration": ground.calibration_images, "exact network": ground.baseline_images}
    scores: tuple[LayerScores, ...] = ()
    if guided:
        score = score_layers(
            request.score, captured, ground.network, bank.calibration, few, bank.recipe, progress
        )  # fmt: skip
        assert score is not None
        scores, images["score"] = (score,), score.network_images
        problem = replace(problem, weights=layer_weights(ground.network, score.values))
    least: dict[str, tuple[int, ...]] = {}
    measured = evaluator.run_images
    problem = _measured(ground, request, problem) if guided else problem
    if request.skip:
        values, images["neurons"] = channel_conductance(captured, few, progress=progress)
        outputs = frozenset(a for a, b in ground.network.edges if b == "output")
        order = neurons_of(captured, bank.calibration, values, outputs).importance
        least = {name: tuple(np.argsort(v, kind="stable").tolist()) for name, v in order.items()}
        problem = with_skipping(
            problem, neurons_of(captured, bank.calibration, values, outputs), SkipOptions(fractions=request.skip),
            evaluator, scores[0] if scores else None, _divergences(ground, request),
            _of_levels(request) if guided else NO_SENSITIVITY, request.sample_seed,
        )  # fmt: skip
    if guided:
        images["sensitivity"] = evaluator.run_images - measured
    return _with_seeds(ground, request, problem, least, scores, images, progress)


def _of_levels(request: XaiNasRequest) -> SensitivityOptions:
    """How many levels of skipping are measured: what they lose grows more evenly than what circuits do."""
    options = request.sensitivity
    return replace(options, points=max(1, options.points - 1)) if options.points else options


def _divergences(ground: Ground, request: XaiNasRequest) -> Callable[[Sequence[Assignment]], Floats]:
    most, search = request.sensitivity.images, ground.search
    few = Split("sensitivity", search.images[:most], search.labels[:most])
    return lambda assignments: np.array(ground.evaluator.divergences(assignments, few))


def _measured(ground: Ground, request: XaiNasRequest, problem: Problem) -> Problem:
    """Measure what a few multipliers do in each layer alone."""
    options = request.sensitivity
    if options.points == 0 or len(problem.multipliers) < 2:
        return problem
    divergences = _divergences(ground, request)

    def measure(choices: Ints) -> Floats:
        return divergences([problem.assignment(choice) for choice in choices])

    return replace(problem, expected=expect(problem, measure, options, np.random.default_rng(request.sample_seed)))


def _with_seeds(
    ground: Ground, request: XaiNasRequest, problem: Problem, least: Mapping[str, tuple[int, ...]],
    scores: tuple[LayerScores, ...], images: dict[str, int], progress: Progress | None,
) -> Plan:  # fmt: skip
    skipping = problem if isinstance(problem, SkippingProblem) else None
    shares = dict(zip(skipping.levels.layers, skipping.levels.fractions, strict=True)) if skipping else {}
    plan = Plan(
        layers=ground.network.layer_names, multipliers=problem.multipliers, pods=problem.table.pods,
        noise=tuple(tuple(row) for row in np.log10(problem.noise + LEAST_NOISE).tolist()), shares=shares,
        least={name: least[name] for name in shares}, scores=scores, images=images,
    )  # fmt: skip
    choices: list[Ints] = []
    if request.how.seeds == "xai":
        energy, harm = _tables(problem, LossPredictor(problem).table)
        if progress is not None:
            progress("seeds", 0, request.seeds)
        choices = xai_seeds(problem, Trade(energy, harm), request.seeds, request.loss_limit)
        plan = _replaced(plan, energy=energy, harm=harm)
    elif request.how.seeds == "macs":
        choices = macs_seeds(problem, ground.network, request.seeds)
    return _replaced(plan, seeds=tuple(candidate_of(plan, choice) for choice in choices))


def _replaced(plan: Plan, **fields: object) -> Plan:
    import msgspec

    return msgspec.structs.replace(plan, **fields)


def candidate_of(plan: Plan, choice: Ints) -> dict[str, Scalar]:
    """Return the candidate that a choice of a problem stands for."""
    return {path: values[int(i)] for (path, values), i in zip(plan.fields.items(), choice, strict=True)}


def _tables(problem: Problem, harm: Floats) -> tuple[tuple[tuple[float, ...], ...], tuple[tuple[float, ...], ...]]:
    """Return energy and predicted loss of each value of each field, as long as the field has values."""
    kinds, layers = len(problem.multipliers), len(problem.layers)
    energy = [row.tolist() for row in problem.table.dynamic_j]
    counts = [kinds] * layers
    if isinstance(problem, SkippingProblem):
        exact = problem.baseline
        for i, shares in enumerate(problem.levels.fractions):
            moves = np.repeat(exact[None, :], len(shares), axis=0)
            moves[:, layers + i] = np.arange(len(shares))
            energy.append((problem.energy_j(moves) - problem.exact_energy_j).tolist())
            counts.append(len(shares))
    caution = np.where(np.arange(len(counts)) < layers, 1.0, SKIP_CAUTION)[:, None]
    return (
        tuple(tuple(map(float, row)) for row in energy),
        tuple(tuple(row[:count].tolist()) for row, count in zip(caution * harm, counts, strict=True)),
    )
