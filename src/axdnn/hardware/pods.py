"""Which pods hold which multiplier: the cheapest of all allocations, enumerated, or found on their convex hull."""

from __future__ import annotations

import itertools
import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from axdnn.hardware.components import Floats
from axdnn.hardware.systolic import Ints
from axdnn.records import InvalidInputError

MAX_ALLOCATIONS = 200_000
"""More are not enumerated."""
BLOCK = 2_000_000
"""Candidate allocations priced at once: bounds memory."""
SLACK = 1e-12
"""Relative: allocations that differ less in energy are the same."""


class Allocations(NamedTuple):
    """The best allocation of each candidate: pods of each kind `(C, k)`, energy of time `(C,)`, latency `(C,)`."""

    pods: Ints
    static_j: Floats
    latency_s: Floats


@lru_cache(maxsize=64)
def compositions(pods: int, kinds: int) -> Ints:
    """All ways to give `pods` pods to `kinds` kinds, each at least one; shape `(C(pods - 1, kinds - 1), kinds)`.

    Raises:
        InvalidInputError: more kinds than pods, or too many ways to enumerate.
    """
    if not 1 <= kinds <= pods:
        raise InvalidInputError(f"1 <= kinds of multiplier <= {pods} pods must hold, but got {kinds} kinds")
    ways = math.comb(pods - 1, kinds - 1)
    if ways > MAX_ALLOCATIONS:
        raise InvalidInputError(
            f"{kinds} kinds on {pods} pods have more than {MAX_ALLOCATIONS} allocations; give `Assignment.pods`"
        )
    cuts = np.array(list(itertools.combinations(range(1, pods), kinds - 1)), dtype=np.int64).reshape(ways, kinds - 1)
    ends = np.full((ways, 1), pods)
    result = np.diff(np.hstack([np.zeros_like(ends), cuts, ends]), axis=1)
    result.flags.writeable = False
    return result


