"""Which pods hold which multiplier: all allocations enumerated, the cheapest taken."""

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
BLOCK = 2_000_000
"""Candidate allocations priced at once: bounds memory."""


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

    A layer runs on the pods of its kind alone, layers one after the other, and everything is powered throughout;
    the energy that does not depend on time does not depend on the allocation either.

    Args:
        kind_latency_s: latency summed over the layers of each kind, on 1..P pods; shape `(C, k, P)`.
        pod_w: static power of one pod of each kind, shape `(C, k)`.
        shared_w: static power of the rest, watts.
    """
    kinds, pods = kind_latency_s.shape[1:]
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
