"""A trained network with other circuits in some layers; all others keep the codes, scales and biases that they learned.

Coding every layer anew would lose a part of what training gained, for some of it lies in which codes were chosen, and
the loss that was measured after training would say nothing of the network that the next choice starts from. An
exchanged layer gets codes of its own, and a gain and offset with which its sums, on the input that it gets here, come
nearest to those of the trained layer in its place.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch

from axdnn.layers import ApproxModel, Calibration, IntegerLayer, LayerCoding, ScaledSums
from axdnn.layers.closed_forms import regress
from axdnn.layers.coding import sample_affine
from axdnn.layers.convert import fitting_bias
from axdnn.layers.product import IntegerProduct
from axdnn.quant import CapturedModel
from axdnn.retraining.float_weights import layer_outputs


class Exchange:
    """Builds networks from a trained one.

    Args:
        trained: the integer network.
        data: calibration of the float network that it stands for (`trained_float`).

    Attributes:
        network_images: calibration images sent through integer networks so far.
    """

    def __init__(self, trained: ApproxModel, data: Calibration) -> None:
        self.trained, self.data, self.network_images = trained, data, data.count
        self._targets = layer_outputs(trained, data.images)

    def model(self, codings: Mapping[str, LayerCoding]) -> ApproxModel:
        """Return the network with these layers exchanged.

        Args:
            codings: layer -> its coding, fitted to the float network.
        """
        captured, trained = self.data.model, self.trained
        layers = {
            name: _fresh(captured, name, codings[name]) if name in codings else trained.layer(name)
            for name in captured.layer_names
        }
        model = ApproxModel(captured, layers, trained.operator_encodings, trained.network, trained.exact_layers)
        several = {name for name in codings if len(captured.calls(name)) > 1}
        for name in several:  # called several times: one gain and offset, from rows of all calls
            gain, offset = sample_affine(self.data.samples[name], model.layer(name).coding)
            model.layer(name).set_affine(gain, offset + captured.layer(name).bias.double())

        def fit(layer: ScaledSums, codes: tuple[torch.Tensor, ...]) -> None:
            name = layer.node.name
            if name not in codings or name in several:
                return
            z = layer.by_channel(layer.raw_sums(*codes)).double() * layer.real_unit
            gain, offset = regress(z.unsqueeze(0), self._targets[name].double().unsqueeze(0))
            layer.set_affine(gain.flatten(), offset.flatten())

        model.run(self.data.images, fit)
        self.network_images += self.data.count
        return model.eval()


def _fresh(captured: CapturedModel, name: str, coding: LayerCoding) -> ScaledSums:
    """Return a layer with neither gain nor offset but its own bias."""
    node, layer = captured.nodes[name], captured.layer(name)
    if node.op == "matmul":
        product = IntegerProduct(node, coding)
        product.set_affine(torch.ones(1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64))
        return product
    made = IntegerLayer(node, layer.weight.shape, fitting_bias(coding, layer.bias.double()))
    made.set_affine(torch.ones(made.scale.shape, dtype=torch.float64), layer.bias.double())
    return made
