"""The layers of an attacked network: the integer layers as they are, with a gradient to their inputs only.

Nothing is learned, so the backward pass needs no more than the codes that were read and, for each factor of the slope,
one tensor in the place of the weights, made once.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch

from axdnn.kernels import ABSENT, EXACT, Path
from axdnn.kernels.codes import code_dtype, table_index
from axdnn.kernels.requantise import Levels
from axdnn.layers import IntegerLayer
from axdnn.layers.emission import Emission
from axdnn.layers.product import IntegerProduct
from axdnn.quant import Encoding
from axdnn.retraining import GradientRule, slopes
from axdnn.retraining.adjoints import to_first
from axdnn.retraining.functions import looked_up
from axdnn.retraining.parameters import Ready, TrainableProduct, TrainableSums
from axdnn.retraining.ranges import ActivationRange, by_channel


class Factor(NamedTuple):
    """A part of the derivative of a layer's sums by its input: `p[x] * second`.

    Attributes:
        p: float32 `(256,)` by row of the table; None where it is 1.
        second: float32, in the place of the weights, `(c_out, c_in / groups, *kernel)` or `(out, in)`.
    """

    p: torch.Tensor | None
    second: torch.Tensor


class Emit(torch.autograd.Function):
    """`code = zero + step * clamp(round(value * unit), low, high)`, with the gradient of the float network.

    Rounding passes the gradient. A clamp of the network (ReLU) stops it where it decides. The range of the codes does
    not: the float network has none, and an attack that stops where values clip sees less than it could.
    """

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any, value: torch.Tensor, unit: torch.Tensor, bounds: tuple[float, float], levels: Levels
    ) -> torch.Tensor:
        ctx.save_for_backward(value, unit)
        ctx.bounds, ctx.step = bounds, levels.step
        level = (value * unit).round_().clamp_(levels.low, levels.high)
        return level.mul_(levels.step).add_(levels.zero)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:  # noqa: D102
        value, unit = ctx.saved_tensors
        grad, (low, high) = grads[0] * (unit * ctx.step), ctx.bounds
        if low > -np.inf or high < np.inf:
            scaled = value * unit
            grad = grad.masked_fill_((scaled <= low).logical_or_(scaled >= high), 0)
        return grad, None, None, None


class Sums(torch.autograd.Function):
    """A layer's exact sums as float32; the gradient to its input follows `factors`."""

    @staticmethod
    def forward(  # noqa: D102
        ctx: Any, codes: torch.Tensor, layer: IntegerLayer, factors: tuple[Factor, ...], path: Path
    ) -> torch.Tensor:
        circuit = layer.multiplier
        a = codes.to(code_dtype(circuit.a_signed))
        ctx.save_for_backward(table_index(a, circuit.a_signed))
        ctx.layer, ctx.factors = layer, factors
        return layer.sums(a, path=path).to(torch.float32)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:  # noqa: D102
        (rows,), total = ctx.saved_tensors, None
        for p, second in ctx.factors:
            part = to_first(ctx.layer.node, rows.shape, second, grads[0])
            part = part if p is None else part * looked_up(p, rows)
            total = part if total is None else total.add_(part)
        return torch.zeros(rows.shape) if total is None else total, None, None, None


class FrozenRange(ActivationRange):
    """The encoding of one input of one operator; see `Emit` for its gradient."""

    def __init__(self, start: ActivationRange) -> None:
        super().__init__(start.start, False, start._form)
        self._size = start.start.scale * (1 << start.start.step_bits)
        self._known: dict[Emission, tuple[tuple[float, float], Levels]] = {}

    def emit(self, value: torch.Tensor, unit: torch.Tensor | None, dim: int, bounds: Emission) -> torch.Tensor:
        """Return the codes (float32) of `value * unit`, as `Emission.emit` computes them."""
        steps = torch.as_tensor((1.0 if unit is None else unit) / self._size, dtype=torch.float64).float()
        if bounds not in self._known:
            self._known[bounds] = self._levels(self.start, bounds)
        return Emit.apply(value, by_channel(steps, value, dim), *self._known[bounds])  # type: ignore[no-any-return, no-untyped-call]

    def _levels(self, encoding: Encoding, bounds: Emission) -> tuple[tuple[float, float], Levels]:
        levels = self._form(encoding).clamped(bounds.low, bounds.high).levels
        assert levels is not None
        low = -np.inf if bounds.low is None else bounds.low / self._size
        high = np.inf if bounds.high is None else bounds.high / self._size
        return (low, high), levels


