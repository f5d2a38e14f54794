"""Look-up path on a GPU: sums of table entries by a Triton kernel, for any 8-bit table.

A program sums a tile of outputs in registers. At each term it loads the codes of its windows and its weights and
gathers one entry a pair. The lanes of a warp take windows next to each other and share the weight, so a warp reads one
row of the table, at most 256 bytes where entries are bytes: a few cache lines.

Where the table lies: L1 cache and shared memory are one memory in a streaming multiprocessor, and Triton hands out
shared memory only for the inside of one operation. `tl.gather` does look up in shared memory, but writes the looked-up
tensor there anew each time: 256 entries a weight and term before the first is read. So the table is made narrow
(`triton_tables`) and left to L1, where it stays: the rest of what a program reads passes through once.

Windows are implicit. Input element = offset of the window + offset of the term in memory, whatever stride, dilation,
batch, or number of axes made them; padding is already there. A matrix product is the case whose window is a row.

`TRITON_INTERPRET=1`, set before this module is imported, runs the kernel on the CPU.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
import triton
import triton.language as tl

from axdnn.kernels.triton_tables import LookUpTable, look_up_table
from axdnn.records import Multiplier

WINDOWS, OUTPUTS = 512, 8
"""Largest tile of a program: 32 sums a thread of 4 warps, 8 outputs by 4 windows, so that codes are read seldom."""


@triton.jit
def look_up_kernel(
    x, w, windows, terms, entries, values, start, out,
    m, n, k, group_stride, tiles_m, tiles_n,
    EXACT: tl.constexpr, WIDE: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):  # fmt: skip
    """Sum entries over the terms for one tile `(BLOCK_N outputs, BLOCK_M windows)` of one group."""
    tile = tl.program_id(0)
    at_m = (tile % tiles_m) * BLOCK_M + tl.arange(0, BLOCK_M)
    at_n = (tile // tiles_m % tiles_n) * BLOCK_N + tl.arange(0, BLOCK_N)
    group = (tile // tiles_m // tiles_n).to(tl.int64)
    in_m, in_n = at_m < m, at_n < n
    window = x + group * group_stride + tl.load(windows + at_m, mask=in_m, other=0)
    weight = w + group * n * k + at_n  # laid out (group, k, n)
    output = group * n + at_n
    begin = tl.load(start + output, mask=in_n, other=0)
    sums = tl.zeros((BLOCK_N, BLOCK_M), tl.int64 if WIDE else tl.int32) + begin[:, None]
    for i in range(k):
        code_x = tl.load(window + tl.load(terms + i), mask=in_m, other=0).to(tl.int32)
        code_w = tl.load(weight, mask=in_n, other=0).to(tl.int32)
        weight += n
        found = tl.load(entries + (code_w * 256)[:, None] + code_x[None, :]).to(sums.dtype)
        if EXACT:
            left = tl.load(values + code_x)
            right = tl.load(values + 256 + code_w)
            found += (left[None, :] * right[:, None]).to(sums.dtype)
        sums += found
    tl.store(out + output[:, None] * m + at_m[None, :], sums, mask=in_n[:, None] & in_m[None, :])


def matmul_triton(multiplier: Multiplier, x: torch.Tensor, w: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Sum products over k for row numbers `x` `(g, m, k)` and column numbers `w` `(g, n, k)`, both uint8."""
    windows = torch.arange(x.shape[1], device=x.device) * x.stride(1)
    terms = torch.arange(x.shape[2], device=x.device) * x.stride(2)
    return sum_windows(multiplier, x, w, windows, terms, x.stride(0), dtype).transpose(1, 2)


def conv2d_triton(
    multiplier: Multiplier,
    x: torch.Tensor,
    w: torch.Tensor,
    stride: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    size: tuple[int, int],
    dtype: torch.dtype,
) -> torch.Tensor:
    """Convolve padded row numbers `x` `(b, c, h, w)` with column numbers `w` `(o, c / groups, kh, kw)`, both uint8.

    Returns:
        `(b, o, *size)`, the batch as the second axis in memory.
    """
    c_out, c_group, kernel_h, kernel_w = w.shape
    s_b, s_c, s_h, s_w = x.stride()
    windows = _offsets(x.device, (len(x), s_b), (size[0], stride[0] * s_h), (size[1], stride[1] * s_w))
    terms = _offsets(x.device, (c_group, s_c), (kernel_h, dilation[0] * s_h), (kernel_w, dilation[1] * s_w))
    flat = w.reshape(groups, c_out // groups, -1)
    sums = sum_windows(multiplier, x, flat, windows, terms, c_group * s_c, dtype)
    return sums.view(c_out, len(x), *size).transpose(0, 1)


def sum_windows(
    multiplier: Multiplier,
    x: torch.Tensor,
    w: torch.Tensor,
    windows: torch.Tensor,
    terms: torch.Tensor,
    group_stride: int,
    dtype: torch.dtype,
) -> torch.Tensor:
    """Return `sum_i T[x[group * group_stride + windows[m] + terms[i]], w[group, n, i]]`, `(g, n, m)`.

    Args:
        multiplier: whose table is looked up.
        x: row numbers, uint8, any strides.
        w: column numbers, uint8 `(g, n, k)`.
        windows: int64 `(m,)`, where each window begins, in elements from the start of `x`.
        terms: int64 `(k,)`, where each term lies from there.
        group_stride: elements between groups.
        dtype: of the result; the sums are known to fit it.
    """
    table = look_up_table(multiplier, x.device)
    groups, n, k = w.shape
    m = len(windows)
    wide = not sums_fit_int32(table, k)
    start = table.base[w.long()].sum(dim=2)
    out = torch.empty(groups, n, m, dtype=dtype, device=x.device)
    sums: Any = torch.int64 if wide else torch.int32
    block_m, block_n = (min(most, triton.next_power_of_2(size)) for most, size in ((WINDOWS, m), (OUTPUTS, n)))
    tiles_m, tiles_n = triton.cdiv(m, block_m), triton.cdiv(n, block_n)
    values = table.entries if table.values is None else table.values  # a pointer that is not read
    with torch.cuda.device(x.device) if x.is_cuda else nullcontext():
        look_up_kernel[(groups * tiles_m * tiles_n,)](
            x, w.transpose(1, 2).contiguous(), windows, terms, table.entries, values, start.to(sums), out,
            m, n, k, group_stride, tiles_m, tiles_n,
            EXACT=table.values is not None, WIDE=wide, BLOCK_M=block_m, BLOCK_N=block_n,
        )  # fmt: skip
    return out


def sums_fit_int32(table: LookUpTable, k: int) -> bool:
    """Whether every partial sum of `k` terms, bases included, provably fits int32: nothing wraps on the way."""
    return k * (table.term_bound + table.base_bound) < 2**31


def _offsets(device: torch.device, *axes: tuple[int, int]) -> torch.Tensor:
    """Return `sum of index * step` for all indices of the axes `(size, step)`, int64, the last axis fastest."""
    total = torch.zeros(1, dtype=torch.int64, device=device)
    for size, step in axes:
        total = (total[:, None] + torch.arange(size, device=device) * step).flatten()
    return total
