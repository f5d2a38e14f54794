"""The differentiable steps of a trainable approximate network. They keep bytes, not floats, where codes suffice.

Codes travel between them as float32 tensors of whole numbers, so that autograd can carry a gradient to them; such a
tensor lives until its consumer has read it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from axdnn.kernels import Path
from axdnn.kernels.codes import code_dtype, table_index
from axdnn.kernels.requantise import Levels
from axdnn.layers import ScaledSums
from axdnn.retraining.adjoints import bordered, to_first, to_second
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

    The second operand is the weight, or the other activation of a product. Gradients follow `slopes`. Under autocast
    to bfloat16 their products are made in bfloat16; the sums of the forward pass are integers and stay as they are.
    """

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any, first: torch.Tensor, second: torch.Tensor, bias_steps: torch.Tensor, layer: ScaledSums,
        slopes: Slopes, path: Path,
    ) -> torch.Tensor:  # fmt: skip
        circuit = layer.multiplier
        a, b = first.to(code_dtype(circuit.a_signed)), second.to(code_dtype(circuit.w_signed))
        sums = layer.sums(*((a, b) if layer.node.op == "matmul" else (a,)), path=path)
        ctx.save_for_backward(table_index(a, circuit.a_signed), table_index(b, circuit.w_signed))
        ctx.layer, ctx.slopes = layer, slopes
        device = first.device.type
        low = torch.is_autocast_enabled(device) and torch.get_autocast_dtype(device) == torch.bfloat16
        ctx.dtype = torch.bfloat16 if low else torch.float32
        return sums.to(torch.float32)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:  # noqa: D102
        (a, b), grad = ctx.saved_tensors, grads[0]
        to_bias = _sum_but_channel(grad, ctx.layer).double() if ctx.needs_input_grad[2] else None
        grad = grad.to(ctx.dtype)
        first = _first_gradient(ctx, a, b, grad) if ctx.needs_input_grad[0] else None
        second = _second_gradient(ctx, a, b, grad) if ctx.needs_input_grad[1] else None
        return first, second, to_bias, None, None, None


class RealFunction(torch.autograd.Function):
    """A function of real values in float64, rounded once to float32; computed again for its gradient."""

    @staticmethod
    def forward(ctx: Any, function: Callable[..., torch.Tensor], *values: torch.Tensor) -> torch.Tensor:  # noqa: D102
        ctx.save_for_backward(*values)
        ctx.function = function
        return function(*[value.double() for value in values]).float()

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:  # noqa: D102
        needed = ctx.needs_input_grad[1:]
        with torch.enable_grad():
            points = [v.detach().double().requires_grad_(n) for v, n in zip(ctx.saved_tensors, needed, strict=True)]
            result = ctx.function(*points)
        at = [point for point in points if point.requires_grad]
        found = iter(torch.autograd.grad(result, at, grads[0].double(), allow_unused=True))
        slopes = [next(found) if n else None for n in needed]
        return None, *[None if slope is None else slope.float() for slope in slopes]


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


def _first_gradient(ctx: Any, a: torch.Tensor, b: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    p, q = (t.to(grad.device) for t in ctx.slopes.a)
    total = None
    for j in range(p.shape[1]):
        part = to_first(ctx.layer.node, a.shape, looked_up(q[:, j], b).to(ctx.dtype), grad).float()
        if not bool((p[:, j] == 1).all()):
            part = part * looked_up(p[:, j], a)
        total = part if total is None else total.add_(part)
    return torch.zeros(a.shape, device=grad.device) if total is None else total


def _second_gradient(ctx: Any, a: torch.Tensor, b: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    p, q = (t.to(grad.device) for t in ctx.slopes.w)
    node, zero = ctx.layer.node, ctx.layer.coding.encoding.zero_point
    total = torch.zeros(b.shape, device=grad.device)
    a = bordered(node, a, b.shape, zero + (128 if ctx.layer.multiplier.a_signed else 0))
    for j in range(p.shape[1]):
        part = to_second(node, looked_up(p[:, j], a).to(ctx.dtype), b.shape, grad)
        total.addcmul_(part.float(), looked_up(q[:, j], b))
    return total


def _sum_but_channel(grad: torch.Tensor, layer: ScaledSums) -> torch.Tensor:
    if len(layer.scale) == 1:
        return grad.sum().view(1)
    channels = layer.node.channel_dim % grad.dim()
    return grad.sum([axis for axis in range(grad.dim()) if axis != channels])
