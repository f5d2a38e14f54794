"""One search for every goal: bound, local search, then exact search below the bound where that is small enough."""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np

from axdnn.hardware.components import Floats
from axdnn.hardware.mapping.labels import FULL, Limits, all_best
from axdnn.hardware.mapping.moves import choose_resident, improve, is_contiguous, starts, values_of
from axdnn.hardware.mapping.problem import Bools, Ints
from axdnn.hardware.mapping.relaxation import MET, Candidate, Goal, Relaxed, best_bound
from axdnn.hardware.mapping.terms import Terms
from axdnn.records import InvalidInputError, unknown_name

Method = Literal["auto", "exact", "bounded"]
MOST_LABELS = 1000


class Effort(NamedTuple):
    """How hard to search.

    `auto`: exact if `most_labels` partial mappings of each layer suffice, else the best mapping found with a lower
    bound. `exact`: fail rather than that. `bounded`: bound and local search only; a mapping that meets its bound is
    optimal all the same.
    """

    method: Method = "auto"
    most_labels: int = MOST_LABELS


class Found(NamedTuple):
    """Best mapping, or none; `bound` <= least goal <= value. `method` says how, see `Mapped`.

    No mapping and an infinite bound: there is none. No mapping and a finite bound: none was found.
    """

    candidate: Candidate | None
    bound: float
    method: str


class Rules(NamedTuple):
    """Limits that are no cost: greatest values `(D,)`, and each core one stretch of layers."""

    ceiling: Floats | None = None
    contiguous: bool = False


def check_effort(method: str, most_labels: int) -> Effort:
    """Build an `Effort`.

    Raises:
        UnknownNameError: another method.
        InvalidInputError: no labels.
    """
    if method not in get_args(Method):
        raise unknown_name("method", method, get_args(Method))
    if most_labels < 1:
        raise InvalidInputError(f"`most_labels` must be >= 1, but got {most_labels}")
    return Effort(method, most_labels)  # type: ignore[arg-type]


def minimise(terms: Terms, goal: Goal, effort: Effort, rules: Rules = Rules(), known: Candidate | None = None) -> Found:
    """Find the mapping of least goal.

    Args:
        terms: costs.
        goal: a maximum of linear functions of the values.
        effort: how hard to search.
        rules: further limits.
        known: a mapping to begin with.

    Raises:
        InvalidInputError: `exact` needs more labels than allowed.
    """
    problem = terms.problem
    weights = goal.rows.mean(axis=0)
    saved = np.where(problem.can_reload, terms.reload @ weights, np.inf)

    def price(cores: Ints) -> tuple[Floats, Bools]:
        resident = choose_resident(problem, cores, saved)
        values = values_of(terms, cores, resident)
        with np.errstate(invalid="ignore"):  # 0 x inf of a mapping that is not legal
            value = np.where(np.isfinite(values).all(axis=1), goal.of(values), np.inf)
        if rules.ceiling is not None:
            value = np.where((values <= rules.ceiling * FULL).all(axis=1), value, np.inf)
        if rules.contiguous:
            value = np.where(is_contiguous(cores, problem.cores), value, np.inf)
        return value, resident

    tried = starts(terms, weights)
    value, resident = price(tried)
    first = int(value.argmin())
    start = Candidate(float(value[first]), tried[first], resident[first])
    if known is not None and known.value < start.value:
        start = known
    relaxed, best = best_bound(terms, goal, price, start, rules.ceiling)
    if not np.isfinite(relaxed.bound):
        return Found(None, np.inf, "tree")
    if not _met(best, relaxed.bound):
        best = improve(problem, best, price)
    if _met(best, relaxed.bound):
        plain = len(goal.rows) == 1 and problem.is_forest and not problem.limited
        return Found(best, min(relaxed.bound, best.value), "tree" if plain else "bound met")
    if effort.method == "bounded":
        return Found(best if np.isfinite(best.value) else None, relaxed.bound, "local")
    return _searched(terms, goal, effort, rules, relaxed, best)


def _met(candidate: Candidate, bound: float) -> bool:
    return candidate.value <= bound + MET * abs(bound)


def _searched(terms: Terms, goal: Goal, effort: Effort, rules: Rules, relaxed: Relaxed, best: Candidate) -> Found:
    """Search partial mappings below the value of the best mapping known, exactly or as a beam.

    Raises:
        InvalidInputError: not exact, though it must be.
    """
    limits = Limits(effort.most_labels, relaxed, best.value, rules.ceiling, rules.contiguous)
    labels, lost = all_best(terms, limits)
    if effort.method == "exact" and np.isfinite(lost):
        raise InvalidInputError(
            f"the exact search needs more than `most_labels` = {effort.most_labels} partial mappings; raise it or "
            "use method='auto', which then gives the best mapping found and a lower bound"
        )
    if len(labels.values):
        value = goal.of(labels.values)
        i = int(value.argmin())
        if value[i] < best.value:
            best = Candidate(float(value[i]), labels.cores[i], labels.resident[i])
    bound = max(relaxed.bound, min(lost, best.value))
    if not np.isfinite(best.value):
        return Found(None, bound, "labels")
    return Found(best, min(bound, best.value), "labels" if _met(best, bound) else "beam")
