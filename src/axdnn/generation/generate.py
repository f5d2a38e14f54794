"""`generate`: from a trained network to a verified approximate network within an accuracy budget."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import nn

from axdnn.evaluation import (
    FULL_SHARE,
    CodingBank,
    Evaluator,
    OutOfEvaluationsError,
    RowMapping,
    Split,
    predictions,
)
from axdnn.generation.judge import Judge
from axdnn.generation.neurons import Neurons, neurons_of
from axdnn.generation.prepare import SLACK, prepare, score_layers
from axdnn.generation.problem import Problem
from axdnn.generation.request import Request
from axdnn.hardware import load_accelerator
from axdnn.importance import channel_conductance
from axdnn.layers import Calibration, Recipe
from axdnn.multipliers import load_multiplier
from axdnn.quant import capture, fold_batch_norm, network_of
from axdnn.records import (
    Assignment,
    Evaluation,
    GenerationResult,
    LayerScores,
    Network,
    Study,
)

Progress = Callable[[str, int, int], None]
PROOF_PRODUCTS = 200_000_000
PROOF_IMAGES = 256
NEURON_IMAGES = 32


def generate(
    model: nn.Module,
    calibration: torch.Tensor,
    splits: Mapping[str, Split],
    request: Request,
    *,
    name: str = "",
    data: str = "",
    provenance: Mapping[str, str] | None = None,
    cache: Path | None = None,
    codings: Path | None = None,
    progress: Progress | None = None,
    checkpoint: Callable[[Study, Evaluation | None], None] | None = None,
) -> GenerationResult:
    """Choose a multiplier for each layer of a trained model, verify it, and price it.

    Choices are searched on `splits["search"]` and accepted on `splits["accept"]` when the one-sided 95 % bound of the
    loss is within the budget; `splits["test"]` is used once, at the end.

    Args:
        model: trained network, see `axdnn.layers.approximate`.
        calibration: images `(n, ...)`.
        splits: `search`, `accept` and `test`.
        request: budget, multipliers, accelerator, strategy, seed.
        name: label of the model.
        data: label of the data.
        provenance: kept in the result.
        cache: folder for evaluations; with it a rerun repeats nothing.
        codings: folder for fitted codings, which several runs may share.
        progress: called with (message, done, total).
        checkpoint: called after each evaluation with the history and the best accepted evaluation.

    Returns:
        Chosen assignment beside the exact baseline; the exact network itself, with the reason, if nothing cheaper
        meets the budget.

    Raises:
        UnsupportedOperatorError: the model cannot be captured.
        InvalidInputError: unusable calibration data or request.
    """
    return _Run(
        model, calibration, splits, request, name, data, dict(provenance or {}), cache, codings, progress, checkpoint
    ).run()


class _Run:
    def __init__(
        self, model: nn.Module, calibration: torch.Tensor, splits: Mapping[str, Split], request: Request, name: str,
        data: str, provenance: dict[str, str], cache: Path | None, codings: Path | None,
        progress: Progress | None, checkpoint: Callable[[Study, Evaluation | None], None] | None,
    ) -> None:  # fmt: skip
        self.began = time.monotonic()
        self.splits, self.request = dict(splits), request
        self.name, self.data, self.provenance = name or type(model).__name__, data, provenance
        self.progress, self.checkpoint = progress, checkpoint
        self.captured = fold_batch_norm(capture(model, calibration))
        self.network = network_of(self.captured, self.name)
        recipe = Recipe(**{**request.recipe.__dict__, "seed": request.seed})
        self.calibration = Calibration(
            self.captured, calibration, recipe.fit_rows, recipe.seed, recipe.activation_range
        )
        chip = load_accelerator(request.accelerator)
        self.bank = CodingBank(self.calibration, recipe, codings, RowMapping.of(chip))
        self.exact = load_multiplier("exact")
        multipliers = {m.name: m for m in (self.exact, *request.candidates())}
        self.evaluator = Evaluator(
            self.bank, self.network, multipliers, self.exact.name,
            {s: self.splits[s] for s in ("search", "accept")}, chip, request.evaluations, cache, self._seen,
        )  # fmt: skip
        self.scores: list[LayerScores] = []
        self.best: Evaluation | None = None
        self.other_images = 0  # of the importance of neurons, the proof and the float network

    def run(self) -> GenerationResult:
        search = self.splits["search"]
        probe = search.images[: max(1, int(FULL_SHARE * len(search)))]
        recipe = self.bank.recipe
        score = score_layers(
            self.request.score, self.captured, self.network, self.calibration, probe, recipe, self.progress
        )
        self.scores += [score] if score else []
        problem = prepare(
            self.network, self.bank, self.request.candidates(), self.exact, self.evaluator.accelerator,
            self.request.max_accuracy_loss / 100.0, score, self.progress, self.request.objective,
        )  # fmt: skip
        problem = replace(problem, neurons=self._neurons(probe))
        judge = Judge(problem, self.evaluator, self.request.strategy, self._better, self.request.accept_tries)
        with contextlib.suppress(OutOfEvaluationsError):
            self.request.strategist()(judge, np.random.default_rng(self.request.seed))
        return self._result(judge, problem)

    def _neurons(self, images: torch.Tensor) -> Neurons | None:
        """Measure the importance of neurons if the strategy skips any."""
        if self.request.strategy != "paper" or self.request.paper.skip == 0:
            return None
        attributed = images[:NEURON_IMAGES]
        values, spent = channel_conductance(self.captured, attributed, progress=self.progress)
        self.other_images += spent
        outputs = frozenset(a for a, b in self.network.edges if b == "output")
        return neurons_of(self.captured, self.calibration, values, outputs)

    def _seen(self, message: str, done: int, total: int) -> None:
        if self.progress is not None:
            self.progress(message, done, total)
        self._save(False)

    def _better(self, evaluation: Evaluation) -> None:
        self.best = evaluation
        self._save(False)

    def _save(self, finished: bool) -> None:
        if self.checkpoint is not None:
            self.checkpoint(self._study(finished), self.best)

    def _study(self, finished: bool) -> Study:
        return Study(
            settings={"model": self.name, "data": self.data, "strategy": self.request.strategy},
            evaluations=tuple(self.evaluator.history.values()),
            full_evaluations=self.evaluator.full_evaluations,
            network_images=self._network_images(),
            finished=finished,
        )

    def _network_images(self) -> int:
        return self.evaluator.network_images + sum(s.network_images for s in self.scores) + self.other_images

    def _result(self, judge: Judge, problem: Problem) -> GenerationResult:
        evaluator, test = self.evaluator, self.splits["test"]
        assignment = judge.best_assignment
        baseline = evaluator.baseline
        met = bool((judge.best != problem.baseline).any() or judge.best_skipping)
        self.provenance["reference_check"] = self._prove(assignment)
        if self.progress is not None:
            self.progress("final accuracy on the test split", 0, 1)
        final = evaluator.accuracy(assignment, test)
        with torch.no_grad():
            floats = predictions(self.captured, test.images).eq(test.labels).double().mean()
        self.other_images += len(test)
        chosen = evaluator.history[assignment.key]
        chosen = msgspec.structs.replace(chosen, accuracy={**chosen.accuracy, "test": final})
        cost, base_cost = evaluator.cost(assignment), evaluator.cost(baseline)
        self._save(True)
        return GenerationResult(
            model=self.name, data=self.data, accelerator=evaluator.accelerator.name,
            multiplier_set=self._set_name(), strategy=self.request.strategy, objective=self.request.objective,
            seed=self.request.seed,
            max_accuracy_loss=self.request.max_accuracy_loss,
            status="met" if met else "exact", reason=self._reason(met, judge),
            baseline_accuracy=final.baseline_accuracy, accuracy=final.accuracy, float_accuracy=float(floats),
            energy_j=cost.energy_j, baseline_energy_j=base_cost.energy_j,
            multiplier_energy_j=cost.multiplier_energy_j, baseline_multiplier_energy_j=base_cost.multiplier_energy_j,
            latency_s=cost.latency_s, baseline_latency_s=base_cost.latency_s,
            memory_bytes=cost.memory_bytes, baseline_memory_bytes=base_cost.memory_bytes,
            area_m2=cost.area_m2, baseline_area_m2=base_cost.area_m2,
            evaluations=evaluator.full_evaluations, network_images=self._network_images(),
            wall_s=time.monotonic() - self.began, assignment=dict(assignment.multipliers),
            skipped=_shares(self.network, assignment),
            images={**{k: len(v) for k, v in self.splits.items()}, "calibration": len(self.calibration.images)},
            provenance=self.provenance, network=self.network, baseline_cost=base_cost, cost=cost,
            paper_literal=evaluator.paper_cost(assignment), baseline_paper_literal=evaluator.paper_cost(baseline),
            ideal_cost=evaluator.cost(assignment, "ideal"), ideal_baseline_cost=evaluator.cost(baseline, "ideal"),
            chosen=chosen, scores=tuple(self.scores), visited=tuple(evaluator.history.values()),
            notes=self._notes(problem),
        )  # fmt: skip

    def _prove(self, assignment: Assignment) -> str:
        """Compare the fast paths with the literal reference on held-out images; identical or an error."""
        count = max(4, min(PROOF_IMAGES, PROOF_PRODUCTS // max(self.network.macs, 1)))
        images = self.splits["search"].images[:count]
        if self.progress is not None:
            self.progress(f"literal reference on {len(images)} images", 0, 1)
        model = self.evaluator.model(assignment)
        fast = model(images)
        model.path = "reference"
        self.other_images += 2 * len(images)
        if not torch.equal(fast, model(images)):
            raise AssertionError("the literal reference disagrees with the fast kernels: please report this")
        return f"logits of {len(images)} images identical on the literal reference path"

    def _reason(self, met: bool, judge: Judge) -> str:
        if met:
            return "the one-sided 95 % bound of the loss on the accept split is within the budget"
        budget = judge.problem.budget
        tried = [v for v in (*judge.tried.values(), *judge.tried_skipping.values()) if v.bound > 0]
        failed = sum(v.bound > budget for v in tried)
        return (
            f"no cheaper assignment was accepted within {self.request.max_accuracy_loss:g} points: of {len(tried)} "
            f"tried, {failed} had a one-sided 95 % loss bound above it on the search split and {len(tried) - failed} "
            "were not confirmed on the accept split; the exact network is returned"
        )

    def _set_name(self) -> str:
        chosen = self.request.multipliers
        return chosen if isinstance(chosen, str) else ",".join(m.name for m in chosen)

    def _offered(self) -> int:
        """How many circuits there were to choose from, the exact one included."""
        return len({m.id for m in (self.exact, *self.request.candidates())})

    def _notes(self, problem: Problem) -> tuple[str, ...]:
        return (
            f"{len(problem.multipliers)} of {self._offered()} multipliers are candidates for every "
            f"strategy; the others were screened out: one that costs less looked at most {SLACK:g} times as noisy in "
            "every layer (a heuristic, applied before and after fitting)",
            "choices were searched on held-out training images (search), accepted on disjoint ones (accept); the test "
            "split was used once, for the final figure",
            "energy, latency, memory and area are for one inference at batch 1; the headline reading is `buildable`",
        )


def _shares(network: Network, assignment: Assignment) -> dict[str, float]:
    """Layer -> share of its neurons that is skipped (of an output layer: of its inputs), for layers that skip any."""
    ends = {a for a, b in network.edges if b == "output"}
    shares = {}
    for layer in network.layers:
        outputs, inputs = layer.n * layer.groups, layer.k * layer.groups // (layer.kernel[0] * layer.kernel[1])
        kind, count = (assignment.absent, inputs) if layer.name in ends else (assignment.skip, outputs)
        if kind.get(layer.name):
            shares[layer.name] = len(kind[layer.name]) / count
    return shares
