"""What multiplies, as steps: convolutions, transposed ones, linear layers and products of two activations."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING, Any

import torch

from axdnn.export.program import Array
from axdnn.export.shapes import batch_first, dtype_of
from axdnn.kernels import ABSENT
from axdnn.kernels.conv_transpose import Phase, each_phase
from axdnn.layers import IntegerLayer
from axdnn.layers.coding import weight_values
from axdnn.quant import Node
from axdnn.records import UnsupportedOperatorError

if TYPE_CHECKING:
    from axdnn.export.lowering import Lowering


def lower_layer(low: Lowering, node: Node) -> None:
    """Write a convolution or a linear layer."""
    layer = low.model.layer(node.layer_name)
    across = _across(layer)
    op = "linear" if node.op == "linear" else "conv"
    attrs = _attrs(low, layer)
    if op == "conv":
        batch_first(node, low.shapes[node.inputs[0]])
        attrs |= {key: list(node.attrs[key]) for key in ("stride", "dilation")}
        attrs |= {"kernel": list(layer.w_codes.shape[2:]), "pads": 2 * list(node.attrs["padding"])}
        attrs["groups"] = node.attrs["groups"]
    codes = low.names[node.inputs[0], layer.forms[0]]
    arrays = low.stored(node.layer_name, lambda: _arrays(layer, layer.w_codes, _terms(layer, node), layer.shift))
    sums = low.step(node, op, [codes], "int64", attrs=attrs, arrays=arrays)
    low.emit(node, sums, layer.scale.double().view(across))


def lower_transposed(low: Lowering, node: Node) -> None:
    """Write a transposed convolution: one convolution for each remainder of the output positions, interleaved."""
    layer, a = low.model.layer(node.layer_name), node.attrs
    sizes, out = batch_first(node, low.shapes[node.inputs[0]]), low.shapes[node.name][2:]
    whole = [-(-size // stride) * stride for size, stride in zip(out, a["stride"], strict=True)]
    steps = (a[key] for key in ("stride", "padding", "dilation"))
    axes = [
        sorted(each_phase(*numbers), key=lambda phase: phase.places.start)
        for numbers in zip(whole, layer.w_codes.shape[2:], *steps, strict=True)
    ]
    counts = [size // stride for size, stride in zip(whole, a["stride"], strict=True)]
    parts = [_phase(low, node, i, phase, sizes, counts) for i, phase in enumerate(product(*axes))]
    shape = (low.shapes[node.name][0], len(layer.w_codes), *whole)
    sums = parts[0] if len(parts) == 1 else _interleaved(low, node, parts, shape, a["stride"])
    for axis, (size, full) in enumerate(zip(out, whole, strict=True), 2):
        if size < full:
            shape = (*shape[:axis], size, *shape[axis + 1 :])
            index = {"index": torch.arange(size).numpy()}
            sums = low.step(node, "take", [sums], "int64", shape=shape, attrs={"axis": axis}, arrays=index)
    low.emit(node, sums, layer.scale.double().view(_across(layer)))


def _phase(
    low: Lowering, node: Node, number: int, phase: Sequence[Phase], sizes: Sequence[int], counts: Sequence[int]
) -> str:
    """Write the convolution of one phase; where no tap meets an input its sums are the bias."""
    layer = low.model.layer(node.layer_name)
    w, kinds = layer.w_codes, _terms(layer, node)
    kinds = torch.zeros_like(w, dtype=torch.uint8) if kinds is None else kinds
    empty = not all(p.taps for p in phase)
    for axis, p in enumerate(phase, 2):
        taps = torch.tensor([0] if empty else p.taps)
        w, kinds = w.index_select(axis, taps), kinds.index_select(axis, taps)
    kinds = torch.full_like(kinds, ABSENT) if empty else kinds
    coding, dims = layer.coding, len(phase)
    values = weight_values(w, layer.multiplier, coding.w_zero) * (kinds != ABSENT)
    shift = -coding.encoding.zero_point * values.flatten(1).sum(1)
    starts = [0 if empty else p.start for p in phase]
    stops = list(counts) if empty else [p.stop for p in phase]
    attrs = _attrs(low, layer) | {
        "kernel": list(w.shape[2:]), "stride": [1] * dims, "groups": node.attrs["groups"],
        "dilation": [1 if empty else p.dilation for p in phase],
        "pads": [*[max(0, -s) for s in starts],
                 *[max(0, stop - size) for stop, size in zip(stops, sizes, strict=True)]],
    }  # fmt: skip
    codes = low.names[node.inputs[0], layer.forms[0]]
    shape = low.shapes[node.inputs[0]]
    for axis, (start, stop) in enumerate(zip(starts, stops, strict=True), 2):
        inside = torch.arange(max(0, start), min(stop, shape[axis]))  # inputs that a tap of the phase meets
        if len(inside) < shape[axis]:
            shape = (*shape[:axis], len(inside), *shape[axis + 1 :])
            at: dict[str, Any] = {"attrs": {"axis": axis}, "arrays": {"index": inside.numpy()}}
            codes = low.step(node, "take", [codes], dtype_of(layer.forms[0]), shape=shape, **at)
    arrays = low.stored(f"{node.layer_name} {number}", lambda: _arrays(layer, w, kinds, shift))
    shape = (shape[0], len(w), *counts)
    return low.step(node, "conv", [codes], "int64", shape=shape, attrs=attrs, arrays=arrays)


def _interleaved(low: Lowering, node: Node, parts: list[str], shape: tuple[int, ...], stride: Sequence[int]) -> str:
    """Write phases side by side, then moved to their places."""
    dims, (lead, counts) = len(stride), (shape[:2], [n // s for n, s in zip(shape[2:], stride, strict=True)])
    one = (*lead, *counts, 1)
    apart = [low.step(node, "reshape", [part], "int64", shape=one, attrs={"sizes": list(one)}) for part in parts]
    beside = (*lead, *counts, len(parts))
    sums = low.step(node, "concat", apart, "int64", shape=beside, attrs={"axis": dims + 2})
    split = (*lead, *counts, *stride)
    sums = low.step(node, "reshape", [sums], "int64", shape=split, attrs={"sizes": list(split)})
    order = [0, 1, *(axis for i in range(dims) for axis in (2 + i, 2 + dims + i))]
    mixed = tuple(split[axis] for axis in order)
    sums = low.step(node, "transpose", [sums], "int64", shape=mixed, attrs={"order": order})
    return low.step(node, "reshape", [sums], "int64", shape=shape, attrs={"sizes": list(shape)})


def lower_product(low: Lowering, node: Node) -> None:
    """Write a product of two activations; the constant holds the bias and the product of both zero points."""
    layer = low.model.layer(node.layer_name)
    terms, attrs = layer.coding.terms, _attrs(low, layer)
    k = low.shapes[node.inputs[0]][-1]
    if k < 0:
        raise UnsupportedOperatorError(f"no export rule for {node.name!r} (matmul): its sums run over the batch")
    arrays = {"constant": (layer.bias.long() + k * attrs["zero"] * attrs["w_zero"]).numpy()}
    if terms is not None and not layer.multiplier.is_exact:
        arrays["terms"] = terms.flatten().numpy()
    codes = [low.names[i, form] for i, form in zip(node.inputs, layer.forms, strict=True)]
    sums = low.step(node, "matmul", codes, "int64", attrs=attrs, arrays=arrays)
    low.emit(node, sums, layer.scale.double())


def _attrs(low: Lowering, layer: IntegerLayer) -> dict[str, Any]:
    low.tables[layer.multiplier.id] = layer.multiplier
    return {
        "table": layer.multiplier.id, "zero": layer.coding.encoding.zero_point, "w_zero": layer.coding.w_zero,
    }  # fmt: skip


def _across(layer: IntegerLayer) -> tuple[int, ...]:
    """Shape of a vector that broadcasts over the channels of the result."""
    return (-1, *([1] * (layer.w_codes.dim() - 2)))


def _arrays(layer: IntegerLayer, w: torch.Tensor, terms: torch.Tensor | None, shift: torch.Tensor) -> dict[str, Array]:
    constant = (shift + layer.bias).index_fill(0, layer.skipped, 0)
    arrays = {"w": w.numpy(), "constant": constant.view(_across(layer)).numpy()}
    return arrays if terms is None or not terms.any() else {**arrays, "terms": terms.numpy()}


def _terms(layer: IntegerLayer, node: Node) -> torch.Tensor | None:
    """Return what each weight's term is, shaped as the weights; those of skipped channels are left out."""
    if layer.terms is None and not len(layer.skipped):
        return None
    groups = node.attrs.get("groups", 1)
    kinds = torch.zeros(1, 1, dtype=torch.uint8) if layer.terms is None else layer.terms
    kinds = kinds.reshape(-1, 1, kinds.shape[-1])
    flat = kinds.expand(groups, len(layer.w_codes) // groups, layer.w_codes[0].numel())
    return flat.reshape(layer.w_codes.shape).index_fill(0, layer.skipped, ABSENT)
