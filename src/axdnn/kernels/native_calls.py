"""Products and convolutions of row and column numbers by the native kernels, in the layouts they like."""

from __future__ import annotations

import torch

from axdnn.kernels.native import conv_digits, conv_lookup
from axdnn.kernels.native_tables import native_digits, native_table
from axdnn.records import Multiplier


def matmul_native(multiplier: Multiplier, x: torch.Tensor, w: torch.Tensor, path: str) -> torch.Tensor:
    """Sum products over k for row numbers `x` `(g, m, k)` and column numbers `w` `(g, n, k)`, both uint8; int32."""
    groups, m, k = x.shape
    n = w.shape[1]
    out = [
        _convolve(multiplier, x[i].view(1, 1, m, k).permute(0, 3, 1, 2), w[i].view(n, k, 1, 1), path).view(m, n)
        for i in range(groups)
    ]
    return out[0].unsqueeze(0) if groups == 1 else torch.stack(out)


def conv2d_native(
    multiplier: Multiplier,
    x: torch.Tensor,
    w: torch.Tensor,
    stride: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    path: str,
) -> torch.Tensor:
    """Convolve padded row numbers `x` `(b, c, h, w)` with column numbers `w` `(o, c / groups, kh, kw)`, both uint8.

    Returns:
        int32 `(b, o, h_out, w_out)`, channels innermost in memory.
    """
    if tuple(w.shape[2:]) == (1, 1) and stride != (1, 1):  # what the stride leaves out is not laid out either
        x, stride = x[:, :, :: stride[0], :: stride[1]], (1, 1)
    return _convolve(multiplier, x, w, path, stride, dilation, groups).permute(0, 3, 1, 2)


def _convolve(
    multiplier: Multiplier,
    x: torch.Tensor,
    w: torch.Tensor,
    path: str,
    stride: tuple[int, int] = (1, 1),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> torch.Tensor:
    """Return int32 `(b, h_out, w_out, o)` for `x` `(b, c, h, w)` and `w` `(o, c / groups, kh, kw)`."""
    steps = (stride, dilation, groups)
    if path == "native_factorised":
        digits = native_digits(multiplier)
        assert digits is not None
        return conv_digits(digits, x.permute(0, 2, 3, 1), w.permute(0, 2, 3, 1), *steps)
    table = native_table(multiplier)
    assert table is not None
    exact = None
    if table.exact is not None:
        exact = conv_digits(table.exact, x.permute(0, 2, 3, 1), w.permute(0, 2, 3, 1), *steps)
    return conv_lookup(table.planes, x, w, *steps, out=exact)
