"""What assignments are chosen from while training goes on: the network's own weights, or an accepted training.

After an accepted training a choice is the trained network with other circuits in some layers: these are coded anew
under the trained weights, the others keep what they learned. What an exchange does to the outputs is measured anew,
layer by layer. Only losses are counted as before, from the exact network with the weights that it came with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch

from axdnn.evaluation import FULL_SHARE, Z_95, CodingBank, Split, paired_loss_bound, predictions
from axdnn.generation.generate import Run
from axdnn.generation.integer import learned
from axdnn.generation.judge import Judge
from axdnn.generation.predictor import LossPredictor
from axdnn.generation.prepare import prepare
from axdnn.generation.problem import Floats, Ints
from axdnn.generation.programme import Programme
from axdnn.generation.sensitivity import expect
from axdnn.importance import divergence, log_probabilities
from axdnn.layers import ApproxModel, Calibration
from axdnn.quant import CapturedModel
from axdnn.records import Assignment
from axdnn.retraining import Exchange

# Of a choice after an accepted training, how often it is measured, learned from and made anew before it is trained.
PROBES = 3


class Stage:
    """The weights that the network came with, and what the search without training learned of them.

    Attributes:
        number: accepted trainings that led here.
        bank: codings under these weights.
        problem: prices and what was measured.
        evaluations: on whole splits, made here.
    """

    def __init__(self, run: Run, judge: Judge) -> None:
        self.number, self.origin, self.bank, self.problem = 0, run, run.bank, judge.problem
        self.programme = Programme(judge.problem, learned(judge).table)
        self.evaluations = 0

    @property
    def network_images(self) -> int:
        """Images sent through networks here that the evaluator of the run does not count."""
        return 0

    def energy_j(self, choice: Ints) -> float:
        """Return what is minimised, of a choice."""
        return float(self.problem.energy_j(choice)[0])

    def cheapest(self, most_loss: float) -> Ints | None:
        """Return the cheapest choice that is predicted to lose at most so much before it is trained."""
        return self.programme.cheapest(most_loss)

    def refuse(self, choice: Ints) -> None:
        """Do not propose a choice again."""
        self.programme.forbid(choice)

    def model(self, assignment: Assignment) -> ApproxModel:
        """Return the network of an assignment before it is trained."""
        return self.origin.evaluator.model(assignment)


class TrainedStage(Stage):
    """An accepted training.

    Args:
        before: the stage that it began with.
        trained: its integer network.
        weights: the float network that this stands for.
        accepted: its assignment.
        loss: on the search split, from the exact network as it came.
    """

    def __init__(
        self, before: Stage, trained: ApproxModel, weights: CapturedModel, accepted: Assignment, loss: float
    ) -> None:
        run, recipe, old = before.origin, before.bank.recipe, before.bank
        self.number, self.origin, self.evaluations, self.loss = before.number + 1, run, 0, loss
        self.accepted, self.refused, self.run_images = accepted.multipliers, list[Ints](), 0
        data = Calibration(weights, old.calibration.images, recipe.fit_rows, recipe.seed, recipe.activation_range)
        self.bank = CodingBank(data, recipe, old.folder, old.rows)
        self.exchange = Exchange(trained, data)
        problem = before.problem
        circuits = [run.evaluator.multipliers[name] for name in problem.multipliers]
        self.problem = prepare(
            run.network, self.bank, circuits, run.exact, run.evaluator.accelerator, problem.budget,
            run.scores[-1] if run.scores else None, run.progress, problem.objective, problem.constraints, False,
        )  # fmt: skip
        self._measure_layers()
        self.predictor = LossPredictor(self.problem)
        self._plan()

    @property
    def network_images(self) -> int:
        """Images sent through networks here that the evaluator of the run does not count."""
        return self.run_images + self.exchange.network_images + self.bank.calibration.network_images

    def cheapest(self, most_loss: float) -> Ints | None:
        """Return the cheapest choice that is predicted to lose at most so much, after a few measurements."""
        known = set[bytes]()
        for _ in range(PROBES):
            choice = self.programme.cheapest(most_loss - self.loss)
            if choice is None or choice.tobytes() in known:
                return choice
            known.add(choice.tobytes())
            self._learn(choice)
        return self.programme.cheapest(most_loss - self.loss)

    def refuse(self, choice: Ints) -> None:
        """Do not propose a choice again."""
        self.refused.append(choice)
        super().refuse(choice)

    def model(self, assignment: Assignment) -> ApproxModel:
        """Return the trained network with the circuits of an assignment where they are others."""
        return self._exchanged({k: m for k, m in assignment.multipliers.items() if m != self.accepted[k]})

    def _exchanged(self, circuits: dict[str, str]) -> ApproxModel:
        multipliers = self.origin.evaluator.multipliers
        return self.exchange.model({layer: self.bank.get(layer, multipliers[name]) for layer, name in circuits.items()})

    def _plan(self) -> None:
        self.programme = Programme(self.problem, self.predictor.table)
        for refused in self.refused:
            self.programme.forbid(refused)

    def _learn(self, choice: Ints) -> None:
        """Measure what a choice loses before it is trained, and correct the prediction."""
        split, evaluator = self.origin.splits["search"], self.origin.evaluator
        exact = evaluator.correct(evaluator.baseline, split)
        model = self.model(self.problem.assignment(choice))
        found = np.asarray(predictions(model, split.images).eq(split.labels).numpy())
        self.run_images, self.evaluations = self.run_images + len(split), self.evaluations + 1
        loss = float(exact.mean() - found.mean())
        self.predictor.learn(choice, loss - self.loss, (paired_loss_bound(exact, found) - loss) / Z_95)
        self._plan()

    def _measure_layers(self) -> None:
        """Measure how far an exchange in one layer moves the trained network's outputs; a kept circuit moves none."""
        options, problem = self.origin.request.sensitivity, self.problem
        if options.points and len(problem.multipliers) > 1:
            rng = np.random.default_rng(self.origin.request.seed)
            expected = expect(problem, self._divergences(), options, rng)
            nats = expected.nats.copy()
            nats[self._kept()] = 0.0
            self.problem = replace(problem, expected=replace(expected, nats=nats))
            return
        noise = problem.noise.copy()
        noise[self._kept()] = 0.0
        self.problem = replace(problem, noise=noise)

    def _kept(self) -> tuple[Ints, Ints]:
        """Return the pairs of layer and multiplier of the accepted assignment."""
        members = self.problem.members or tuple((name,) for name in self.problem.layers)
        kinds = [self.problem.multipliers.index(self.accepted[names[0]]) for names in members]
        return np.arange(len(kinds)), np.array(kinds, dtype=np.int64)

    @torch.no_grad()
    def _divergences(self) -> Callable[[Ints], Floats]:
        """Return a measure of choices that name the exchanged layers, the others being exact in name only."""
        search, options = self.origin.splits["search"], self.origin.request.sensitivity
        count = min(options.images, max(1, int(FULL_SHARE * len(search))))
        few = Split("sensitivity", search.images[:count], search.labels[:count])
        reference = log_probabilities(self.exchange.trained(few.images))
        self.run_images += count

        def measure(choices: Ints) -> Floats:
            nats = []
            for i, choice in enumerate(choices):
                named = self.problem.assignment(choice).multipliers
                model = self._exchanged({k: m for k, m in named.items() if m != self.origin.exact.name})
                nats.append(float(divergence(reference, model(few.images)).mean()))
                self.run_images += count
                if self.origin.progress is not None:
                    self.origin.progress("exchange in single layers", i + 1, len(choices))
            return np.array(nats)

        return measure
