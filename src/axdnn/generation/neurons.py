"""Which neurons a strategy may skip, least important first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from axdnn.evaluation import Skipping
from axdnn.layers import Calibration
from axdnn.quant import CapturedModel, dead_inputs
from axdnn.records import InvalidInputError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Neurons:
    """Importance of the neurons of each layer.

    A neuron is an output channel of a convolution or an output of a linear layer. The outputs of the network itself
    cannot go without losing classes, so of a layer that makes them the connections from its least important inputs
    are skipped instead (the paper speaks of neurons and of neuron connections alike).

    Attributes:
        model: captured float network.
        importance: layer name -> importance of each neuron (for an output layer: of each input), larger is more.
        output_layers: layers that make outputs of the network.
    """

    model: CapturedModel
    importance: Mapping[str, Floats]
    output_layers: frozenset[str]

    def least(self, layer: str, fraction: float, dead: Sequence[int] = ()) -> tuple[int, ...]:
        """Return the least important neurons of a layer, `floor(fraction * count)` of them and never all.

        Args:
            layer: name.
            fraction: 0..1.
            dead: neurons (of an output layer: inputs) that are always 0, and so come first.

        Raises:
            InvalidInputError: the fraction is not within 0..1.
        """
        if not 0.0 <= fraction <= 1.0:
            raise InvalidInputError(f"0 <= fraction of skipped neurons <= 1 must hold, but got {fraction!r}")
        values = np.array(self.importance[layer], dtype=np.float64)
        values[list(dead)] = -np.inf
        count = min(int(fraction * len(values) + 1e-9), len(values) - 1)
        return tuple(sorted(np.argsort(values, kind="stable")[:count].tolist()))

    def skipping(self, fractions: Mapping[str, float], remove: bool) -> Skipping:
        """Return what is left out when the given fraction of each layer's neurons is skipped.

        Args:
            fractions: layer name -> fraction.
            remove: leave out the products of later layers with the zeros as well.
        """
        shares = {layer: share for layer, share in fractions.items() if share > 0 and layer in self.importance}
        chosen = {layer: self.least(layer, share) for layer, share in shares.items()}
        skip = {layer: which for layer, which in chosen.items() if which and layer not in self.output_layers}
        dead = dead_inputs(self.model, skip) if skip else {}
        absent = dict(dead) if remove else {}
        for layer in chosen.keys() & self.output_layers:  # whichever way, at least one input that is not 0 stays
            which = self.least(layer, fractions[layer], dead.get(layer, ()))
            absent[layer] = tuple(sorted({*which, *absent.get(layer, ())}))
        return Skipping(skip, {layer: which for layer, which in absent.items() if which})


def neurons_of(
    model: CapturedModel, calibration: Calibration, conductance: Mapping[str, Floats], output_layers: frozenset[str]
) -> Neurons:
    """Collect the importance of neurons: conductance, and for output layers the size of what each input contributes.

    Args:
        model: captured float network.
        calibration: sampled inputs of each layer.
        conductance: layer name -> importance of each output channel.
        output_layers: layers that make outputs of the network.
    """
    importance = {name: np.asarray(values, dtype=np.float64) for name, values in conductance.items()}
    for name in output_layers & {n for n in model.layer_names if model.nodes[n].op != "matmul"}:
        sample, weight = calibration.samples[name], model.layer(name).weight
        groups = model.nodes[name].attrs.get("groups", 1)
        each = (sample.rows.abs().mean(dim=1) * sample.weight.abs().sum(dim=1)).double()  # (groups, k)
        inputs = each.reshape(groups, weight.shape[1], -1).sum(dim=2).flatten()
        importance[name] = inputs.numpy()
    return Neurons(model, importance, output_layers)
