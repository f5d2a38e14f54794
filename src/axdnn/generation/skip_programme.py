"""The programme with levels of skipping: their energy linearised around a choice, the solution polished exactly.

Variables besides those of `Programme`: `y[s, k]` is 1 if layer s has level k. What a level saves depends on the
multipliers and on the levels of the layers around it. Around a choice it is the exact difference that one level alone
makes; the programme is solved again around what it found, as long as that is better.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

from axdnn.generation.neighbours import kind_moves, kind_swaps
from axdnn.generation.problem import Floats, Ints, Problem
from axdnn.generation.programme import Around, Programme
from axdnn.generation.skip_problem import SkippingProblem

PATH, THINNED = 16, 200


class SkipProgramme(Programme):
    """Assignments with skipped neurons of least energy or least damage.

    Args:
        problem: prices and levels.
        damage: predicted loss of each option of each position, `(L + S, K)`, non-negative.
    """

    rounds = 3

    def __init__(self, problem: SkippingProblem, damage: Floats) -> None:
        layers, kinds = len(problem.layers), len(problem.multipliers)
        self.skips, self.allowed, self.every = problem, problem.levels.allowed, damage
        self.level_damage = damage[layers:, : self.allowed.shape[1]]
        self.n_y, self.refused = self.allowed.size, np.empty((0, len(damage)), dtype=np.int64)
        super().__init__(problem, damage[:layers, :kinds])

    def damage_of(self, choices: Ints) -> Floats:
        """Return the predicted damage of choices `(C, L + S)`."""
        return self.every[np.arange(len(self.every)), np.atleast_2d(choices)].sum(axis=1)

    def _structure(self) -> None:
        super()._structure()
        one_level = sparse.kron(sparse.eye_array(len(self.allowed)), np.ones((1, self.allowed.shape[1])))
        nothing = (sparse.csr_array((len(self.allowed), n)) for n in (self.n_x, self.n_z))
        self._add(*nothing, 1.0, 1.0, one_level)

    def _least_latency(self) -> Floats | None:
        """Latency of each layer with the most neurons skipped, `(L, P)`: no choice is faster."""
        prices = self.skips.chip_prices
        return None if prices is None else prices.at(self.skips.levels.last)[1]

    def refuse(self, choice: Ints) -> None:
        """Exclude a choice and all that skip as much or more in every layer with the same multipliers."""
        layers = self.shape[0]
        super().refuse(choice)
        above = np.arange(self.allowed.shape[1])[None, :] >= choice[layers:, None]
        x = Programme._forbidding(self, choice[:layers])[0]
        self._add(x, np.zeros((1, self.n_z)), -np.inf, len(choice) - 1.0, above.astype(np.float64).reshape(1, -1))
        self.refused = np.vstack([self.refused, choice])

    def taken(self, choices: Ints) -> npt.NDArray[np.bool_]:
        """Return which choices are excluded, or skip as much or more everywhere as a refused one, `(C,)`."""
        layers, taken = self.shape[0], super().taken(choices)
        for choice in self.refused:
            same = (choices[:, :layers] == choice[:layers]).all(axis=1)
            taken |= same & (choices[:, layers:] >= choice[layers:]).all(axis=1)
        return taken

    def _forbidding(self, choice: Ints) -> tuple[Floats, Floats]:
        layers = self.shape[0]
        levels = np.zeros(self.allowed.shape)
        levels[np.arange(len(levels)), choice[layers:]] = 1.0
        return super()._forbidding(choice[:layers])[0], levels.reshape(1, -1)

    @cached_property
    def _pairs(self) -> Ints:
        """Choices of one or two kinds without skipping, and some of them with levels of growing damage per saving."""
        plain = super()._pairs
        some = plain[:: max(1, len(plain) // THINNED)]
        path = self._path()
        path = path[np.unique(np.linspace(0, len(path) - 1, PATH if len(some) > 1 else len(path)).astype(np.int64))]
        mixed = np.hstack([np.repeat(some, len(path), axis=0), np.tile(path, (len(some), 1))])
        none = np.zeros((len(plain), len(self.allowed)), dtype=np.int64)
        return np.concatenate([np.hstack([plain, none]), mixed])

    def _path(self) -> Ints:
        """Levels `(n, S)` from none on, raised one by one in the order of damage per energy saved."""
        saved = -self._differences(self.problem.baseline)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(saved > 0, self.level_damage / saved, np.inf)[:, 1:]
        ratio = np.where(self.allowed[:, 1:], np.maximum.accumulate(ratio, axis=1), np.nan)
        order = [spot for spot in np.argsort(ratio.ravel(), kind="stable") if np.isfinite(ratio.flat[spot])]
        path = np.zeros((len(order) + 1, len(self.allowed)), dtype=np.int64)
        for step, spot in enumerate(order, start=1):
            path[step:, spot // ratio.shape[1]] += 1
        return path

    def _differences(self, choice: Ints) -> Floats:
        """Energy that each level adds to a choice in place of the layer's own, `(S, K)`; 0 where there is none."""
        layers, (rows, levels) = self.shape[0], self.allowed.shape
        flips = np.repeat(choice[None, :], rows * levels, axis=0)
        flips[np.arange(len(flips)), layers + np.repeat(np.arange(rows), levels)] = np.tile(np.arange(levels), rows)
        flips = np.where(self.allowed.reshape(-1, 1), flips, choice)
        energy = self.skips.prices.energy(np.vstack([choice[None, :], flips])).energy_j
        return np.asarray(energy[1:] - energy[0]).reshape(rows, levels)

    def moves(self, choice: Ints) -> Ints:
        """Choices near one: other multipliers, other levels, two levels by one step, and a level with a multiplier."""
        layers, (rows, levels) = self.shape[0], self.allowed.shape
        kinds, now = kind_moves(choice[:layers], self.shape[1]), choice[layers:]
        steps = np.array([now + sign * one for one in np.eye(rows, dtype=np.int64) for sign in (-1, 1)])
        single = np.repeat(now[None, :], rows * levels, axis=0)
        single[np.arange(len(single)), np.repeat(np.arange(rows), levels)] = np.tile(np.arange(levels), rows)
        both = (steps[:, None, :] + (steps - now)[None, :, :]).reshape(-1, rows)
        skips = self._valid(np.concatenate([single, both, now[None, :] + 1, now[None, :] - 1]))
        used = np.isin(kinds, np.unique(choice[:layers])).all(axis=1)
        one = kinds[used & ((kinds != choice[:layers]).sum(axis=1) <= 1)]
        near = np.unique(np.concatenate([one, kind_swaps(choice[:layers], self.shape[1])]), axis=0)
        stepped = self._valid(steps)
        moves = np.concatenate([
            np.hstack([kinds, np.tile(now, (len(kinds), 1))]),
            np.hstack([np.tile(choice[:layers], (len(skips), 1)), skips]),
            np.hstack([np.repeat(near, len(stepped), axis=0), np.tile(stepped, (len(near), 1))]),
        ])  # fmt: skip
        return np.asarray(moves[~self.taken(moves)])

    def _valid(self, levels: Ints) -> Ints:
        levels = np.unique(levels, axis=0)
        return levels[((levels >= 0) & (levels <= self.skips.levels.last)).all(axis=1)]

    def _points(self, best: Ints) -> list[Ints]:
        """Linearise around the best choice, and around it without skipping, whose levels no multiplier hides."""
        without = np.concatenate([best[: self.shape[0]], np.zeros(len(self.allowed), dtype=np.int64)])
        return [best] if np.array_equal(best, without) else [best, without]

    def _around(self, choice: Ints) -> Around:
        layers, prices = self.shape[0], self.skips.prices.energy(choice)
        dynamic, latency = self.skips.prices.at(choice[layers:])
        return Around(
            self._static_w(prices.pods[0]), float(prices.latency_s[0]), dynamic, latency, self._differences(choice)
        )

    def _energy(self, around: Around) -> Floats:
        return np.concatenate([super()._energy(around), around.levels_j.ravel() / self._unit()])

    def _damage(self) -> Floats:
        return np.concatenate([super()._damage(), np.where(self.allowed, self.level_damage, 0.0).ravel()])

    def _most(self) -> Floats:
        return np.concatenate([super()._most(), self.allowed.ravel().astype(np.float64)])

    def _decoded(self, x: Floats) -> Ints:
        levels = x[self.n_x + self.n_z :].reshape(self.allowed.shape).argmax(axis=1)
        return np.concatenate([super()._decoded(x), levels.astype(np.int64)])


def programme_of(problem: Problem, damage: Floats) -> Programme:
    """Return the programme of a problem, with levels of skipping if it has any.

    Args:
        problem: prices.
        damage: predicted loss of each option of each position, non-negative.
    """
    return SkipProgramme(problem, damage) if isinstance(problem, SkippingProblem) else Programme(problem, damage)
