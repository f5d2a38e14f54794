"""Answers: a mapping with what it costs, part by part and layer by layer, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from axdnn.hardware.components import Floats
from axdnn.hardware.mapping.problem import Bools, Ints, Problem
from axdnn.hardware.mapping.terms import always_w, awake_w, spilled_bytes, stages_of, transfer_j, transfer_s
from axdnn.records import InfeasibleError


class LayerRow(NamedTuple):
    """One layer of a mapping; its transfers are those of its inputs. Static and spill energy are of the whole."""

    layer: str
    core: str
    resident: bool
    compute_s: float
    reload_s: float
    transfer_s: float
    compute_j: float
    reload_j: float
    transfer_j: float


@dataclass(frozen=True, kw_only=True)
class Mapped:
    """A mapping and its costs, for one inference, or an explanation of why none exists.

    Attributes:
        feasible: whether there is a mapping; all that follows up to `method` is empty or `inf` if not.
        cores, resident: of each layer; where it runs, and whether its weights stay there.
        latency_s: of one inference alone on the chip, layer after layer.
        loaded_latency_s: most that an inference takes when they follow each other at the period, every core doing its
            work of a period in execution order: the period x (1 + boundaries between cores on the longest path).
        period_s: time between two inferences; the latency if they do not overlap.
        energy_j: of one inference, static power over the period included.
        latency_parts_s: compute, transfer, reload, spill; they sum to `latency_s`.
        energy_parts_j: the same and static; they sum to `energy_j`.
        core_busy_s: within a period, time in which each core is awake: its layers, reloads and ends of transfers.
        spilled_bytes: written to and read from DRAM within a period, for want of room in the shared buffer.
        layers: a row for each layer.
        objective: what was made least, `value` of it and a lower `bound` of the least possible.
        exact: whether `value` is the least possible.
        method: `tree` (dynamic programming along the edges), `labels` (exact search over partial mappings),
            `bound met` (a mapping as good as its Lagrange bound), `hull` (corners of latency and energy), `beam` (the
            search over partial mappings had to leave some out) and `local` (local search), where `gap` says how far
            from optimal the value is at most; `given` (priced, not searched); `none` (no mapping).
        binding, remedy: if infeasible, what stands in the way, and what would make it fit.
        note: what else is to be known about the answer.
    """

    feasible: bool
    cores: tuple[int, ...] = ()
    resident: tuple[bool, ...] = ()
    latency_s: float = np.inf
    loaded_latency_s: float = np.inf
    period_s: float = np.inf
    energy_j: float = np.inf
    latency_parts_s: dict[str, float] = field(default_factory=dict)
    energy_parts_j: dict[str, float] = field(default_factory=dict)
    core_busy_s: tuple[float, ...] = ()
    spilled_bytes: float = 0.0
    layers: tuple[LayerRow, ...] = ()
    objective: str = ""
    value: float = np.inf
    bound: float = 0.0
    exact: bool = False
    method: str = ""
    binding: str = ""
    remedy: str = ""
    note: str = ""

    @property
    def throughput_hz(self) -> float:
        """Inferences a second."""
        return np.inf if self.period_s == 0 else 1 / self.period_s

    @property
    def gap(self) -> float:
        """How much worse than the least possible the value may be, relative to the bound; 0 if exact."""
        if self.exact or self.value == self.bound:
            return 0.0
        return self.value / self.bound - 1 if self.bound > 0 else np.inf

    def raise_if_infeasible(self) -> Mapped:
        """Return self.

        Raises:
            InfeasibleError: there is no mapping; says what binds and what would help.
        """
        if not self.feasible:
            raise InfeasibleError(f"no mapping: {self.binding}; {self.remedy}")
        return self


class Parts(NamedTuple):
    """What a mapping costs apart from static power: rows, time and energy by part, and spilled bytes."""

    rows: tuple[LayerRow, ...]
    latency_s: dict[str, float]
    energy_j: dict[str, float]


def _parts(problem: Problem, cores: Ints, resident: Bools, spilled: float) -> Parts:
    moved_s, moved_j = transfer_s(problem), transfer_j(problem)
    rows = []
    for layer in range(problem.layers):
        core = int(cores[layer])
        ends = [(e, cores[problem.pairs()[e][0]], core) for e in problem.inputs_of[layer]]
        rows.append(
            LayerRow(
                layer=problem.layer_names[layer],
                core=problem.core_names[core],
                resident=bool(resident[layer]),
                compute_s=float(problem.latency_s[layer, core]),
                reload_s=0.0 if resident[layer] else float(problem.reload_latency_s[layer, core]),
                transfer_s=float(sum(moved_s[end] for end in ends)),
                compute_j=float(problem.energy_j[layer, core]),
                reload_j=0.0 if resident[layer] else float(problem.reload_energy_j[layer, core]),
                transfer_j=float(sum(moved_j[end] for end in ends)),
            )
        )
    kinds = ("compute", "transfer", "reload")
    latency = {kind: sum(getattr(row, f"{kind}_s") for row in rows) for kind in kinds}
    energy = {kind: sum(getattr(row, f"{kind}_j") for row in rows) for kind in kinds}
    latency["spill"] = 2 * spilled / problem.dram_bandwidth_b_s
    energy["spill"] = 2 * spilled * problem.dram_j_b
    return Parts(tuple(rows), latency, energy)


def _awake_s(problem: Problem, cores: Ints, rows: tuple[LayerRow, ...]) -> Floats:
    """Time each core is awake when layers run one after the other: its layers, and transfers at both ends."""
    awake = np.zeros(problem.cores)
    for row, core in zip(rows, cores, strict=True):
        awake[core] += row.compute_s + row.reload_s
    moved = transfer_s(problem)
    for e, (producer, consumer) in enumerate(problem.pairs()):
        source, target = cores[producer], cores[consumer]
        if source != target:
            awake[source] += moved[e, source, target]
            awake[target] += moved[e, source, target]
    return awake


def account_sequential(problem: Problem, cores: Ints, resident: Bools) -> Mapped:
    """Cost of a mapping whose layers run one after the other; the choice is not checked against capacity."""
    spilled = spilled_bytes(problem)
    parts = _parts(problem, cores, resident, spilled)
    latency = sum(parts.latency_s.values())
    awake_s = _awake_s(problem, cores, parts.rows)
    static = latency * always_w(problem) + float(awake_s @ awake_w(problem))
    energy = {**parts.energy_j, "static": static}
    return Mapped(
        feasible=True, cores=tuple(int(c) for c in cores), resident=tuple(bool(r) for r in resident),
        latency_s=latency, loaded_latency_s=latency, period_s=latency, energy_j=sum(energy.values()),
        latency_parts_s=parts.latency_s, energy_parts_j=energy, core_busy_s=tuple(float(s) for s in awake_s),
        spilled_bytes=spilled, layers=parts.rows, method="given",
    )  # fmt: skip


def account_pipelined(
    problem: Problem, cores: Ints, resident: Bools, busy_s: Floats, held_bytes: float, period_s: float
) -> Mapped:
    """Cost of a mapping as a pipeline of a given period; `busy_s` `(C,)` and `held_bytes` are what it takes of it."""
    alone = _parts(problem, cores, resident, spilled_bytes(problem))
    spilled = max(held_bytes - problem.buffer_bytes, 0.0)
    parts = _parts(problem, cores, resident, spilled)
    static = period_s * always_w(problem) + float(busy_s @ awake_w(problem))
    stages = 1 + int(stages_of(problem, cores[None])[0].max())
    energy = {**parts.energy_j, "static": static}
    return Mapped(
        feasible=True, cores=tuple(int(c) for c in cores), resident=tuple(bool(r) for r in resident),
        latency_s=sum(alone.latency_s.values()), loaded_latency_s=period_s * stages, period_s=period_s,
        energy_j=sum(energy.values()), latency_parts_s=alone.latency_s, energy_parts_j=energy,
        core_busy_s=tuple(float(b) for b in busy_s), spilled_bytes=float(spilled), layers=parts.rows, method="given",
    )  # fmt: skip
