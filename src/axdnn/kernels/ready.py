"""Digit products of the native kernels whose checks, plan and shapes are worked out once for all calls of a kind.

A small layer takes a tenth of a millisecond; deciding anew what is the same each time would take a quarter of that.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import torch

from axdnn.kernels.calibration import rates
from axdnn.kernels.codes import code_dtype
from axdnn.kernels.native import Shape, native_variants, variant_number
from axdnn.kernels.native_products import NativeDigits, Steps, run_digits, shape_of, without_gaps
from axdnn.kernels.native_tables import native_digits
from axdnn.kernels.plan import Path, plan_on_cpu
from axdnn.kernels.rates import Rates
from axdnn.kernels.requantise import Emit
from axdnn.kernels.work import Size
from axdnn.records import InvalidInputError, Multiplier

Sizes = tuple[int, ...]


class Operand(NamedTuple):
    """What a call must know of a tensor."""

    sizes: Sizes
    strides: Sizes
    dtype: torch.dtype


class Ready(NamedTuple):
    """What calls of a kind have in common."""

    shape: Shape
    digits: NativeDigits
    variant: int


def conv2d_ready(
    multiplier: Multiplier, x: torch.Tensor, w: torch.Tensor, steps: Steps, path: Path, emit: Emit | None = None
) -> torch.Tensor | None:
    """Convolve codes, or return None where another path is faster or asked for, or something is wrong.

    Args:
        multiplier: whose products are summed.
        x: codes `(b, c, h, w)`.
        w: codes `(o, c / groups, kh, kw)`.
        steps: of the window.
        path: as the caller gave it.
        emit: what becomes of the sums, which nobody sees then.

    Returns:
        int32, or codes, `(b, o, h_out, w_out)`, channels innermost in memory.
    """
    if not (type(x) is type(w) is torch.Tensor and x.is_cpu and w.is_cpu):
        return None
    if x.dim() != 4:
        return None
    x, steps = without_gaps(x, w, steps)
    operands = Operand(x.shape, x.stride(), x.dtype), Operand(w.shape, w.stride(), w.dtype)
    sums = _run(multiplier, *operands, steps, path, x, w, emit)
    return None if sums is None else sums.permute(0, 3, 1, 2)


def matmul_ready(
    multiplier: Multiplier, x: torch.Tensor, w: torch.Tensor, path: Path, emit: Emit | None = None
) -> torch.Tensor | None:
    """Multiply codes `x` `(..., m, k)` and `w` `(n, k)` to `(..., m, n)`; result and the rest as of `conv2d_ready`."""
    if not (type(x) is type(w) is torch.Tensor and x.is_cpu and w.is_cpu and w.dim() == 2 and x.dim() >= 2):
        return None
    k, rows = x.shape[-1], x.numel() // max(x.shape[-1], 1)
    if not x.is_contiguous():
        return None
    (n, terms), (across, along) = w.shape, w.stride()
    left = Operand((1, k, rows, 1), (rows * k, 1, k, k), x.dtype)
    sums = _run(multiplier, left, Operand((n, terms, 1, 1), (across, along, 1, 1), w.dtype), Steps(), path, x, w, emit)
    return None if sums is None else sums.view(*x.shape[:-1], n)


def _run(
    multiplier: Multiplier,
    left: Operand,
    right: Operand,
    steps: Steps,
    path: Path,
    x: torch.Tensor,
    w: torch.Tensor,
    emit: Emit | None,
) -> torch.Tensor | None:
    """Return int32 or codes `(b, h_out, w_out, o)`."""
    ready = _ready(multiplier, left, right, steps, path, rates(torch.get_num_threads()))
    return None if ready is None else run_digits(ready.shape, ready.digits, x, w, ready.variant, emit)


@lru_cache(maxsize=4096)
def _ready(multiplier: Multiplier, x: Operand, w: Operand, steps: Steps, path: Path, on: Rates) -> Ready | None:
    """Check a kind of call and plan it; None unless its fastest path, or the one asked for, is digit products."""
    if path not in ("auto", "native_factorised") or not native_variants() or not _sound(multiplier, x, w, steps):
        return None
    taps = w.sizes[2] * w.sizes[3]
    shape = shape_of((x.sizes, x.strides), (w.sizes, w.strides), steps)
    size = Size(
        x.sizes[0] * shape.out_h * shape.out_w, w.sizes[1] * taps, w.sizes[0] // steps.groups, steps.groups, taps,
        torch.Size(x.sizes).numel(),
    )  # fmt: skip
    try:
        plan = plan_on_cpu(multiplier, size, path, on)
    except InvalidInputError:
        return None  # said by whoever finds no way
    digits = native_digits(multiplier)
    if plan.path != "native_factorised" or plan.result != "int32" or digits is None:
        return None
    return Ready(shape, digits, variant_number(None))


def _sound(multiplier: Multiplier, x: Operand, w: Operand, steps: Steps) -> bool:
    """Whether a convolution is legal and not empty."""
    if len(x.sizes) != 4 or len(w.sizes) != 4 or 0 in x.sizes or 0 in w.sizes:
        return False
    if (x.dtype, w.dtype) != (code_dtype(multiplier.a_signed), code_dtype(multiplier.w_signed)):
        return False
    if x.sizes[1] != w.sizes[1] * steps.groups or w.sizes[0] % steps.groups:
        return False
    reach = [steps.dilation[i] * (w.sizes[2 + i] - 1) + 1 for i in range(2)]
    return all(x.sizes[2 + i] + 2 * steps.padding[i] >= reach[i] for i in range(2))
