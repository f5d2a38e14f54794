"""Bisection of a list of choices, cheapest first, by tries."""

from __future__ import annotations

from collections.abc import Sequence

from axdnn.generation.judge import Judge
from axdnn.generation.problem import Ints


def halve(judge: Judge, choices: Sequence[Ints]) -> int:
    """Bisect for the cheapest accepted choice, as if what costs more were always accepted more readily.

    Args:
        judge: tries choices while evaluations are left.
        choices: cheapest first.

    Returns:
        Index below which nothing was accepted: of the cheapest accepted choice when the bisection was completed,
        `len(choices)` when none was accepted.
    """
    low, high = 0, len(choices)
    while low < high and judge.left > 0:
        middle = (low + high) // 2
        if judge.try_(choices[middle]).accepted:
            high = middle
        else:
            low = middle + 1
    return high
