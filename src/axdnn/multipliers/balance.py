"""Make exact integer factors smaller without changing their product.

For `T = F @ G.T` any unimodular change of columns keeps the product: `g_i += c g_j` together with `f_j -= c f_i`. What
limits exact float arithmetic is `bound = max over (a, w) of sum_j |F[a, j] G[w, j]|`, which cannot be below `max |T|`;
the walk here takes the step that lowers the bound most until none does.
"""

from __future__ import annotations

import numpy as np

from axdnn.multipliers.lattice import FloatArray
from axdnn.multipliers.modular import IntArray

SLACK = 1.01
STEPS = 64
WATCHED = 256
TRIES = 3


def lower_bound_by_column_steps(left: IntArray, right: IntArray, target: float) -> tuple[IntArray, IntArray]:
    """Walk to factors of the same product with a smaller bound.

    Args:
        left: int64, shape `(m, r)`; sums of products far below 2**53.
        right: int64, shape `(n, r)`.
        target: stop once the bound is within 1 % of this (the largest magnitude of the product).

    Returns:
        the new factors.
    """
    f, g = left.astype(np.float64), right.astype(np.float64)
    sums = np.abs(f) @ np.abs(g).T
    for _ in range(STEPS if left.shape[1] > 1 else 0):
        best = float(sums.max())
        if best <= SLACK * target:
            break
        for predicted, i, j, sign in _proposals(f, g, sums):
            if predicted >= best:
                return _as_integers(f, g)
            new_f, new_g = f.copy(), g.copy()
            new_g[:, i] += sign * g[:, j]
            new_f[:, j] -= sign * f[:, i]
            new_sums = np.abs(new_f) @ np.abs(new_g).T
            if float(new_sums.max()) < best:
                f, g, sums = new_f, new_g, new_sums
                break
        else:
            break
    return _as_integers(f, g)


def _as_integers(f: FloatArray, g: FloatArray) -> tuple[IntArray, IntArray]:
    return f.astype(np.int64), g.astype(np.int64)


def _proposals(f: FloatArray, g: FloatArray, sums: FloatArray) -> list[tuple[float, int, int, int]]:
    """Most promising steps `(predicted bound, i, j, sign)`, judged on the entries with the largest sums."""
    count = min(WATCHED, sums.size)
    a, w = np.unravel_index(np.argpartition(sums.ravel(), -count)[-count:], sums.shape)
    left, right = f[a].T, g[w].T
    own = np.abs(left * right)
    rest = sums[a, w] - own[:, None] - own[None]
    steps: list[tuple[float, int, int, int]] = []
    for sign in (1, -1):
        changed = np.abs(left)[:, None] * np.abs(right[:, None] + sign * right[None])
        changed += np.abs(left[None] - sign * left[:, None]) * np.abs(right)[None]
        predicted = (rest + changed).max(axis=2)
        np.fill_diagonal(predicted, np.inf)
        for flat in np.argsort(predicted, axis=None)[:TRIES]:
            i, j = divmod(int(flat), len(left))
            steps.append((float(predicted[i, j]), i, j, sign))
    return sorted(steps)[:TRIES]


def even_out(left: IntArray, right: IntArray) -> tuple[IntArray, IntArray]:
    """Move powers of two between paired columns so that the larger of the two shrinks; choose signs that fit 8 bits."""
    left, right = left.copy(), right.copy()
    for j in range(left.shape[1]):
        _move_twos(left, right, j)
        _move_twos(right, left, j)
        if digits(-left[:, j]) * digits(-right[:, j]) < digits(left[:, j]) * digits(right[:, j]):
            left[:, j], right[:, j] = -left[:, j], -right[:, j]
    return left, right


def _move_twos(large: IntArray, small: IntArray, j: int) -> None:
    """Halve column j of `large` and double that of `small` while this lowers the larger magnitude of the two."""
    while (
        not (large[:, j] % 2).any() and np.abs(large[:, j]).max(initial=0) >= 2 * np.abs(small[:, j]).max(initial=0) > 0
    ):
        large[:, j] //= 2
        small[:, j] *= 2


def digits(column: IntArray) -> int:
    """Number of 8-bit digits that hold every entry (as a signed number, or as an unsigned one if none is negative)."""
    low, high = int(column.min(initial=0)), int(column.max(initial=0))
    if low >= 0:
        return max(1, -(-high.bit_length() // 8))
    return max(1, -(-(1 + max(high.bit_length(), (-low - 1).bit_length())) // 8))


def digit_products(left: IntArray, right: IntArray) -> int:
    """Number of 8-bit products that one product of the table takes when both factors are cut into digits."""
    return sum(digits(left[:, j]) * digits(right[:, j]) for j in range(left.shape[1]))
