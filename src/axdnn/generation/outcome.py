"""From a finished search to its `GenerationResult`: the proof, the reason, the notes, the figures side by side."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import torch

from axdnn.channels import ChannelCalibration
from axdnn.generation.judge import Judge
from axdnn.generation.precision import PRECISION
from axdnn.generation.prepare import SLACK
from axdnn.generation.problem import Expected, Problem
from axdnn.generation.request import Request
from axdnn.generation.skip_problem import SkippingProblem
from axdnn.hardware import estimate
from axdnn.layers import ApproxModel
from axdnn.quant import network_of
from axdnn.records import Accuracy, Assignment, GenerationResult, InfeasibleError, LayerScores, Network

PROOF_PRODUCTS = 200_000_000
PROOF_IMAGES = 256
MET = "the one-sided 95 % bound of the loss on the accept split is within the budget"
SPLITS_NOTE = (
    "choices were searched on held-out training images (search), accepted on disjoint ones (accept); the test split "
    "was used once, for the final figure"
)


def proof_images(images: torch.Tensor, network: Network) -> torch.Tensor:
    """Return the first images, as many as the literal reference gets through in reasonable time."""
    return images[: max(4, min(PROOF_IMAGES, PROOF_PRODUCTS // max(network.macs, 1)))]


def prove(model: ApproxModel, images: torch.Tensor) -> str:
    """Compare the fast paths with the literal reference, and say so.

    Raises:
        AssertionError: the logits differ in any bit.
    """
    fast = model(images)
    model.path = "reference"
    if not torch.equal(fast, model(images)):
        raise AssertionError("the literal reference disagrees with the fast kernels: please report this")
    return f"logits of {len(images)} images identical on the literal reference path"


def assemble(
    judge: Judge,
    request: Request,
    final: Accuracy,
    *,
    model: str,
    data: str,
    float_accuracy: float,
    network_images: int,
    wall_s: float,
    provenance: Mapping[str, str],
    images: Mapping[str, int],
    scores: tuple[LayerScores, ...],
) -> GenerationResult:
    """Put together what came out.

    Args:
        judge: after the search; its best choice is the result.
        request: what was asked.
        final: accuracy of that choice on the test split.
        model: label.
        data: label.
        float_accuracy: of the float network on the test split.
        network_images: all images sent through any network.
        wall_s: seconds spent.
        provenance: kept in the result.
        images: sizes of the splits.
        scores: importance of the layers.
    """
    evaluator, problem, assignment = judge.evaluator, judge.problem, judge.best_assignment
    require_kept(judge)
    baseline = evaluator.baseline
    met = bool((judge.best != problem.baseline).any() or judge.best_skipping)
    chosen = evaluator.history[assignment.key]
    chosen = msgspec.structs.replace(chosen, accuracy={**chosen.accuracy, "test": final})
    cost, base_cost = evaluator.cost(assignment), evaluator.cost(baseline)
    return GenerationResult(
        model=model, data=data, accelerator=evaluator.accelerator.name,
        multiplier_set=_set_name(request), strategy=request.strategy, objective=request.objective,
        seed=request.seed,
        max_accuracy_loss=request.max_accuracy_loss,
        status="met" if met else "exact", reason=_reason(met, judge, request),
        baseline_accuracy=final.baseline_accuracy, accuracy=final.accuracy, float_accuracy=float_accuracy,
        energy_j=cost.energy_j, baseline_energy_j=base_cost.energy_j,
        multiplier_energy_j=cost.multiplier_energy_j, baseline_multiplier_energy_j=base_cost.multiplier_energy_j,
        latency_s=cost.latency_s, baseline_latency_s=base_cost.latency_s,
        memory_bytes=cost.memory_bytes, baseline_memory_bytes=base_cost.memory_bytes,
        area_m2=cost.area_m2, baseline_area_m2=base_cost.area_m2,
        evaluations=evaluator.full_evaluations, network_images=network_images,
        wall_s=wall_s, assignment=dict(assignment.multipliers),
        skipped=_shares(evaluator.network, assignment),
        images=dict(images),
        provenance=dict(provenance), network=evaluator.network, baseline_cost=base_cost, cost=cost,
        paper_literal=evaluator.paper_cost(assignment), baseline_paper_literal=evaluator.paper_cost(baseline),
        ideal_cost=evaluator.cost(assignment, "ideal"), ideal_baseline_cost=evaluator.cost(baseline, "ideal"),
        chosen=chosen, scores=scores, visited=tuple(evaluator.history.values()),
        notes=_notes(judge, request),
    )  # fmt: skip


def require_kept(judge: Judge) -> None:
    """Refuse a result that breaks a limit: nothing was accepted, and the exact network is no answer.

    Raises:
        InfeasibleError: says which limits, and what the exact network needs.
    """
    problem = judge.problem
    if not problem.constraints or problem.chip is None or np.isfinite(problem.energy_j(judge.best)[0]):
        return
    exact = problem.chip.energy(problem.baseline[: len(problem.layers)])
    tried = len(judge.tried) - 1
    raise InfeasibleError(
        f"no choice within the accuracy budget keeps {problem.constraints}: the exact network needs "
        f"{float(exact.area_m2[0]):.4g} m2 of chip, and none of {tried} choices tried was "
        "accepted; allow more area, more loss or more evaluations"
    )


def _reason(met: bool, judge: Judge, request: Request) -> str:
    if met:
        return MET
    budget = judge.problem.budget
    tried = [v for v in (*judge.tried.values(), *judge.tried_skipping.values()) if v.bound > 0]
    failed = sum(v.bound > budget for v in tried)
    return (
        f"no cheaper assignment was accepted within {request.max_accuracy_loss:g} points: of {len(tried)} "
        f"tried, {failed} had a one-sided 95 % loss bound above it on the search split and {len(tried) - failed} "
        "were not confirmed on the accept split; the exact network is returned"
    )


def _set_name(request: Request) -> str:
    chosen = request.multipliers
    return chosen if isinstance(chosen, str) else ",".join(m.name for m in chosen)


def _notes(judge: Judge, request: Request) -> tuple[str, ...]:
    exact = judge.evaluator.multipliers[judge.evaluator.exact]
    offered = len({m.id for m in (exact, *request.candidates())})
    count = len(judge.problem.multipliers)
    skip_alone = request.skip is not None and not request.skip.multipliers
    screening = (
        f"{count} of {offered} multipliers are candidates for every strategy; the others were screened out: one that "
        f"costs less looked at most {SLACK:g} times as noisy in every layer (a heuristic, applied before and after "
        "fitting)"
        if request.screened
        else f"all {count} multipliers are candidates; none was screened out, and every choice was measured"
    )
    exact_only = (
        "candidates are exact products of fewer bits: circuits with low operand lines tied to 0, at the price of the "
        "whole circuit; weights are rounded to nearest",
    )
    return (
        "all multipliers are exact: neurons alone were skipped" if skip_alone else screening,
        *_checked(judge.problem.expected, "multiplier"),
        *_skipped(judge.problem, request),
        *_probed(judge),
        *_split(judge, request),
        *(exact_only if request.strategy in PRECISION else ()),
        SPLITS_NOTE,
        "energy, latency, memory and area are for one inference at batch 1; the headline reading is `buildable`",
    )


def _probed(judge: Judge) -> tuple[str, ...]:
    """Say how many choices were looked at on few images before one was tried."""
    if judge.probe is None or not judge.probe.seen:
        return ()
    return (
        f"{len(judge.probe.seen)} choices were probed on the {judge.probe.images} images of the search split that the "
        "exact network is least sure of before they or others were tried on the whole split",
    )


def _split(judge: Judge, request: Request) -> tuple[str, ...]:
    """Say what splitting layers by channels does to the price of the exact network."""
    evaluator, calibration = judge.evaluator, judge.evaluator.bank.calibration
    if not isinstance(calibration, ChannelCalibration):
        return ()
    exact = {evaluator.exact: evaluator.multipliers[evaluator.exact]}
    whole = network_of(calibration.whole.model, evaluator.network.name)
    assignment = Assignment(multipliers=dict.fromkeys(whole.layer_names, evaluator.exact))
    energy = estimate(whole, assignment, evaluator.accelerator, multipliers=exact).energy_j
    split = evaluator.cost(evaluator.baseline).energy_j
    return (
        f"layers are split into {request.channel_groups} groups of output channels, each priced as a layer of its own "
        f"that reads the inputs again: the exact network needs {split * 1e6:.4g} uJ so, and is what figures are "
        f"compared with; {energy * 1e6:.4g} uJ without the split",
    )


def _skipped(problem: Problem, request: Request) -> tuple[str, ...]:
    """Say how neurons were skipped, and how far the predictions were off."""
    if not isinstance(problem, SkippingProblem):
        asked = request.skip is not None and request.skip.fractions
        return ("no layer can skip neurons: the fractions round to none of them",) if asked else ()
    levels = problem.levels
    told = (
        f"a share of skipped neurons was chosen for each of {len(levels.layers)} layers that can skip, the "
        "least important by conductance first (of layers that make outputs: inputs, by the size of what they add); "
        "products of later layers with their zeros are left out"
    )
    return (told, *_checked(levels.expected, "level of skipping"))


def _checked(expected: Expected | None, what: str) -> tuple[str, ...]:
    """Say how far the predictions of single layers were off where they were held against measurements."""
    if expected is None or not expected.measured_pairs:
        return ()
    factors, held_out = expected.factors, len(expected.found)
    off = (
        f"; {held_out} of these were predicted from the others first, and off by a factor of {np.median(factors):.2f} "
        f"in the median, {factors.max():.2f} at worst"
        if held_out
        else ""
    )
    return (
        f"what a {what} in one layer does to the outputs is inferred from {expected.measured_pairs} measured pairs "
        f"of layer and {what}{off}",
    )


def _shares(network: Network, assignment: Assignment) -> dict[str, float]:
    """Layer -> share of its neurons that is skipped (of an output layer: of its inputs), for layers that skip any."""
    ends = {a for a, b in network.edges if b == "output"}
    shares = {}
    for layer in network.layers:
        outputs, inputs = layer.out_channels, layer.in_channels
        kind, count = (assignment.absent, inputs) if layer.name in ends else (assignment.skip, outputs)
        if kind.get(layer.name):
            shares[layer.name] = len(kind[layer.name]) / count
    return shares
