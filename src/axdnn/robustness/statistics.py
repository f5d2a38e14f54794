"""What chance alone may do: the interval of a share; whether an attack is stronger than another on equal images."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from axdnn.records import InvalidInputError

Z_TWO_SIDED_95 = 1.959963984540054
ALPHA = 0.01
"""Chance of one false alarm of a law, given that it holds."""


def wilson(count: int, total: int, z: float = Z_TWO_SIDED_95) -> tuple[float, float]:
    """Return the Wilson interval of a share, by default of 95 %.

    Args:
        count: successes, 0..total.
        total: trials, at least 1.
        z: quantile of the normal distribution.

    Raises:
        InvalidInputError: the counts make no share.
    """
    if not 0 <= count <= total or total < 1:
        raise InvalidInputError(f"0 <= count <= total and total >= 1 must hold, but got {count} of {total}")
    share, square = count / total, z * z / total
    middle = (share + square / 2) / (1 + square)
    half = z / (1 + square) * math.sqrt(share * (1 - share) / total + square / (4 * total))
    low = 0.0 if count == 0 else max(0.0, middle - half)
    return low, 1.0 if count == total else min(1.0, middle + half)


def chance_of_lead(more: int, less: int) -> float:
    """Return the chance that at least `more` of `more + less` fair coins fall on one side: the exact sign test."""
    total = more + less
    return float(sum(math.comb(total, k) for k in range(more, total + 1)) / 2**total)


def stronger(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_], alpha: float = ALPHA) -> bool:
    """Return whether the first attack breaks more of the same images than the second by more than chance.

    Args:
        first: broken or not, per image.
        second: the same images in the same order.
        alpha: one-sided level of the sign test on images that only one of them breaks.
    """
    more, less = int((first & ~second).sum()), int((second & ~first).sum())
    return more > less and chance_of_lead(more, less) < alpha


def above_chance(count: int, total: int, share: float, alpha: float = ALPHA) -> bool:
    """Return whether so many successes are too many for a given share: the exact binomial test, one-sided."""
    tail = sum(math.comb(total, k) * share**k * (1 - share) ** (total - k) for k in range(count, total + 1))
    return count > share * total and tail < alpha
