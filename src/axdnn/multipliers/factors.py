"""Exact integer factors of a product table: `T == F @ G.T` in integers, so a look-up becomes a few exact products.

The columns of G are a reduced basis of the lattice spanned by the rows of T (or F one of its columns), made smaller by
steps that keep the product; see `lattice` and `balance`. Every result is multiplied out and compared entry by entry.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from axdnn.multipliers.balance import digit_products, even_out, lower_bound_by_column_steps
from axdnn.multipliers.lattice import coordinates, row_lattice_basis
from axdnn.multipliers.modular import PRIME, IntArray, as_integer_matrix, eliminate, primes_below
from axdnn.records import InvalidInputError, Multiplier, Record

MAX_RANK = 32
FLOAT64_EXACT = 2.0**53


class Factors(Record, frozen=True, kw_only=True, eq=False):
    """Integers with `table[a, w] == sum_j F[a, j] * G[w, j]`.

    Attributes:
        F: int64, shape `(m, r)`, one row a code of operand a (activation); read-only.
        G: int64, shape `(n, r)`, one row a code of operand b (weight); read-only.
    """

    F: np.ndarray[Any, Any]
    G: np.ndarray[Any, Any]

    def __post_init__(self) -> None:
        """Check that the two belong together and keep read-only copies."""
        if self.F.ndim != 2 or self.G.ndim != 2 or self.F.shape[1] != self.G.shape[1]:
            raise InvalidInputError(f"factors must be (m, r) and (n, r), but got {self.F.shape} and {self.G.shape}")
        if self.F.dtype != np.int64 or self.G.dtype != np.int64:
            raise InvalidInputError(f"factors must be int64, but got {self.F.dtype} and {self.G.dtype}")
        for name in ("F", "G"):
            array = np.array(getattr(self, name), order="C")
            array.flags.writeable = False
            msgspec.structs.force_setattr(self, name, array)

    @property
    def rank(self) -> int:
        """Number of columns r."""
        return int(self.F.shape[1])

    @property
    def bound(self) -> int:
        """Largest `sum_j |F[a, j] G[w, j]|` over all pairs.

        A reduction over K operand pairs is exact in a float of p mantissa bits, in any order of summation, if
        `K * bound <= 2**p` (24 for float32, 53 for float64).
        """
        return int(_product(np.abs(self.F), np.abs(self.G)).max(initial=0))

    def product(self) -> IntArray:
        """Return `F @ G.T`, int64 of shape `(m, n)`, computed without overflow."""
        return _product(self.F, self.G)

    def reproduces(self, table: npt.ArrayLike) -> bool:
        """Whether every entry of `table` is the product."""
        return bool(np.array_equal(self.product(), np.asarray(table)))

    def swapped(self) -> Factors:
        """Return the factors of the transposed table."""
        return Factors(F=self.G, G=self.F)

    def reindex_w(self, columns: npt.ArrayLike, signs: npt.ArrayLike) -> Factors:
        """Return the factors of the table `signs[s] * table[:, columns[s]]`.

        Args:
            columns: integers `0..n - 1`, shape `(k,)`.
            signs: -1, 0 or 1, shape `(k,)`.
        """
        sign = np.asarray(signs, dtype=np.int64)
        if not np.isin(sign, (-1, 0, 1)).all():
            raise InvalidInputError("`signs` must hold only -1, 0 and 1")
        return Factors(F=self.F, G=sign[:, None] * self.G[np.asarray(columns)])


def _product(left: IntArray, right: IntArray) -> IntArray:
    if not left.shape[1]:
        return np.zeros((len(left), len(right)), dtype=np.int64)
    most = float(np.abs(left).max(initial=0)) * float(np.abs(right).max(initial=0)) * left.shape[1]
    if most < FLOAT64_EXACT:
        exact: IntArray = (left.astype(np.float64) @ right.T.astype(np.float64)).astype(np.int64)
        return exact
    if most < 2.0**62:
        return left @ right.T
    return np.asarray(left.astype(object) @ right.T.astype(object), dtype=np.int64)


def integer_factors(table: npt.ArrayLike, max_rank: int = MAX_RANK) -> Factors | None:
    """Factor an integer table exactly.

    Args:
        table: integers within int32, shape `(m, n)`, usually `(256, 256)`.
        max_rank: give up above this rank.

    Returns:
        factors with as many columns as the rank (0 for a zero table), or None if the rank exceeds `max_rank`. Among
        a few candidates with `bound <= 2 * max |table|` the one that takes the fewest 8-bit digit products.

    Raises:
        InvalidInputError: not an integer matrix, or entries outside int32.
    """
    matrix = as_integer_matrix(table)
    if matrix.size and max(int(matrix.max()), -int(matrix.min())) > 2**31:
        raise InvalidInputError("entries of a table to factor must fit int32")
    if matrix.tobytes() < matrix.T.tobytes():  # one orientation for both, so that transposed tables get swapped factors
        found = _factor(np.ascontiguousarray(matrix.T), max_rank)
        return None if found is None else found.swapped()
    return _factor(matrix, max_rank)


def _factor(matrix: IntArray, max_rank: int) -> Factors | None:
    for prime in islice(primes_below(PRIME), 8):
        pivots = eliminate(matrix, prime, stop=max_rank + 1).rows
        if len(pivots) > max_rank:
            return None
        try:
            found = min(_candidates(matrix, prime), key=lambda factors: _cost(factors, matrix))
        except ArithmeticError:
            continue  # the rank is smaller modulo this prime than over the rationals
        if found.reproduces(matrix):
            return found
    raise ArithmeticError("no exact factors: entries of the factors exceed 62 bits")


def _candidates(matrix: IntArray, prime: int) -> Iterator[Factors]:
    """Factors from the row lattice and from the column lattice, as reduced and after lowering the bound."""
    rows, a_codes = np.unique(matrix, axis=0, return_inverse=True)
    columns, w_codes = np.unique(rows, axis=1, return_inverse=True)
    a_codes, w_codes = a_codes.reshape(-1), w_codes.reshape(-1)
    target = float(np.abs(matrix).max(initial=0))
    for transposed in (False, True):
        small = np.ascontiguousarray(columns.T if transposed else columns)
        basis = row_lattice_basis(small, eliminate(small, prime).rows)
        left, right = coordinates(small, basis)[0], basis.T
        for pair in ((left, right), lower_bound_by_column_steps(left, right, target)):
            f, g = even_out(*pair)
            if transposed:
                f, g = g, f
            yield Factors(F=f[a_codes], G=g[w_codes])


def _cost(factors: Factors, matrix: IntArray) -> tuple[bool, int, int]:
    bound = factors.bound
    return bound > 2 * int(np.abs(matrix).max(initial=0)), digit_products(factors.F, factors.G), bound


def factors_for(multiplier: Multiplier, max_rank: int = MAX_RANK) -> Factors | None:
    """Exact factors of a multiplier's table, cached by `multiplier.id`; None if the rank exceeds `max_rank`.

    The result has been compared with the table entry by entry.
    """
    key = (multiplier.id, max_rank)
    if key not in _CACHE:
        _CACHE[key] = integer_factors(multiplier.table, max_rank)
    return _CACHE[key]


_CACHE: dict[tuple[str, int], Factors | None] = {}
