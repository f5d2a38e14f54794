"""Rules for what multiplies: convolutions, linear layers, products of two activations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from axdnn.quant.float_layers import FloatLayer, FloatProduct, swap_channels
from axdnn.quant.fx_nodes import layer_path
from axdnn.quant.graph import Node
from axdnn.quant.rejected import Rejected

if TYPE_CHECKING:
    from axdnn.quant.builder import Builder

CONVOLUTIONS = {"convolution", *(f"{kind}{n}d" for kind in ("conv", "conv_transpose") for n in (1, 2, 3))}
PRODUCTS = ("matmul", "mm", "bmm", "baddbmm", "addmm")


def add_convolution(builder: Builder, node: Any, name: str, a: dict[str, Any]) -> None:
    """Add a convolution, transposed or not, of one to three dimensions."""
    weight = builder.tensor(a["weight"])
    if weight is None or weight.dim() not in (3, 4, 5):
        raise Rejected("a convolution with weights of another rank than 3, 4 or 5")
    n, transposed = weight.dim() - 2, bool(a.get("transposed")) or name.startswith("conv_transpose")
    attrs = conv_attrs(a, tuple(weight.shape[2:]))
    if transposed:
        attrs["output_padding"] = numbers(a["output_padding"], n)
        weight = swap_channels(weight, attrs["groups"])
    op = f"conv_transpose{n}d" if transposed else f"conv{n}d"
    add_weighted(builder, node, op, builder.value(a["input"]), (a["weight"], a.get("bias")), attrs, weight)


def add_product_call(builder: Builder, node: Any, name: str, a: dict[str, Any]) -> None:
    """Add a matrix product: of an activation with stored weights a linear layer, of two activations a product."""
    first, second = (a["mat1"], a["mat2"]) if name == "addmm" else (a["self"], a.get("other", a.get("mat2")))
    if name in ("addmm", "baddbmm") and (name == "baddbmm" or a["beta"] != 1 or a["alpha"] != 1):
        raise Rejected(f"aten.{name} with factors; use torch.nn.functional.linear or torch.matmul")
    if builder.is_stored(first):
        raise Rejected("a stored tensor times an activation; transpose the product")
    if not builder.is_stored(second):
        if name == "addmm":
            raise Rejected("aten.addmm of two activations; use torch.matmul")
        builder.alias[node.name] = add_product(builder, node.name, builder.value(first), builder.value(second))
        return
    weight = builder.tensor(second)
    assert weight is not None
    if weight.dim() != 2:
        raise Rejected(f"a product with a stored tensor of shape {tuple(weight.shape)}")
    bias = a["self"] if name == "addmm" else None
    add_weighted(builder, node, "linear", builder.value(first), (second, bias), {}, weight.T)


def add_linear(builder: Builder, node: Any, source: str, weight: Any, bias: Any) -> str:
    """Add a linear layer with stored weights `(out, in)`; return the node's name."""
    stored = builder.tensor(weight)
    assert stored is not None
    if stored.dim() != 2:
        raise Rejected(f"a linear layer with weights of shape {tuple(stored.shape)}")
    return add_weighted(builder, node, "linear", source, (weight, bias), {}, stored)


def add_product(builder: Builder, path: str, first: str, second: str) -> str:
    """Add a product of two activations `(..., m, k)` and `(..., k, n)`; return the node's name."""
    name = builder.layer_name(path)
    builder.layers[name] = FloatProduct()
    builder.nodes[name] = Node(name, "matmul", (first, second))
    return name


def add_weighted(
    builder: Builder,
    node: Any,
    op: str,
    source: str,
    stored: tuple[Any, Any],
    attrs: dict[str, Any],
    weight: torch.Tensor,
) -> str:
    """Add a layer with weights, or a further call of one that is there with the same weights and parameters.

    Args:
        builder: receives the node.
        node: of the torch graph; its result is the layer's.
        op: one of `LAYER_OPS`.
        source: name of the input.
        stored: nodes of weight and bias.
        attrs: of the layer.
        weight: in the layout of `FloatLayer`.
    """
    layer = FloatLayer(op, weight, builder.tensor(stored[1]), attrs)
    tensor_name = builder.tensors[stored[0].name][0]
    name = builder.layer_name(layer_path(tensor_name) or node.name)
    known = next((n for n in builder.tensor_layers.get(tensor_name, ()) if _same(builder.layers[n], layer)), "")
    if not known:
        builder.layers[name] = layer
        builder.tensor_layers.setdefault(tensor_name, []).append(name)
    builder.nodes[name] = Node(name, op, (source,), attrs, known)
    builder.alias[node.name] = name
    return name


def _same(one: FloatLayer | FloatProduct, other: FloatLayer) -> bool:
    return (
        isinstance(one, FloatLayer) and (one.op, one.attrs, one.has_bias) == (other.op, other.attrs, other.has_bias)
        and torch.equal(one.weight, other.weight) and torch.equal(one.bias, other.bias)
    )  # fmt: skip


def numbers(value: Any, n: int) -> tuple[int, ...]:
    """Return one number or n of them as n."""
    if isinstance(value, int):
        return (value,) * n
    values = tuple(int(v) for v in value)
    return values * n if len(values) == 1 else values


def conv_attrs(a: dict[str, Any], kernel: tuple[int, ...]) -> dict[str, Any]:
    """Return the attributes of a convolution, one number an axis."""
    n, padding = len(kernel), a["padding"]
    dilation = numbers(a["dilation"], n)
    if isinstance(padding, str):
        padding = same_padding(kernel, dilation) if padding == "same" else 0
    return {
        "stride": numbers(a["stride"], n), "padding": numbers(padding, n), "dilation": dilation,
        "groups": int(a["groups"]),
    }  # fmt: skip


def same_padding(kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[int, ...]:
    """Return symmetric padding that keeps the size, for `padding="same"` with stride 1."""
    reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    if any(r % 2 for r in reach):
        raise Rejected("padding='same' with an even window is not symmetric")
    return tuple(r // 2 for r in reach)
