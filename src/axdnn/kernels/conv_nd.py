"""Convolutions of one and three dimensions and transposed ones, as two-dimensional ones over the same codes.

A convolution along a line is one over a picture of height 1. A convolution over a volume is one over planes whose
channels are those of all depths of the window. A transposed convolution of stride s writes, for each remainder of the
output position modulo s, an ordinary convolution with every s-th tap of the flipped kernel: only products of taps that
meet an input position are formed, and, as in any convolution here, a tap outside the input multiplies the code of zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from torch.nn import functional

from axdnn.kernels.codes import check_codes
from axdnn.kernels.conv import approx_conv2d
from axdnn.kernels.plan import Path
from axdnn.multipliers import load_multiplier
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
    n = _axes(x_codes, w_codes)
    flat = flatten_conv(
        x_codes, tuple(w_codes.shape[2:]), *(_numbers(k, v, n) for k, v in _named(stride, padding, dilation)), pad_code
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


def approx_conv_transpose(
    x_codes: torch.Tensor,
    w_codes: torch.Tensor,
    multiplier: Multiplier | str,
    stride: Steps = 1,
    padding: Steps = 0,
    output_padding: Steps = 0,
    dilation: Steps = 1,
    groups: int = 1,
    pad_code: int = 0,
    *,
    path: Path = "auto",
    terms: torch.Tensor | None = None,
) -> torch.Tensor:
    """Transposed convolution of codes along one, two or three axes, exact integers.

    Args:
        x_codes: `(b, c_in, *sizes)`.
        w_codes: `(c_out, c_in / groups, *kernel)` (channel axes as in a convolution, unlike torch).
        multiplier: whose table is used, or its name.
        stride: one number, or one an axis; the others likewise.
        padding: how much of the border of the result is left away.
        output_padding: how much is added at the far end, smaller than stride or dilation.
        dilation: step inside the kernel.
        groups: must divide both channel counts.
        pad_code: the activation code of zero, multiplied where a tap lies outside the input.
        path: force a path.
        terms: of the flattened weight, see `approx_conv2d`.

    Returns:
        `(b, c_out, *((size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1))`.

    Raises:
        InvalidInputError: wrong dtype, shape, or parameter.
        UnknownNameError: no multiplier of that name.
    """
    multiplier = load_multiplier(multiplier) if isinstance(multiplier, str) else multiplier
    check_codes(x_codes, multiplier.a_signed, "x_codes", multiplier)
    n, kernel = _axes(x_codes, w_codes), tuple(w_codes.shape[2:])
    steps = [_numbers(k, v, n) for k, v in _named(stride, padding, dilation)]
    extra = _numbers("output_padding", output_padding, n)
    axes = [
        _phases(size, k, s, p, e, d)
        for size, k, s, p, e, d in zip(x_codes.shape[2:], kernel, *steps[:2], extra, steps[2], strict=True)
    ]
    sizes = [axis.out for axis in axes]
    pieces: list[tuple[tuple[slice, ...], torch.Tensor]] = []
    for phase in product(*[axis.phases for axis in axes]):
        if all(p.taps for p in phase):
            x = _window(x_codes, phase, pad_code)
            w = _taps(w_codes, phase)
            kinds = None if terms is None else _taps(terms.view(-1, *w_codes.shape[1:]), phase).flatten(1)
            part = approx_conv(
                x, w, multiplier, 1, 0, [p.dilation for p in phase], groups, pad_code, path=path,
                terms=kinds if kinds is None or terms is None or terms.dim() == 2 else kinds[0],
            )  # fmt: skip
            pieces.append((tuple(p.places for p in phase), part))
    wide = any(part.dtype == torch.int64 for _, part in pieces)
    dtype = torch.int64 if wide else torch.int32
    out = torch.zeros(x_codes.shape[0], w_codes.shape[0], *sizes, dtype=dtype, device=x_codes.device)
    for places, part in pieces:
        out[(slice(None), slice(None), *places)] = part.to(dtype)
    return out


@dataclass(frozen=True)
class Phase:
    """Output positions of one remainder: an ordinary convolution over the inputs from `start` to `stop`."""

    places: slice
    taps: tuple[int, ...]
    dilation: int
    start: int
    stop: int


@dataclass(frozen=True)
class _Axis:
    out: int
    phases: tuple[Phase, ...]


def _phases(size: int, kernel: int, stride: int, padding: int, extra: int, dilation: int) -> _Axis:
    """Cut one axis into phases: output y takes input i by tap k where `stride i + dilation k = y + padding`."""
    out = (size - 1) * stride - 2 * padding + dilation * (kernel - 1) + extra + 1
    if out < 1 or extra >= max(stride, dilation):
        raise InvalidInputError(
            "a transposed convolution needs a positive output size and output_padding below stride or dilation, "
            f"but got size {out}, output_padding={extra}, stride={stride}, dilation={dilation}"
        )
    return _Axis(out, tuple(each_phase(out, kernel, stride, padding, dilation)))


def each_phase(out: int, kernel: int, stride: int, padding: int, dilation: int) -> Iterator[Phase]:
    """Cut one axis of a transposed convolution with `out` output positions into phases."""
    step = dilation // math.gcd(dilation, stride)
    for remainder in range(stride):
        first = (remainder - padding) % stride  # the first output position of this remainder
        if first >= out:
            continue
        taps = tuple(k for k in range(kernel) if dilation * k % stride == remainder)
        count = (out - 1 - first) // stride + 1
        whole = (first + padding) // stride
        reach = [(dilation * k - remainder) // stride for k in (taps[0], taps[-1])] if taps else [0, 0]
        yield Phase(slice(first, None, stride), taps[::-1], step, whole - reach[1], whole + count - reach[0])


def _window(x: torch.Tensor, phase: tuple[Phase, ...], pad_code: int) -> torch.Tensor:
    """Return the inputs of a phase, the code of zero where they lie outside."""
    border: list[int] = []
    for axis, p in reversed(list(enumerate(phase))):
        border += [-p.start, p.stop - x.shape[2 + axis]]  # negative: inputs that no tap of the phase meets
    return functional.pad(x, border, value=pad_code)


def _taps(w: torch.Tensor, phase: tuple[Phase, ...]) -> torch.Tensor:
    for axis, p in enumerate(phase):
        w = w.index_select(2 + axis, torch.tensor(p.taps, device=w.device))
    return w


def _named(stride: Steps, padding: Steps, dilation: Steps) -> tuple[tuple[str, Steps], ...]:
    return (("stride", stride), ("padding", padding), ("dilation", dilation))


def _numbers(name: str, value: Steps, n: int) -> tuple[int, ...]:
    numbers = tuple(value) if isinstance(value, list | tuple) else (value,) * n
    low = 0 if "padding" in name else 1
    if len(numbers) != n or not all(isinstance(v, int) and not isinstance(v, bool) and v >= low for v in numbers):
        raise InvalidInputError(f"`{name}` must be one or {n} integers >= {low}, but got {name}={value!r}")
    return tuple(int(v) for v in numbers if isinstance(v, int))


def _axes(x: torch.Tensor, w: torch.Tensor) -> int:
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
