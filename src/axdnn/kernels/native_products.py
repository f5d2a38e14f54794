"""Convolutions of codes by the native kernels: operands as they lie in memory, sums modulo 2^32."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import byref
from typing import NamedTuple

import torch

from axdnn.kernels.native import VARIANTS, Digits, Shape, check_error, has_permutes, native_library, variant_number
from axdnn.kernels.requantise import Emit

Sizes = Sequence[int]


class NativeDigits:
    """A table as digit pairs, laid out for the native kernels; tables are indexed by the bytes of codes.

    Args:
        sizes: pairs of each scale, int64 `(s,)`.
        scales: int32 `(s,)`, modulo 2^32.
        f: by activation, int8 `(pairs, 256)`.
        g: by weight, int8 `(pairs, 256)`.
        shift: added for each weight, int32 `(256,)`, modulo 2^32.
    """

    def __init__(
        self, sizes: torch.Tensor, scales: torch.Tensor, f: torch.Tensor, g: torch.Tensor, shift: torch.Tensor
    ) -> None:
        self._kept = tuple(t.contiguous() for t in (sizes, scales, f, g, shift))
        self.struct = Digits(len(sizes), *(t.data_ptr() for t in self._kept))


class NativePlanes:
    """A table as bytes of its entries, laid out for the native kernels and indexed by the bytes of codes.

    Args:
        columns: `(256 w, count, 256 x)` uint8, lowest byte first, one or two of them.
        base: what is added for each weight, int32 `(256,)`.
        folded: the bytes of weight w >= 128 are the complements of those of weight (256 - w) % 128.
    """

    def __init__(self, columns: torch.Tensor, base: torch.Tensor, folded: bool = False) -> None:
        self.columns, self.base, self.folded = columns.contiguous(), base.contiguous(), folded
        self.rows = columns[: 128 if folded else 256].permute(2, 1, 0).contiguous()
        self.count = columns.shape[1]


class Steps(NamedTuple):
    """How windows move over the input, `(height, width)` each, and the code around it."""

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    pad_code: int = 0


def conv_digits(
    digits: NativeDigits,
    x: torch.Tensor,
    w: torch.Tensor,
    steps: Steps = Steps(),
    variant: str | None = None,
    emit: Emit | None = None,
) -> torch.Tensor:
    """Convolve by digit products.

    Args:
        digits: of the table.
        x: codes `(b, c, h, w)`, bytes in any memory order; channels innermost is fastest.
        w: codes `(o, c / groups, kh, kw)`, likewise.
        steps: of the window.
        variant: one of `native_variants()`; the fastest by default.
        emit: what becomes of the sums, which nobody sees then.

    Returns:
        int32, or codes, `(b, h_out, w_out, o)`.
    """
    shape = shape_of((x.shape, x.stride()), (w.shape, w.stride()), steps)
    return run_digits(shape, digits, x, w, variant_number(variant), emit)


def run_digits(
    shape: Shape, digits: NativeDigits, x: torch.Tensor, w: torch.Tensor, variant: int, emit: Emit | None
) -> torch.Tensor:
    """Convolve operands of a known shape, see `conv_digits`; `variant` is a number."""
    sizes = (shape.batch, shape.out_h, shape.out_w, shape.outputs)
    out = torch.empty(sizes, dtype=torch.int32 if emit is None else emit.levels.dtype)
    into = (out.data_ptr(), None) if emit is None else (None, byref(emit.into(out)))
    error = native_library().axdnn_conv_digits(
        byref(shape), x.data_ptr(), w.data_ptr(), byref(digits.struct), *into, variant, torch.get_num_threads()
    )
    check_error(error, "axdnn_conv_digits")
    return out


def conv_lookup(
    table: NativePlanes,
    x: torch.Tensor,
    w: torch.Tensor,
    steps: Steps = Steps(),
    out: torch.Tensor | None = None,
    permutes: bool | None = None,
) -> torch.Tensor:
    """Convolve by look-ups of bytes.

    Args:
        table: bytes of the entries.
        x: codes `(b, c, h, w)`.
        w: codes `(o, c / groups, kh, kw)`.
        steps: of the window.
        out: int32 `(b, h_out, w_out, o)`, contiguous, to add to; None for a new one.
        permutes: whether to use byte permutes; by default where the processor has them.

    Returns:
        int32 `(b, h_out, w_out, o)`.
    """
    w = w.contiguous()
    shape, fresh = _shape(x, w, steps, out is None)
    sums = fresh if out is None else out
    fast = has_permutes() if permutes is None else permutes
    error = native_library().axdnn_conv_lookup(
        byref(shape), x.data_ptr(), w.data_ptr(), table.columns.data_ptr(), table.rows.data_ptr(), table.count,
        table.folded, table.base.data_ptr(), sums.data_ptr(), out is not None,
        VARIANTS.index("vnni" if fast else "portable"),
        torch.get_num_threads(),
    )  # fmt: skip
    check_error(error, "axdnn_conv_lookup")
    return sums


def conv_rows(
    entries: torch.Tensor, x: torch.Tensor, w: torch.Tensor, steps: Steps = Steps(), variant: str | None = None
) -> torch.Tensor:
    """Convolve by adding rows of products; pays where pixels are many.

    Args:
        entries: int32 `(256 w, 256 x)`, contiguous, indexed by the bytes of codes.
        x: codes `(b, c, h, w)`.
        w: codes `(o, c / groups, kh, kw)`.
        steps: of the window.
        variant: one of `native_variants()`; the fastest by default.

    Returns:
        int32 `(b, h_out, w_out, o)`.
    """
    w = w.contiguous()
    shape, out = _shape(x, w, steps)
    error = native_library().axdnn_conv_rows(
        byref(shape), x.data_ptr(), w.data_ptr(), entries.data_ptr(), out.data_ptr(), variant_number(variant),
        torch.get_num_threads(),
    )  # fmt: skip
    check_error(error, "axdnn_conv_rows")
    return out


def without_gaps(x: torch.Tensor, w: torch.Tensor, steps: Steps) -> tuple[torch.Tensor, Steps]:
    """Return the pixels that windows of one tap read, and their steps; what a stride leaves out is not read either."""
    if steps.stride == (1, 1) or w.shape[2:] != (1, 1) or steps.padding != (0, 0):
        return x, steps
    return x[:, :, :: steps.stride[0], :: steps.stride[1]], steps._replace(stride=(1, 1))


def _shape(x: torch.Tensor, w: torch.Tensor, steps: Steps, fresh: bool = True) -> tuple[Shape, torch.Tensor]:
    """Return the shape record of a convolution and, if `fresh`, a tensor for its result."""
    shape = shape_of((x.shape, x.stride()), (w.shape, w.stride()), steps)
    sizes = (shape.batch if fresh else 0, shape.out_h, shape.out_w, shape.outputs)
    return shape, torch.empty(sizes, dtype=torch.int32)


def shape_of(x: tuple[Sizes, Sizes], w: tuple[Sizes, Sizes], steps: Steps) -> Shape:
    """Return the shape record of a convolution of operands, `(sizes, strides)` each."""
    (stride_h, stride_w), (pad_h, pad_w), (dilation_h, dilation_w), groups, pad_code = steps
    batch, channels, height, width = x[0]
    outputs, _, kernel_h, kernel_w = w[0]
    out_h = (height + 2 * pad_h - dilation_h * (kernel_h - 1) - 1) // stride_h + 1
    out_w = (width + 2 * pad_w - dilation_w * (kernel_w - 1) - 1) // stride_w + 1
    return Shape(
        batch, height, width, channels, outputs, kernel_h, kernel_w, out_h, out_w, stride_h, stride_w, dilation_h,
        dilation_w, groups, pad_h, pad_w, pad_code & 255, *x[1], *w[1],
    )  # fmt: skip
