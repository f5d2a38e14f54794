"""A short basis of the lattice that the rows of an integer matrix span, in exact integer arithmetic.

Floating point only proposes (rounded coordinates); every change of the basis is an exact unimodular step, so the
lattice is right whatever the rounding did, and only the shortness of the basis depends on it. Reduction follows
Lenstra, Lenstra and Lovasz, "Factoring polynomials with rational coefficients", Math. Ann. 261 (1982).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from axdnn.multipliers.modular import IntArray, eliminate

LOVASZ = 0.999
FloatArray = npt.NDArray[np.float64]
AnyIntArray = np.ndarray[Any, Any]


def row_lattice_basis(matrix: IntArray, pivots: Sequence[int]) -> IntArray:
    """Return a reduced basis of all integer combinations of the rows.

    Args:
        matrix: int64, shape `(m, n)`.
        pivots: indices of as many independent rows as the rank (see `modular.eliminate`).

    Returns:
        int64, shape `(rank, n)`; shape `(0, n)` for a zero matrix.

    Raises:
        ArithmeticError: the pivots do not span the rows, or an intermediate number exceeds 62 bits.
    """
    basis = reduce_basis(matrix[list(pivots)])
    while True:
        _, rest = coordinates(matrix, basis)
        outside = np.flatnonzero(rest.any(axis=1))
        if not len(outside):
            return basis
        basis = reduce_basis(_absorb(basis, rest[outside[0]]))


def coordinates(matrix: IntArray, basis: IntArray) -> tuple[IntArray, IntArray]:
    """Nearest integer coordinates of each row in `basis`, and what is left over (zero for members of the lattice).

    Args:
        matrix: int64, shape `(m, n)`, rows in the rational span of the basis.
        basis: int64, shape `(r, n)`, independent rows.

    Returns:
        coordinates int64 `(m, r)`, rest int64 `(m, n)` with `matrix == coordinates @ basis + rest`.
    """
    if not len(basis):
        return np.zeros((len(matrix), 0), dtype=np.int64), matrix
    inverse = np.linalg.pinv(basis.astype(np.float64))
    found = np.zeros((len(matrix), len(basis)), dtype=np.int64)
    rest = matrix
    for _ in range(4):
        step = np.rint(rest.astype(np.float64) @ inverse).astype(np.int64)
        if not step.any():
            break
        found = found + step
        rest = subtract_product(matrix, found, basis)
    return found, rest


def subtract_product(matrix: IntArray, left: IntArray, right: IntArray) -> IntArray:
    """Return `matrix - left @ right` without overflow, int64.

    Raises:
        ArithmeticError: the result itself does not fit int64.
    """
    if not left.size:
        return matrix.copy()
    bound = float(np.abs(left).max()) * float(np.abs(right).max()) * left.shape[-1]
    if bound < 2**52:
        product: AnyIntArray = (left.astype(np.float64) @ right.astype(np.float64)).astype(np.int64)
        return np.asarray(matrix - product, dtype=np.int64)
    if bound < 2**61:
        return np.asarray(matrix - left @ right, dtype=np.int64)
    exact = matrix.astype(object) - left.astype(object) @ right.astype(object)
    if exact.size and max(abs(int(value)) for value in exact.flat) >= 2**62:
        raise ArithmeticError("an intermediate integer matrix exceeds 62 bits")
    return np.asarray(exact, dtype=np.int64)


def reduce_basis(basis: IntArray) -> IntArray:
    """Return an LLL-reduced basis of the same lattice.

    Args:
        basis: int64, shape `(r, n)`, independent rows; r may be 0.
    """
    for _ in range(50 if len(basis) > 1 else 0):
        changes = _lll_transform(np.asarray(np.linalg.qr(basis.T.astype(np.float64), mode="r")).T)
        if np.array_equal(changes, np.eye(len(basis), dtype=np.int64)):
            break
        basis = subtract_product(np.zeros_like(basis), -changes, basis)
    return basis


def _lll_transform(lower: FloatArray) -> IntArray:
    """Unimodular matrix that LLL-reduces the rows of a lower triangular matrix (floating-point coordinates)."""
    size = len(lower)
    lower = lower.copy()
    changes = np.eye(size, dtype=np.int64)
    limit = 2.0**20
    k = 1
    while k < size:
        _size_reduce(lower, changes, k)
        if lower[k, k] ** 2 + lower[k, k - 1] ** 2 < LOVASZ * lower[k - 1, k - 1] ** 2:
            _swap(lower, changes, k)
            k = max(k - 1, 1)
        else:
            k += 1
        if np.abs(changes[k - 1]).max() > limit:
            break
    return changes


def _size_reduce(lower: FloatArray, changes: IntArray, k: int) -> None:
    for j in range(k - 1, -1, -1):
        multiple = lower[k, j] / lower[j, j]
        if abs(multiple) > 0.501:
            whole = round(multiple)
            lower[k, : j + 1] -= whole * lower[j, : j + 1]
            changes[k] -= whole * changes[j]


def _swap(lower: FloatArray, changes: IntArray, k: int) -> None:
    """Swap rows k-1 and k and rotate two columns so that the matrix is lower triangular again."""
    lower[[k - 1, k]] = lower[[k, k - 1]]
    changes[[k - 1, k]] = changes[[k, k - 1]]
    x, y = lower[k - 1, k - 1], lower[k - 1, k]
    length = math.hypot(x, y)
    pair = lower[k - 1 :, [k - 1, k]]
    lower[k - 1 :, k - 1] = (pair[:, 0] * x + pair[:, 1] * y) / length
    lower[k - 1 :, k] = (pair[:, 1] * x - pair[:, 0] * y) / length


def _absorb(basis: IntArray, vector: IntArray) -> IntArray:
    """Basis of the lattice spanned by `basis` and one more vector of the same rational span."""
    generators = np.vstack([vector, basis])
    relation = _integer_relation(basis, vector)
    while sum(c != 0 for c in relation) > 1:
        small = min((i for i, c in enumerate(relation) if c), key=lambda i: abs(relation[i]))
        step = np.zeros(len(relation), dtype=np.int64)
        for j, c in enumerate(relation):
            if j != small and c:
                multiple = (2 * c + abs(relation[small])) // (2 * abs(relation[small]))
                multiple = multiple if relation[small] > 0 else -multiple
                relation[j] = c - multiple * relation[small]
                step[j] = multiple
        generators[small] = subtract_product(generators[small], -step, generators)
    gone = next(i for i, c in enumerate(relation) if c)
    if generators[gone].any():
        raise ArithmeticError("the vector is outside the rational span of the basis")
    return np.delete(generators, gone, axis=0)


def _integer_relation(basis: IntArray, vector: IntArray) -> list[int]:
    """Coprime integers `c` with `c[0] * vector + sum(c[i + 1] * basis[i]) == 0` (fraction-free elimination)."""
    columns = eliminate(basis).columns
    if len(columns) < len(basis):
        raise ArithmeticError("the basis is dependent modulo the prime")
    system = [[int(v) for v in row] for row in np.vstack([basis, vector])[:, columns].T]
    last = 1
    for k in range(len(basis)):
        pivot = next(i for i in range(k, len(system)) if system[i][k])
        system[k], system[pivot] = system[pivot], system[k]
        head = system[k]
        for i, row in enumerate(system):
            if i != k:
                factor = row[k]
                system[i] = [(head[k] * value - factor * other) // last for value, other in zip(row, head, strict=True)]
        last = head[k]
    relation = [-last] + [row[-1] for row in system]
    common = math.gcd(*relation)
    return [c // common for c in relation]
