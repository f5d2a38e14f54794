"""Layers one after the other: the mapping of least latency, energy, product or weighted sum, and the front of both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from axdnn.hardware.components import Floats
from axdnn.hardware.mapping.account import Mapped, account_sequential
from axdnn.hardware.mapping.explain import why_infeasible
from axdnn.hardware.mapping.labels import Limits, all_best
from axdnn.hardware.mapping.moves import values_of
from axdnn.hardware.mapping.objective import Objective, least_product, product_bound, read_objective
from axdnn.hardware.mapping.problem import Problem
from axdnn.hardware.mapping.relaxation import Candidate, Goal
from axdnn.hardware.mapping.solve import MOST_LABELS, Effort, Found, Method, check_effort, minimise
from axdnn.hardware.mapping.terms import Terms, sequential_terms
from axdnn.records import InvalidInputError


def sequential(
    problem: Problem,
    objective: Objective = "latency",
    *,
    method: Method = "auto",
    most_labels: int = MOST_LABELS,
) -> Mapped:
    """Map layers that run one after the other, so that the objective is least.

    Chains and forests without binding capacity take dynamic programming with the core of the previous layer as state.
    Joins and capacity take an exact search over partial mappings (cores of the frontier, capacity used), pruned by
    Lagrange bounds; where it grows beyond `most_labels`, the answer is the best mapping found, with the bound. The
    product latency x energy is solved by weighted sums at the corners of the lower left of (latency, energy).

    Args:
        problem: costs.
        objective: `latency`, `energy`, `edp`, or weights (of seconds, of joules).
        method: `auto`, `exact` or `bounded`, see `Effort`.
        most_labels: partial mappings kept at a time.

    Raises:
        UnknownNameError: another objective or method.
        InvalidInputError: bad weights, or `exact` needs more labels.
    """
    label, weights = read_objective(objective)
    effort = check_effort(method, most_labels)
    terms = sequential_terms(problem)
    if weights is not None:
        found = _weighted(terms, weights, effort)
    else:
        found = _product(terms, effort)
    if found.candidate is None:
        return why_infeasible(problem, label, proved=not np.isfinite(found.bound), bound=found.bound)
    mapped = account_sequential(problem, found.candidate.cores, found.candidate.resident)
    exact = found.bound >= found.candidate.value * (1 - 1e-8)
    return replace(
        mapped, objective=label, value=found.candidate.value, bound=min(found.bound, found.candidate.value),
        exact=exact, method=found.method,
    )  # fmt: skip


def _weighted(terms: Terms, weights: Floats, effort: Effort) -> Found:
    return minimise(terms, Goal(weights[None], np.zeros(1)), effort)


def _product(terms: Terms, effort: Effort) -> Found:
    """Least latency x energy by weighted sums."""
    bounds: list[tuple[Floats, float]] = []
    met: list[tuple[float, Candidate, Found]] = []

    def corner(_: object, weights: Floats) -> Floats:
        points = []
        for pair in weights:
            found = _weighted(terms, pair, effort)
            bounds.append((pair, found.bound))
            if found.candidate is None:
                points.append(np.array([np.inf, np.inf]))
                continue
            cores, resident = found.candidate.cores, found.candidate.resident
            point = values_of(terms, cores[None], resident[None])[0]
            met.append((float(point.prod()), Candidate(float(point.prod()), cores, resident), found))
            points.append(point)
        return np.array(points).reshape(-1, 2)

    least_product(corner, 1)
    if not met:
        return Found(None, max(bound for _, bound in bounds), "hull")
    value, candidate, _ = min(met, key=lambda one: one[0])
    exact = all(found.bound >= found.candidate.value * (1 - 1e-8) for _, _, found in met if found.candidate)
    bound = value if exact and len(met) == len(bounds) else product_bound(bounds)
    return Found(candidate, bound, "hull" if exact else "beam")


def pareto_front(problem: Problem, *, most_labels: int = MOST_LABELS) -> tuple[Mapped, ...]:
    """All mappings that no other beats in both latency and energy, fastest first; empty if there is no mapping.

    Raises:
        InvalidInputError: more partial mappings than `most_labels` are needed.
    """
    check_effort("exact", most_labels)
    if not problem.allowed.any(axis=1).all():
        return ()
    labels, lost = all_best(sequential_terms(problem), Limits(most_labels))
    if np.isfinite(lost) or lost < 0:
        raise InvalidInputError(
            f"the front of latency and energy needs more than `most_labels` = {most_labels} partial mappings; raise it "
            "or ask for weighted sums with `sequential`"
        )
    order = np.argsort(labels.values[:, 0], kind="stable")
    return tuple(
        replace(
            account_sequential(problem, labels.cores[i], labels.resident[i]), objective="latency and energy",
            exact=True, method="labels", value=float(labels.values[i].prod()), bound=float(labels.values[i].prod()),
        )
        for i in order
    )  # fmt: skip
