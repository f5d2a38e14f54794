"""The linear maps of the backward pass of each kind of layer: from the gradient of sums to that of an operand.

Convolutions of one to three axes, transposed ones, linear layers and products of activations are bilinear in their
operands; with one operand held, the other's gradient is the transposed map, which torch computes.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from axdnn.quant import TRANSPOSED_OPS, Node
from axdnn.quant.float_layers import swap_channels


def to_first(node: Node, shape: torch.Size, second: torch.Tensor, grad: torch.Tensor) -> torch.Tensor:
    """Return the gradient of the first operand.

    Args:
        node: the layer.
        shape: of the first operand.
        second: weight `(c_out, c_in / groups, *kernel)` or `(out, in)`, or the second operand `(..., k, n)`.
        grad: of the layer's sums.
    """
    if node.op == "linear":
        return grad @ second
    if node.op == "matmul":
        return (grad @ second.mT).sum_to_size(shape)
    first = grad.new_empty(1).expand(shape)
    return _convolution(node, first, second, grad, node.attrs["padding"], to_weight=False)


def to_second(node: Node, first: torch.Tensor, shape: torch.Size, grad: torch.Tensor) -> torch.Tensor:
    """Return the gradient of the second operand, of shape `shape`.

    Args:
        node: the layer.
        first: the first operand; of a convolution with the border of `bordered`.
        shape: of the second operand.
        grad: of the layer's sums.
    """
    if node.op == "linear":
        return grad.flatten(0, -2).T @ first.flatten(0, -2)
    if node.op == "matmul":
        return (first.mT @ grad).sum_to_size(shape)
    second, padding = grad.new_empty(1).expand(shape), [0] * (grad.dim() - 2)
    if node.op in TRANSPOSED_OPS:  # a border of n inputs moves the result by n strides
        a, width = node.attrs, _widths(node, shape)
        padding = [p + n * s for p, n, s in zip(a["padding"], width, a["stride"], strict=True)]
    return _convolution(node, first, second, grad, padding, to_weight=True)


def bordered(node: Node, first: torch.Tensor, shape: torch.Size, value: int) -> torch.Tensor:
    """Return the input of a convolution with its border of the code of zero, which the weights multiply; else `first`.

    Args:
        node: the layer.
        first: the first operand.
        shape: of the second.
        value: of the border.
    """
    if node.op in ("linear", "matmul"):
        return first
    ends = [n for width in reversed(_widths(node, shape)) for n in (width, width)]
    return functional.pad(first, ends, value=value)


def _widths(node: Node, weight: torch.Size) -> list[int]:
    """Return how many inputs outside the picture each axis meets, of a transposed layer at its far end."""
    a = node.attrs
    if node.op not in TRANSPOSED_OPS:
        return list(a["padding"])
    axes = zip(weight[2:], a["stride"], a["padding"], a["dilation"], a["output_padding"], strict=True)
    return [max(0, -(-(d * (k - 1) - p + extra) // s)) for k, s, p, d, extra in axes]


def _convolution(
    node: Node, first: torch.Tensor, second: torch.Tensor, grad: torch.Tensor, padding: list[int], *, to_weight: bool
) -> torch.Tensor:
    a, transposed = node.attrs, node.op in TRANSPOSED_OPS
    weight = swap_channels(second, a["groups"]) if transposed else second
    extra = a["output_padding"] if transposed else [0] * len(padding)
    found: torch.Tensor = torch.ops.aten.convolution_backward(
        grad, first, weight, None, a["stride"], padding, a["dilation"], transposed, extra, a["groups"],
        (not to_weight, to_weight, False),
    )[1 if to_weight else 0]  # fmt: skip
    return swap_channels(found, a["groups"]) if transposed and to_weight else found
