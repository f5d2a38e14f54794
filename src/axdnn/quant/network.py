"""From a captured graph to the plain-data `Network` that cost models read."""

from __future__ import annotations

import math

import torch

from axdnn.quant.graph import PASSING_OPS, CapturedModel, Node
from axdnn.records import ExactOperator, Layer, Network

EXACT_REASONS = {
    "add": "an addition, not a product: requantised exactly",
    "avg_pool2d": "a sum, not a product: requantised exactly",
    "max_pool2d": "a comparison of codes",
    "clamp": "a clamp of codes",
    "unary": "a 256-entry table of codes",
    "batch_norm": "a scale and shift per channel that no layer before it can absorb: requantised exactly",
    "reshape": "moves codes",
    "cat": "moves codes",
}


def network_of(model: CapturedModel, name: str) -> Network:
    """Describe a captured model.

    Args:
        model: captured graph.
        name: label.

    Returns:
        Layers with shapes for one inference, edges between layers, exact operators, and peak live activations.
    """
    shapes = _shapes(model)
    layers = tuple(_layer(model, node, shapes) for node in model.nodes.values() if node.is_layer)
    exact = tuple(
        ExactOperator(name=node.name, operator=node.op, reason=EXACT_REASONS[node.op])
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
    shapes: dict[str, tuple[int, ...]] = {}

    def note(node: Node, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        shapes[node.name] = tuple(output.shape[1:])

    with torch.no_grad():
        model.run(torch.zeros(1, *model.input_shape), note)
    return shapes


def _layer(model: CapturedModel, node: Node, shapes: dict[str, tuple[int, ...]]) -> Layer:
    weight = model.layer(node.name).weight
    in_shape, out_shape = shapes[node.inputs[0]], shapes[node.name]
    words = math.prod(in_shape), math.prod(out_shape)
    bias = model.layer(node.name).has_bias
    if node.op == "linear":
        rows = math.prod(in_shape[:-1])
        return Layer(
            name=node.name, kind="linear", m=rows, k=weight.shape[1], n=weight.shape[0], input_words=words[0],
            output_words=words[1], in_shape=in_shape, out_shape=out_shape, has_bias=bias,
        )  # fmt: skip
    a = node.attrs
    return Layer(
        name=node.name, kind="conv2d", m=out_shape[1] * out_shape[2], k=math.prod(weight.shape[1:]),
        n=weight.shape[0] // a["groups"], groups=a["groups"], input_words=words[0], output_words=words[1],
        in_shape=in_shape, out_shape=out_shape, kernel=(weight.shape[2], weight.shape[3]), stride=a["stride"],
        padding=a["padding"], dilation=a["dilation"], has_bias=bias,
    )  # fmt: skip


def _edges(model: CapturedModel) -> tuple[tuple[str, str], ...]:
    sources: dict[str, tuple[str, ...]] = {}
    edges: list[tuple[str, str]] = []
    for node in model.nodes.values():
        before = tuple(dict.fromkeys(s for i in node.inputs for s in sources[i]))
        if node.op == "input":
            sources[node.name] = ("input",)
        elif node.is_layer or node.op == "output":
            edges += [(s, node.name) for s in before]
            sources[node.name] = (node.name,)
        else:
            sources[node.name] = before
    return tuple(edges)


def _peak_words(model: CapturedModel, shapes: dict[str, tuple[int, ...]]) -> int:
    """Largest sum of live values when nodes run in order; operators that only move codes reuse their input."""
    root: dict[str, str] = {}
    for node in model.nodes.values():
        moves = node.op in PASSING_OPS and node.op != "cat" and node.op != "max_pool2d"
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
