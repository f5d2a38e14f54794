"""The assignment as a mixed-integer linear programme (HiGHS through SciPy).

Variables: `x[l, m, n]` is 1 if layer l uses multiplier m on n pods of that kind; `z[m, n]` is 1 if n pods hold m.
Energy is dynamic energy plus static power times latency; the product of static power (which multipliers the pods hold)
and latency (how many pods each layer gets) is linearised around a point, then solved again around the solution.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import sparse
from scipy.optimize import Bounds, LinearConstraint, milp

from axdnn.generation.problem import Floats, Ints, Problem

TIME_LIMIT_S = 10.0
RELATIVE_GAP = 1e-6


class Around(NamedTuple):
    """Point of linearisation: static power of the chip and latency of the network."""

    static_w: float
    latency_s: float


class Programme:
    """Assignments of a problem with least energy or least damage.

    Args:
        problem: prices.
        damage: predicted loss of multiplier m in layer l, `(L, M)`, non-negative.
    """

    def __init__(self, problem: Problem, damage: Floats) -> None:
        self.problem, self.damage = problem, damage
        self.shape = (len(problem.layers), len(problem.multipliers), problem.table.pods)
        layers, kinds, pods = self.shape
        self.n_x, self.n_z = layers * kinds * pods, kinds * pods
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

    def _add(self, x: object, z: object, low: float, high: float) -> None:
        block = sparse.csr_array(sparse.hstack([sparse.csr_array(x), sparse.csr_array(z)]))
        self.rows.append(block)
        self.low.append(np.full(block.shape[0], low))
        self.high.append(np.full(block.shape[0], high))

    def forbid(self, choice: Ints) -> None:
        """Exclude one choice from every later solution."""
        layers, kinds, pods = self.shape
        row = np.zeros((layers, kinds, pods))
        row[np.arange(layers), choice] = 1.0
        self._add(row.reshape(1, -1), np.zeros((1, self.n_z)), -np.inf, layers - 1.0)

    def cheapest(self, most_damage: float) -> Ints | None:
        """Return the choice of least energy with predicted damage at most `most_damage`, or None."""
        return self._twice(lambda around: self._solve(self._energy(around), self._damage(), most_damage))

    def safest(self, most_energy_j: float) -> Ints | None:
        """Return the choice of least damage with energy below `most_energy_j`, or None."""
        unit = self._unit()
        found = self._twice(lambda around: self._solve(self._damage(), self._energy(around), most_energy_j / unit))
        if found is not None and float(self.problem.energy_j(found)[0]) >= most_energy_j:
            return None
        return found

    def _twice(self, solve: object) -> Ints | None:
        assert callable(solve)
        first = solve(self._around(self.problem.baseline))
        if first is None:
            return None
        second = solve(self._around(first))
        both = np.stack([c for c in (first, second) if c is not None])
        return np.asarray(both[int(np.argmin(self.problem.energy_j(both)))])

    def _around(self, choice: Ints) -> Around:
        prices = self.problem.table.energy(choice)
        watts = float(prices.pods[0] @ self.problem.table.static_w_pod) + self.problem.table.static_w_shared
        return Around(watts, float(prices.latency_s[0]))

    def _unit(self) -> float:
        """Scale of energies, so that the solver's tolerances are relative."""
        return float(self.problem.energy_j(self.problem.baseline)[0]) / 100.0

    def _energy(self, around: Around) -> Floats:
        table = self.problem.table
        layers, kinds, pods = self.shape
        x = table.dynamic_j[:, :, None] + around.static_w * table.latency_s[:, None, :] + np.zeros(self.shape)
        z = around.latency_s * table.static_w_pod[:, None] * np.arange(1, pods + 1)[None, :]
        constant = around.latency_s * (table.static_w_shared - around.static_w) / layers  # spread over the layers
        return np.concatenate([(x + constant).ravel(), z.ravel()]) / self._unit()

    def _damage(self) -> Floats:
        spread = np.repeat(self.damage[:, :, None], self.shape[2], axis=2)
        return np.concatenate([spread.ravel(), np.zeros(self.n_z)])

    def _solve(self, objective: Floats, limited: Floats, limit: float) -> Ints | None:
        scale = max(float(np.abs(objective).max()), 1e-30)
        reach = max(abs(limit), 1e-30)
        rows = sparse.vstack([*self.rows, sparse.csr_array(limited[None, :] / reach)])
        low, high = np.concatenate([*self.low, [-np.inf]]), np.concatenate([*self.high, [limit / reach]])
        result = milp(
            objective / scale, integrality=np.ones(self.n_x + self.n_z), bounds=Bounds(0, 1),
            constraints=LinearConstraint(rows, low, high),
            options={"time_limit": TIME_LIMIT_S, "mip_rel_gap": RELATIVE_GAP},
        )  # fmt: skip
        if result.x is None:
            return None
        x = np.asarray(result.x[: self.n_x]).reshape(self.shape).sum(axis=2)
        return np.asarray(x.argmax(axis=1), dtype=np.int64)
