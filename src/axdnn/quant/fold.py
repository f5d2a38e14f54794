"""Fold batch norm into the convolution or linear layer before it."""

from __future__ import annotations

from axdnn.quant.graph import CapturedModel, FloatLayer, Node, renamed


def fold_batch_norm(model: CapturedModel) -> CapturedModel:
    """Return a graph where each batch norm that directly and alone follows a layer is part of that layer.

    `y = s (w x + b) + t` becomes weights `s w` and bias `s b + t`, computed in float64. A batch norm elsewhere stays.
    """
    consumers = model.consumers()
    layers = {name: model.layer(name) for name in model.layer_names}
    gone: dict[str, str] = {}
    for node in model.nodes.values():
        if node.op != "batch_norm":
            continue
        source = gone.get(node.inputs[0], node.inputs[0])
        if source in layers and len(consumers[node.inputs[0]]) == 1:
            layers[source] = _scaled(layers[source], node)
            gone[node.name] = source
    nodes = [renamed(node, gone) for node in model.nodes.values() if node.name not in gone]
    return model.rebuilt(nodes, layers)


def _scaled(layer: FloatLayer, norm: Node) -> FloatLayer:
    scale, shift = norm.attrs["scale"].double(), norm.attrs["shift"].double()
    weight = layer.weight.double() * scale.view(-1, *([1] * (layer.weight.dim() - 1)))
    bias = layer.bias.double() * scale + shift
    return FloatLayer(layer.op, weight.float(), bias.float(), layer.attrs)
