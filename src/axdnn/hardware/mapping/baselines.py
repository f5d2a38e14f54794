"""What a mapping is compared with: one core for everything, and each layer where it alone is cheapest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from axdnn.hardware.mapping.account import Mapped, account_sequential
from axdnn.hardware.mapping.moves import choose_resident, values_of
from axdnn.hardware.mapping.objective import Objective, read_objective
from axdnn.hardware.mapping.problem import Ints, Problem
from axdnn.hardware.mapping.terms import sequential_terms


def single_core(problem: Problem, core: int, objective: Objective = "latency") -> Mapped:
    """All layers on one core, one after the other; not feasible if it cannot run one of them.

    Weights that do not all fit stay by what their reload costs (greedy), so this is a baseline, not an optimum.
    """
    forbidden = np.flatnonzero(~problem.allowed[:, core])
    if len(forbidden):
        layer, name = int(forbidden[0]), problem.core_names[core]
        return Mapped(
            feasible=False, objective=read_objective(objective)[0], method="given", exact=True,
            binding=f"{name} cannot run {problem.layer_names[layer]}: {problem.why_not(layer, core)}",
            remedy="run this layer on another core",
        )  # fmt: skip
    return given(problem, np.full(problem.layers, core), objective)


def greedy(problem: Problem, objective: Objective = "latency") -> Mapped:
    """Each layer in turn on the core where it and the transfer of its inputs cost least, with no look ahead.

    Capacity is filled first come, first served. For the product, latency and energy weigh the same on average.
    """
    terms = sequential_terms(problem)
    weights = read_objective(objective)[1]
    if weights is None:
        mean = np.where(problem.allowed[..., None], terms.node, np.nan)
        weights = np.nanmean(mean, axis=(0, 1))[::-1] if problem.allowed.any() else np.ones(2)
    node, reload, edge = terms.weighted(weights)
    left = problem.capacity.copy()
    cores = np.zeros(problem.layers, dtype=np.int64)
    resident = np.zeros(problem.layers, dtype=bool)
    for layer in range(problem.layers):
        stays = problem.can_stay[layer] & (problem.need[layer] <= left)
        cost = node[layer] + np.where(stays, 0.0, reload[layer])
        for e in problem.inputs_of[layer]:
            cost = cost + edge[e, cores[problem.pairs()[e][0]]]
        core = int(cost.argmin())
        if not np.isfinite(cost[core]):
            return Mapped(
                feasible=False, objective=read_objective(objective)[0], method="given",
                binding=f"greedy choice has no core left for {problem.layer_names[layer]}",
                remedy="use `sequential`, which looks ahead",
            )  # fmt: skip
        cores[layer], resident[layer] = core, stays[core]
        left[core] -= problem.need[layer, core] if stays[core] else 0.0
    return _labelled(account_sequential(problem, cores, resident), objective)


def given(problem: Problem, cores: Sequence[int] | Ints, objective: Objective = "latency") -> Mapped:
    """Price a mapping that the caller chose, one after the other; weights stay by what their reload costs (greedy)."""
    terms, chosen = sequential_terms(problem), np.asarray(cores, dtype=np.int64)
    weights = read_objective(objective)[1]
    saving = terms.reload @ (np.ones(2) if weights is None else weights)
    resident = choose_resident(problem, chosen[None], np.where(problem.can_reload, saving, np.inf))
    if not np.isfinite(values_of(terms, chosen[None], resident)).all():
        return Mapped(
            feasible=False, objective=read_objective(objective)[0], method="given",
            binding="a layer runs on a core that cannot run it, or weights that cannot be reloaded do not fit",
            remedy="let `sequential` choose the cores",
        )  # fmt: skip
    return _labelled(account_sequential(problem, chosen, resident[0]), objective)


def _labelled(mapped: Mapped, objective: Objective) -> Mapped:
    label, weights = read_objective(objective)
    point = np.array([mapped.latency_s, mapped.energy_j])
    return replace(mapped, objective=label, value=float(point.prod() if weights is None else weights @ point))
