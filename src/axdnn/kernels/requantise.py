"""From sums to codes, and the addition of two tensors of codes, by the native kernels: the bits of torch's steps."""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import byref
from typing import NamedTuple

import torch

from axdnn.kernels.native import (
    Addend,
    Coding,
    Emission,
    Sink,
    check_error,
    native_library,
    native_variants,
    variant_number,
)


class Levels(NamedTuple):
    """How levels become codes: `code = zero + step * level`, levels clamped to [low, high]."""

    low: int
    high: int
    step: int
    zero: int
    signed: bool

    @property
    def struct(self) -> Coding:
        """For the native kernels."""
        return Coding(self.low, self.high, self.step, self.zero)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the codes."""
        return torch.int8 if self.signed else torch.uint8


class Emit(NamedTuple):
    """What becomes of sums at once: the codes of `(sum + bias) * unit`; with the bias sums must fit int32.

    Attributes:
        bias: int32 `(c,)`, contiguous.
        unit: float32 `(c,)`, contiguous, levels of one unit.
        levels: of the codes.
    """

    bias: torch.Tensor
    unit: torch.Tensor
    levels: Levels

    def into(self, codes: torch.Tensor) -> Emission:
        """For the native kernels; what it points to must be kept meanwhile."""
        return Emission(self.bias.data_ptr(), self.unit.data_ptr(), self.levels.struct, codes.data_ptr())


class Codes(NamedTuple):
    """A tensor of codes whose real values are `scale * (code - zero)`."""

    codes: torch.Tensor
    zero: int
    scale: float

    @property
    def addend(self) -> Addend:
        """For the native kernels, which read bytes without a sign."""
        flip = 128 if self.codes.dtype == torch.int8 else 0
        return Addend(self.zero + flip, self.scale, flip)


def requantise(
    sums: torch.Tensor,
    bias: torch.Tensor,
    unit: torch.Tensor,
    levels: Levels,
    dim: int = -1,
    variant: str | None = None,
) -> torch.Tensor | None:
    """Return the codes of `(sums + bias) * unit`, or None where the native kernels cannot do it.

    Args:
        sums: int32; with the bias they must fit int32.
        bias: int32 `(c,)`.
        unit: float32 `(c,)`, levels of one unit.
        levels: of the codes.
        dim: of the channels, 1 of `(b, c, *sizes)` or -1.
        variant: one of `native_variants()`; the fastest by default.
    """
    rows = sums.movedim(1, -1) if dim == 1 else sums
    if (
        not rows.is_contiguous()
        or not rows.numel()
        or sums.dtype != torch.int32
        or not native_variants()
        or sums.device.type != "cpu"
    ):
        return None
    codes = torch.empty_like(rows, dtype=levels.dtype)
    channels = rows.shape[-1]
    error = native_library().axdnn_requantise(
        rows.data_ptr(), rows.numel() // max(channels, 1), channels, bias.contiguous().data_ptr(),
        unit.contiguous().data_ptr(), byref(levels.struct), codes.data_ptr(), variant_number(variant),
        torch.get_num_threads(),
    )  # fmt: skip
    check_error(error, "axdnn_requantise")
    return codes.movedim(-1, 1) if dim == 1 else codes


def add_codes(
    a: Codes, b: Codes, wanted: Sequence[tuple[float, Levels]], variant: str | None = None
) -> list[torch.Tensor] | None:
    """Return the codes of the sum of two tensors of codes, or None where the native kernels cannot do it.

    Args:
        a: first tensor.
        b: second tensor, of the same shape.
        wanted: for each form of the sum, levels of one unit (a float32 number) and the levels of the codes.
        variant: one of `native_variants()`; the fastest by default.
    """
    x, y = a.codes, b.codes
    if x.shape != y.shape or not native_variants() or x.device.type != "cpu":
        return None
    inner = x.dim() == 4 and x.is_contiguous(memory_format=torch.channels_last)
    layout = torch.channels_last if inner else torch.contiguous_format
    x, y = x.contiguous(memory_format=layout), y.contiguous(memory_format=layout)
    found = [torch.empty_like(x, dtype=levels.dtype) for _, levels in wanted]
    sinks = [Sink(inverse, levels.struct, c.data_ptr()) for (inverse, levels), c in zip(wanted, found, strict=True)]
    error = native_library().axdnn_add(
        x.data_ptr(), y.data_ptr(), x.numel(), byref(a.addend), byref(b.addend), (Sink * len(sinks))(*sinks),
        len(sinks), variant_number(variant), torch.get_num_threads(),
    )  # fmt: skip
    check_error(error, "axdnn_add")
    return found
