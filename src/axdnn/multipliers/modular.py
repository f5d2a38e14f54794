"""Exact rank of an integer matrix, by elimination modulo primes with a certificate.

A minor that is not zero modulo a prime is not zero, so the rank modulo a prime is a lower bound that needs no further
proof. The upper bound is proved in one of two ways: an integer basis of the null space, read off the elimination and
multiplied out exactly, or enough primes that no minor of the next size can vanish modulo all of them (Hadamard).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from axdnn.records import InvalidInputError

PRIME = 2**31 - 1
IntArray = npt.NDArray[np.int64]


class Elimination(NamedTuple):
    """Outcome of an elimination modulo a prime.

    Attributes:
        rows, columns: pivots, in the order found; these rows are independent over the rationals.
        reduced: the pivot rows in reduced echelon form, shape `(rank, columns)`, entries `0..prime - 1`; empty unless
            asked for.
    """

    rows: list[int]
    columns: list[int]
    reduced: IntArray


def as_integer_matrix(matrix: npt.ArrayLike) -> IntArray:
    """Return `matrix` as an int64 array of two dimensions.

    Raises:
        InvalidInputError: not two-dimensional, not integers, or an entry of magnitude 2**62 or more.
    """
    array = np.asarray(matrix)
    if array.ndim != 2:
        raise InvalidInputError(f"an integer matrix must have two dimensions, but got shape {array.shape}")
    if array.dtype.kind not in "iub" and not _all_python_integers(array):
        raise InvalidInputError(f"an integer matrix must hold integers, but got dtype {array.dtype}")
    if array.size and max(int(array.max()), -int(array.min())) >= 2**62:
        raise InvalidInputError("entries of an integer matrix must be smaller than 2**62 in magnitude")
    return array.astype(np.int64)


def _all_python_integers(array: npt.NDArray[Any]) -> bool:
    return array.dtype == object and all(isinstance(value, int) for value in array.flat)


def eliminate(matrix: IntArray, prime: int = PRIME, *, stop: int | None = None, reduce: bool = False) -> Elimination:
    """Gauss elimination of `matrix` modulo `prime` (at most 2**31 - 1, so that products fit int64).

    Args:
        matrix: int64, shape `(m, n)`.
        prime: the modulus.
        stop: end once this many pivots are found (the rank is then at least that).
        reduce: also clear the columns above the pivots and return the pivot rows.
    """
    work = matrix % prime
    free = np.ones(len(work), dtype=bool)
    rows: list[int] = []
    columns: list[int] = []
    limit = min(work.shape) if stop is None else min(stop, *work.shape)
    for column in range(work.shape[1]):
        if len(rows) == limit:
            break
        candidates = np.flatnonzero(free & (work[:, column] != 0))
        if not len(candidates):
            continue
        row = int(candidates[0])
        work[row] = work[row] * pow(int(work[row, column]), -1, prime) % prime
        others = (work[:, column] != 0) if reduce else candidates[1:]
        if reduce:
            others[row] = False
        work[others] = (work[others] - work[others, column][:, None] * work[row]) % prime
        free[row] = False
        rows.append(row)
        columns.append(column)
    return Elimination(rows, columns, work[rows] if reduce else work[:0])


def matrix_rank(matrix: npt.ArrayLike) -> int:
    """Rank of an integer matrix over the rationals, exact (no floating point).

    Args:
        matrix: integers, shape `(m, n)`, entries smaller than 2**62 in magnitude.

    Raises:
        InvalidInputError: not such a matrix.

    Example:
        >>> matrix_rank([[1, 2], [2, 4]])
        1
    """
    array = _strip(as_integer_matrix(matrix))
    if not array.size:
        return 0
    found = eliminate(array, reduce=True)
    rank = len(found.rows)
    if rank == min(array.shape) or _null_space_proves(array, found):
        return rank
    return _rank_by_many_primes(array, rank)


def _strip(array: IntArray) -> IntArray:
    """Drop what cannot matter (zero and repeated rows and columns); the tall side becomes the rows."""
    for _ in range(2):
        array = np.unique(array, axis=0)
        array = array[array.any(axis=1)].T
    return array if array.shape[0] >= array.shape[1] else array.T


def _null_space_proves(array: IntArray, found: Elimination) -> bool:
    """Whether small integer vectors, one for every column without pivot, are annihilated by `array`, exactly."""
    free = np.setdiff1d(np.arange(array.shape[1]), found.columns)
    solution = found.reduced[:, free]
    for column, index in enumerate(free):
        common = _common_denominator(solution[:, column])
        numerators = solution[:, column] * common % PRIME
        numerators = np.where(numerators > PRIME // 2, numerators - PRIME, numerators)
        vector = np.zeros(array.shape[1], dtype=np.int64)
        vector[found.columns] = -numerators
        vector[index] = common
        if not is_zero_product(array, vector):
            return False
    return True


def _common_denominator(values: IntArray, limit: int = 2**14) -> int:
    """Guess a small common denominator of residues (rational reconstruction); a wrong guess fails the exact check."""
    common = 1
    for value in np.unique(values):
        residue = int(value) * common % PRIME
        if min(residue, PRIME - residue) <= limit:
            continue
        above, below, u, v = PRIME, residue, 0, 1
        while below > limit:
            quotient = above // below
            above, below, u, v = below, above - quotient * below, v, u - quotient * v
        common *= abs(v)
        if common > limit:
            return 1
    return common


def is_zero_product(array: IntArray, vector: IntArray) -> bool:
    """Whether `array @ vector` is zero, computed without overflow."""
    if int(np.abs(array).max(initial=0)) * int(np.abs(vector).max(initial=0)) * max(len(vector), 1) < 2**62:
        return not (array @ vector).any()
    return not (array.astype(object) @ vector.astype(object)).any()


def _rank_by_many_primes(array: IntArray, rank: int) -> int:
    """Rank as the maximum over so many primes that no minor of the next size is divisible by all of them."""
    norms = sorted((sum(int(v) ** 2 for v in row) for row in array), reverse=True)
    used = 0.0
    for prime in primes_below(PRIME):
        rank = max(rank, len(eliminate(array, prime).rows))
        used += math.log2(prime)
        if rank == min(array.shape) or used > sum(math.log2(n) for n in norms[: rank + 1]) / 2 + 1:
            return rank
    raise AssertionError("there are enough primes below 2**31")


def primes_below(top: int) -> Iterator[int]:
    """Yield the odd primes from `top` (odd) downwards."""
    sieve = np.ones(46342, dtype=bool)
    sieve[:2] = False
    for n in range(2, 216):
        if sieve[n]:
            sieve[n * n :: n] = False
    small = np.flatnonzero(sieve)
    for candidate in range(top, 2, -2):
        if not (candidate % small[small * small <= candidate] == 0).any():
            yield candidate
