"""A generation problem as plain arrays: what each multiplier costs and spoils in each layer."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from axdnn.generation.neurons import Neurons
from axdnn.generation.objective import Objective
from axdnn.hardware import CostTable
from axdnn.records import Assignment

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


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

    @property
    def damage(self) -> Floats:
        """Predicted damage of a candidate in a layer before its scale is known: weight times noise, `(L, M)`."""
        return self.weights[:, None] * self.noise

    @property
    def baseline(self) -> Ints:
        """The choice that is exact everywhere."""
        return np.full(len(self.layers), self.exact, dtype=np.int64)

    def energy_j(self, choices: Ints) -> Floats:
        """Energy of choices `(C, L)` that the search minimises; infinite with more kinds than pods."""
        return self.table.energy(choices).energy_j

    def damage_of(self, choices: Ints) -> Floats:
        """Sum of damage over layers, `(C,)`."""
        return self.damage[np.arange(len(self.layers)), np.atleast_2d(choices)].sum(axis=1)

    def assignment(self, choice: Ints) -> Assignment:
        """Return a choice as a record."""
        return Assignment(multipliers={n: self.multipliers[int(m)] for n, m in zip(self.layers, choice, strict=True)})


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
