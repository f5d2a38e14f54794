"""Recovery by training: an assignment bolder than the budget allows, and weights that learn its errors, in turns.

A search without training comes first (any strategy), and what it measured predicts losses. Then the programme's
cheapest choice at a predicted loss of several budgets is fine-tuned with the exact network as teacher, and judged like
any other: by its loss against the exact network, which is not trained further, on the search and on the accept split.
Where it holds, the next choice is bolder, else one between the last that held and it. With `alternate` the weights that
held are what the next choice is made from and trained on from (see `stages`). Training images are neither in those
splits nor among the test images.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from math import inf, sqrt
from pathlib import Path

import numpy as np
import torch

from axdnn.evaluation import Split, paired_loss_bound, predictions
from axdnn.generation.generate import Run
from axdnn.generation.judge import Judge
from axdnn.generation.problem import Ints
from axdnn.generation.request import Request
from axdnn.generation.stages import Stage, TrainedStage
from axdnn.generation.trained import Trained, TuningResult
from axdnn.generation.tuning_options import TuningOptions
from axdnn.hardware import load_accelerator
from axdnn.layers import ApproxModel
from axdnn.quant import CapturedModel
from axdnn.records import Accuracy, Assignment, InvalidInputError
from axdnn.retraining import DivergedError, fine_tune, latent_weights, require_trainable, trainable, trained_float

# Levels that are looked at under trained weights until a choice is cheaper than the accepted one.
LEVELS = 4
Augment = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


def tune(
    run: Run,
    train: Split,
    options: TuningOptions | None = None,
    *,
    judge: Judge | None = None,
    augment: Augment | None = None,
    checkpoints: Path | None = None,
) -> TuningResult:
    """Search without training, then train bolder assignments.

    Args:
        run: of the network, with its request and splits.
        train: images and labels to train on; none of the other splits'.
        options: rounds and settings of the training.
        judge: of `run.search()`, if that has been done.
        augment: see `retraining.fine_tune`.
        checkpoints: folder; a training that was interrupted goes on from there.

    Raises:
        UnsupportedOperatorError: an operator that cannot be trained through; before the search.
        InvalidInputError: training images of another split, an array with exact rows; before the search.
    """
    require_tunable(run.captured, run.request)
    if train.digest in {split.digest for split in run.splits.values()}:
        raise InvalidInputError("training images must not be those of another split, but they are")
    return _Tuning(run, judge or run.search(), train, options or TuningOptions(), augment, checkpoints).result()


def require_tunable(captured: CapturedModel, request: Request) -> None:
    """Refuse a network or a request that training is not for.

    Raises:
        UnsupportedOperatorError: an operator that cannot be trained through.
        InvalidInputError: several inputs or results; an array with exact rows, whose terms training cannot tell apart;
            neurons to skip.
    """
    accelerator = load_accelerator(request.accelerator)
    if request.skip is not None:
        raise InvalidInputError("networks with skipped neurons are not trained: leave `skip` out of the request")
    require_trainable(captured)
    if len(captured.input_shapes) > 1 or len(captured.outputs) > 1:
        raise InvalidInputError("fine-tuning is for models of one input and one result, class scores (b, n); wrap it")
    if accelerator.exact_rows:
        raise InvalidInputError(
            f"fine-tuning needs arrays without exact rows, but {accelerator.name!r} has {accelerator.exact_rows} of "
            "them; choose another accelerator"
        )


class _Tuning:
    def __init__(
        self, run: Run, judge: Judge, train: Split, options: TuningOptions, augment: Augment | None,
        checkpoints: Path | None,
    ) -> None:  # fmt: skip
        self.run, self.judge, self.train, self.options = run, judge, train, options
        self.augment, self.checkpoints = augment, checkpoints
        self.budget = judge.problem.budget
        self.stages = [Stage(run, judge)]
        self.weights: CapturedModel | None = None  # float, of an accepted training that no stage was made of yet
        self.rounds: list[Trained] = []
        self.chosen: tuple[Trained, ApproxModel] | None = None
        self.energy_j = judge.best_energy_j

    @property
    def stage(self) -> Stage:
        """What choices are made from."""
        return self.stages[-1]

    def result(self) -> TuningResult:
        level, low, high = self.options.first, 1.0, inf
        for _ in range(self.options.rounds):
            if self.weights is not None and self.chosen is not None:
                self.stages.append(self._after(*self.chosen, self.weights))
                self.weights, low, high = None, 1.0, inf
            choice, level = self._next(level)
            if choice is None:
                break
            held = self._train(choice, level)
            self.stage.refuse(choice)
            if self.weights is None:  # else the same level again: training won that much back once
                if held:
                    low, level = level, level * self.options.bolder if high == inf else sqrt(level * high)
                else:
                    high, level = level, sqrt(low * level)
        return self._told()

    def _after(self, accepted: Trained, model: ApproxModel, weights: CapturedModel) -> Stage:
        return TrainedStage(self.stage, model, weights, accepted.assignment, accepted.accuracy["search"].loss)

    def _told(self) -> TuningResult:
        evaluator, later = self.run.evaluator, self.stages[1:]
        untrained, test = self.judge.best_assignment, self.run.splits["test"]
        if self.chosen is None:
            chosen, model, final = None, evaluator.model(untrained), evaluator.accuracy(untrained, test)
        else:
            chosen, model = self.chosen
            final = self._accuracy(model, test)
        stage_images = sum(stage.network_images for stage in later)
        evaluations = sum(1 + len(one.accuracy) for one in self.rounds) + sum(stage.evaluations for stage in later)
        return TuningResult(
            untrained, evaluator.cost(untrained), evaluator.cost(evaluator.baseline), tuple(self.rounds), chosen,
            model, final, len(self.rounds) * self.options.fine_tuning.epochs * len(self.train),
            evaluator.network_images + stage_images, stage_images, evaluations,
        )  # fmt: skip

    def _next(self, level: float) -> tuple[Ints | None, float]:
        """Return the choice to train, None if nothing is cheaper than what was accepted, and its level."""
        for _ in range(LEVELS if self.stage.number else 1):
            choice = self.stage.cheapest(level * self.budget)
            if choice is not None and self.stage.energy_j(choice) < self.energy_j * (1 - 1e-9):
                return choice, level
            level *= self.options.bolder
        return None, level

    def _train(self, choice: Ints, level: float) -> bool:
        """Train one choice and judge it; True if it is accepted. One whose training diverges is refused."""
        stage, origin = self.stage, self.run
        assignment, calibration = stage.problem.assignment(choice), stage.bank.calibration
        start = stage.model(assignment)
        before, accuracy = self._accuracy(start, origin.splits["search"]), dict[str, Accuracy]()
        network = trainable(start, calibration.model, calibration.images, recipe=stage.bank.recipe)
        origin.evaluator.run_images += calibration.count
        latent = latent_weights(network)
        losses = list[float]()
        with contextlib.suppress(DivergedError):
            losses = fine_tune(
                network, self.train.images, self.train.labels, self.options.fine_tuning, teacher=origin.captured,
                augment=self.augment, checkpoint=self._checkpoint(assignment), progress=origin.progress,
            )  # fmt: skip
        model = network.finish() if losses else start
        accepted, cost = bool(losses) and self._accepted(model, accuracy), origin.evaluator.cost(assignment)
        trained = Trained(assignment, level, before, accuracy, accepted, cost, tuple(losses), stage.number)
        self.rounds.append(trained)
        if accepted:
            self.chosen, self.energy_j = (trained, model), stage.energy_j(choice)
            if self.options.alternate:
                self.weights = trained_float(network, latent, calibration.model, calibration.images)
                origin.evaluator.run_images += 2 * calibration.count
        return accepted

    def _checkpoint(self, assignment: Assignment) -> Path | None:
        stage = f"-{self.stage.number}" if self.stage.number else ""
        return None if self.checkpoints is None else self.checkpoints / f"{assignment.key}{stage}.pt"

    def _accepted(self, model: ApproxModel, accuracy: dict[str, Accuracy]) -> bool:
        """Judge a trained network as `Judge` does any other; what was measured goes into `accuracy`."""
        splits = self.run.splits
        accuracy["search"] = self._accuracy(model, splits["search"])
        if accuracy["search"].loss > self.budget:
            return False
        accuracy["accept"] = self._accuracy(model, splits["accept"])
        return accuracy["accept"].loss_bound <= self.budget

    def _accuracy(self, model: ApproxModel, split: Split) -> Accuracy:
        exact = self.run.evaluator.correct(self.run.evaluator.baseline, split)
        found = np.asarray(predictions(model, split.images).eq(split.labels).numpy())
        self.run.evaluator.run_images += len(split)
        return Accuracy(
            split=split.name, images=len(split), accuracy=float(found.mean()), baseline_accuracy=float(exact.mean()),
            loss_bound=paired_loss_bound(exact, found),
        )  # fmt: skip
