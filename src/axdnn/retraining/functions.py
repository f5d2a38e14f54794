"""The three differentiable steps of a trainable approximate network. They keep bytes, not floats, where codes suffice.

Codes travel between them as float32 tensors of whole numbers, so that autograd can carry a gradient to them; such a
tensor lives until its consumer has read it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch.nn import functional
from torch.nn.grad import conv2d_input, conv2d_weight

from axdnn.kernels import Path
from axdnn.kernels.codes import code_dtype, table_index
from axdnn.kernels.requantise import Levels
from axdnn.layers import IntegerLayer
from axdnn.retraining.slopes import Slopes

LOOKED_UP_AT_ONCE = 1 << 18


class Bounds(NamedTuple):
    """Bounds of a clamp on the way, in levels, where they lie within the range: they move as the range is learned."""

    low: torch.Tensor | None = None
    high: torch.Tensor | None = None


class Quantise(torch.autograd.Function):
    """`code = zero + step * clamp(round(value * unit), low, high)`.

    Rounding passes the gradient; clamping passes it inside only. Through `unit` this is the gradient of LSQ (S. K.
    Esser et al., "Learned step size quantization", ICLR 2020), and of PACT (J. Choi et al., 2018) where values clip.
    """

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any, value: torch.Tensor, unit: torch.Tensor, low: torch.Tensor | None, high: torch.Tensor | None,
        levels: Levels,
    ) -> torch.Tensor:  # fmt: skip
        ctx.save_for_backward(value, unit)
        ctx.levels = levels
        level = (value * unit).round_().clamp_(levels.low, levels.high)
        return level.mul_(levels.step).add_(levels.zero)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:  # noqa: D102
        value, unit = ctx.saved_tensors
        grad = grads[0] * ctx.levels.step
        scaled = value * unit
        below, above = scaled < ctx.levels.low, scaled > ctx.levels.high
        _, _, needs_low, needs_high, _ = ctx.needs_input_grad
        to_low = (grad * below).sum().double() if needs_low else None
        to_high = (grad * above).sum().double() if needs_high else None
        inside = grad.masked_fill_(below.logical_or_(above), 0)
        to_unit = (inside * value).sum_to_size(unit.shape) if ctx.needs_input_grad[1] else None
        return inside.mul_(unit) if ctx.needs_input_grad[0] else None, to_unit, to_low, to_high, None


class Products(torch.autograd.Function):
    """A layer's exact sums of approximate products, bias and corrections included, as float32.

    Gradients follow `slopes`. Under autocast to bfloat16 their products are made in bfloat16; the sums of the forward
    pass are integers and stay as they are.
    """

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any, x: torch.Tensor, w: torch.Tensor, bias_steps: torch.Tensor, layer: IntegerLayer, slopes: Slopes,
        path: Path,
    ) -> torch.Tensor:  # fmt: skip
        codes = x.to(code_dtype(layer.multiplier.a_signed))
        sums, constant = layer.open_sums(codes, path=path)
        ctx.save_for_backward(
            table_index(codes, layer.multiplier.a_signed), table_index(layer.w_codes, layer.multiplier.w_signed)
        )
        ctx.node, ctx.slopes = layer.node, slopes
        ctx.pad_row = layer.coding.encoding.zero_point + (128 if layer.multiplier.a_signed else 0)
        device = x.device.type
        low = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.bfloat16
        ctx.dtype = torch.bfloat16 if low else torch.float32
        return (sums + _channel(constant, layer.node.op)).to(torch.float32)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:  # noqa: D102
        (x, w), grad = ctx.saved_tensors, grads[0]
        to_bias = _sum_but_channel(grad, ctx.node.op).double() if ctx.needs_input_grad[2] else None
        grad = grad.to(ctx.dtype)
        to_x = _to_activations(ctx, x, w, grad) if ctx.needs_input_grad[0] else None
        to_w = _to_weights(ctx, x, w, grad) if ctx.needs_input_grad[1] else None
        return to_x, to_w, to_bias, None, None, None


class LookUp(torch.autograd.Function):
    """A function of one value as a table of codes, `out = table[code]`; `slope` is its derivative per code."""

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any, code: torch.Tensor, table: torch.Tensor, slope: torch.Tensor, code_min: int
    ) -> torch.Tensor:
        rows = (code - code_min).to(torch.uint8)
        ctx.save_for_backward(rows, slope)
        return looked_up(table, rows)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:  # noqa: D102
        rows, slope = ctx.saved_tensors
        grad = grads[0]
        to_table = None
        if ctx.needs_input_grad[1]:
            to_table = torch.zeros_like(slope).index_add_(0, rows.flatten().int(), grad.flatten())
        return grad * looked_up(slope, rows), to_table, None, None


def looked_up(table: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
    """Return `table[rows]` for uint8 rows, without an index tensor of the whole size."""
    flat = rows.contiguous().flatten()
    out = torch.empty(flat.shape, dtype=table.dtype, device=rows.device)
    for first in range(0, len(flat), LOOKED_UP_AT_ONCE):
        part = slice(first, first + LOOKED_UP_AT_ONCE)
        torch.index_select(table, 0, flat[part].int(), out=out[part])
    return out.view(rows.shape)


def _to_activations(ctx: Any, x: torch.Tensor, w: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    p, q = (t.to(grad.device) for t in ctx.slopes.a)
    total, a = None, ctx.node.attrs
    for j in range(p.shape[1]):
        weight = looked_up(q[:, j], w).to(ctx.dtype)
        if ctx.node.op == "linear":
            part = (grad @ weight).float()
        else:
            part = conv2d_input(
                x.shape, weight, grad, a["stride"], a["padding"], a["dilation"], a["groups"]
            ).float()  # fmt: skip
        if not bool((p[:, j] == 1).all()):
            part = part * looked_up(p[:, j], x)
        total = part if total is None else total.add_(part)
    return torch.zeros(x.shape, device=grad.device) if total is None else total


def _to_weights(ctx: Any, x: torch.Tensor, w: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    p, q = (t.to(grad.device) for t in ctx.slopes.w)
    total, a = torch.zeros(w.shape, device=grad.device), ctx.node.attrs
    if ctx.node.op == "conv2d":
        pad_h, pad_w = a["padding"]
        x = functional.pad(x, (pad_w, pad_w, pad_h, pad_h), value=ctx.pad_row)  # padding multiplies the code of zero
    for j in range(p.shape[1]):
        value = looked_up(p[:, j], x).to(ctx.dtype)
        if ctx.node.op == "linear":
            part = grad.flatten(0, -2).T @ value.flatten(0, -2)
        else:
            part = conv2d_weight(value, w.shape, grad, a["stride"], 0, a["dilation"], a["groups"])
        total.addcmul_(part.float(), looked_up(q[:, j], w))
    return total


def _channel(vector: torch.Tensor, op: str) -> torch.Tensor:
    return vector.view(-1, 1, 1) if op == "conv2d" else vector


def _sum_but_channel(grad: torch.Tensor, op: str) -> torch.Tensor:
    return grad.sum((0, 2, 3)) if op == "conv2d" else grad.flatten(0, -2).sum(0)
