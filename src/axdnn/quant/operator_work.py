"""Literal counts of textbook algorithms, whatever format a network came in: the arithmetic behind operator counts.

A sum of n values is n additions (the accumulator starts at 0), the largest of n is n - 1 comparisons, a mean is a sum
and one multiplication.
"""

from __future__ import annotations

from typing import NamedTuple

from axdnn.records import OperatorKind


class Work(NamedTuple):
    """What one operator does: kind, operations, transcendental ones, words (read, written) if not those of shapes."""

    kind: OperatorKind
    operations: int = 0
    transcendental: int = 0
    words: tuple[int, int] | None = None


VIEW = Work("movement", words=(0, 0))
"""What moves nothing."""


def max_pool_work(window: int, results: int) -> Work:
    """Largest of each window of so many values."""
    return Work("pooling", (window - 1) * results)


def avg_pool_work(window: int, results: int) -> Work:
    """Mean of each window of so many values."""
    return Work("pooling", (window + 1) * results)


def softmax_work(values: int, rows: int, before: int = 0) -> Work:
    """Largest, difference, exponential, sum; then one division a row and a product, or a logarithm and a difference.

    Args:
        values: of the operand.
        rows: sums.
        before: further operations of each value, e.g. scaling and mask of attention.
    """
    return Work("softmax", (4 + before) * values - rows, values + rows)


def norm_work(values: int, rows: int, steps: int = 2) -> Work:
    """Sum, difference, square, sum, product with the inverse deviation; a row: mean, variance, eps.

    Args:
        values: of the operand.
        rows: groups of values with a mean of their own.
        steps: 2 with weight and bias, 1 with either, 0 without.
    """
    return Work("normalisation", (5 + steps) * values + 3 * rows, rows)


def rms_norm_work(values: int, rows: int, steps: int = 1) -> Work:
    """Square, sum, product with the inverse root; a row: mean, eps. `steps` is 1 with a weight, else 0."""
    return Work("normalisation", (3 + steps) * values + 2 * rows, rows)


def permutation_work(shape: tuple[int, ...], order: tuple[int, ...]) -> Work:
    """A copy, or a view where only axes of one value change places."""
    real = [axis for axis in order if shape[axis] != 1]
    return VIEW if real == sorted(real) else Work("movement")


def sum_work(values: int) -> Work:
    """Sums of all values."""
    return Work("reduction", values)


def mean_work(values: int, results: int) -> Work:
    """Sums of all values and a product for each."""
    return Work("reduction", values + results)


def largest_work(values: int, results: int) -> Work:
    """Comparisons that leave so many of the values."""
    return Work("reduction", values - results)
