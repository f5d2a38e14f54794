"""A layer's table as planes: exact products of looked-up operands, or the table itself where it has no small factors.

With `T = F G^T` in integers, `sum_k T[x_k, w_k] = sum_j sum_k F[x_k, j] G[w_k, j]`: a convolution over r times as many
channels. Terms that multiply exactly, and the zero point of the weights, are one more plane, `F = value of x`. Terms
that are left out and channels that are not computed have zeros in G.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from axdnn.export.program import Step
from axdnn.kernels.bounds import chunk_ends
from axdnn.kernels.terms import ABSENT, APPROXIMATE, EXACT
from axdnn.multipliers import factors_for
from axdnn.records import Multiplier, UnsupportedOperatorError

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


@dataclass(frozen=True, eq=False)
class ProductPlanes:
    """Sums of a product of activations as sums of exact products of two looked-up operands.

    Attributes:
        f, g: int64 `(256, r)`, by row of the table and by column.
        terms: bool `(r, k)`, which terms a plane adds to.
        looked_up: bool `(k,)`, terms whose entries are taken from the table itself; None if the planes say everything.
        ends: where the reduction is cut so that each part is exact.
        total: bound of any sum, constant included.
    """

    f: Int64Array
    g: Int64Array
    terms: npt.NDArray[np.bool_]
    looked_up: npt.NDArray[np.bool_] | None
    ends: tuple[int, ...]
    total: int


def product_planes_of(step: Step, multiplier: Multiplier, k: int, exact: int) -> ProductPlanes:
    """Write the sums of a `matmul` step over k terms as planes; the zero points are planes of their own.

    Args:
        step: of the product.
        multiplier: the step's.
        k: number of terms.
        exact: integers up to this magnitude are exact in the type that adds.
    """
    kinds = step.arrays.get("terms", np.zeros(k, np.uint8))
    a, b = multiplier.a_values.astype(np.int64)[:, None], multiplier.w_values.astype(np.int64)[:, None]
    one, every = np.ones((256, 1), np.int64), np.ones(k, bool)
    approximate = kinds == APPROXIMATE
    planes = [(a, b, kinds == EXACT), (a, -step.attrs["w_zero"] * one, every), (-step.attrs["zero"] * one, b, every)]
    factors, looked_up = _factors(multiplier), None
    if factors is not None and float(_most(factors[0]) @ _most(factors[1])) <= exact // 2:
        planes.append((*factors, approximate))
    else:
        looked_up = approximate
    f, g = (np.concatenate([plane[i] for plane in planes], axis=1) for i in range(2))
    terms = np.concatenate([np.broadcast_to(plane[2], (plane[0].shape[1], k)) for plane in planes])
    used = (f.any(0) & g.any(0) & terms.any(1)) | (np.arange(f.shape[1]) == 0)  # at least one, of zeros if need be
    f, g, terms = f[:, used], g[:, used], terms[used]
    bounds = (_most(f) * _most(g)) @ terms
    total = int(bounds.sum()) + int(np.abs(step.arrays["constant"]).max(initial=0))
    if looked_up is not None:
        total += int(looked_up.sum()) * int(np.abs(multiplier.table.astype(np.int64)).max())
    return ProductPlanes(f, g, terms, looked_up, tuple(chunk_ends([int(v) for v in bounds], exact)), total)


def _most(factors: Int64Array) -> npt.NDArray[np.float64]:
    """Largest magnitude of each column."""
    return np.abs(factors).max(axis=0, initial=0).astype(np.float64)


def planes_of(step: Step, multiplier: Multiplier, exact: int) -> Planes:
    """Write a layer's sums as planes.

    Args:
        step: a `conv` or `linear` step.
        multiplier: the step's.
        exact: integers up to this magnitude are exact in the type that adds.

    Raises:
        UnsupportedOperatorError: the window is so large that a sum over one channel is not exact.
    """
    w = step.arrays["w"].astype(np.int64)
    index = w + 128 * multiplier.w_signed
    kinds = step.arrays.get("terms", np.zeros(w.shape, np.uint8))
    approximate = kinds == APPROXIMATE
    value = np.where(kinds == EXACT, multiplier.w_values.astype(np.int64)[index], 0)
    value = value - step.attrs["w_zero"] * (kinds != ABSENT)
    values = (multiplier.a_values.astype(np.int64)[:, None], value[None]) if value.any() else _no_planes(w.shape)
    factors, columns = _factors(multiplier), None
    f, g = values
    if factors is not None:
        f = np.concatenate([factors[0], f], axis=1)
        g = np.concatenate([np.moveaxis(factors[1][index], -1, 0) * approximate, g])
    if factors is None or not _fits(f, g, exact):
        (f, g), columns = values, np.where(approximate, index, NOTHING)
        if not _fits(f, g, exact):
            raise UnsupportedOperatorError(
                f"no export rule for {step.node!r}: its window of {w[0, 0].size} is too large"
            )
    bounds = _bounds(f, g)
    total = int(bounds.sum(1).max(initial=0)) + int(np.abs(step.arrays["constant"]).max(initial=0))
    if columns is not None:
        largest = np.append(np.abs(multiplier.table.astype(np.int64)).max(0), 0)
        total += int(largest[columns].reshape(len(w), -1).sum(1).max())
    return Planes(f, g, columns, tuple(chunk_ends([int(b) for b in bounds.max(0)], exact)), total)


def _no_planes(shape: tuple[int, ...]) -> tuple[Int64Array, Int64Array]:
    return np.zeros((256, 0), np.int64), np.zeros((0, *shape), np.int64)


def _fits(f: Int64Array, g: Int64Array, exact: int) -> bool:
    """Whether all factors, and the sums over one input channel's window, are exact."""
    largest = max(np.abs(f).max(initial=0), np.abs(g).max(initial=0))
    return bool(max(largest, _bounds(f, g).max(initial=0)) <= exact)


def _bounds(f: Int64Array, g: Int64Array) -> npt.NDArray[np.float64]:
    """Bound of the sum over each input channel's window, `(n, c_in / groups)`: `sum_j max_x |f[x, j]| |g[j, ...]|`."""
    most = np.abs(f).max(axis=0, initial=0).astype(np.float64)
    bounds = np.tensordot(most, np.abs(g).astype(np.float64), axes=1)
    summed: npt.NDArray[np.float64] = bounds.reshape(*g.shape[1:3], -1).sum(2)
    return summed


def _factors(multiplier: Multiplier) -> tuple[Int64Array, Int64Array] | None:
    try:
        found = factors_for(multiplier)
    except ArithmeticError:  # entries that int64 cannot hold
        return None
    return None if found is None else (np.array(found.F), np.array(found.G))
