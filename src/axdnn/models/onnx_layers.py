"""One node of an ONNX graph that multiplies, as a `Layer`."""

from __future__ import annotations

import math
from typing import Any

from axdnn.models.onnx_reading import OnnxGraph, Shape, label
from axdnn.records import InvalidInputError, Layer, UnsupportedOperatorError

OPERANDS = {
    "Conv": (0, 1, 2), "ConvInteger": (0, 1, -1), "QLinearConv": (0, 3, 8), "ConvTranspose": (0, 1, 2),
    "Gemm": (0, 1, 2), "MatMul": (0, 1, -1), "MatMulInteger": (0, 1, -1), "QLinearMatMul": (0, 3, -1),
}  # fmt: skip
"""Operator -> places of its two operands and of its bias (-1: none)."""
UNCOUNTED = ("Attention", "DeformConv", "Einsum", "GRU", "LSTM", "RNN")
"""Standard operators that multiply and have no rule here."""


def is_layer(node: Any) -> bool:
    """Whether a node multiplies two operands.

    Raises:
        UnsupportedOperatorError: it multiplies in a way that has no rule.
    """
    if node.op_type in UNCOUNTED:
        raise UnsupportedOperatorError(
            f"{label(node)} multiplies, but no rule counts its products; known: {', '.join(OPERANDS)}. Export the "
            "model with the operator written out"
        )
    return node.op_type in OPERANDS


def weight_of(graph: OnnxGraph, node: Any) -> str:
    """Return the name of the constant operand, `""` for a product of two activations."""
    return next((name for name in _operands(node) if name in graph.constants), "")


def layer_of(graph: OnnxGraph, node: Any, name: str, has_bias: bool) -> Layer:
    """Describe the layer of a node.

    Args:
        graph: of the node.
        node: one of `OPERANDS`.
        name: of the layer.
        has_bias: whether a node behind it adds one; its own is seen here.

    Raises:
        UnsupportedOperatorError: a convolution whose weights are computed, or of more than three axes.
        InvalidInputError: shapes that do not fit.
    """
    operands = [graph.shape(value, node) for value in _operands(node)]
    out = graph.shape(node.output[0], node)
    bias = OPERANDS[node.op_type][2]
    inputs = [shape for shape, value in zip(operands, _operands(node), strict=True) if value not in graph.constants]
    common: dict[str, Any] = {
        "name": name, "in_shape": _without_batch(inputs[0]), "out_shape": _without_batch(out),
        "input_words": sum(map(math.prod, inputs)), "output_words": math.prod(out),
        "has_bias": has_bias or (0 <= bias < len(node.input) and bool(node.input[bias])),
    }  # fmt: skip
    if "Conv" in node.op_type:
        return _convolution(graph, node, operands, out, common)
    return _product(graph, node, operands, out, common)


def _operands(node: Any) -> tuple[str, str]:
    first, second, _ = OPERANDS[node.op_type]
    return node.input[first], node.input[second]


def _convolution(graph: OnnxGraph, node: Any, operands: list[Shape], out: Shape, common: dict[str, Any]) -> Layer:
    (shape, weight), axes = operands, len(operands[1]) - 2
    if not weight_of(graph, node) or _operands(node)[0] in graph.constants:
        raise UnsupportedOperatorError(f"{label(node)} must have stored weights and an activation, but has not")
    if not 1 <= axes <= 3:
        raise UnsupportedOperatorError(f"{label(node)} must have one to three axes, but has {axes}")
    a = {attribute.name: attribute for attribute in node.attribute}
    groups = a["group"].i if "group" in a else 1

    def numbers(key: str, usual: int) -> Shape:
        return tuple(a[key].ints)[:axes] if key in a else (usual,) * axes

    transposed = node.op_type == "ConvTranspose"
    if shape[1] != (weight[0] if transposed else weight[1] * groups):
        raise InvalidInputError(f"{label(node)}: weights of shape {weight} must fit an input of {shape[1]} channels")
    kernel = tuple(weight[2:])
    if transposed:
        m, k, n = math.prod(shape[2:]), weight[0] // groups, weight[1] * math.prod(kernel)
    else:
        m, k, n = math.prod(out[2:]), math.prod(weight[1:]), weight[0] // groups
    kind: Any = f"conv_transpose{axes}d" if transposed else f"conv{axes}d"
    padding = tuple(a["pads"].ints) if "pads" in a else _automatic(a, shape[2:], out[2:], kernel, numbers)
    return Layer(
        kind=kind, m=shape[0] * m, k=k, n=n, groups=groups, kernel=kernel, stride=numbers("strides", 1),
        dilation=numbers("dilations", 1), padding=padding[:axes], **common,
    )  # fmt: skip


def _automatic(a: dict[str, Any], size: Shape, out: Shape, kernel: Shape, numbers: Any) -> Shape:
    """Padding before each axis that `auto_pad` chooses."""
    how = a["auto_pad"].s.decode() if "auto_pad" in a else "NOTSET"
    if not how.startswith("SAME"):
        return (0,) * len(kernel)
    stride, dilation = numbers("strides", 1), numbers("dilations", 1)
    whole = [
        max(0, (o - 1) * s + d * (k - 1) + 1 - i)
        for i, o, k, s, d in zip(size, out, kernel, stride, dilation, strict=True)
    ]
    return tuple(-(-w // 2) if how == "SAME_LOWER" else w // 2 for w in whole)


def _product(graph: OnnxGraph, node: Any, operands: list[Shape], out: Shape, common: dict[str, Any]) -> Layer:
    """A matrix product. Where one operand is stored it is the weights, whichever side it stands on."""
    flags = {attribute.name: attribute.i for attribute in node.attribute if attribute.name in ("transA", "transB")}
    left = operands[0][::-1] if flags.get("transA") else operands[0]
    right = operands[1][::-1] if flags.get("transB") else operands[1]
    rows, k = (left[-2] if len(left) > 1 else 1), left[-1]
    inner, columns = (right[-2], right[-1]) if len(right) > 1 else (right[0], 1)
    if k != inner:
        raise InvalidInputError(f"{label(node)}: matrices of shapes {left} and {right} must fit each other")
    weight = weight_of(graph, node)
    if not weight:
        return Layer(kind="matmul", m=rows, k=k, n=columns, groups=math.prod(out) // (rows * columns), **common)
    stored, n = (right, columns) if weight == _operands(node)[1] else (left, rows)
    groups = math.prod(stored[:-2])
    return Layer(kind="linear", m=math.prod(out) // (groups * n), k=k, n=n, groups=groups, **common)


def _without_batch(shape: Shape) -> Shape:
    return shape[1:] if shape[:1] == (1,) else shape
