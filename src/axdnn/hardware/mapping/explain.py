"""Why there is no mapping: the layer, link, capacity or period that binds, and what would make it fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from axdnn.hardware.components import Floats
from axdnn.hardware.mapping.account import Mapped
from axdnn.hardware.mapping.labels import Limits, all_best
from axdnn.hardware.mapping.problem import Problem
from axdnn.hardware.mapping.terms import Terms, sequential_terms

MOST_LABELS = 2000
HALVINGS = 20


def why_infeasible(
    problem: Problem, objective: str, *, proved: bool = True, bound: float = np.inf, contiguous: bool = False
) -> Mapped:
    """Answer for a problem without a mapping, or (`proved` false) without one that was found."""
    binding, remedy = _cause(problem, contiguous)
    if not proved:
        binding = f"none was found, though none is proved not to exist; {binding}"
        remedy = f"raise `most_labels`; {remedy}"
    return Mapped(
        feasible=False, objective=objective, bound=bound, exact=proved, binding=binding, remedy=remedy, method="none"
    )


def _cause(problem: Problem, contiguous: bool) -> tuple[str, str]:
    nowhere = np.flatnonzero(~problem.allowed.any(axis=1))
    if len(nowhere):
        return _homeless(problem, nowhere.tolist())
    free = replace(problem, capacity=np.inf)
    if problem.limited and _least_used(free, None, contiguous) is not None:
        return _capacity(problem, contiguous)
    if contiguous and _least_used(free, None, False) is not None:
        return (
            "no order of the cores runs all layers in one stretch each",
            "let cores take turns (contiguous=False), or allow more layers on a core",
        )
    cut = [
        f"{problem.core_names[i]} -> {problem.core_names[j]}"
        for i, j in np.argwhere(~np.isfinite(problem.link_latency_s))
        if i != j
    ]
    return f"links between cores are missing: {', '.join(cut)}", "add a link, or allow more layers on a core"


def _homeless(problem: Problem, layers: list[int]) -> tuple[str, str]:
    """Layers that no core can run."""
    texts, remedies = [], []
    for layer in layers:
        reasons = [f"{name}: {problem.why_not(layer, core)}" for core, name in enumerate(problem.core_names)]
        texts.append(f"{problem.layer_names[layer]} runs on no core ({'; '.join(reasons)})")
        runs = np.isfinite(problem.latency_s[layer]) & np.isfinite(problem.energy_j[layer])
        small = runs & np.isfinite(problem.need[layer])
        larger = [f"{problem.core_names[c]} to {problem.need[layer, c]:g}" for c in np.flatnonzero(small).tolist()]
        name = problem.layer_names[layer]
        remedies.append(
            f"for {name}, raise the capacity of {' or '.join(larger)}, or let it reload" if larger
            else f"for {name}, add a core that can run it"
        )  # fmt: skip
    return "; ".join(texts), "; ".join(remedies)


def _capacity(problem: Problem, contiguous: bool) -> tuple[str, str]:
    """Capacity that is short, with the least that would do for each core alone, or a factor for all."""
    names = [f"{problem.core_names[c]} ({problem.capacity[c]:g})" for c in problem.limited]
    enough = []
    for core in problem.limited:
        capacity = problem.capacity.copy()
        capacity[core] = np.inf
        least = _least_used(replace(problem, capacity=capacity), core, contiguous)
        if least is not None:
            enough.append(f"{problem.core_names[core]} from {problem.capacity[core]:g} to {least:.6g}")
    binding = f"the capacity of resident weights binds on {', '.join(names)}"
    if enough:
        return binding, f"raise the capacity of {', or of '.join(enough)}, or let weights be reloaded"
    low, high = 1.0, 2.0
    while _least_used(_scaled(problem, high), None, contiguous) is None and high < 1e6:
        low, high = high, 2 * high
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        fits = _least_used(_scaled(problem, middle), None, contiguous) is not None
        low, high = (low, middle) if fits else (middle, high)
    return binding, f"raise the capacities of all of them by a factor of {high:.4g}, or let weights be reloaded"


def _scaled(problem: Problem, factor: float) -> Problem:
    return replace(problem, capacity=problem.capacity * factor)


def _least_used(problem: Problem, core: int | None, contiguous: bool) -> float | None:
    """Least use of one core's capacity over all mappings, 0 for no core; None if there is no mapping or too many."""
    if not problem.allowed.any(axis=1).all():
        return None
    terms = sequential_terms(problem)
    must = np.zeros(problem.latency_s.shape)
    if core is not None:
        must[:, core] = np.where(problem.can_reload[:, core] | ~problem.can_stay[:, core], 0.0, problem.need[:, core])
    labels, _ = all_best(_only(terms, must), Limits(MOST_LABELS, contiguous=contiguous))
    return float(labels.values.min()) if len(labels.values) else None


def _only(terms: Terms, cost: Floats) -> Terms:
    """Return terms whose one value is a cost of layers on cores `(L, C)`."""
    empty = terms.select(np.zeros((len(terms.constant), 1)))
    return empty._replace(node=cost[..., None])
