"""The assignment as a mixed-integer linear programme (HiGHS through SciPy), finished by exact local search.

Variables: `x[l, m, n]` is 1 if layer l uses multiplier m on n pods of that kind; `z[m, n]` is 1 if n pods hold m.
Energy is dynamic energy plus static power times latency; the product of static power (which multipliers the pods hold)
and latency (how many pods each layer gets) is linearised around the best choice that local searches on exact prices
find from many starts; the solution is polished the same way (the tests compare with exhaustive search).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from axdnn.generation.neighbours import kind_moves, two_kinds
from axdnn.generation.problem import Floats, Ints, Problem
from axdnn.generation.silence import silent_output

# A limit on nodes is the same on every machine; the limit on time is a last resort.
NODE_LIMIT = 5_000
TIME_LIMIT_S = 60.0
RELATIVE_GAP = 1e-6
STARTS = 6
TIGHTENINGS = 2
TOLERANCE = 1e-9
BROKEN = 1e9  # exact networks: the value of a choice that breaks a limit


class Around(NamedTuple):
    """Point of linearisation.

    Attributes:
        static_w: power of the chip. latency_s: of the network.
        dynamic_j: energy of each layer without static power, `(L, M)`. layer_latency_s: of each layer, `(L, P)`.
        levels_j: energy that levels of skipping add, `(S, K)`; empty without any.
    """

    static_w: float
    latency_s: float
    dynamic_j: Floats
    layer_latency_s: Floats
    levels_j: Floats


class Programme:
    """Assignments of a problem with least energy or least damage.

    Args:
        problem: prices.
        damage: predicted loss of multiplier m in layer l, `(L, M)`, non-negative.
    """

    rounds = 1  # of linearisation
    n_y = 0  # variables of levels of skipping

    def __init__(self, problem: Problem, damage: Floats) -> None:
        self.problem, self.damage = problem, damage
        self.shape = (len(problem.layers), len(problem.multipliers), problem.table.pods)
        layers, kinds, pods = self.shape
        self.n_x, self.n_z = layers * kinds * pods, kinds * pods
        self.forbidden: set[tuple[int, ...]] = set()
        self.rows: list[sparse.csr_array] = []
        self.low: list[Floats] = []
        self.high: list[Floats] = []
        self._structure()

    def _structure(self) -> None:
        layers, kinds, pods = self.shape
        one_each = sparse.kron(sparse.eye_array(layers), np.ones((1, kinds * pods)))
        self._add(one_each, np.zeros((layers, self.n_z)), 1.0, 1.0)
        linked = -sparse.kron(np.ones((layers, 1)), sparse.eye_array(self.n_z))  # x[l, m, n] <= z[m, n]
        self._add(sparse.eye_array(self.n_x), linked, -np.inf, 0.0)
        one_count = sparse.kron(sparse.eye_array(kinds), np.ones((1, pods)))  # a kind has one number of pods
        self._add(sparse.csr_array((kinds, self.n_x)), one_count, -np.inf, 1.0)
        used = np.tile(np.arange(1, pods + 1, dtype=np.float64), kinds)[None, :]
        self._add(sparse.csr_array((1, self.n_x)), used, float(pods), float(pods))
        self._limits(used)

    def _limits(self, used: Floats) -> None:
        """Rows of the constraints. The chip may share out its pods in another way, so choices are filtered as well."""
        pods = self.shape[2]
        limits, chip = self.problem.constraints, self.problem.chip
        if limits.most_kinds is not None:
            self._add(sparse.csr_array((1, self.n_x)), np.ones((1, self.n_z)), -np.inf, float(limits.most_kinds))
        if chip is None or chip.pods != pods:
            return
        latency = self._least_latency()
        if limits.max_latency_s is not None and latency is not None:
            seconds = np.broadcast_to(latency[:, None, :], self.shape).reshape(1, -1) / limits.max_latency_s
            self._add(seconds, np.zeros((1, self.n_z)), -np.inf, 1.0)
        if limits.max_area_m2 is not None:
            left = limits.max_area_m2 - chip.area_m2_shared
            area = used * chip.pods_together * np.repeat(chip.area_m2_pod, pods)[None, :]
            self._add(sparse.csr_array((1, self.n_x)), area / max(left, 1e-30), -np.inf, 1.0)

    def _least_latency(self) -> Floats | None:
        """Latency of each layer on 1..P groups of pods that no choice undercuts, `(L, P)`."""
        return None if self.problem.chip is None else self.problem.chip.latency_s

    def _add(self, x: object, z: object, low: float, high: float, y: object = None) -> None:
        parts = [sparse.csr_array(x), sparse.csr_array(z)]
        if self.n_y:
            parts.append(sparse.csr_array((parts[0].shape[0], self.n_y)) if y is None else sparse.csr_array(y))
        block = sparse.csr_array(sparse.hstack(parts))
        self.rows.append(block)
        self.low.append(np.full(block.shape[0], low))
        self.high.append(np.full(block.shape[0], high))

    def forbid(self, choice: Ints) -> None:
        """Exclude one choice from every later solution."""
        x, y = self._forbidding(choice)
        self._add(x, np.zeros((1, self.n_z)), -np.inf, len(choice) - 1.0, y)
        self.forbidden.add(tuple(int(m) for m in choice))

    def refuse(self, choice: Ints) -> None:
        """Exclude a choice that does too much harm, and whatever can only do more."""
        self.forbid(choice)

    def _forbidding(self, choice: Ints) -> tuple[Floats, Floats]:
        """Rows that count the positions at which a solution is this choice: of x `(1, n_x)` and of y `(1, n_y)`."""
        row = np.zeros(self.shape)
        row[np.arange(self.shape[0]), choice] = 1.0
        return row.reshape(1, -1), np.zeros((1, self.n_y))

    def cheapest(self, most_damage: float, starts: Ints | None = None, quick: bool = False) -> Ints | None:
        """Return the choice of least energy with predicted damage at most `most_damage`, or None if none was found.

        Args:
            most_damage: limit.
            starts: choices `(C, L)` to start local searches from, besides those of one or two kinds.
            quick: local searches alone, without the programme.
        """

        def value(choices: Ints) -> Floats:
            energy = self.problem.energy_j(choices)
            if self.problem.constraints:  # what breaks limits is led back to them, and never taken
                beyond = BROKEN * self.problem.exact_energy_j * (1 + self.problem.excess(choices))
                energy = np.where(np.isfinite(energy), energy, beyond)
            return np.where(self.damage_of(choices) <= most_damage * (1 + TOLERANCE), energy, np.inf)

        return self._search(
            value, starts, quick, lambda around: self._solve(self._energy(around), self._damage(), most_damage)
        )

    def safest(self, most_energy_j: float, starts: Ints | None = None, quick: bool = False) -> Ints | None:
        """Return the choice of least damage with energy below `most_energy_j`, or None if none was found.

        Args:
            most_energy_j: limit.
            starts: as for `cheapest`.
            quick: as for `cheapest`.
        """

        def value(choices: Ints) -> Floats:
            return np.where(self.problem.energy_j(choices) < most_energy_j, self.damage_of(choices), np.inf)

        def solve(around: Around) -> Ints | None:
            limit = most_energy_j
            for _ in range(TIGHTENINGS):  # the linearised energy may be a little below the exact one
                solved = self._solve(self._damage(), self._energy(around), limit / self._unit())
                if solved is None:
                    return None
                excess = float(self.problem.energy_j(solved)[0]) - most_energy_j
                if excess < 0 or not np.isfinite(excess):
                    return solved
                limit -= excess * (1 + 1e-6)
            return solved

        found = self._search(value, starts, quick, solve)
        if found is not None:
            return found
        cheapest = self.cheapest(np.inf, starts, quick)
        return None if cheapest is None or not np.isfinite(value(cheapest)[0]) else self._polish(cheapest, value)

    def _search(
        self, value: Callable[[Ints], Floats], starts: Ints | None, quick: bool,
        solve: Callable[[Around], Ints | None],
    ) -> Ints | None:  # fmt: skip
        """Polish the best starts, solve the programme around the best of them, polish again."""
        pool = self._pairs if starts is None else np.concatenate([self._pairs, np.atleast_2d(starts)])
        order = np.argsort(value(pool), kind="stable")[:STARTS]
        found = [self._polish(pool[i], value) for i in order]
        best = self._best(found, value)
        if quick:
            return best
        for _ in range(self.rounds):
            solved = [solve(self._around(p)) for p in self._points(self.problem.baseline if best is None else best)]
            found += [self._polish(choice, value) for choice in solved if choice is not None]
            before, best = best, self._best(found, value)
            if best is None or (before is not None and value(best)[0] >= value(before)[0]):
                break
        return best

    def _points(self, best: Ints) -> list[Ints]:
        """Choices to linearise around."""
        return [best]

    def damage_of(self, choices: Ints) -> Floats:
        """Return the predicted damage of choices `(C, L)`."""
        return self.damage[np.arange(self.shape[0]), np.atleast_2d(choices)].sum(axis=1)

    @cached_property
    def _pairs(self) -> Ints:
        """Choices of one or two kinds to start from, `(C, L)`."""
        return two_kinds(self.problem.table.dynamic_j, self.damage, self.shape[2])

    def _best(self, found: list[Ints], value: Callable[[Ints], Floats]) -> Ints | None:
        values = value(np.stack(found))
        for i in np.argsort(values, kind="stable"):
            if values[i] < BROKEN * self.problem.exact_energy_j and not self.taken(found[i][None, :])[0]:
                return found[i]
        return None

    def _polish(self, choice: Ints, value: Callable[[Ints], Floats]) -> Ints:
        """Improve a choice by exact values: change one layer, two layers, or a kind wherever it is used."""
        best, best_value = choice, float(value(choice)[0])
        if self.taken(choice[None, :])[0]:
            best_value = np.inf
        while True:
            moves = self.moves(best)
            if not len(moves):
                return best
            values = value(moves)
            i = int(np.argmin(values))
            if not values[i] < best_value * (1 - 1e-12):
                return best
            best, best_value = moves[i], float(values[i])

    def moves(self, choice: Ints) -> Ints:
        """Choices near one, those excluded left out, `(C, L)`."""
        moves = kind_moves(choice, self.shape[1])
        return np.asarray(moves[~self.taken(moves)])

    def taken(self, choices: Ints) -> npt.NDArray[np.bool_]:
        """Return which choices are excluded, `(C,)`."""
        return np.array([tuple(choice) in self.forbidden for choice in choices.tolist()], dtype=bool)

    def _around(self, choice: Ints) -> Around:
        prices = self.problem.table.energy(choice)
        table = self.problem.table
        return Around(
            self._static_w(prices.pods[0]), float(prices.latency_s[0]), table.dynamic_j, table.latency_s, np.empty(0)
        )

    def _static_w(self, pods: Ints) -> float:
        """Static power of the chip with so many pods of each kind, `(M,)`."""
        return float(pods @ self.problem.table.static_w_pod) + self.problem.table.static_w_shared

    def _unit(self) -> float:
        """Scale of energies, so that the solver's tolerances are relative."""
        return self.problem.exact_energy_j / 100.0

    def _energy(self, around: Around) -> Floats:
        table = self.problem.table
        layers, _, pods = self.shape
        seconds = around.static_w * around.layer_latency_s[:, None, :]
        x = around.dynamic_j[:, :, None] + seconds + np.zeros(self.shape)
        group_w = table.pods_together * table.static_w_pod[:, None]
        z = around.latency_s * group_w * np.arange(1, pods + 1)[None, :]
        constant = around.latency_s * (table.static_w_shared - around.static_w) / layers  # spread over the layers
        return np.concatenate([(x + constant).ravel(), z.ravel()]) / self._unit()

    def _damage(self) -> Floats:
        spread = np.repeat(self.damage[:, :, None], self.shape[2], axis=2)
        return np.concatenate([spread.ravel(), np.zeros(self.n_z)])

    def _solve(self, objective: Floats, limited: Floats, limit: float) -> Ints | None:
        scale = max(float(np.abs(objective).max()), 1e-30)
        rows, low, high = list(self.rows), list(self.low), list(self.high)
        most = self._most()
        if np.isfinite(limit):
            alone = limited > limit + TOLERANCE * abs(limit)  # what breaks the limit by itself is out
            most[: self.n_x][alone[: self.n_x] & (limited.min() >= 0)] = 0.0
            kept = np.where(most > 0, limited, 0.0)
            reach = max(float(np.abs(kept).max()), 1e-30)
            rows.append(sparse.csr_array(kept[None, :] / reach))
            low.append(np.array([-np.inf]))
            high.append(np.array([limit / reach + TOLERANCE]))
        with silent_output():
            result = milp(
                objective / scale, integrality=np.ones(len(most)), bounds=Bounds(0, most),
                constraints=LinearConstraint(sparse.vstack(rows), np.concatenate(low), np.concatenate(high)),
                options={"node_limit": NODE_LIMIT, "time_limit": TIME_LIMIT_S, "mip_rel_gap": RELATIVE_GAP},
            )  # fmt: skip
        if result.x is None:
            return None
        return self._decoded(np.asarray(result.x))

    def _most(self) -> Floats:
        """Upper bounds of all variables."""
        return np.ones(self.n_x + self.n_z)

    def _decoded(self, x: Floats) -> Ints:
        """Return the choice that the variables of a solution mean."""
        taken = x[: self.n_x].reshape(self.shape).sum(axis=2)
        return np.asarray(taken.argmax(axis=1), dtype=np.int64)
