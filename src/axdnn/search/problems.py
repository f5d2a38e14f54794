"""Synthetic problems with known fronts: they prove samplers, storages and workers, and cost nothing.

E. Zitzler, K. Deb, L. Thiele, "Comparison of multiobjective evolutionary algorithms: empirical results", Evolutionary
Computation 8(2), 2000 (ZDT1); K. Deb, L. Thiele, M. Laumanns, E. Zitzler, "Scalable test problems for evolutionary
multiobjective optimization", 2005 (DTLZ2).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from axdnn.records import Objective, Scalar
from axdnn.search.evaluating import Run
from axdnn.search.fields import Categorical, Integer, Real, Repeat, When
from axdnn.search.fronts import hypervolume
from axdnn.search.slots import Candidate
from axdnn.search.space import Space


@dataclass(frozen=True)
class Problem:
    """A problem with a known front.

    Attributes:
        space: what is searched.
        objectives: with reference points.
        evaluate: as `search` wants it.
        front: `(n, m)` points of the front, all of them if the space is discrete.
    """

    space: Space
    objectives: tuple[Objective, ...]
    evaluate: Callable[[Candidate, Run], Mapping[str, float]]
    front: np.ndarray

    @property
    def best(self) -> float:
        """Hypervolume of the front."""
        return hypervolume(self.front, [o.reference or 0.0 for o in self.objectives])


def zdt1(fields: int = 10, levels: int = 21) -> Problem:
    """Return ZDT1 with `fields` variables in steps: two objectives, a convex front where all but the first are 0."""
    space = Space(tuple(Integer(name=f"x{i}", low=0, high=levels - 1) for i in range(fields)))
    first = np.linspace(0.0, 1.0, levels)
    objectives = (Objective(name="f1", reference=1.1), Objective(name="f2", reference=11.0))
    return Problem(space, objectives, _Zdt1(fields, levels), np.stack([first, 1.0 - np.sqrt(first)], axis=1))


@dataclass(frozen=True)
class _Zdt1:
    fields: int
    levels: int

    def __call__(self, candidate: Candidate, run: Run) -> Mapping[str, float]:
        x = [float(candidate[f"x{i}"]) / (self.levels - 1) for i in range(self.fields)]
        g = 1.0 + 9.0 * sum(x[1:]) / (self.fields - 1)
        return {"f1": x[0], "f2": g * (1.0 - math.sqrt(x[0] / g))}


def dtlz2(objectives: int = 3, distance: int = 5) -> Problem:
    """Return DTLZ2 with real variables: its front is the part of the unit sphere with positive coordinates."""
    fields = objectives - 1 + distance
    space = Space(tuple(Real(name=f"x{i}", low=0.0, high=1.0) for i in range(fields)))
    named = tuple(Objective(name=f"f{i + 1}", reference=1.5) for i in range(objectives))
    angles = np.stack(np.meshgrid(*[np.linspace(0.0, 1.0, 12)] * (objectives - 1)), axis=-1).reshape(-1, objectives - 1)
    front = np.array([_sphere(list(row), 0.0) for row in angles])
    return Problem(space, named, _Dtlz2(objectives, fields), front)


def _sphere(angles: list[float], g: float) -> list[float]:
    radius, point = 1.0 + g, []
    for angle in angles:
        point.append(radius * math.sin(angle * math.pi / 2))
        radius *= math.cos(angle * math.pi / 2)
    return [radius, *reversed(point)]


@dataclass(frozen=True)
class _Dtlz2:
    objectives: int
    fields: int

    def __call__(self, candidate: Candidate, run: Run) -> Mapping[str, float]:
        x = [float(candidate[f"x{i}"]) for i in range(self.fields)]
        g = sum((value - 0.5) ** 2 for value in x[self.objectives - 1 :])
        point = _sphere(x[: self.objectives - 1], g)
        return {f"f{i + 1}": value for i, value in enumerate(point)}


WIDTHS = (8, 16, 32, 64)
ERRORS: Mapping[Scalar, tuple[float, float]] = {"exact": (0.0, 1.0), "near": (0.1, 0.55), "coarse": (0.6, 0.35)}


def stacks(most: int = 4) -> Problem:
    """Return a toy with conditional fields and a variable number of blocks, whose front is found by enumeration.

    Like a network: blocks of some width with a circuit each; more and wider blocks are more accurate and cost more,
    and a circuit that approximates costs less and errs, more so in the first block. A pooled block has no circuit.
    """
    block = (
        Categorical(name="kind", values=("conv", "pool")),
        Integer(name="width", low=0, high=len(WIDTHS) - 1, when=(When(field="kind", values=("conv",)),)),
        Categorical(name="circuit", values=tuple(ERRORS), when=(When(field="kind", values=("conv",)),)),
    )
    space = Space((Repeat(name="blocks", least=1, most=most, fields=block),))
    objectives = (Objective(name="error", reference=3.0), Objective(name="energy", reference=80.0 * most, unit="J"))
    return Problem(space, objectives, evaluate_stack, _front_of_stacks(most))


def evaluate_stack(candidate: Candidate, run: Run | None = None) -> Mapping[str, float]:
    """Return error and energy of a stack of blocks."""
    skill = energy = harm = 0.0
    for i in range(int(candidate["blocks"])):
        if candidate[f"blocks/{i}/kind"] == "pool":
            energy += 0.5
            continue
        width = WIDTHS[int(candidate[f"blocks/{i}/width"])]
        error, cost = ERRORS[candidate[f"blocks/{i}/circuit"]]
        skill += math.log2(width) / 3.0
        harm += error / (1.0 + i)
        energy += width * cost
    return {"error": 2.0 / (1.0 + skill) + harm, "energy": energy}


def _front_of_stacks(most: int) -> np.ndarray:
    """All points of the front: blocks add up, so the sets of reachable (skill, harm, energy) grow block by block."""
    reached = {(0.0, 0.0, 0.0)}
    ends = set[tuple[float, float]]()
    for i in range(most):
        after = set[tuple[float, float, float]]()
        for skill, harm, energy in reached:
            after.add((skill, harm, energy + 0.5))
            for width in WIDTHS:
                for error, cost in ERRORS.values():
                    after.add((skill + math.log2(width) / 3.0, harm + error / (1.0 + i), energy + width * cost))
        reached = after
        ends |= {(2.0 / (1.0 + skill) + harm, energy) for skill, harm, energy in reached}
    front, lowest = [], math.inf
    for energy, error in sorted((energy, error) for error, energy in ends):
        if error < lowest:
            front.append((error, energy))
            lowest = error
    return np.array(front)


def evaluate_stacks() -> Callable[[Candidate, Run], Mapping[str, float]]:
    """Return the evaluation of `stacks`: a factory, as `Named` wants it."""
    return evaluate_stack
