"""Fold batch norm into the convolution or linear layer before it."""

from __future__ import annotations

from dataclasses import replace

from axdnn.quant.graph import CapturedModel, FloatLayer, Node, renamed


def fold_batch_norm(model: CapturedModel) -> CapturedModel:
    """Return a graph where each batch norm that directly and alone follows a layer is part of that layer.

    `y = s (w x + b) + t` becomes weights `s w` and bias `s b + t`, computed in float64. A batch norm (or another
    scale and shift per channel) that follows another one joins it; elsewhere it stays.
    """
    consumers = model.consumers()
    layers = {name: model.layer(name) for name in model.layer_names}
    nodes = dict(model.nodes)
    gone: dict[str, str] = {}
    for node in model.nodes.values():
        if node.op != "batch_norm" or len(consumers[node.inputs[0]]) != 1:
            continue
        source = gone.get(node.inputs[0], node.inputs[0])
        channel_is_last = source in layers and layers[source].op == "linear" and node.attrs["dims"] != 2
        foldable = source in layers and nodes[source].op != "matmul" and len(model.calls(source)) == 1
        if foldable and not channel_is_last:
            layers[source] = _scaled(layers[source], node)
        elif source in nodes and nodes[source].op == "batch_norm":
            nodes[source] = _joined(nodes[source], node)
        else:
            continue
        gone[node.name] = source
    return model.rebuilt([renamed(node, gone) for node in nodes.values() if node.name not in gone], layers)


def _joined(first: Node, second: Node) -> Node:
    """Return `second(first(x))` as one scale and shift."""
    scale, shift = second.attrs["scale"].double(), second.attrs["shift"].double()
    both = {
        "scale": (first.attrs["scale"].double() * scale).float(),
        "shift": (first.attrs["shift"].double() * scale + shift).float(),
    }
    return replace(first, attrs={**first.attrs, **both})


def _scaled(layer: FloatLayer, norm: Node) -> FloatLayer:
    scale, shift = norm.attrs["scale"].double(), norm.attrs["shift"].double()
    weight = layer.weight.double() * scale.view(-1, *([1] * (layer.weight.dim() - 1)))
    bias = layer.bias.double() * scale + shift
    return FloatLayer(layer.op, weight.float(), bias.float(), layer.attrs)
