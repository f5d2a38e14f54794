"""`generate`: from a trained network to a verified approximate network within an accuracy budget."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from axdnn.channels import coding_bank, described, recorded_channels
from axdnn.evaluation import (
    FULL_SHARE,
    Evaluator,
    OutOfEvaluationsError,
    RowMapping,
    Split,
    predictions,
)
from axdnn.generation.exhaustive import require_exhaustible
from axdnn.generation.judge import Judge
from axdnn.generation.neurons import Neurons, neurons_of
from axdnn.generation.outcome import assemble, proof_images, prove
from axdnn.generation.prepare import prepare, score_layers
from axdnn.generation.problem import Expected, Floats, Ints, Problem
from axdnn.generation.request import Request
from axdnn.generation.sensitivity import expect
from axdnn.generation.skipping import with_skipping
from axdnn.hardware import load_accelerator
from axdnn.importance import channel_conductance
from axdnn.layers import SHARED_BYTES, Recipe
from axdnn.multipliers import load_multiplier
from axdnn.quant import capture, fold_batch_norm
from axdnn.records import Assignment, Evaluation, GenerationResult, InvalidInputError, LayerScores, Study

Progress = Callable[[str, int, int], None]
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
    shared_bytes: int = SHARED_BYTES,
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
        shared_bytes: most bytes of activations held so that choices that begin alike share work; changes no result.

    Returns:
        Chosen assignment beside the exact baseline; the exact network itself, with the reason, if nothing cheaper
        meets the budget.

    Raises:
        UnsupportedOperatorError: the model cannot be captured.
        InvalidInputError: unusable calibration data or request.
    """
    return Run(
        model,
        calibration,
        splits,
        request,
        name,
        data,
        provenance,
        cache,
        codings,
        progress,
        checkpoint,
        shared_bytes,
    ).run()


