"""A captured network whose gradients are mean slopes between a baseline and each image, so that they add up.

An operator hands a gradient on by its mean derivative along the straight line from its inputs at the baseline to those
at the image. A change of its inputs times these slopes is then its change of output, and by the chain rule the
gradients of a result, times the changes of any complete cut, sum to the change of the result. What that is:

- linear ones (layers with weights, average pooling, moves, sums): the ordinary gradient;
- of one value (ReLU and other activation functions): change of output over change of input, DeepLIFT's rescale rule;
- maximum pooling: the change of the output goes to the larger of both maxima, whose input changed by at least as much;
- products of two activations: the derivative half way, which is exact;
- any other function: Gauss-Legendre quadrature along the line.

References:
    A. Shrikumar, P. Greenside, A. Kundaje, "Learning Important Features Through Propagating Activation Differences",
    ICML 2017 (the rescale rule). The rule for maximum pooling is SHAP's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from axdnn.importance.batch_axis import BatchAxis, batch_axes
from axdnn.quant import CapturedModel, Node

SMALL = 1e-6  # an input that changes by less takes the slope half way
POINTS = 16
Tensors = tuple[torch.Tensor, ...]
Apply = Callable[..., torch.Tensor]


class MeanSlopes(CapturedModel):
    """The network of `model`, with its layers; the last input of a batch is the baseline of the others.

    Attributes:
        axes: name of a node -> where the images lie in its value.
        values: of the latest run, name of a call of a layer -> output, the baseline's last.
    """

    def __init__(self, model: CapturedModel) -> None:
        layers = {name: model.layer(name) for name in model.layer_names}
        super().__init__(model.nodes.values(), layers, model.captured_by, model.input_shapes)
        self.axes = batch_axes(model)
        self.values: dict[str, torch.Tensor] = {}

    def apply_node(self, node: Node, inputs: Tensors) -> torch.Tensor:
        """Compute one node, so that its gradients are mean slopes."""
        apply = partial(_unpacked, super().apply_node, node)
        if node.op in RULES:
            axes = [*(self.axes[i] for i in node.inputs), self.axes[node.name]]
            value: torch.Tensor = _Sloped.apply(apply, partial(RULES[node.op], node), axes, *inputs)
        else:
            value = apply(*inputs)
        if node.is_layer:
            value = value if value.requires_grad else value.detach().requires_grad_()
            self.values[node.name] = value
        return value


def _unpacked(compute: Callable[[Node, Tensors], torch.Tensor], node: Node, *inputs: torch.Tensor) -> torch.Tensor:
    return compute(node, inputs)


class _Sloped(torch.autograd.Function):
    """An operator whose backward pass follows a rule; images first, the baseline last on the axis of the batch."""

    @staticmethod
    def forward(ctx: Any, apply: Apply, rule: Any, axes: list[BatchAxis], *inputs: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(*inputs)
        ctx.compute, ctx.rule, ctx.axes = apply, rule, axes  # `ctx.apply` is the engine's
        return apply(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        *ins, out = ctx.axes
        ends, begins = [], []
        for axis, value in zip(ins, ctx.saved_tensors, strict=True):
            front = axis.front(value)
            ends.append(axis.back(front[:-1]))
            begins.append(axis.back(front[-1:].expand_as(front[:-1])))
        gradient = out.back(out.front(gradients[0])[:-1])
        found = ctx.rule(ctx.compute, tuple(begins), tuple(ends), gradient)
        fronts = [axis.front(g) for axis, g in zip(ins, found, strict=True)]
        whole = [torch.cat([f, torch.zeros_like(f[:1])]) for f in fronts]  # nothing goes back through the baseline
        return None, None, None, *(axis.back(w) for axis, w in zip(ins, whole, strict=True))


def _along(points: int, _: Node, apply: Apply, begins: Tensors, ends: Tensors, gradient: torch.Tensor) -> Tensors:
    """Mean of the gradients at points of the line between two inputs."""
    sums = [torch.zeros_like(e) for e in ends]
    for point, weight in zip(*np.polynomial.legendre.leggauss(points), strict=True):
        share = float(1 + point) / 2
        with torch.enable_grad():
            inputs = [torch.lerp(b, e, share).requires_grad_() for b, e in zip(begins, ends, strict=True)]
            found = torch.autograd.grad(apply(*inputs), inputs, gradient, allow_unused=True)
        for total, each in zip(sums, found, strict=True):
            if each is not None:
                total.add_(each, alpha=float(weight) / 2)
    return tuple(sums)


def _of_one_value(node: Node, apply: Apply, begins: Tensors, ends: Tensors, gradient: torch.Tensor) -> Tensors:
    """Change of output over change of input."""
    change, made = ends[0] - begins[0], apply(*ends) - apply(*begins)
    (half_way,) = _along(1, node, apply, begins, ends, torch.ones_like(gradient))
    small = change.abs() < SMALL
    return (gradient * torch.where(small, half_way, made / change.masked_fill(small, 1.0)),)


def _of_maximum(node: Node, apply: Apply, begins: Tensors, ends: Tensors, gradient: torch.Tensor) -> Tensors:
    """To the larger of both maxima: where the output rose that of the image, where it fell that of the baseline."""
    a, change = node.attrs, (ends[0] - begins[0]).flatten(2)
    pool = partial(
        functional.max_pool2d, kernel_size=a["kernel"], stride=a["stride"], padding=a["padding"],
        dilation=a["dilation"], ceil_mode=a["ceil_mode"], return_indices=True,
    )  # fmt: skip
    (high, at_end), (low, at_begin) = pool(ends[0]), pool(begins[0])
    place, made = torch.where(high >= low, at_end, at_begin).flatten(2), (high - low).flatten(2)
    moved = change.gather(2, place)
    slope = torch.where(moved == 0, torch.ones_like(moved), made / moved.masked_fill(moved == 0, 1.0))
    spread = torch.zeros_like(change).scatter_add_(2, place, gradient.flatten(2) * slope)
    return (spread.view_as(ends[0]),)


RULES: dict[str, Any] = {
    "clamp": _of_one_value,
    "unary": _of_one_value,
    "max_pool2d": _of_maximum,
    "matmul": partial(_along, 1),
    "function": partial(_along, POINTS),
}
