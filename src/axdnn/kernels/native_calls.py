"""Products and convolutions of codes by the native kernels: which of them, and in which layouts."""

from __future__ import annotations

import torch

from axdnn.kernels.native import has_permutes, native_variants
from axdnn.kernels.native_products import Steps, conv_digits, conv_lookup, conv_rows, without_gaps
from axdnn.kernels.native_tables import native_digits, native_table
from axdnn.kernels.work import LANES
from axdnn.records import Multiplier

# Nanoseconds of one core, for choosing only: a row of 256 products laid out, a product added from it, a product found
# byte by byte (by the bytes of an entry), by variant of the processor.
LAY_OUT_NS = {True: 16.0, False: 32.0}
ADD_NS = {True: 1 / 30, False: 1 / 12}
FIND_NS = {True: {1: 1 / 36, 2: 1 / 21}, False: {1: 1 / 2.5, 2: 1 / 1.9}}


def matmul_native(multiplier: Multiplier, x: torch.Tensor, w: torch.Tensor, path: str) -> torch.Tensor:
    """Sum products over k for codes `x` `(g, m, k)` and `w` `(g, n, k)`; int32 `(g, m, n)`."""
    groups, m, k = x.shape
    n = w.shape[1]
    out = [
        _convolve(multiplier, x[i].view(1, m, 1, k).permute(0, 3, 1, 2), w[i].view(n, k, 1, 1), path).view(m, n)
        for i in range(groups)
    ]
    return out[0].unsqueeze(0) if groups == 1 else torch.stack(out)


def conv2d_native(multiplier: Multiplier, x: torch.Tensor, w: torch.Tensor, steps: Steps, path: str) -> torch.Tensor:
    """Convolve codes `x` `(b, c, h, w)` with codes `w` `(o, c / groups, kh, kw)`.

    Returns:
        int32 `(b, o, h_out, w_out)`, channels innermost in memory.
    """
    x, steps = without_gaps(x, w, steps)
    return _convolve(multiplier, x, w, path, steps).permute(0, 3, 1, 2)


def _convolve(
    multiplier: Multiplier, x: torch.Tensor, w: torch.Tensor, path: str, steps: Steps = Steps()
) -> torch.Tensor:
    """Return int32 `(b, h_out, w_out, o)`."""
    if path == "native_factorised":
        digits = native_digits(multiplier)
        assert digits is not None
        return conv_digits(digits, x, w, steps)
    table = native_table(multiplier)
    assert table is not None
    pixels, lanes = _pixels(x, w, steps)
    outputs = w.shape[0] // steps.groups
    if rows_pay(table.planes.count, pixels, outputs, lanes if outputs < LANES else pixels):
        return conv_rows(table.entries, x, w, steps)
    exact = None if table.exact is None else conv_digits(table.exact, x, w, steps)
    return conv_lookup(table.planes, x, w, steps, out=exact)


def _pixels(x: torch.Tensor, w: torch.Tensor, steps: Steps) -> tuple[int, int]:
    """Output pixels, and lanes of the look-ups that have them side by side: whole vectors an image, and what lies
    between its rows.
    """
    (high, wide), (down, across), (pad_h, pad_w) = steps.dilation, steps.stride, steps.padding
    height = (x.shape[2] + 2 * pad_h - high * (w.shape[2] - 1) - 1) // down + 1
    width = (x.shape[3] + 2 * pad_w - wide * (w.shape[3] - 1) - 1) // across + 1
    straight = (down, across) == (1, 1)
    positions = (height - 1) * (x.shape[3] + 2 * pad_w) + width if straight else height * width
    batch = int(x.shape[0])
    return batch * height * width, batch * -(-positions // LANES) * LANES


def rows_pay(count: int, pixels: int, outputs: int, lanes: int | None = None) -> bool:
    """Whether rows of products, laid out once for all pixels, are cheaper than finding each product.

    Args:
        count: bytes of an entry.
        pixels: of the output, all images.
        outputs: of one group.
        lanes: what look-ups find for each output, if that is more than the pixels.
    """
    fast = "vnni" in native_variants()
    rows = LAY_OUT_NS[fast] + pixels * ADD_NS[fast]
    return outputs >= 8 and rows < (lanes or pixels) * FIND_NS[has_permutes()][count]
