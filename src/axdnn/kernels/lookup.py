"""Look-up path for any table: each weight selects a column of the table, rows of columns are summed.

For one k, the products of all n outputs with activation code a are the row `T[a, w[:, k]]`. Stacked over k these rows
form a matrix of `256 k` rows; an output is a sum of k of its rows, which torch's `embedding_bag` does with vector
additions. The sums are float32 while every partial sum stays below 2^24 (k is cut into chunks by a bound taken from the
actual weights), float64 otherwise.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from axdnn.kernels.bounds import FLOAT32_EXACT, FLOAT64_EXACT, chunk_ends
from axdnn.records import Multiplier

ROW_MATRIX_VALUES = 1 << 20


def matmul_lookup(multiplier: Multiplier, x: torch.Tensor, w: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Sum table entries over k.

    Args:
        multiplier: whose table is used.
        x: row numbers, uint8 `(g, m, k)`.
        w: column numbers, uint8 `(g, n, k)`.
        dtype: integer type of the result.

    Returns:
        `(g, m, n)`.
    """
    table = torch.from_numpy(multiplier.table.copy()).to(x.device)
    groups, m, n = *x.shape[:2], w.shape[1]
    if n > m:  # the row matrix is the smaller one when the activations select the rows
        return _bag(table.T.contiguous(), w, x, dtype).transpose(1, 2)
    return _bag(table, x, w, dtype).reshape(groups, m, n)


def _bag(table: torch.Tensor, x: torch.Tensor, w: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    groups, m, n = *x.shape[:2], w.shape[1]
    column_peak = table.to(torch.int64).abs().amax(dim=0)
    peaks = column_peak[w.to(torch.int64)].amax(dim=(0, 1))
    floats = torch.float32 if int(peaks.max()) < FLOAT32_EXACT else torch.float64
    limit = FLOAT32_EXACT if floats == torch.float32 else FLOAT64_EXACT
    columns = table.to(floats)
    widest = max(1, ROW_MATRIX_VALUES // (256 * max(groups * n, 1)))
    out = torch.zeros(groups, m, n, dtype=dtype, device=x.device)
    begin = 0
    for end in chunk_ends(peaks.tolist(), limit, widest):
        size = end - begin
        rows = columns[:, w[:, :, begin:end].to(torch.int64)].permute(1, 3, 0, 2)
        rows = rows.reshape(groups * size * 256, n).contiguous()
        base = torch.arange(groups * size, dtype=torch.int32, device=x.device).view(groups, 1, size) * 256
        index = (x[:, :, begin:end].to(torch.int32) + base).reshape(groups * m, size)
        out += functional.embedding_bag(index, rows, mode="sum").view(groups, m, n).to(dtype)
        begin = end
    return out
