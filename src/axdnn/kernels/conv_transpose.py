"""Transposed convolutions of codes, as ordinary ones: one for each remainder of output positions modulo the stride.

A remainder's convolution has every s-th tap of the flipped kernel: only products of taps that meet an input position
are formed, and, as in any convolution here, a tap outside the input multiplies the code of zero.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch.nn import functional

from axdnn.kernels.codes import check_codes
from axdnn.kernels.conv_nd import Steps, approx_conv, axes_of, named_steps, numbers_of
from axdnn.kernels.plan import Path
from axdnn.multipliers import load_multiplier
from axdnn.records import InvalidInputError, Multiplier


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
    n, kernel = axes_of(x_codes, w_codes), tuple(w_codes.shape[2:])
    steps = [numbers_of(k, v, n) for k, v in named_steps(stride, padding, dilation)]
    extra = numbers_of("output_padding", output_padding, n)
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
