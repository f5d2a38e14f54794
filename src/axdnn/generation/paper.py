"""Algorithm 1 of XAI-Gen: walk the layers by importance, give each a multiplier its importance allows, skip neurons.

What the paper leaves open or says twice in different ways is an option here, with the recommended reading as the
default; `PaperOptions.literal()` is the listing as printed.

References:
    A. Siddique, M. Khalil, K. A. Hoque, "Explainable AI-Guided Efficient Approximate DNN Generation for Multi-Pod
    Systolic Arrays", ISQED 2025, Algorithm 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from axdnn.evaluation import Skipping
from axdnn.generation.judge import Judge
from axdnn.generation.problem import Floats, Ints
from axdnn.records import InvalidInputError, require_finite

Units = Literal["groups", "layers"]
Order = Literal["ascending", "descending"]
Stop = Literal["rollback", "both"]
SkipRule = Literal["scaled", "equal"]
SWEEP_GROWTH = 1.5


@dataclass(frozen=True, kw_only=True)
class PaperOptions:
    """Options of strategy `paper`; importance is scaled so that the most important unit has 1.

    Attributes:
        units: `groups`: layers whose names share the part before the first dot (`stage1.0.conv1`, `stage1.1.conv2`)
            get one multiplier, as the paper's residual groups do; `layers`: each layer by itself.
        order: `ascending` visits the least important unit first (the listing), `descending` the most important (the
            prose).
        stop: `rollback`: a step that breaks the accuracy budget is taken back and a milder one tried, then the next
            unit (a step that keeps it stays even if it makes the chip dearer for now: kinds share pods); `both`: every
            step is kept until energy and accuracy constraints are broken at once, then it ends (line 5 of the listing).
        threshold: t_c, at first. A unit of importance z may use the multiplier of error rank r (0 the exact one) of n
            if `z <= t_c * (1 - r / (n - 1))`; of these, the one of least dynamic energy with which the kinds still fit
            the pods is taken (`SelectMult`, which the paper does not define).
        step: delta, by which t_c falls after each unit.
        skip: t_p, share of a unit's neurons to skip, 0..1; 0 skips none.
        skip_rule: `scaled` skips `t_p * (1 - z)`, so that the most important unit loses none; `equal` skips t_p of all.
        remove: also leave out the products of later layers with the zeros of skipped neurons (real removal); otherwise
            skipped neurons are masked.
        multipliers: choose multipliers; False for neuron skipping alone.
        retries: how many milder steps are tried after one that fails: each halves the error rank and the skipped share.
        sweeps: how often the units are walked; each further walk starts with t_c 1.5 times as high.
        max_energy_j: E_c in joules, of the objective: with `rollback` the walk ends when the best accepted choice costs
            at most this; with `both` see there; None for as low as possible (every energy is too high).
    """

    units: Units = "groups"
    order: Order = "ascending"
    stop: Stop = "rollback"
    threshold: float = 1.0
    step: float = 0.05
    skip: float = 0.0
    skip_rule: SkipRule = "scaled"
    remove: bool = False
    multipliers: bool = True
    retries: int = 3
    sweeps: int = 8
    max_energy_j: float | None = None

    def __post_init__(self) -> None:
        """Check every option."""
        for name, allowed in (("units", Units), ("order", Order), ("stop", Stop), ("skip_rule", SkipRule)):
            if getattr(self, name) not in get_args(allowed):
                raise InvalidInputError(
                    f"`{name}` must be one of {', '.join(get_args(allowed))}, but got {getattr(self, name)!r}"
                )
        for name, high in (("threshold", 100.0), ("step", 100.0), ("skip", 1.0)):
            require_finite(name, getattr(self, name), 0.0, high)
            object.__setattr__(self, name, float(getattr(self, name)))  # one text for equal options
        for name in ("remove", "multipliers"):
            if not isinstance(getattr(self, name), bool):
                raise InvalidInputError(f"`{name}` must be True or False, but got {getattr(self, name)!r}")
        for name, low, most in (("retries", 0, 20), ("sweeps", 1, 20)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= most:
                raise InvalidInputError(f"{low} <= {name} <= {most} must hold (an integer), but got {value!r}")
        if self.max_energy_j is not None:
            require_finite("max_energy_j", self.max_energy_j, 0.0)
            object.__setattr__(self, "max_energy_j", float(self.max_energy_j))
        if not self.multipliers and self.skip == 0:
            raise InvalidInputError("skipping alone (multipliers=False) needs skip > 0, but got skip=0")

    @classmethod
    def literal(cls, **others: Any) -> PaperOptions:
        """Return the listing as printed: one walk, the AND of both constraints ends it, nothing is taken back.

        Args:
            others: options to set besides; they may also replace one of the listing's.
        """
        return cls(**{"stop": "both", "sweeps": 1, "retries": 0, "skip_rule": "equal", **others})


@dataclass(frozen=True)
class Unit:
    """Layers that are decided together.

    Attributes:
        name: of the unit. layers: their indices. importance: z, 0..1.
    """

    name: str
    layers: tuple[int, ...]
    importance: float


def units_of(layers: Iterable[str], kind: Units) -> dict[str, tuple[int, ...]]:
    """Return unit -> indices of its layers, in the order of the network (see `PaperOptions.units`)."""
    found: dict[str, list[int]] = {}
    for i, name in enumerate(layers):
        found.setdefault(name.split(".")[0] if kind == "groups" else name, []).append(i)
    return {name: tuple(members) for name, members in found.items()}


def paper(judge: Judge, rng: np.random.Generator, options: PaperOptions | None = None) -> None:
    """Walk the units as Algorithm 1 does; see `PaperOptions`. Uses no random numbers."""
    options = options or PaperOptions()
    walk = _Walk(judge, options)
    units = _ordered(judge, options)
    for sweep in range(options.sweeps):
        threshold = options.threshold * SWEEP_GROWTH**sweep
        for unit in units:
            if walk.energy_reached or not walk.visit(unit, threshold):
                return
            threshold = max(threshold - options.step, 0.0)


def _ordered(judge: Judge, options: PaperOptions) -> list[Unit]:
    problem = judge.problem
    grouped = units_of(problem.layers, options.units)
    total = {name: float(problem.weights[list(members)].sum()) for name, members in grouped.items()}
    top = max(total.values())
    units = [Unit(name, members, total[name] / top) for name, members in grouped.items()]
    return sorted(units, key=lambda u: u.importance, reverse=options.order == "descending")


@dataclass(frozen=True)
class _Step:
    """What a unit may get: a multiplier (an index) and a share of neurons to skip."""

    multiplier: int
    skip: float


class _Walk:
    """The state of the walk: what is committed so far."""

    def __init__(self, judge: Judge, options: PaperOptions) -> None:
        self.judge, self.options, problem = judge, options, judge.problem
        self.choice: Ints = judge.best.copy()
        self.shares: dict[str, float] = {}
        order = np.argsort(problem.mean_error, kind="stable")
        self.rank = np.empty(len(order), dtype=np.int64)
        self.rank[order] = np.arange(len(order))  # 0 is the least error
        self.rank[problem.exact] = 0
        if options.skip > 0 and problem.neurons is None:
            raise InvalidInputError("skipping needs the importance of neurons; prepare the problem with it")

    @property
    def energy_reached(self) -> bool:
        """Whether the walk may end because E_c is met; the listing goes on even then."""
        most = self.options.max_energy_j
        return self.options.stop == "rollback" and most is not None and self.judge.best_energy_j <= most

    def visit(self, unit: Unit, threshold: float) -> bool:
        """Decide a unit; return False when the walk is over."""
        for step in self._steps(unit, threshold):
            if self._no_bolder(unit, step):
                return True
            choice, shares = self._with(unit, step)
            skipping = self._skipping(shares)
            verdict = self.judge.try_(choice, skipping=skipping)
            if self.options.stop == "rollback":
                if verdict.accepted or (verdict.bound <= self.judge.problem.budget and not verdict.sent):
                    self.choice, self.shares = choice, shares
                    return True
                continue
            most = self.options.max_energy_j or 0.0
            if self.judge.energy_j(choice, skipping) > most and verdict.loss > self.judge.problem.budget:
                return False
            self.choice, self.shares = choice, shares
            return True
        return True

    def _no_bolder(self, unit: Unit, step: _Step) -> bool:
        """Whether a step saves nothing over what the unit has: a later walk does not take back what was accepted."""
        layers = list(unit.layers)
        dynamic = self.judge.problem.table.dynamic_j[layers]
        now = float(dynamic[np.arange(len(layers)), self.choice[layers]].sum())
        skips = self.shares.get(self.judge.problem.layers[layers[0]], 0.0)
        return float(dynamic[:, step.multiplier].sum()) >= now and step.skip <= skips

    def _steps(self, unit: Unit, threshold: float) -> list[_Step]:
        """What to try for a unit, boldest first: `SelectMult`'s answer, then milder ones."""
        share = self.options.skip * (1 - unit.importance if self.options.skip_rule == "scaled" else 1.0)
        multiplier = self._select(unit, threshold, None)
        steps = [_Step(multiplier, share)]
        for _ in range(self.options.retries):
            share /= 2
            multiplier = self._select(unit, threshold, int(self.rank[multiplier]) // 2)
            steps.append(_Step(multiplier, share))
        return list(dict.fromkeys(steps))

    def _select(self, unit: Unit, threshold: float, most_rank: int | None) -> int:
        """Return the multiplier of least dynamic energy that the unit's importance and the number of pods allow."""
        problem = self.judge.problem
        if not self.options.multipliers:
            return problem.exact
        count = len(problem.multipliers)
        allowed = unit.importance <= threshold * (1 - self.rank / max(count - 1, 1)) + 1e-12
        allowed[problem.exact] = True
        if most_rank is not None:
            allowed &= self.rank <= most_rank
        candidates = np.flatnonzero(allowed)
        choices = np.repeat(self.choice[None, :], len(candidates), axis=0)
        choices[:, list(unit.layers)] = candidates[:, None]
        candidates = candidates[np.isfinite(problem.energy_j(choices))]
        energy: Floats = problem.table.dynamic_j[list(unit.layers)][:, candidates].sum(axis=0)
        return int(candidates[int(np.argmin(energy))]) if len(candidates) else int(self.choice[unit.layers[0]])

    def _with(self, unit: Unit, step: _Step) -> tuple[Ints, dict[str, float]]:
        choice = self.choice.copy()
        choice[list(unit.layers)] = step.multiplier
        names = [self.judge.problem.layers[i] for i in unit.layers]
        return choice, {**self.shares, **dict.fromkeys(names, step.skip)}

    def _skipping(self, shares: dict[str, float]) -> Skipping:
        neurons = self.judge.problem.neurons
        if neurons is None or not any(shares.values()):
            return Skipping()
        return neurons.skipping(shares, self.options.remove)
