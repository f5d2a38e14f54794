"""The rules every strategy plays by: search on split A, accept on split B, keep the cheapest accepted choice."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any

import msgspec
import numpy as np
from scipy.stats import norm

from axdnn.evaluation import Z_95, Evaluator, OutOfEvaluationsError, Skipping
from axdnn.generation.probe import Probe
from axdnn.generation.problem import Ints, Problem
from axdnn.records import Assignment, Evaluation

NOTHING = Skipping()


@dataclass
class Verdict:
    """What became of a tried choice.

    Attributes:
        loss: on the search split, a fraction.
        bound: its one-sided 95 % bound.
        accepted: within the budget on the accept split; False if it failed on the search split already.
        sent: whether it was sent to the accept split.
    """

    loss: float
    bound: float
    accepted: bool
    sent: bool = False


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
        best: cheapest accepted choice. best_skipping: what it leaves out.
        on_best: called with the evaluation whenever `best` changes (so that an interrupt loses nothing).
        accept_tries: most choices sent to the accept split, which corrects its bound for the number of tries; None
            for any number and the plain 95 % bound each.
        accept_sent: choices sent so far, the exact network not counted.
        probe: what a strategy saw of choices on few images; those of a judge before this one go along.
    """

    problem: Problem
    evaluator: Evaluator
    strategy: str
    on_best: Callable[[Evaluation], None] | None = None
    accept_tries: int | None = None
    accept_sent: int = field(default=0, init=False)
    probe: Probe | None = field(default=None, init=False)
    best: Ints = field(init=False)
    best_skipping: Skipping = field(default=NOTHING, init=False)
    best_energy_j: float = field(init=False)
    tried: dict[tuple[int, ...], Verdict] = field(default_factory=dict)
    tried_skipping: dict[Any, Verdict] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Evaluate the exact network on both splits."""
        self.best = self.problem.baseline
        self.best_energy_j = self.problem.start_energy_j
        exact = self.problem.assignment(self.best)
        if exact.key not in self.evaluator.history:  # a judge before this one had it evaluated
            self.evaluator.evaluate(exact, "search", 0.0, self.strategy)
            self.evaluator.evaluate(exact, "accept")
        self.evaluator.mark(exact, True)
        self.tried[_key(self.best)] = Verdict(0.0, 0.0, True)

    def inherit(self, other: Judge) -> None:
        """Take over what another judge has seen of the same choices with the same evaluator, under another budget.

        Nothing of it is measured again. Choices whose bound on the accept split is known are accepted or not by that;
        of those that the search split allows only now, the cheapest are sent to the accept split until one is accepted.

        Raises:
            OutOfEvaluationsError: the cap is reached; what was known is taken over all the same.
        """
        for key, seen in other.tried.items():
            choice, assignment = np.array(key, dtype=np.int64), self.problem.assignment(np.array(key))
            if key == _key(self.problem.baseline):
                continue
            bound = self.evaluator.loss_bound(assignment, "accept", self.accept_z) if seen.sent else inf
            accepted = max(bound, seen.bound) <= self.problem.budget
            self.tried[key] = Verdict(seen.loss, seen.bound, accepted, seen.sent)
            self.evaluator.mark(assignment, accepted)
            if accepted and self.cheaper(choice):
                self.best, self.best_energy_j = choice, self.energy_j(choice)
        self.accept_sent, self.probe = other.accept_sent, other.probe
        for choice in self.waiting():
            if self.confirm(choice).accepted:
                break

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

    @property
    def best_assignment(self) -> Assignment:
        """The cheapest accepted choice as a record."""
        return self.assignment(self.best, self.best_skipping)

    def assignment(self, choice: Ints, skipping: Skipping = NOTHING) -> Assignment:
        """Return a choice as a record."""
        plain = self.problem.assignment(choice)
        return msgspec.structs.replace(plain, skip=skipping.skip, absent=skipping.absent) if skipping else plain

    def energy_j(self, choice: Ints, skipping: Skipping = NOTHING) -> float:
        """Return what the search minimises (`Problem.objective`) of a choice; infinite with more kinds than pods."""
        plain = float(self.problem.energy_j(choice)[0])
        if not skipping or plain == inf:
            return plain
        assignment = self.assignment(choice, skipping)
        if self.problem.objective == "paper_literal":
            return self.evaluator.paper_cost(assignment).energy_j
        cost = self.evaluator.cost(assignment)
        return cost.energy_j if self.problem.objective == "energy" else cost.multiplier_energy_j

    def verdict(self, choice: Ints, skipping: Skipping = NOTHING) -> Verdict | None:
        """Return what is known of a choice."""
        return self.tried_skipping.get((_key(choice), skipping.key)) if skipping else self.tried.get(_key(choice))

    def knows(self, choice: Ints, skipping: Skipping = NOTHING) -> bool:
        """Whether a choice has been tried."""
        return self.verdict(choice, skipping) is not None

    def cheaper(self, choice: Ints, skipping: Skipping = NOTHING) -> bool:
        """Whether a choice costs less than the best one accepted."""
        return self.energy_j(choice, skipping) < self.best_energy_j * (1 - 1e-9)

    def try_(self, choice: Ints, predicted: float | None = None, skipping: Skipping = NOTHING) -> Verdict:
        """Evaluate a choice (or recall it).

        Args:
            choice: indices of multipliers.
            predicted: loss that the strategy expects, kept in the record.
            skipping: neurons and products that are left out.

        Raises:
            OutOfEvaluationsError: the cap is reached.
        """
        known = self.verdict(choice, skipping)
        if known is not None:
            return known
        verdict = self._look(choice, predicted, skipping)
        if self._may_confirm(verdict, choice, skipping):
            return self.confirm(choice, skipping)
        self.evaluator.mark(self.assignment(choice, skipping), False)
        return verdict

    def measure(self, choice: Ints, predicted: float | None = None, skipping: Skipping = NOTHING) -> Verdict:
        """Evaluate a choice on the search split alone (or recall it), for strategies that keep an archive of them.

        Args:
            choice: indices of multipliers.
            predicted: loss that the strategy expects, kept in the record.
            skipping: neurons and products that are left out.

        Raises:
            OutOfEvaluationsError: the cap is reached.
        """
        known = self.verdict(choice, skipping)
        if known is not None:
            return known
        verdict = self._look(choice, predicted, skipping)
        self.evaluator.mark(self.assignment(choice, skipping), False)
        return verdict

    def confirm(self, choice: Ints, skipping: Skipping = NOTHING) -> Verdict:
        """Send a measured choice to the accept split, if it has not been there and the rules allow it.

        Raises:
            KeyError: the choice was not measured.
            OutOfEvaluationsError: the cap is reached.
        """
        verdict = self.verdict(choice, skipping)
        if verdict is None:
            raise KeyError(f"choice {_key(choice)} must be measured before it is confirmed")
        if verdict.sent or not self._may_confirm(verdict, choice, skipping):
            return verdict
        assignment = self.assignment(choice, skipping)
        self.evaluator.evaluate(assignment, "accept")
        self.accept_sent, verdict.sent = self.accept_sent + 1, True
        verdict.accepted = self.evaluator.loss_bound(assignment, "accept", self.accept_z) <= self.problem.budget
        if verdict.accepted:
            self.best, self.best_skipping = choice.copy(), skipping
            self.best_energy_j = self.energy_j(choice, skipping)
        evaluation = self.evaluator.mark(assignment, verdict.accepted)
        if verdict.accepted and self.on_best is not None:
            self.on_best(evaluation)
        return verdict

    def waiting(self, dominated: bool = False) -> list[Ints]:
        """Return measured choices that may still be confirmed, cheapest first.

        Args:
            dominated: also those that a cheaper one beats in the bound on the search split, whether that one was
                refused on the accept split or not.
        """
        within = [key for key, verdict in self.tried.items() if verdict.bound <= self.problem.budget]
        energies = self.problem.energy_j(np.array(within, dtype=np.int64))
        kept, lowest = list[Ints](), inf
        for energy, key in sorted(zip(energies.tolist(), within, strict=True)):
            verdict = self.tried[key]
            if energy >= self.best_energy_j * (1 - 1e-9) or not self._may_send:
                break
            if (dominated or verdict.bound < lowest) and not verdict.sent:
                kept.append(np.array(key, dtype=np.int64))
            lowest = min(lowest, verdict.bound)
        return kept

    def _may_confirm(self, verdict: Verdict, choice: Ints, skipping: Skipping) -> bool:
        return verdict.bound <= self.problem.budget and self.cheaper(choice, skipping) and self._may_send

    def _look(self, choice: Ints, predicted: float | None, skipping: Skipping) -> Verdict:
        """Evaluate a choice that is not known on the search split."""
        assignment = self.assignment(choice, skipping)
        found = self.evaluator.evaluate(assignment, "search", predicted, self.strategy).accuracy["search"]
        verdict = Verdict(found.loss, found.loss_bound, False)
        if skipping:
            self.tried_skipping[_key(choice), skipping.key] = verdict
        else:
            self.tried[_key(choice)] = verdict
        return verdict


def _key(choice: Ints) -> tuple[int, ...]:
    return tuple(int(m) for m in np.asarray(choice))


__all__ = ["Judge", "OutOfEvaluationsError", "Verdict"]
