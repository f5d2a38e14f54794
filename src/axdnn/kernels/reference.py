"""The literal product: look every pair up, add in int64. Slow on purpose; every other path must equal it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]
IndexArray = npt.NDArray[np.uint8]


def matmul_reference(
    tables: npt.NDArray[np.int32], x: IndexArray, w: IndexArray, terms: IndexArray | None = None
) -> Int64Array:
    """Sum `table[x[g, m, k], w[g, n, k]]` over k.

    Args:
        tables: `(256, 256)`, or `(kinds, 256, 256)` with `terms`.
        x: row numbers, `(g, m, k)`.
        w: column numbers, `(g, n, k)`.
        terms: which table each term uses, `(g, k)`.

    Returns:
        `(g, m, n)`.
    """
    groups, m, k = x.shape
    out = np.zeros((groups, m, w.shape[1]), dtype=np.int64)
    for g in range(groups):
        for i in range(k):
            table = tables if terms is None else tables[terms[g, i]]
            out[g] += table[x[g, :, i][:, None], w[g, :, i][None, :]]
    return out


def conv2d_reference(
    tables: npt.NDArray[np.int32],
    x: IndexArray,
    w: IndexArray,
    stride: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    terms: IndexArray | None = None,
) -> Int64Array:
    """Convolve an already padded input, one weight at a time.

    Args:
        tables: `(256, 256)`, or `(kinds, 256, 256)` with `terms`.
        x: row numbers, `(b, c_in, h, w)`.
        w: column numbers, `(c_out, c_in / groups, kernel_h, kernel_w)`.
        stride: step of the window, `(height, width)`.
        dilation: step inside the window, `(height, width)`.
        groups: number of groups.
        terms: which table each term of the flattened window uses, `(groups, c_in / groups * kernel_h * kernel_w)`.

    Returns:
        `(b, c_out, h_out, w_out)`.
    """
    batch, _, height, width = x.shape
    c_out, c_group, kernel_h, kernel_w = w.shape
    out_h = (height - dilation[0] * (kernel_h - 1) - 1) // stride[0] + 1
    out_w = (width - dilation[1] * (kernel_w - 1) - 1) // stride[1] + 1
    out = np.zeros((batch, c_out, out_h, out_w), dtype=np.int64)
    for o in range(c_out):
        group = o // (c_out // groups)
        first = group * c_group
        for c in range(c_group):
            for i in range(kernel_h):
                for j in range(kernel_w):
                    top, left = i * dilation[0], j * dilation[1]
                    window = x[:, first + c, top:, left:][:, :: stride[0], :: stride[1]][:, :out_h, :out_w]
                    k = (c * kernel_h + i) * kernel_w + j
                    table = tables if terms is None else tables[terms[group, k]]
                    out[:, o] += table[window, w[o, c, i, j]]
    return out
