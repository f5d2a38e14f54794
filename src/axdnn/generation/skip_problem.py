"""A generation problem whose choices say, after the multiplier of each layer, which level of skipping each has."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace

import msgspec
import numpy as np

from axdnn.generation.divergence_model import Pairs
from axdnn.generation.problem import Expected, Floats, Ints, Prior, Problem
from axdnn.generation.sensitivity import SensitivityOptions, infer
from axdnn.generation.skip_levels import SkipLevels
from axdnn.generation.skip_prices import SkipPrices
from axdnn.records import Assignment

LEAST_NATS = 1e-4  # divergence that no loss of interest comes from


@dataclass(frozen=True)
class SkippingProblem(Problem):
    """Choose a multiplier for each of L layers, and a level of skipping for each of S layers.

    A choice has L + S positions; the predicted loss is a sum over them, the energy is not: it is that of the shapes
    that are left.

    Attributes:
        levels: of skipping.
        prices: of choices; their energies are the objective.
        chip_prices: of the whole chip, for the constraints; None without any.
    """

    levels: SkipLevels = field(kw_only=True)
    prices: SkipPrices = field(kw_only=True)
    chip_prices: SkipPrices | None = field(default=None, kw_only=True)

    @property
    def baseline(self) -> Ints:
        """The choice that is exact everywhere and skips nothing."""
        return np.concatenate([super().baseline, np.zeros(len(self.levels.layers), dtype=np.int64)])

    @property
    def exact_energy_j(self) -> float:
        """Energy of the exact network, whether it keeps the limits or not."""
        return float(self.prices.energy(self.baseline).energy_j[0])

    def energy_j(self, choices: Ints) -> Floats:
        """Energy of choices `(C, L + S)` that the search minimises; infinite where a limit is broken."""
        energy = self.prices.energy(choices).energy_j
        return energy if self.chip_prices is None else np.where(self.excess(choices) > 0, np.inf, energy)

    def excess(self, choices: Ints) -> Floats:
        """How far choices `(C, L + S)` are beyond the limits, 0 where they keep them; may be infinite."""
        choices = np.atleast_2d(choices)
        if self.chip_prices is None:
            return np.zeros(len(choices))
        priced = self.chip_prices.energy(choices) if self.constraints.limits_prices else None
        return self.constraints.excess(choices[:, : len(self.layers)], priced)

    def assignment(self, choice: Ints) -> Assignment:
        """Return a choice as a record."""
        plain, skipping = (
            super().assignment(choice[: len(self.layers)]),
            self.levels.skipping(choice[len(self.layers) :]),
        )
        return msgspec.structs.replace(plain, skip=skipping.skip, absent=skipping.absent) if skipping else plain

    @property
    def prior(self) -> Prior:
        """What predictions start from, `(L + S, K)`; what a position does not have looks like its last option."""
        layers, plain, levels = len(self.layers), super().prior, self.levels
        width = max(plain.harm.shape[1], levels.noise.shape[1])

        def stacked(above: Floats, below: Floats) -> Floats:
            rows = (np.pad(part, ((0, 0), (0, width - part.shape[1])), mode="edge") for part in (above, below))
            return np.concatenate(list(rows))

        if levels.expected is None or plain.spread is None:
            harm = stacked(self.noise, levels.filled(levels.noise))
            return Prior(harm, np.concatenate([self.weights, levels.weights]), None, layers)
        harm = stacked(plain.harm, levels.expected.nats)
        return Prior(harm, np.ones(len(harm)), stacked(plain.spread, levels.expected.spread), layers)

    def damage_of(self, choices: Ints) -> Floats:
        """Sum of damage over positions before its scale is known, `(C,)`."""
        prior = self.prior
        damage = prior.weights[:, None] * prior.harm
        return damage[np.arange(len(damage)), np.atleast_2d(choices)].sum(axis=1)


def with_levels(
    problem: Problem, levels: SkipLevels, prices: SkipPrices, chip_prices: SkipPrices | None
) -> SkippingProblem:
    """Return a problem with positions for levels of skipping."""
    plain = {f.name: getattr(problem, f.name) for f in fields(Problem)}
    return SkippingProblem(**plain | {"neurons": levels.neurons}, levels=levels, prices=prices, chip_prices=chip_prices)


def expect_levels(
    problem: SkippingProblem, measure: Callable[[Ints], Floats], options: SensitivityOptions, rng: np.random.Generator
) -> SkippingProblem:
    """Measure a few levels of each layer alone, check what they say of others, and infer all; see `expect`.

    Args:
        problem: levels, and the expectations of multipliers if any were measured.
        measure: divergences of choices `(C, L + S)` from the exact network, nats.
        options: how many.
        rng: picks the levels held out.
    """
    levels, layers = problem.levels, len(problem.layers)

    def nats(pairs: Pairs) -> Floats:
        choices = np.repeat(problem.baseline[None, :], len(pairs.layer), axis=0)
        choices[np.arange(len(choices)), layers + pairs.layer] = pairs.multiplier
        return measure(choices)

    found = infer(levels.noise, levels.weights, 0, nats, options, rng, LEAST_NATS)
    growing = np.maximum.accumulate(levels.filled(found.nats), axis=1)
    found = replace(found, nats=growing, spread=levels.filled(found.spread))
    nothing = np.zeros_like(problem.noise)
    alone = Expected(nothing, nothing, 0, np.empty(0), np.empty(0))  # exact multipliers do no harm
    return replace(problem, levels=replace(levels, expected=found), expected=problem.expected or alone)
