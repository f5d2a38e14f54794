"""The rules every strategy plays by: search on split A, accept on split B, keep the cheapest accepted choice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from scipy.stats import norm

from axdnn.evaluation import Z_95, Evaluator, OutOfEvaluationsError
from axdnn.generation.problem import Ints, Problem
from axdnn.records import Evaluation


@dataclass
class Verdict:
    """What became of a tried choice.

    Attributes:
        loss: on the search split, a fraction.
        bound: its one-sided 95 % bound.
        accepted: within the budget on the accept split; False if it failed on the search split already.
    """

    loss: float
    bound: float
    accepted: bool


@dataclass
class Judge:
    """Tries choices against an evaluator under a budget.

    A choice goes to the accept split only if its bound on the search split is within the budget and it is cheaper than
    what was accepted so far. The exact network is accepted from the start. Strategies learn a yes or no from the accept
    split, never its losses, and no choice is tried twice.

    What the bound means: it holds with 95 % for one choice that was picked without the accept split. A search tries
    several, so that at least one choice too many is accepted with up to 5 % for each try on the accept split (the final
    figure on the test split is not touched by this). With `accept_tries` the whole search keeps the 95 %: at most that
    many choices are sent, each has to hold at a level of 5 % divided by `2**accept_tries - 1`, the number of choices
    that could be sent when each may depend on the answers before it (a union bound; the number of tries alone would
    not be enough).

    Attributes:
        problem: prices and damage.
        evaluator: counts and caches.
        strategy: name kept in the records.
        best: cheapest accepted choice.
        on_best: called with the evaluation whenever `best` changes (so that an interrupt loses nothing).
        accept_tries: most choices sent to the accept split, which corrects its bound for the number of tries; None
            for any number and the plain 95 % bound each.
        accept_sent: choices sent so far, the exact network not counted.
    """

    problem: Problem
    evaluator: Evaluator
    strategy: str
    on_best: Callable[[Evaluation], None] | None = None
    accept_tries: int | None = None
    accept_sent: int = field(default=0, init=False)
    best: Ints = field(init=False)
    best_energy_j: float = field(init=False)
    tried: dict[tuple[int, ...], Verdict] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Evaluate the exact network on both splits."""
        self.best = self.problem.baseline
        self.best_energy_j = float(self.problem.energy_j(self.best)[0])
        exact = self.problem.assignment(self.best)
        self.evaluator.evaluate(exact, "search", 0.0, self.strategy)
        self.evaluator.evaluate(exact, "accept")
        self.evaluator.mark(exact, True)
        self.tried[_key(self.best)] = Verdict(0.0, 0.0, True)

    @property
    def left(self) -> int:
        """Full evaluations that may still be made."""
        return self.evaluator.left

    @property
    def accept_z(self) -> float:
        """Normal quantile that a choice has to hold on the accept split."""
        if self.accept_tries is None:
            return Z_95
        return float(norm.isf(0.05 / (2**self.accept_tries - 1)))

    @property
    def _may_send(self) -> bool:
        return self.accept_tries is None or self.accept_sent < self.accept_tries

    def knows(self, choice: Ints) -> bool:
        """Whether a choice has been tried."""
        return _key(choice) in self.tried

    def cheaper(self, choice: Ints) -> bool:
        """Whether a choice costs less than the best one accepted."""
        return float(self.problem.energy_j(choice)[0]) < self.best_energy_j * (1 - 1e-9)

    def try_(self, choice: Ints, predicted: float | None = None) -> Verdict:
        """Evaluate a choice (or recall it).

        Raises:
            OutOfEvaluationsError: the cap is reached.
        """
        if self.knows(choice):
            return self.tried[_key(choice)]
        assignment = self.problem.assignment(choice)
        found = self.evaluator.evaluate(assignment, "search", predicted, self.strategy).accuracy["search"]
        verdict = Verdict(found.loss, found.loss_bound, False)
        self.tried[_key(choice)] = verdict
        if found.loss_bound <= self.problem.budget and self.cheaper(choice) and self._may_send:
            self.accept_sent += 1
            self.evaluator.evaluate(assignment, "accept")
            verdict.accepted = self.evaluator.loss_bound(assignment, "accept", self.accept_z) <= self.problem.budget
            if verdict.accepted:
                self.best, self.best_energy_j = choice.copy(), float(self.problem.energy_j(choice)[0])
        evaluation = self.evaluator.mark(assignment, verdict.accepted)
        if verdict.accepted and self.on_best is not None:
            self.on_best(evaluation)
        return verdict


def _key(choice: Ints) -> tuple[int, ...]:
    return tuple(int(m) for m in np.asarray(choice))


__all__ = ["Judge", "OutOfEvaluationsError", "Verdict"]