def allocate(kind_latency_s: Floats, pod_w: Floats, shared_w: float) -> Allocations:
    """Give all pods to kinds so that static power x latency is least (ties: latency, then enumeration order).

    Up to `MAX_ALLOCATIONS` allocations are enumerated; more, and `hull_allocation` finds the best of each candidate.
    Both are exact.

    A layer runs on the pods of its kind alone, layers one after the other, and everything is powered throughout;
    the energy that does not depend on time does not depend on the allocation either.

    Args:
        kind_latency_s: latency summed over the layers of each kind, on 1..P pods; shape `(C, k, P)`.
        pod_w: static power of one pod of each kind, shape `(C, k)`.
        shared_w: static power of the rest, watts.
    """
    kinds, pods = kind_latency_s.shape[1:]
    if kinds <= pods and math.comb(pods - 1, kinds - 1) > MAX_ALLOCATIONS:
        found = [
            hull_allocation(latency, watts, shared_w) for latency, watts in zip(kind_latency_s, pod_w, strict=True)
        ]
        return _priced(np.array(found, dtype=np.int64).reshape(len(pod_w), kinds), kind_latency_s, pod_w, shared_w)
    ways = compositions(pods, kinds)
    block = max(BLOCK // len(ways), 1)
    parts = [
        _allocate_block(kind_latency_s[i : i + block], pod_w[i : i + block], shared_w, ways)
        for i in range(0, max(len(pod_w), 1), block)
    ]
    return Allocations(*(np.concatenate(columns) for columns in zip(*parts, strict=True)))


def _allocate_block(kind_latency_s: Floats, pod_w: Floats, shared_w: float, ways: Ints) -> Allocations:
    latency = np.zeros((len(pod_w), len(ways)))
    power = np.full(latency.shape, shared_w)
    for kind in range(ways.shape[1]):
        latency += kind_latency_s[:, kind, :][:, ways[:, kind] - 1]
        power += pod_w[:, kind, None] * ways[:, kind]
    energy = power * latency
    least = energy.min(axis=1, keepdims=True)
    best = np.where(energy <= least, latency, np.inf).argmin(axis=1)
    rows = np.arange(len(pod_w))
    return Allocations(ways[best], energy[rows, best], latency[rows, best])


def _priced(ways: Ints, kind_latency_s: Floats, pod_w: Floats, shared_w: float) -> Allocations:
    """Price one allocation `(C, k)` of each candidate, in the order of sums of the enumeration."""
    latency, power, rows = np.zeros(len(ways)), np.full(len(ways), shared_w), np.arange(len(ways))
    for kind in range(ways.shape[1]):
        latency += kind_latency_s[rows, kind, ways[:, kind] - 1]
        power += pod_w[:, kind] * ways[:, kind]
    return Allocations(ways, power * latency, latency)


def hull_allocation(kind_latency_s: Floats, pod_w: Floats, shared_w: float) -> Ints:
    """Return the allocation of one candidate with least static power x latency, without enumerating all.

    Why it is exact: the product of two positive numbers is quasi-concave, so over the points (power, latency) of all
    allocations it is least at a corner of their convex hull, and every corner of the lower left part minimises some
    weighted sum of power and latency. A weighted sum separates into kinds that share the pods, which dynamic
    programming solves (`_least_sum`). Corners are found between two known ones by the weights of the line through
    them; a stretch is left out when not even its lower left end is better than the best allocation so far.

    Args:
        kind_latency_s: latency of each kind on 1..P pods, shape `(k, P)`.
        pod_w: static power of one pod of each kind, `(k,)`.
        shared_w: static power of the rest.

    Returns:
        Pods of each kind, `(k,)`, at least 1, together P.
    """
    counts = np.arange(1, kind_latency_s.shape[1] + 1)
    watts = pod_w[:, None] * counts

    def corner(power_weight: float, latency_weight: float) -> tuple[float, float, Ints]:
        way = _least_sum(power_weight * watts + latency_weight * kind_latency_s)
        priced = _priced(way[None], kind_latency_s[None], pod_w[None], shared_w)
        power = shared_w + float(pod_w @ way)
        return power, float(priced.latency_s[0]), way

    fast, frugal = corner(0.0, 1.0), corner(1.0, 0.0)
    best = min(fast, frugal, key=lambda point: (point[0] * point[1], point[1]))
    stretches = [(fast, frugal)]
    while stretches:
        left, right = stretches.pop()
        (power, seconds, _), (less_power, more_seconds, _) = left, right
        if less_power * seconds >= best[0] * best[1] * (1 - SLACK):
            continue
        weights = more_seconds - seconds, power - less_power
        found = corner(*weights)
        if weights[0] * found[0] + weights[1] * found[1] >= (weights[0] * power + weights[1] * seconds) * (1 - SLACK):
            continue
        best = min(best, found, key=lambda point: (point[0] * point[1], point[1]))
        stretches += [(left, found), (found, right)]
    return best[2]


def _least_sum(values: Floats) -> Ints:
    """Return n `(k,)`, each at least 1 and together P, with least `sum_k values[k, n_k - 1]`; values `(k, P)`."""
    kinds, pods = values.shape
    later = np.arange(pods)[:, None] - np.arange(pods)  # pods of the kinds before, less one, by row total and column n
    total, chosen = values[0], []
    for kind in range(1, kinds):
        # total[t]: least sum of the kinds so far on t + 1 pods; this kind takes n + 1 of them.
        options = np.where(later >= 1, total[later - 1] + values[kind], np.inf)
        chosen.append(options.argmin(axis=1))
        total = options.min(axis=1)
    way, left = [], pods - 1
    for choice in reversed(chosen):
        taken = int(choice[left])
        way.append(taken + 1)
        left -= taken + 1
    return np.array([left + 1, *reversed(way)], dtype=np.int64)
