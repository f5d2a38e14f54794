"""Factorised path in 8-bit integers: factors cut into signed 8-bit digits, products summed in int32 by the processor.

With `F[:, j] = s + sum_d 256^d f_d` and `G[:, j] = sum_e 256^e g_e`, all digits in -128..127, a sum of approximate
products is a sum over digit pairs of 8-bit matrix products times a power of 256, plus `s` times a sum of weights.
Exactness: a chunk of at most 131,071 terms of magnitude at most 2^14 stays below 2^31. Chunks are added in the type of
the result; where that is int32 the sum itself is proven to fit, and what wraps on the way wraps back (arithmetic modulo
2^32).
oneDNN's int8 product (`torch._int_mm`) is exact where the processor adds four byte products at once in 32 bits (VNNI,
AMX); older ones add pairs in 16 bits and saturate, so the path is taken only after a check of flags and of the worst
operands. On a GPU the digits are multiplied by `device_digits`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from axdnn.kernels.device_digits import digit_product
from axdnn.kernels.factorised import factor_arrays
from axdnn.records import Multiplier

TERMS_IN_INT32 = (2**31 - 1) // 2**14  # 131,071
FLAGS = ("avx512_vnni", "avx_vnni", "amx_int8")
ROWS_AT_ONCE = 1 << 26
"""Bytes of unfolded digits held at once."""


class DigitGroup(NamedTuple):
    """Digit pairs that share a scale: int8 `(256, p)` tables by activation and by weight index."""

    scale: int
    f: torch.Tensor
    g: torch.Tensor


class Int8Factors(NamedTuple):
    """A table as digit pairs.

    Attributes:
        groups: by scale; their sums times the scale add up.
        shift: `sum_j s_j G[:, j]`, int64 `(256,)`: added for every weight.
        pairs: digit pairs in all, the number of 8-bit products one product takes.
    """

    groups: tuple[DigitGroup, ...]
    shift: torch.Tensor
    pairs: int


@cache
def int8_is_exact() -> bool:
    """Whether this processor and torch sum products of int8 matrices without saturation."""
    try:
        flags = Path("/proc/cpuinfo").read_text().split()
    except OSError:
        return False
    if not any(flag in flags for flag in FLAGS) or not hasattr(torch, "_int_mm"):
        return False
    for a in (-128, 127):
        for b in (-128, 127):
            x, w = torch.full((33, 4608), a, dtype=torch.int8), torch.full((4608, 48), b, dtype=torch.int8)
            if not bool((torch._int_mm(x, w) == 4608 * a * b).all()):
                return False
    return True


@lru_cache(maxsize=512)
def int8_factors(multiplier: Multiplier) -> Int8Factors | None:
    """Return the factors of a table as int8 digits, or None if it has no useful integer factors."""
    found_factors = factor_arrays(multiplier)
    if found_factors is None:
        return None
    f, g = found_factors
    pairs: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
    shift = np.zeros(256, dtype=np.int64)
    for j in range(f.shape[1]):
        left, unit_f = _without_common(f[:, j])
        right, unit_g = _without_common(g[:, j])
        if max(np.abs(left).max(), np.abs(right).max()) >= 2**31:
            return None
        centre = (int(left.min()) + int(left.max()) + 1) // 2
        if len(_digits(left - centre)) == len(_digits(left)):
            centre = 0  # a shift costs a pass over the weights
        shift += unit_f * unit_g * centre * right
        for d, a in enumerate(_digits(left - centre)):
            for e, b in enumerate(_digits(right)):
                if a.any() and b.any():
                    pairs.setdefault(unit_f * unit_g * 256 ** (d + e), []).append((a, b))
    groups = tuple(
        DigitGroup(scale, *(_table([pair[side] for pair in found]) for side in (0, 1)))
        for scale, found in sorted(pairs.items())
    )
    return Int8Factors(groups, torch.from_numpy(shift), sum(len(found) for found in pairs.values()))


def _without_common(column: np.ndarray) -> tuple[np.ndarray, int]:
    """Divide a column by its greatest common divisor where that saves digits."""
    common = int(np.gcd.reduce(column)) or 1
    reduced = column // common
    return (reduced, common) if len(_digits(reduced)) < len(_digits(column)) else (column, 1)


def _digits(column: np.ndarray) -> list[np.ndarray]:
    """Return the balanced base-256 digits of a column, each in -128..127, lowest first."""
    rest, found = column.copy(), []
    while not found or rest.any():
        digit = (rest + 128) % 256 - 128
        found.append(digit.astype(np.int8))
        rest = (rest - digit) // 256
    return found


def _table(columns: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(np.stack(columns, axis=1)))


def matmul_int8(factors: Int8Factors, x: torch.Tensor, w: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Sum products over k for row numbers `x` `(g, m, k)` and column numbers `w` `(g, n, k)`, both uint8."""
    groups, m, k = x.shape
    out = torch.empty(groups, m, w.shape[1], dtype=dtype, device=x.device)
    factors = _on(factors, x.device)
    for i in range(groups):
        weights = [(group, _weights(group, w[i])) for group in factors.groups]
        constant = factors.shift[w[i].long()].sum(dim=1)
        step = max(1, ROWS_AT_ONCE // max(1, k * factors.pairs))
        for top in range(0, m, step):
            index = x[i, top : top + step].int()
            parts = ((group.f[index].flatten(1), right, group.scale) for group, right in weights)
            out[i, top : top + step] = _sum(parts, constant, len(index), dtype)
    return out


def conv2d_int8(
    factors: Int8Factors,
    x: torch.Tensor,
    w: torch.Tensor,
    stride: tuple[int, int],
    dilation: tuple[int, int],
    size: tuple[int, int],
    dtype: torch.dtype,
) -> torch.Tensor:
    """Convolve padded row numbers `x` `(b, c, h, w)` with column numbers `w` `(o, c, kh, kw)`, both uint8, one group.

    Pixels are unfolded with their channels and digits innermost, so that windows are runs of bytes.
    """
    batch = len(x)
    kernel = (w.shape[2], w.shape[3])
    flat = w.permute(0, 2, 3, 1).reshape(len(w), -1)
    weights = [(group, _weights(group, flat)) for group in factors.groups]
    constant = factors.shift[flat.long()].sum(dim=1)
    out = torch.empty(batch, len(w), *size, dtype=dtype, device=x.device)
    factors = _on(factors, x.device)
    window = size[0] * size[1] * flat.shape[1] * max((g.f.shape[1] for g in factors.groups), default=1)
    step = max(1, ROWS_AT_ONCE // max(1, window))
    for first in range(0, batch, step):
        index = x[first : first + step].permute(0, 2, 3, 1).contiguous().int()
        rows = len(index) * size[0] * size[1]
        parts = (
            (_windows(group.f[index].flatten(3), kernel, stride, dilation, size), right, group.scale)
            for group, right in weights
        )
        total = _sum(parts, constant, rows, dtype)
        out[first : first + step] = total.view(len(index), *size, len(w)).permute(0, 3, 1, 2)
    return out


def _windows(
    digits: torch.Tensor, kernel: tuple[int, int], stride: tuple[int, int], dilation: tuple[int, int],
    size: tuple[int, int],
) -> torch.Tensor:  # fmt: skip
    """Return `(b * h_out * w_out, kh * kw * channels)` from `(b, h, w, channels)`."""
    s_b, s_h, s_w, _ = digits.stride()
    views = digits.as_strided(
        (len(digits), *size, *kernel, digits.shape[3]),
        (s_b, stride[0] * s_h, stride[1] * s_w, dilation[0] * s_h, dilation[1] * s_w, 1),
    )
    return views.reshape(len(digits) * size[0] * size[1], -1)


def _weights(group: DigitGroup, flat: torch.Tensor) -> torch.Tensor:
    """Return the weight digits of a group, int8 `(k * p, n)`, for column numbers `(n, k)`."""
    return _plain(group.g[flat.int()].flatten(1).T)


def _sum(
    parts: Iterable[tuple[torch.Tensor, torch.Tensor, int]], constant: torch.Tensor, rows: int, dtype: torch.dtype
) -> torch.Tensor:
    """Return `constant + sum of scale * left @ right`, `(rows, n)`."""
    start = ((constant + 2**31) % 2**32 - 2**31).to(dtype) if dtype == torch.int32 else constant
    total: torch.Tensor | None = start.expand(rows, -1).clone() if bool(constant.any()) else None
    for left, right, scale in parts:
        for begin in range(0, left.shape[1], TERMS_IN_INT32):
            end = begin + TERMS_IN_INT32
            part = left if begin == 0 and end >= left.shape[1] else left[:, begin:end]
            product = _product(_plain(part), right[begin:end])
            if total is None:
                total = product.to(dtype).mul_(_wrapped(scale, dtype)) if scale != 1 else product.to(dtype)
            else:
                total.add_(product, alpha=_wrapped(scale, dtype))
    return start.expand(rows, -1) if total is None else total


def _product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Multiply int8 matrices in int32."""
    return torch._int_mm(left, right) if left.device.type == "cpu" else digit_product(left, right)


def _on(factors: Int8Factors, device: torch.device) -> Int8Factors:
    groups = (DigitGroup(scale, f.to(device), g.to(device)) for scale, f, g in factors.groups)
    return Int8Factors(tuple(groups), factors.shift.to(device), factors.pairs)


def _wrapped(scale: int, dtype: torch.dtype) -> int:
    """Return the scale modulo 2^32 as a signed number where sums are int32."""
    return (scale + 2**31) % 2**32 - 2**31 if dtype == torch.int32 else scale


def _plain(matrix: torch.Tensor) -> torch.Tensor:
    """Return a matrix whose strides are those of a fresh one: the product trusts them, also on axes of length 1."""
    rows, columns = matrix.shape
    if matrix.stride() == (columns, 1) or matrix.numel() == 0:
        return matrix
    return torch.empty(rows, columns, dtype=matrix.dtype, device=matrix.device).copy_(matrix)