class Run:
    """A generation of one network: fitted, searched, proved and put together; see `generate` for the arguments."""

    def __init__(
        self, model: nn.Module, calibration: torch.Tensor, splits: Mapping[str, Split], request: Request,
        name: str = "", data: str = "", provenance: Mapping[str, str] | None = None, cache: Path | None = None,
        codings: Path | None = None, progress: Progress | None = None,
        checkpoint: Callable[[Study, Evaluation | None], None] | None = None, shared_bytes: int = SHARED_BYTES,
    ) -> None:  # fmt: skip
        self.began = time.monotonic()
        self.splits, self.request = dict(splits), request
        self.name, self.data, self.provenance = name or type(model).__name__, data, dict(provenance or {})
        self.progress, self.checkpoint = progress, checkpoint
        self.captured = fold_batch_norm(capture(model, calibration))
        if len(self.captured.input_shapes) > 1 or len(self.captured.outputs) > 1:
            raise InvalidInputError(
                "`generate` judges by accuracy and needs a model of one input and one result, class scores (b, n), "
                f"but this one has {len(self.captured.input_shapes)} and {len(self.captured.outputs)}; wrap it"
            )
        recipe = Recipe(**{**request.recipe.__dict__, "seed": request.seed})
        chip = load_accelerator(request.accelerator)
        self.bank = coding_bank(
            self.captured, calibration, recipe, codings, RowMapping.of(chip), request.channel_groups
        )
        self.calibration = self.bank.calibration
        self.captured = self.calibration.model  # split by channels, if that is asked for
        self.network = described(self.bank, self.name)
        self.provenance |= recorded_channels(self.bank)
        self.exact = load_multiplier("exact")
        offered = (self.exact, *request.candidates())
        if request.strategy == "exhaustive":  # before any work
            require_exhaustible(len({m.id for m in offered}), len(self.network.layers), request.evaluations)
        multipliers = {m.name: m for m in offered}
        self.evaluator = Evaluator(
            self.bank, self.network, multipliers, self.exact.name,
            {s: self.splits[s] for s in ("search", "accept")}, chip, request.evaluations, cache, self._seen,
            shared_bytes,
        )  # fmt: skip
        self.scores: list[LayerScores] = []
        self.best: Evaluation | None = None
        self.other_images = 0  # of the importance of neurons, the proof and the float network

    def run(self) -> GenerationResult:
        """Search, prove the choice and use the test split once."""
        return self.result(self.search())

    def search(self) -> Judge:
        """Score, prepare and let the strategy try choices; the test split is not touched."""
        return self.attempt(self.problem())

    def attempt(self, problem: Problem, known: Judge | None = None) -> Judge:
        """Let the strategy try choices under the budget of a problem, with what a judge before this one has seen."""
        request = self.request
        judge = Judge(problem, self.evaluator, request.strategy, self._better, request.accept_tries)
        with contextlib.suppress(OutOfEvaluationsError):
            if known is not None:
                judge.inherit(known)
            request.strategist()(judge, np.random.default_rng(request.seed))
        return judge

    def problem(self) -> Problem:
        """Score the layers, fit and price the candidates, measure single layers if the strategy asks for it."""
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
            self.request.constraints, self.request.screened, self.request.skip is not None,
        )  # fmt: skip
        neurons = self._neurons(probe)
        problem = replace(problem, neurons=neurons, expected=self._expected(problem, len(probe)))
        if self.request.skip is None or neurons is None:
            return problem
        return with_skipping(
            problem, neurons, self.request.skip, self.evaluator, score, self._divergences(len(probe)),
            self.request.sensitivity, self.request.seed,
        )  # fmt: skip

    def _expected(self, problem: Problem, most: int) -> Expected | None:
        """Measure what a few multipliers do in each layer alone, if the strategy predicts losses from that."""
        options = self.request.sensitivity
        if self.request.strategy != "integer" or options.points == 0 or len(problem.multipliers) < 2:
            return None
        divergences = self._divergences(most)

        def measure(choices: Ints) -> Floats:
            return divergences([problem.assignment(choice) for choice in choices])

        return expect(problem, measure, options, np.random.default_rng(self.request.seed))

    def _divergences(self, most: int) -> Callable[[Sequence[Assignment]], Floats]:
        """Return what measures the divergences of assignments on a few images of the search split."""
        search, images = self.splits["search"], min(most, self.request.sensitivity.images)
        few = Split("sensitivity", search.images[:images], search.labels[:images])
        return lambda assignments: np.array(self.evaluator.divergences(assignments, few))

    def _neurons(self, images: torch.Tensor) -> Neurons | None:
        """Measure the importance of neurons if the strategy skips any."""
        if not self.request.skips:
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
            network_images=self.network_images(),
            finished=finished,
        )

    def network_images(self) -> int:
        """Return the images sent through any network so far."""
        return self.evaluator.network_images + sum(s.network_images for s in self.scores) + self.other_images

    def result(self, judge: Judge) -> GenerationResult:
        """Prove the choice, use the test split once, and put together what came out."""
        evaluator, test, assignment = self.evaluator, self.splits["test"], judge.best_assignment
        images = proof_images(self.splits["search"].images, self.network)
        if self.progress is not None:
            self.progress(f"literal reference on {len(images)} images", 0, 1)
        self.provenance["reference_check"] = prove(evaluator.model(assignment), images)
        self.other_images += 2 * len(images)
        if self.progress is not None:
            self.progress("final accuracy on the test split", 0, 1)
        final = evaluator.accuracy(assignment, test)
        with torch.no_grad():
            floats = predictions(self.captured, test.images).eq(test.labels).double().mean()
        self.other_images += len(test)
        self._save(True)
        return assemble(
            judge, self.request, final, model=self.name, data=self.data, float_accuracy=float(floats),
            network_images=self.network_images(), wall_s=time.monotonic() - self.began, provenance=self.provenance,
            images={**{k: len(v) for k, v in self.splits.items()}, "calibration": len(self.calibration.images)},
            scores=tuple(self.scores),
        )  # fmt: skip
