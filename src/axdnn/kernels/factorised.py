"""Factorised path: with T = F G^T in integers, an approximate product is an exact one over r times as many terms.

Exactness: a term is `F[x, j] * G[w, j]`, its magnitude at most `b(w) = max_x sum_j |F[x, j] G[w, j]|`. The reduction
over k is cut so that `sum_k max_n b(w[n, k])` stays within what the float type holds exactly (see `bounds`); each chunk
becomes integers before it is added. The bound comes from the actual weights, so it is never assumed.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from axdnn.kernels.bounds import FLOAT32_EXACT, FLOAT64_EXACT, chunk_ends
from axdnn.multipliers import factors_for
from axdnn.records import Multiplier

EXPANDED_VALUES = 1 << 24
NEVER_EXACT = 1 << 62


class TorchFactors(NamedTuple):
    """Factors of a table as tensors.

    Attributes:
        f: `(256, r)` int64. g: `(256, r)` int64.
        column_bound: `b(w)`, int64 `(256,)`.
        granule: the largest power of two that divides every term.
    """

    f: torch.Tensor
    g: torch.Tensor
    column_bound: torch.Tensor
    granule: int


def factor_arrays(multiplier: Multiplier) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the integer factors of the multiplier's table, int64 `(256, r)` each, or None if there are none of use."""
    try:
        factors = factors_for(multiplier)
    except ArithmeticError:  # factors of an extreme table that int64 cannot hold
        return None
    if factors is None:
        return None
    return np.array(factors.F, dtype=np.int64), np.array(factors.G, dtype=np.int64)


@lru_cache(maxsize=512)
def torch_factors(multiplier: Multiplier) -> TorchFactors | None:
    """Return the integer factors of the multiplier's table, or None if its rank is too high to be worth it."""
    found = factor_arrays(multiplier)
    if found is None:
        return None
    f, g = found
    bound = _column_bound(np.abs(f), np.abs(g))
    contents = [_two_power(f[:, j]) * _two_power(g[:, j]) for j in range(f.shape[1])]
    granule = min(contents, default=1)
    return TorchFactors(torch.from_numpy(f), torch.from_numpy(g), torch.from_numpy(bound), granule)


def _column_bound(f: np.ndarray, g: np.ndarray) -> np.ndarray:
    """`max_x sum_j f[x, j] g[w, j]`, capped at `NEVER_EXACT` so that it cannot overflow."""
    if float(f.max(initial=0)) * float(g.max(initial=0)) * f.shape[1] >= NEVER_EXACT:
        f, g = f.astype(object), g.astype(object)
    sums = f @ g.T if f.shape[1] else np.zeros((256, 256), np.int64)
    return np.minimum(sums.max(axis=0), NEVER_EXACT).astype(np.int64)


def _two_power(column: np.ndarray) -> int:
    common = int(np.gcd.reduce(column)) if column.any() else 1
    return common & -common


def matmul_factorised(
    factors: TorchFactors, x: torch.Tensor, w: torch.Tensor, floats: torch.dtype, dtype: torch.dtype
) -> torch.Tensor:
    """Sum products over k for row numbers `x` `(g, m, k)` and column numbers `w` `(g, n, k)`, both uint8."""
    groups, m, k = x.shape
    n, rank = w.shape[1], factors.f.shape[1]
    f, g = factors.f.to(x.device, floats), factors.g.to(x.device, floats)
    out = torch.zeros(groups, m, n, dtype=dtype, device=x.device)
    if rank == 0:
        return out
    ends = list(_ends(factors, factors.column_bound.to(w.device)[w.long()].amax(dim=(0, 1)), floats))
    rows = max(1, EXPANDED_VALUES // max(groups * k * rank, 1))
    for top in range(0, m, rows):
        begin = 0
        for end in ends:
            left = f[x[:, top : top + rows, begin:end].long()].flatten(2)
            right = g[w[:, :, begin:end].long()].flatten(2)
            out[:, top : top + rows] += torch.bmm(left, right.transpose(1, 2)).to(dtype)
            begin = end
    return out


def conv2d_factorised(
    factors: TorchFactors,
    x: torch.Tensor,
    w: torch.Tensor,
    stride: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    floats: torch.dtype,
    dtype: torch.dtype,
) -> torch.Tensor:
    """Convolve padded row numbers `x` `(b, c, h, w)` with column numbers `w` `(o, c / groups, kh, kw)`, both uint8.

    The reduction is cut over input channels.
    """
    batch = x.shape[0]
    c_out, c_group = w.shape[:2]
    rank = factors.f.shape[1]
    out_h, out_w = conv_output_size(x, w, stride, dilation)
    out = torch.zeros(batch, c_out, out_h, out_w, dtype=dtype, device=x.device)
    if rank == 0:
        return out
    f, g = factors.f.to(x.device, floats), factors.g.to(x.device, floats)
    per_channel = factors.column_bound.to(w.device)[w.long()].sum(dim=(2, 3)).amax(dim=0)
    ends = list(_ends(factors, per_channel, floats))
    images = max(1, EXPANDED_VALUES // max(x[0].numel() * rank, 1))
    begin = 0
    for end in ends:
        size = end - begin
        right = g[w[:, begin:end].long()].permute(0, 1, 4, 2, 3).reshape(c_out, size * rank, *w.shape[2:])
        for first in range(0, batch, images):
            part = x[first : first + images].view(-1, groups, c_group, *x.shape[2:])[:, :, begin:end]
            left = f[part.long()].permute(0, 1, 2, 5, 3, 4).reshape(-1, groups * size * rank, *x.shape[2:])
            sums = functional.conv2d(left, right, stride=stride, dilation=dilation, groups=groups)
            out[first : first + images] += sums.to(dtype)
        begin = end
    return out


def conv_output_size(
    x: torch.Tensor,
    w: torch.Tensor,
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: tuple[int, int] = (0, 0),
) -> tuple[int, int]:
    """Return the output height and width of a convolution."""
    sizes = [
        (x.shape[2 + i] + 2 * padding[i] - dilation[i] * (w.shape[2 + i] - 1) - 1) // stride[i] + 1 for i in range(2)
    ]
    return sizes[0], sizes[1]


def chunks_needed(factors: TorchFactors, floats: torch.dtype, terms: int) -> int:
    """Return how many chunks a reduction of `terms` worst-case terms needs, or 0 if one term is too large."""
    bound = int(factors.column_bound.max())
    in_chunk = _limit(factors, floats) // bound if bound else max(terms, 1)
    return -(-max(terms, 1) // in_chunk) if in_chunk else 0


def one_chunk(factors: TorchFactors, floats: torch.dtype, terms: int) -> bool:
    """Whether any sum of `terms` products is exact in one go (a convolution cannot cut inside its window)."""
    return chunks_needed(factors, floats, terms) == 1


def _limit(factors: TorchFactors, floats: torch.dtype) -> int:
    exact = FLOAT32_EXACT if floats == torch.float32 else FLOAT64_EXACT
    return exact * factors.granule


def _ends(factors: TorchFactors, bounds: torch.Tensor, floats: torch.dtype) -> list[int]:
    return list(chunk_ends(bounds.tolist(), _limit(factors, floats)))
