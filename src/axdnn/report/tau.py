"""Ranks and Kendall's tau-b, computed from the values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations

from axdnn.records import InvalidInputError


def ranks(values: Mapping[str, float]) -> dict[str, float]:
    """Return name -> rank, 1 for the largest value; equal values share the mean of their ranks."""
    ordered = sorted(values.values(), reverse=True)
    return {name: ordered.index(v) + (ordered.count(v) + 1) / 2 for name, v in values.items()}


def kendall_tau(a: Sequence[float], b: Sequence[float]) -> float | None:
    """Return Kendall's tau-b of two equally long sequences, in -1..1.

    None where it is undefined: fewer than two values, or all values of a sequence equal.

    Raises:
        InvalidInputError: the sequences differ in length.
    """
    if len(a) != len(b):
        raise InvalidInputError(f"`len(a) == len(b)` must hold, but got {len(a)} and {len(b)}")
    order = ties_a = ties_b = pairs = 0
    for i, j in combinations(range(len(a)), 2):
        up_a = (a[i] > a[j]) - (a[i] < a[j])
        up_b = (b[i] > b[j]) - (b[i] < b[j])
        order += up_a * up_b
        ties_a += up_a == 0
        ties_b += up_b == 0
        pairs += 1
    scale = math.sqrt((pairs - ties_a) * (pairs - ties_b))
    return order / scale if scale else None
