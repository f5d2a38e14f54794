"""Convolutions of one and three dimensions, as two-dimensional ones over the same codes.

A convolution along a line is one over a picture of height 1. A convolution over a volume is one over planes whose
channels are those of all depths of the window.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from axdnn.kernels.conv import approx_conv2d
from axdnn.kernels.plan import Path
from axdnn.records import InvalidInputError, Multiplier

Steps = int | Sequence[int]


def approx_conv(
    x_codes: torch.Tensor,
    w_codes: torch.Tensor,
    multiplier: Multiplier | str,
    stride: Steps = 1,
    padding: Steps = 0,
    dilation: Steps = 1,
    groups: int = 1,
    pad_code: int = 0,
    *,
    path: Path = "auto",
    terms: torch.Tensor | None = None,
) -> torch.Tensor:
    """Convolve codes along one, two or three axes, exact integers; see `approx_conv2d`.

    Args:
        x_codes: `(b, c_in, *sizes)`, one to three sizes.
        w_codes: `(c_out, c_in / groups, *kernel)`.
        multiplier: whose table is used, or its name.
        stride: one number, or one an axis; padding and dilation likewise.
        padding: border on each side.
        dilation: step inside the window.
        groups: must divide both channel counts.
        pad_code: the activation code of zero.
        path: force a path.
        terms: see `approx_conv2d`; in the order of the flattened weight.

    Returns:
        `(b, c_out, *output sizes)`.

    Raises:
        InvalidInputError: wrong dtype, shape, or parameter.
        UnknownNameError: no multiplier of that name.
    """
    n = axes_of(x_codes, w_codes)
    flat = flatten_conv(
        x_codes,
        tuple(w_codes.shape[2:]),
        *(numbers_of(k, v, n) for k, v in named_steps(stride, padding, dilation)),
        pad_code,
    )
    w = w_codes.reshape(w_codes.shape[0], flat.channels // _checked_groups(groups), *flat.kernel)
    sums = approx_conv2d(
        flat.x, w, multiplier, flat.stride, flat.padding, flat.dilation, groups, pad_code, path=path, terms=terms
    )
    return flat.restore(sums)


@dataclass(frozen=True)
class FlatConv:
    """A convolution of any number of axes as one over pictures.

    Attributes:
        x: `(b, c, h, w)`. kernel, stride, padding, dilation: of the pictures.
        depth: outputs along the third axis, which lie in the batch axis of the result; 0 for lines, -1 for pictures.
    """

    x: torch.Tensor
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    depth: int = -1

    @property
    def channels(self) -> int:
        """Input channels of the pictures."""
        return self.x.shape[1]

    def restore(self, sums: torch.Tensor) -> torch.Tensor:
        """Return a result over pictures with the axes of the convolution."""
        if self.depth < 0:
            return sums
        return sums.squeeze(2) if self.depth == 0 else sums.unflatten(0, (-1, self.depth)).transpose(1, 2)


def flatten_conv(
    x: torch.Tensor,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    pad: float,
) -> FlatConv:
    """Turn the input of a convolution of one to three axes into pictures.

    Args:
        x: `(b, c, *sizes)`, codes or real values.
        kernel: one number an axis, as stride, padding and dilation.
        stride: step of the window.
        padding: border on each side.
        dilation: step inside the window.
        pad: value of the border; only that of the depth axis is added here.
    """
    n = len(kernel)
    if n == 2:
        return FlatConv(x, _two(kernel), _two(stride), _two(padding), _two(dilation))
    if n == 1:
        return FlatConv(x.unsqueeze(2), (1, kernel[0]), (1, stride[0]), (0, padding[0]), (1, dilation[0]), 0)
    deep = functional.pad(x, (0, 0, 0, 0, padding[0], padding[0]), value=pad)
    count = (deep.shape[2] - dilation[0] * (kernel[0] - 1) - 1) // stride[0] + 1
    if count < 1:
        raise InvalidInputError(f"the window must fit the padded input, but the depth {x.shape[2]} is too small")
    places = [torch.arange(count, device=x.device) * stride[0] + i * dilation[0] for i in range(kernel[0])]
    planes = torch.stack([deep.index_select(2, at) for at in places], dim=2)  # (b, c, kernel depth, count, h, w)
    flat = planes.permute(0, 3, 1, 2, 4, 5).flatten(2, 3).flatten(0, 1)
    return FlatConv(flat, _two((kernel[1], kernel[2])), _two(stride[1:]), _two(padding[1:]), _two(dilation[1:]), count)


def named_steps(stride: Steps, padding: Steps, dilation: Steps) -> tuple[tuple[str, Steps], ...]:
    """Return the steps of a convolution with their names."""
    return (("stride", stride), ("padding", padding), ("dilation", dilation))


def numbers_of(name: str, value: Steps, n: int) -> tuple[int, ...]:
    """Return one number an axis.

    Raises:
        InvalidInputError: not one or n of them, or too small.
    """
    numbers = tuple(value) if isinstance(value, list | tuple) else (value,) * n
    low = 0 if "padding" in name else 1
    if len(numbers) != n or not all(isinstance(v, int) and not isinstance(v, bool) and v >= low for v in numbers):
        raise InvalidInputError(f"`{name}` must be one or {n} integers >= {low}, but got {name}={value!r}")
    return tuple(int(v) for v in numbers if isinstance(v, int))


def axes_of(x: torch.Tensor, w: torch.Tensor) -> int:
    """Return how many axes a convolution has.

    Raises:
        InvalidInputError: not one to three, or others for codes and weights.
    """
    n = w.dim() - 2
    if n not in (1, 2, 3) or x.dim() != w.dim():
        raise InvalidInputError(
            "`x_codes` (b, c_in, *sizes) and `w_codes` (c_out, c_in / groups, *kernel) must have the same one to three "
            f"axes, but got {tuple(x.shape)} and {tuple(w.shape)}"
        )
    return n


def _checked_groups(groups: int) -> int:
    if not isinstance(groups, int) or groups < 1:
        raise InvalidInputError(f"`groups` must be a positive integer, but got {groups!r}")
    return groups


def _two(values: Sequence[int]) -> tuple[int, int]:
    return int(values[0]), int(values[1])
