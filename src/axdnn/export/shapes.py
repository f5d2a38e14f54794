"""Shapes and types of a network's values, and which axis of each depends on the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from axdnn.layers import ApproxModel
from axdnn.layers.emission import Emission
from axdnn.quant import CONV_OPS, TRANSPOSED_OPS, Node, apply_float
from axdnn.records import UnsupportedOperatorError

Shape = tuple[int, ...]


def shapes_of(model: ApproxModel) -> dict[str, Shape]:
    """Return node -> shape of its value, -1 for the axis that depends on the batch.

    Raises:
        UnsupportedOperatorError: a value of which several axes depend on the batch.
    """
    two, three = _sizes(model, 2), _sizes(model, 3)
    shapes: dict[str, Shape] = {}
    for name, sizes in two.items():
        shapes[name] = tuple(a if a == b else -1 for a, b in zip(sizes, three[name], strict=True))
        if shapes[name].count(-1) > 1:
            raise UnsupportedOperatorError(f"no export rule for {name!r}: several of its axes depend on the batch")
    return shapes


def batch_first(node: Node, shape: Shape) -> Shape:
    """Return the sizes after batch and channels of what a convolution or pooling reads.

    Raises:
        UnsupportedOperatorError: the batch is not the first axis.
    """
    if -1 in shape[1:]:
        raise UnsupportedOperatorError(f"no export rule for {node.name!r} ({node.op}): its windows run over the batch")
    return shape[2:]


def dtype_of(form: Emission) -> str:
    """Return the type of a value in a form."""
    return "float32" if form.encoding is None else "int8" if form.encoding.signed else "uint8"


def windows(sizes: Sequence[int], kernel: Sequence[int], a: dict[str, Any]) -> Shape:
    """Return how many windows fit along each axis."""
    steps = zip(sizes, kernel, a["stride"], a["padding"], a.get("dilation", [1] * len(kernel)), strict=True)
    return tuple((size + 2 * p - d * (k - 1) - 1) // s + 1 for size, k, s, p, d in steps)


def _sizes(model: ApproxModel, batch: int) -> dict[str, Shape]:
    shapes: dict[str, Shape] = {}
    for node in model.nodes.values():
        before = [shapes[i] for i in node.inputs]
        if node.op == "input":
            shapes[node.name] = (batch, *model.input_shapes[node.attrs.get("index", 0)])
        elif node.is_layer:
            shapes[node.name] = _layer(model, node, before)
        elif node.op == "constant":
            value, dim = node.attrs["value"], node.attrs["dim"]
            shapes[node.name] = (*value.shape[:dim], batch, *value.shape[dim:])
        elif node.op != "output":
            shapes[node.name] = tuple(apply_float(node, tuple(torch.zeros(shape) for shape in before)).shape)
    return shapes


def _layer(model: ApproxModel, node: Node, before: list[Shape]) -> Shape:
    if node.op == "matmul":
        return tuple(torch.matmul(*(torch.empty(shape, device="meta") for shape in before)).shape)
    weight, a = model.layer(node.layer_name).w_codes, node.attrs
    if node.op in CONV_OPS:
        return (before[0][0], len(weight), *windows(before[0][2:], weight.shape[2:], a))
    if node.op in TRANSPOSED_OPS:
        steps = (a[key] for key in ("stride", "padding", "dilation", "output_padding"))
        axes = zip(before[0][2:], weight.shape[2:], *steps, strict=True)
        sizes = ((size - 1) * s - 2 * p + d * (k - 1) + e + 1 for size, k, s, p, d, e in axes)
        return (before[0][0], len(weight), *sizes)
    return (*before[0][:-1], len(weight))
