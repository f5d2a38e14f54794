"""The float network that a trained approximate network stands for: the weights it came from, and what training changed.

The latent weight itself is no good stand-in: it was moved into the cell of its code before training, so that what the
weight said beyond its code is lost. Therefore only its change is added to the weight before training. How much a change
of the weight does depends on the circuit, and gains and biases were trained too: each channel gets the gain and offset
with which the float layer, on the input that it gets from the float layers before it, comes nearest to what the trained
layer computes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from axdnn.layers import ApproxModel, ScaledSums
from axdnn.layers.closed_forms import regress
from axdnn.quant import CapturedModel, Inputs, Node
from axdnn.quant.float_layers import FloatLayer, FloatProduct
from axdnn.retraining.model import TrainableModel
from axdnn.retraining.parameters import TrainableLayer


def latent_weights(network: TrainableModel) -> dict[str, torch.Tensor]:
    """Return layer -> its latent weight as it is now, copied; products of activations have none."""
    layers = {name: network.layer(name) for name in network.layer_names}
    return {name: layer.weight.detach().clone() for name, layer in layers.items() if isinstance(layer, TrainableLayer)}


@torch.no_grad()
def layer_outputs(model: ApproxModel, images: Inputs) -> dict[str, torch.Tensor]:
    """Return layer -> what its first call computes, float32 `(rows, channels)`."""
    found: dict[str, torch.Tensor] = {}

    def keep(layer: ScaledSums, codes: tuple[torch.Tensor, ...]) -> None:
        if layer.node.name not in found:
            found[layer.node.name] = layer.by_channel(layer.real(layer.sums(*codes)))

    model.run(images, keep)
    return found


@torch.no_grad()
def trained_float(
    network: TrainableModel, before: Mapping[str, torch.Tensor], captured: CapturedModel, images: Inputs
) -> CapturedModel:
    """Return the captured model with the weights and biases that training found.

    Products of activations have no weights and stay.

    Args:
        network: after training.
        before: its `latent_weights` before training.
        captured: the float network it was made from, batch norm folded.
        images: for calibration, `(n, ...)`; they go through both networks once.
    """
    trained, after = network.finish(), latent_weights(network)
    layers: dict[str, FloatLayer | FloatProduct] = {}
    for name in captured.layer_names:
        old = captured.layer(name)
        layers[name] = old
        if name in after:
            changed = old.weight.double() + after[name].double() - before[name].double()
            layers[name] = FloatLayer(old.op, changed, old.bias, old.attrs)
    found, outputs, left = captured.rebuilt(captured.nodes.values(), layers), layer_outputs(trained, images), set(after)

    def follow(node: Node, _: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        name = node.layer_name
        if not node.is_layer or name not in left:
            return
        left.remove(name)
        layer, integer = found.layer(name), trained.layer(name)
        gain, offset = regress(integer.by_channel(output).double()[None], outputs[name].double()[None])
        gain, offset = gain.flatten(), offset.flatten()
        layer.weight = (layer.weight.double() * gain.view(-1, *([1] * (layer.weight.dim() - 1)))).float()
        layer.bias = (layer.bias.double() * gain + offset).float()
        shape = (-1, *([1] * (output.dim() - 2))) if node.channel_dim == 1 else (-1,)
        output.mul_(gain.float().view(shape)).add_(offset.float().view(shape))  # in place: layers after it read this

    found.run(images, follow)
    return found
