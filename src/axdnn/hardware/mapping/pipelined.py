"""Inferences that overlap: the mapping of least period, or of least energy at a given period."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from axdnn.hardware.mapping.account import Mapped, account_pipelined
from axdnn.hardware.mapping.explain import why_infeasible
from axdnn.hardware.mapping.moves import values_of
from axdnn.hardware.mapping.problem import Problem
from axdnn.hardware.mapping.relaxation import Candidate, Goal
from axdnn.hardware.mapping.solve import MOST_LABELS, Effort, Found, Method, Rules, check_effort, minimise
from axdnn.hardware.mapping.terms import Occupies, Terms, always_w, pipelined_terms
from axdnn.records import InvalidInputError

SLACK = 1e-9
"""Relative: how far the period may be above the least while energy is made least."""


def pipelined(
    problem: Problem,
    *,
    period_s: float | None = None,
    contiguous: bool = False,
    occupies: Occupies = "both",
    method: Method = "auto",
    most_labels: int = MOST_LABELS,
) -> Mapped:
    """Map layers so that a new inference starts as often as possible; among such mappings, with the least energy.

    The period is the busy time of the busiest core (layers, reloads, and its ends of transfers), or of the DRAM where
    outputs that wait do not fit the shared buffer. Every layer's output has a place of its own there, and one more for
    each core boundary it waits at. Links are not shared: two transfers do not disturb each other but at the cores.

    Args:
        problem: costs.
        period_s: run at this period and make energy least; by default the least period.
        contiguous: each core runs one unbroken stretch of layers (in execution order).
        occupies: end of a transfer that is busy with it: `both`, `producer` or `consumer`.
        method: `auto`, `exact` or `bounded`, see `Effort`.
        most_labels: partial mappings kept at a time.

    Returns:
        `value` is the period, or the energy if `period_s` is given; `note` says if energy was not proved least.

    Raises:
        UnknownNameError: another `occupies` or method.
        InvalidInputError: `period_s` not positive, or `exact` needs more labels.
    """
    effort = check_effort(method, most_labels)
    if period_s is not None and not (period_s > 0 and np.isfinite(period_s)):
        raise InvalidInputError(f"`period_s` must be positive and finite, but got {period_s}")
    label = "period" if period_s is None else f"energy at a period of {period_s:g} s"
    terms, rules = pipelined_terms(problem, occupies), Rules(contiguous=contiguous)
    timed = terms.select(np.eye(problem.cores + 2)[:, :-1])  # energy would only multiply partial mappings
    fastest = minimise(timed, _period_goal(problem), effort, rules)
    if fastest.candidate is None:
        proved = not np.isfinite(fastest.bound)
        return why_infeasible(problem, label, proved=proved, bound=fastest.bound, contiguous=contiguous)
    if period_s is not None and fastest.bound > period_s * (1 + SLACK):
        return _too_fast(problem, timed, fastest, label, proved=True)
    wanted = fastest.candidate.value if period_s is None else period_s
    secondary = effort if period_s is not None or effort.method != "exact" else effort._replace(method="auto")
    frugal = _least_energy(terms, fastest.candidate, wanted, secondary, rules)
    if frugal.candidate is None:
        return _too_fast(problem, timed, fastest, label, proved=not np.isfinite(frugal.bound))
    return _answer(terms, label, fastest, frugal, period_s)


def _period_goal(problem: Problem) -> Goal:
    """Busy time of every core, and of the DRAM if its bandwidth can bind; over busy times and held bytes."""
    rows, offset = np.eye(problem.cores + 1)[:-1], np.zeros(problem.cores)
    per_byte = 2 / problem.dram_bandwidth_b_s
    if per_byte > 0 and np.isfinite(problem.buffer_bytes):
        rows = np.vstack([rows, per_byte * np.eye(problem.cores + 1)[-1]])
        offset = np.append(offset, -per_byte * problem.buffer_bytes)
    return Goal(rows, offset)


def _energy_goal(problem: Problem, period_s: float) -> Goal:
    """Energy at a period: the larger of no spill and a spill, over all values."""
    row = np.eye(problem.cores + 2)[-1]
    base = always_w(problem) * period_s
    if problem.dram_j_b == 0 or not np.isfinite(problem.buffer_bytes):
        return Goal(row[None], np.array([base]))
    per_byte = 2 * problem.dram_j_b
    spilling = row + per_byte * np.eye(problem.cores + 2)[-2]
    return Goal(np.stack([row, spilling]), np.array([base, base - per_byte * problem.buffer_bytes]))


def _least_energy(terms: Terms, fastest: Candidate, period_s: float, effort: Effort, rules: Rules) -> Found:
    """Least energy of all mappings that keep a period."""
    problem = terms.problem
    ceiling = np.full(problem.cores + 2, period_s * (1 + SLACK))
    ceiling[-1] = np.inf
    ceiling[-2] = problem.buffer_bytes + ceiling[0] * problem.dram_bandwidth_b_s / 2
    goal = _energy_goal(problem, period_s)
    values = values_of(terms, fastest.cores[None], fastest.resident[None])
    known = fastest._replace(value=float(goal.of(values)[0])) if (values <= ceiling * (1 + SLACK)).all() else None
    return minimise(terms, goal, effort, rules._replace(ceiling=ceiling), known)


def _answer(terms: Terms, label: str, fastest: Found, frugal: Found, period_s: float | None) -> Mapped:
    problem, best = terms.problem, frugal.candidate
    assert best is not None
    values = values_of(terms, best.cores[None], best.resident[None])[0]
    least = float(_period_goal(problem).of(values[:-1]))
    mapped = account_pipelined(
        problem, best.cores, best.resident, values[: problem.cores], float(values[-2]), period_s or least
    )
    settled = frugal.bound >= best.value * (1 - 1e-8)
    if period_s is not None:
        return replace(
            mapped, objective=label, value=best.value, bound=min(frugal.bound, best.value), exact=settled,
            method=frugal.method,
        )  # fmt: skip
    note = "" if settled else f"at this period, energy is not proved least; at least {frugal.bound:.6g} J"
    return replace(
        mapped, objective=label, value=least, bound=min(fastest.bound, least), method=fastest.method, note=note,
        exact=fastest.bound >= least * (1 - 1e-8),
    )  # fmt: skip


def _too_fast(problem: Problem, timed: Terms, fastest: Found, label: str, *, proved: bool) -> Mapped:
    """Answer for a period that no mapping keeps, or none that was found."""
    best = fastest.candidate
    assert best is not None
    goal = _period_goal(problem)
    busy = values_of(timed, best.cores[None], best.resident[None])[0] @ goal.rows.T + goal.offset
    names = [*problem.core_names, "the DRAM"]
    binding = f"{names[int(busy.argmax())]} is busy for {busy.max():.6g} s in the fastest mapping found"
    if not proved:
        binding = f"none was found, though none is proved not to exist; {binding}"
    return Mapped(
        feasible=False, objective=label, bound=fastest.bound, exact=proved, method="none", binding=binding,
        remedy=f"allow a period of {busy.max():.6g} s, or make {names[int(busy.argmax())]} quicker or take load off it",
    )  # fmt: skip
