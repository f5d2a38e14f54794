"""A layer's table as planes: exact products of looked-up operands, or the table itself where it has no small factors.

With `T = F G^T` in integers, `sum_k T[x_k, w_k] = sum_j sum_k F[x_k, j] G[w_k, j]`: a convolution over r times as many
channels. Terms that multiply exactly, and the zero point of the weights, are one more plane, `F = value of x`. Terms
that are left out and channels that are not computed have zeros in G.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from axdnn.export.program import Array, Step, Table
from axdnn.kernels.bounds import chunk_ends
from axdnn.kernels.terms import ABSENT, APPROXIMATE, EXACT
from axdnn.multipliers import integer_factors

NOTHING = 256  # column of zeros behind the table's 256
Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Planes:
    """Sums of a layer as sums of exact products, and perhaps of table entries.

    Attributes:
        f: int64 `(256, r)`, by row of the table.
        g: int64 `(r, n, c_in / groups, *kernel)`, by weight.
        columns: column of the table for each weight, `NOTHING` where it adds nothing, int64 `(n, c_in / groups,
            *kernel)`; None where the planes say everything.
        ends: where the reduction over channels is cut so that each part is exact.
        total: bound of any sum, constant included.
    """

    f: Int64Array
    g: Int64Array
    columns: Int64Array | None
    ends: tuple[int, ...]
    total: int


def planes_of(step: Step, table: Table, exact: int) -> Planes:
    """Write a layer's sums as planes.

    Args:
        step: a `conv` or `linear` step.
        table: its multiplier's.
        exact: integers up to this magnitude are exact in the type that adds.
    """
    w = step.arrays["w"].astype(np.int64)
    index = w + 128 * table.w_signed
    kinds = step.arrays.get("terms", np.zeros(w.shape, np.uint8))
    approximate = kinds == APPROXIMATE
    shape = (1, *w.shape)
    value = np.where(kinds == EXACT, table.w_values.astype(np.int64)[index], 0)
    value = value - step.attrs["w_zero"] * (kinds != ABSENT)
    whole = _with_values(_factors(table), table, index, approximate, value)
    none = np.zeros((256, 0), np.int64)
    columns = None
    if whole is None or not _fits(*whole, exact):
        whole = _with_values((none, none), table, index, approximate, value)
        assert whole is not None
        columns = np.where(approximate, index, NOTHING)
    f, g = whole
    g = g.reshape(-1, *shape[1:])
    bounds = _bounds(f, g).reshape(w.shape[0], w.shape[1], -1).sum(2)
    ends = tuple(chunk_ends([int(b) for b in bounds.max(0)], exact))
    peak = int(bounds.sum(1).max(initial=0))
    if columns is not None:
        largest = np.append(np.abs(table.table.astype(np.int64)).max(0), 0)
        peak += int(largest[columns].reshape(len(w), -1).sum(1).max())
    return Planes(f, g, columns, ends, peak + int(np.abs(step.arrays["constant"]).max(initial=0)))


def _with_values(
    factors: tuple[Int64Array, Int64Array] | None, table: Table, index: Array, approximate: Array, value: Array
) -> tuple[Int64Array, Int64Array] | None:
    """Return `f` and `g` with the plane of exact products joined to the factors, if it is needed."""
    if factors is None:
        return None
    f, g = factors[0], np.moveaxis(factors[1][index], -1, 0) * approximate
    if value.any():
        f = np.concatenate([f, table.a_values.astype(np.int64)[:, None]], axis=1)
        g = np.concatenate([g, value[None]])
    return f, g


def _fits(f: Int64Array, g: Int64Array, exact: int) -> bool:
    """Whether all factors, and the sums over one input channel's window, are exact."""
    if max(np.abs(f).max(initial=0), np.abs(g).max(initial=0)) > exact:
        return False
    window = _bounds(f, g).reshape(g.shape[1], g.shape[2], -1).sum(2)
    return bool(window.max(initial=0) <= exact)


def _bounds(f: Int64Array, g: Int64Array) -> npt.NDArray[np.float64]:
    """`max_x sum_j |f[x, j] g[j, ...]|`, at most `sum_j max_x |f[x, j]| |g[j, ...]|`, which is taken."""
    most = np.abs(f).max(axis=0, initial=0).astype(np.float64)
    bounds: npt.NDArray[np.float64] = np.tensordot(most, np.abs(g).astype(np.float64), axes=1)
    return bounds


@lru_cache(maxsize=64)
def _factors(table: Table) -> tuple[Int64Array, Int64Array] | None:
    try:
        found = integer_factors(table.table)
    except ArithmeticError:  # entries that int64 cannot hold
        return None
    return None if found is None else (np.array(found.F), np.array(found.G))
