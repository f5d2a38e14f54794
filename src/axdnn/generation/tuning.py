"""Recovery by training: an assignment bolder than the budget allows, and weights that learn its errors, in turns.

A search without training comes first (any strategy), and what it measured predicts losses. Then the programme's
cheapest choice at a predicted loss of several budgets is fine-tuned with the exact network as teacher, and judged like
any other: by its loss against the exact network, which is not trained further, on the search and on the accept split.
Where it holds, the next choice is bolder, else one between the last that held and it. Training images are neither in
those splits nor among the test images.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf, sqrt
from pathlib import Path

import numpy as np
import torch

from axdnn.evaluation import Split, paired_loss_bound, predictions
from axdnn.generation.generate import Run
from axdnn.generation.integer import learned
from axdnn.generation.judge import Judge
from axdnn.generation.problem import Ints
from axdnn.generation.programme import Programme
from axdnn.layers import ApproxModel
from axdnn.records import Accuracy, Assignment, CostReport, InvalidInputError, require_finite
from axdnn.retraining import FineTuning, fine_tune, trainable

Augment = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


@dataclass(frozen=True, kw_only=True)
class TuningOptions:
    """How assignments and training take turns.

    Attributes:
        rounds: assignments that are trained, each from the weights of the exact network.
        first: predicted loss, before training, of the first one in budgets.
        bolder: factor on it while assignments are accepted.
        fine_tuning: of each.
    """

    rounds: int = 3
    first: float = 4.0
    bolder: float = 2.0
    fine_tuning: FineTuning = field(default_factory=lambda: FineTuning(epochs=2, distillation=0.5))

    def __post_init__(self) -> None:
        """Check the ranges."""
        require_finite("rounds", self.rounds, 1)
        require_finite("first", self.first, 0.0)
        require_finite("bolder", self.bolder, 1.0)


@dataclass(frozen=True)
class Trained:
    """One assignment that was trained.

    Attributes:
        assignment: multiplier of each layer.
        level: predicted loss before training, in budgets.
        before: accuracy on the search split before training.
        accuracy: by split, after training; `accept` only if the search split allowed it.
        accepted: whether its bound on the accept split is within the budget.
        cost: on the accelerator.
        losses: mean training loss of each epoch.
    """

    assignment: Assignment
    level: float
    before: Accuracy
    accuracy: dict[str, Accuracy]
    accepted: bool
    cost: CostReport
    losses: tuple[float, ...]


@dataclass(frozen=True)
class TuningResult:
    """What training brought.

    Attributes:
        untrained: the cheapest choice accepted without training.
        untrained_cost, exact_cost: of that one, and of the exact network.
        rounds: all assignments trained, in order.
        chosen: the cheapest of them that was accepted and costs less than `untrained`; None if there is none.
        model: its integer network, trained.
        test: accuracy on the test split of the chosen network, looked at once.
        training_images: images that training went through.
        network_images: images through networks apart from training.
    """

    untrained: Assignment
    untrained_cost: CostReport
    exact_cost: CostReport
    rounds: tuple[Trained, ...]
    chosen: Trained | None
    model: ApproxModel
    test: Accuracy
    training_images: int
    network_images: int


def tune(
    run: Run,
    train: Split,
    options: TuningOptions | None = None,
    *,
    augment: Augment | None = None,
    checkpoints: Path | None = None,
) -> TuningResult:
    """Search without training, then train bolder assignments.

    Args:
        run: of the network, with its request and splits.
        train: images and labels to train on; none of the other splits'.
        options: rounds and settings of the training.
        augment: see `retraining.fine_tune`.
        checkpoints: folder; a training that was interrupted goes on from there.

    Raises:
        InvalidInputError: layers that cannot be trained through, no training images.
    """
    if train.digest in {split.digest for split in run.splits.values()}:
        raise InvalidInputError("training images must not be those of another split, but they are")
    if run.request.skip is not None:
        raise InvalidInputError("networks with skipped neurons are not trained: leave `skip` out of the request")
    options, judge = options or TuningOptions(), run.search()
    return _Tuning(run, judge, train, options, augment, checkpoints).result()


class _Tuning:
    def __init__(
        self, run: Run, judge: Judge, train: Split, options: TuningOptions, augment: Augment | None,
        checkpoints: Path | None,
    ) -> None:  # fmt: skip
        self.run, self.judge, self.train, self.options = run, judge, train, options
        self.augment, self.checkpoints = augment, checkpoints
        self.programme = Programme(judge.problem, learned(judge).table)
        self.rounds: list[Trained] = []
        self.chosen: tuple[Trained, ApproxModel] | None = None
        self.energy_j = judge.best_energy_j

    def result(self) -> TuningResult:
        evaluator, low, high = self.run.evaluator, 1.0, inf
        level = self.options.first
        for _ in range(self.options.rounds):
            choice = self.programme.cheapest(level * self.judge.problem.budget)
            if choice is None or self.judge.energy_j(choice) >= self.energy_j * (1 - 1e-9):
                break
            if self._train(choice, level):
                low, level = level, level * self.options.bolder if high == inf else sqrt(level * high)
            else:
                high, level = level, sqrt(low * level)
            self.programme.forbid(choice)
        untrained, test = self.judge.best_assignment, self.run.splits["test"]
        chosen, model = self.chosen or (None, evaluator.model(untrained))
        return TuningResult(
            untrained, evaluator.cost(untrained), evaluator.cost(evaluator.baseline), tuple(self.rounds), chosen,
            model, self._accuracy(model, test),
            len(self.rounds) * self.options.fine_tuning.epochs * len(self.train), evaluator.network_images,
        )  # fmt: skip

    def _train(self, choice: Ints, level: float) -> bool:
        """Train one choice and judge it; True if it is accepted."""
        run, problem = self.run, self.judge.problem
        assignment, calibration = problem.assignment(choice), run.bank.calibration
        start = run.evaluator.model(assignment)
        before = self._accuracy(start, run.splits["search"])
        network = trainable(start, run.captured, calibration.images, recipe=run.bank.recipe)
        file = None if self.checkpoints is None else self.checkpoints / f"{assignment.key}.pt"
        losses = fine_tune(
            network, self.train.images, self.train.labels, self.options.fine_tuning, teacher=run.captured,
            augment=self.augment, checkpoint=file, progress=run.progress,
        )  # fmt: skip
        model = network.finish()
        accuracy = {"search": self._accuracy(model, run.splits["search"])}
        accepted = accuracy["search"].loss <= problem.budget
        if accepted:
            accuracy["accept"] = self._accuracy(model, run.splits["accept"])
            accepted = accuracy["accept"].loss_bound <= problem.budget
        cost = run.evaluator.cost(assignment)
        trained = Trained(assignment, level, before, accuracy, accepted, cost, tuple(losses))
        self.rounds.append(trained)
        if accepted:
            self.chosen, self.energy_j = (trained, model), self.judge.energy_j(choice)
        return accepted

    def _accuracy(self, model: ApproxModel, split: Split) -> Accuracy:
        exact = self.run.evaluator.correct(self.run.evaluator.baseline, split)
        found = np.asarray(predictions(model, split.images).eq(split.labels).numpy())
        self.run.evaluator.run_images += len(split)
        return Accuracy(
            split=split.name, images=len(split), accuracy=float(found.mean()), baseline_accuracy=float(exact.mean()),
            loss_bound=paired_loss_bound(exact, found),
        )  # fmt: skip