class FrozenLayer(TrainableSums):
    """A convolution or linear layer with weights; skipped channels, absent and exact terms included.

    Args:
        layer: the integer layer.
        weight: float32, of the float network, batch norm folded, in the layer's own shape.
        rule: derivative of a product: `straight_through` takes the float network's, `table_slope` the table's.
    """

    def __init__(self, layer: IntegerLayer, weight: torch.Tensor, rule: GradientRule) -> None:
        super().__init__(layer, [FrozenRange(ActivationRange(layer.coding.encoding, False))])
        self.requires_grad_(False)
        self._layer = (layer,)  # not a submodule: its state is the network's own
        make = _float_factors if rule.kind == "straight_through" else _table_factors
        self._factors = tuple(make(layer, weight, rule))

    @property
    def integer(self) -> IntegerLayer:
        """The layer that computes the sums."""
        return self._layer[0]

    @property
    def scale(self) -> torch.Tensor:
        """Real value of one unit of the sums, float32 `(channels,)`."""
        return self.integer.scale

    def ready(self) -> Ready:
        """Return nothing: weights and biases are the integer layer's."""
        return Ready((), self.integer.bias)

    def forward(self, codes: tuple[torch.Tensor, ...], ready: Ready, path: Path) -> torch.Tensor:
        """Return sums with bias and corrections, float32, from activation codes (float32)."""
        return Sums.apply(codes[0], self.integer, self._factors, path)  # type: ignore[no-any-return, no-untyped-call]


def frozen_product(layer: IntegerProduct, rule: GradientRule) -> TrainableProduct:
    """Return a product of two activations with the gradient to both."""
    product = TrainableProduct(layer, rule, ranges=False)
    product.ranges = torch.nn.ModuleList(FrozenRange(r) for r in product.ranges if isinstance(r, ActivationRange))
    return product.requires_grad_(False)


def _float_factors(layer: IntegerLayer, weight: torch.Tensor, rule: GradientRule) -> list[Factor]:
    """Return the float network's derivative in units of sums and codes."""
    scale = layer.scale.double()
    unit = torch.where(scale != 0, layer.coding.encoding.scale / scale, 0.0)  # a channel of gain 0 hands nothing on
    second = weight.double() * unit.view(-1, *([1] * (weight.dim() - 1)))
    return [Factor(None, _computed(layer, second, _kinds(layer) != ABSENT))]


def _table_factors(layer: IntegerLayer, weight: torch.Tensor, rule: GradientRule) -> list[Factor]:
    """Return the smoothed difference of the table as factors; terms that multiply exactly have their own."""
    values = torch.from_numpy(layer.multiplier.w_values - layer.coding.w_zero).double()
    p, q = slopes(layer.coding, values, rule).a
    rows, kinds = table_index(layer.w_codes, layer.multiplier.w_signed), _kinds(layer)
    circuit = (kinds != ABSENT) & (kinds != EXACT)
    found = [Factor(p[:, j].contiguous(), _computed(layer, looked_up(q[:, j], rows), circuit))
             for j in range(p.shape[1])]  # fmt: skip
    if bool((kinds == EXACT).any()):
        found.append(Factor(None, _computed(layer, looked_up(values, rows), kinds == EXACT)))
    return found


def _computed(layer: IntegerLayer, second: torch.Tensor, terms: torch.Tensor) -> torch.Tensor:
    """Return `second` with zeros for other terms and for channels that are not computed."""
    kept = (second * terms).index_fill(0, layer.skipped, 0)
    return kept.float().contiguous()


def _kinds(layer: IntegerLayer) -> torch.Tensor:
    """Return what each weight's term is, uint8 of the weight's shape."""
    shape = layer.w_codes.shape
    if layer.terms is None:
        return torch.zeros(shape, dtype=torch.uint8)
    kinds = layer.terms.view(-1, 1, *shape[1:])
    return kinds.expand(-1, shape[0] // len(kinds), *shape[1:]).reshape(shape)
