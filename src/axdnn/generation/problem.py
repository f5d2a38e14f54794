"""A generation problem as plain arrays: what each multiplier costs and spoils in each layer."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from axdnn.generation.constraints import Constraints
from axdnn.generation.neurons import Neurons
from axdnn.generation.objective import Objective
from axdnn.hardware import CostTable
from axdnn.records import Assignment

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
NO_CONSTRAINTS = Constraints()
BEYOND = 1e6
"""Any choice costs less than so many exact networks."""


@dataclass(frozen=True)
class Expected:
    """What multipliers do to the outputs, inferred from pairs of layer and multiplier that were measured.

    Attributes:
        nats: mean divergence of the outputs when one layer alone uses a multiplier, `(L, M)`; 0 for the exact one.
        spread: standard deviation of each as a share of it, `(L, M)`.
        measured_pairs: how many.
        predicted: nats of the pairs held out, before they were looked at, `(H,)`.
        found: nats of these pairs as measured, `(H,)`.
    """

    nats: Floats
    spread: Floats
    measured_pairs: int
    predicted: Floats
    found: Floats

    @property
    def factors(self) -> Floats:
        """By which factor each prediction was off, at least 1, `(H,)`."""
        return np.exp(np.abs(np.log(self.predicted / self.found)))


class Prior(NamedTuple):
    """What predictions of losses start from; N is the number of positions of a choice, K of options at most.

    Attributes:
        harm: of each option, in proportion to the loss that it causes but for the weight, `(N, K)`.
        weights: factor of each position, `(N,)`.
        spread: standard deviation of the harm as a share of it, `(N, K)`; None where nothing was measured.
        first_growing: from this position on more of an option is never better: harm does not fall along the options.
    """

    harm: Floats
    weights: Floats
    spread: Floats | None
    first_growing: int


@dataclass(frozen=True)
class Problem:
    """Choose a multiplier for each of L layers from M candidates.

    Attributes:
        layers: names.
        multipliers: candidate names; index `exact` is the exact baseline.
        table: prices; their energies are the objective.
        noise: share of a layer's output variance that a candidate gets wrong after compensation, `(L, M)`.
        weights: importance of each layer, mean 1, `(L,)`.
        exact: index of the exact multiplier.
        budget: largest accuracy loss, a fraction.
        mean_error: mean absolute error of each candidate's table over all operand pairs, `(M,)`.
        objective: what the energies of `table` are, see `objective_table`.
        neurons: importance of the neurons of each layer, for strategies that skip some; None if nobody asked.
        constraints: what a choice must keep besides the budget.
        chip: prices of the whole chip, whatever the objective, for the constraints.
        expected: divergences inferred from measured pairs; None if none were measured.
        members: names of the network's layers behind each of `layers`, where some share their multiplier; empty: each
            stands for itself.
    """

    layers: tuple[str, ...]
    multipliers: tuple[str, ...]
    table: CostTable
    noise: Floats
    weights: Floats
    exact: int
    budget: float
    mean_error: Floats
    objective: Objective = "energy"
    neurons: Neurons | None = None
    constraints: Constraints = NO_CONSTRAINTS
    chip: CostTable | None = None
    members: tuple[tuple[str, ...], ...] = ()
    expected: Expected | None = None

    @property
    def prior(self) -> Prior:
        """What predictions start from: importance times noise, or divergences where they were measured."""
        if self.expected is None:
            return Prior(self.noise, self.weights, None, len(self.layers))
        return Prior(self.expected.nats, np.ones(len(self.layers)), self.expected.spread, len(self.layers))

    @property
    def damage(self) -> Floats:
        """Predicted damage of a candidate in a layer before its scale is known: weight times noise, `(L, M)`."""
        return self.weights[:, None] * self.noise

    @property
    def baseline(self) -> Ints:
        """The choice that is exact everywhere."""
        return np.full(len(self.layers), self.exact, dtype=np.int64)

    def energy_j(self, choices: Ints) -> Floats:
        """Energy of choices `(C, L)` that the search minimises; infinite with too many kinds or a limit broken."""
        energy = self.table.energy(choices).energy_j
        if not self.constraints or self.chip is None:
            return energy
        return np.where(self.excess(choices) > 0, np.inf, energy)

    def excess(self, choices: Ints) -> Floats:
        """How far choices `(C, L)` are beyond the limits, 0 where they keep them; may be infinite."""
        if not self.constraints or self.chip is None:
            return np.zeros(len(np.atleast_2d(choices)))
        priced = self.chip.energy(choices) if self.constraints.limits_prices else None
        return self.constraints.excess(np.atleast_2d(choices), priced)

    @property
    def start_energy_j(self) -> float:
        """What a first accepted choice must undercut: the exact network, or anything if that one breaks a limit."""
        energy = float(self.energy_j(self.baseline)[0])
        return energy if np.isfinite(energy) else BEYOND * self.exact_energy_j

    @property
    def exact_energy_j(self) -> float:
        """Energy of the exact network, whether it keeps the limits or not."""
        return float(self.table.energy(self.baseline).energy_j[0])

    def damage_of(self, choices: Ints) -> Floats:
        """Sum of damage over layers, `(C,)`."""
        return self.damage[np.arange(len(self.layers)), np.atleast_2d(choices)].sum(axis=1)

    def assignment(self, choice: Ints) -> Assignment:
        """Return a choice as a record."""
        members = self.members or tuple((name,) for name in self.layers)
        return Assignment(
            multipliers={n: self.multipliers[int(m)] for names, m in zip(members, choice, strict=True) for n in names}
        )

    def tied(self, groups: tuple[tuple[str, ...], ...]) -> Problem:
        """Return the problem in which the layers of a group share their multiplier; damage and costs add up."""
        if all(len(names) == 1 for names in groups):
            return self
        owner = np.array([next(i for i, g in enumerate(groups) if name in g) for name in self.layers])

        def summed(values: Floats) -> Floats:
            total = np.zeros((len(groups), *values.shape[1:]))
            np.add.at(total, owner, values)
            return total

        def joined(table: CostTable) -> CostTable:
            return msgspec.structs.replace(
                table, layers=names, dynamic_j=summed(table.dynamic_j), multiplier_j=summed(table.multiplier_j),
                latency_s=summed(table.latency_s),
            )  # fmt: skip

        names = tuple("+".join(group) for group in groups)
        weights = summed(self.weights)
        return replace(
            self, layers=names, members=groups, table=joined(self.table), weights=weights / weights.mean(),
            chip=None if self.chip is None else joined(self.chip), noise=summed(self.damage) / weights[:, None],
        )  # fmt: skip


def undominated(costs: Floats, noise: Floats, keep: int, slack: float = 1.0) -> list[int]:
    """Return candidates that no other one beats in every layer.

    With `slack` above 1 a candidate also goes if one that stays costs less everywhere and is at most that much noisier
    in every layer. Whatever goes is beaten by one that stays.

    Args:
        costs: what to pay, lower is better, `(C, M)` for C kinds of cost.
        noise: `(L, M)`.
        keep: index that stays whatever happens (the exact multiplier).
        slack: factor on the noise of a cheaper candidate, at least 1.

    Returns:
        Indices in ascending order. Of equal candidates the first stays.
    """
    values = np.concatenate([costs, noise])
    alive = []
    for m in range(values.shape[1]):
        no_worse = (values <= values[:, [m]]).all(axis=0)
        better = (values < values[:, [m]]).any(axis=0)
        first_equal = no_worse & ~better & (np.arange(values.shape[1]) < m)
        if m == keep or not ((no_worse & better) | first_equal).any():
            alive.append(m)
    kept: list[int] = []  # cheapest first, so that what stands for others has been kept itself
    for m in sorted(alive, key=lambda m: (*costs[:, m], m)):
        cheaper = (costs[:, kept] < costs[:, [m]]).all(axis=0)
        near = (noise[:, kept] <= slack * noise[:, [m]]).all(axis=0)
        if m == keep or slack <= 1 or not (cheaper & near).any():
            kept.append(m)
    return sorted(kept)
