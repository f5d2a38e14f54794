"""From a captured graph to the plain-data `Network` that cost models read."""

from __future__ import annotations

import math

import msgspec
import torch

from axdnn.quant.float_layers import TRANSPOSED_OPS
from axdnn.quant.graph import CapturedModel, Node
from axdnn.quant.operator_counts import exact_operator
from axdnn.records import Layer, Network

EXACT_REASONS = {
    "add": "an addition, not a product: requantised exactly",
    "avg_pool2d": "a sum, not a product: requantised exactly",
    "max_pool2d": "a comparison of codes",
    "clamp": "a clamp of codes",
    "unary": "a 256-entry table of codes",
    "batch_norm": "a scale and shift per channel that no layer before it can absorb: requantised exactly",
    "function": "computed from real values: no products with the library's circuits",
    "constant": "stored numbers",
    **dict.fromkeys(("reshape", "cat", "stack", "pad"), "moves codes"),
}


def network_of(model: CapturedModel, name: str) -> Network:
    """Describe a captured model.

    Args:
        model: captured graph.
        name: label.

    Returns:
        Layers with shapes for one inference, edges between layers, exact operators with their counts, and peak live
        activations.
    """
    shapes = _shapes(model)
    layers = tuple(_layer(model, name, shapes) for name in model.layer_names)
    exact = tuple(
        exact_operator(node, [shapes[i] for i in node.inputs], shapes[node.name], EXACT_REASONS[node.op])
        for node in model.nodes.values()
        if node.op in EXACT_REASONS
    )
    return Network(
        name=name,
        layers=layers,
        edges=_edges(model),
        exact_operators=exact,
        input_shape=model.input_shape,
        peak_activation_words=_peak_words(model, shapes),
        captured_by=model.captured_by,
    )


def _shapes(model: CapturedModel) -> dict[str, tuple[int, ...]]:
    """Return the shape of each node's value for a batch of one."""
    shapes: dict[str, tuple[int, ...]] = {}

    def note(node: Node, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        shapes[node.name] = tuple(output.shape)

    with torch.no_grad():
        model.run(model.example(), note)
    return shapes


def _layer(model: CapturedModel, name: str, shapes: dict[str, tuple[int, ...]]) -> Layer:
    """Describe a layer by its first call, with the rows and words of all calls."""
    calls = model.calls(name)
    one = _call(model, calls[0], shapes)
    if len(calls) == 1:
        return one
    each = [_call(model, node, shapes) for node in calls]
    return msgspec.structs.replace(
        one, m=sum(c.m for c in each), calls=len(calls), input_words=sum(c.input_words for c in each),
        output_words=sum(c.output_words for c in each),
    )  # fmt: skip


def _call(model: CapturedModel, node: Node, shapes: dict[str, tuple[int, ...]]) -> Layer:
    inputs, out = [shapes[i] for i in node.inputs], shapes[node.name]
    common = {
        "name": node.name, "kind": node.op, "in_shape": _without_batch(inputs[0]), "out_shape": _without_batch(out),
        "input_words": sum(map(math.prod, inputs)), "output_words": math.prod(out),
        "has_bias": model.layer(node.layer_name).has_bias,
    }  # fmt: skip
    if node.op == "matmul":
        m, n = out[-2:]
        return Layer(m=m, k=inputs[0][-1], n=n, groups=math.prod(out[:-2]), **common)
    weight = model.layer(node.layer_name).weight
    if node.op == "linear":
        return Layer(m=math.prod(inputs[0][:-1]), k=weight.shape[1], n=weight.shape[0], **common)
    a, kernel = node.attrs, tuple(weight.shape[2:])
    steps = {key: a[key] for key in ("groups", "stride", "padding", "dilation")}
    outputs = weight.shape[0] // a["groups"]
    if node.op in TRANSPOSED_OPS:
        m, k, n = math.prod(inputs[0][2:]), weight.shape[1], outputs * math.prod(kernel)
    else:
        m, k, n = math.prod(out[2:]), math.prod(weight.shape[1:]), outputs
    return Layer(m=m, k=k, n=n, kernel=kernel, **steps, **common)


def _without_batch(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Leave out the first axis where it is the batch of one; attention and recurrent layers may have it elsewhere."""
    return shape[1:] if shape[:1] == (1,) else shape


def _edges(model: CapturedModel) -> tuple[tuple[str, str], ...]:
    sources: dict[str, tuple[str, ...]] = {}
    edges: list[tuple[str, str]] = []
    for node in model.nodes.values():
        before = tuple(dict.fromkeys(s for i in node.inputs for s in sources[i]))
        if node.op == "input":
            sources[node.name] = ("input",)
        elif node.op == "constant":
            sources[node.name] = ()
        elif node.is_layer or node.op == "output":
            edges += [(s, node.layer_name) for s in before]
            sources[node.name] = (node.layer_name,)
        else:
            sources[node.name] = before
    return tuple(dict.fromkeys(edges))


def _peak_words(model: CapturedModel, shapes: dict[str, tuple[int, ...]]) -> int:
    """Largest sum of live values when nodes run in order; operators that only move codes reuse their input."""
    root: dict[str, str] = {}
    for node in model.nodes.values():
        moves = node.op in ("clamp", "reshape")
        root[node.name] = root[node.inputs[0]] if moves else node.name
    last: dict[str, int] = {}
    order = list(model.nodes.values())
    for step, node in enumerate(order):
        for i in node.inputs:
            last[root[i]] = step
    live: dict[str, int] = {}
    peak = 0
    for step, node in enumerate(order):
        if root[node.name] == node.name and node.op != "output":
            live[node.name] = math.prod(shapes[node.name])
        peak = max(peak, sum(live.values()))
        live = {name: words for name, words in live.items() if last.get(name, -1) > step}
    return peak
