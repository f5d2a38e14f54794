"""How far outputs are from those of the exact network, and how widely the outputs of a layer spread."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from axdnn.importance.layer_hooks import layer_outputs
from axdnn.quant import CapturedModel


def log_probabilities(outputs: torch.Tensor) -> torch.Tensor:
    """Return the logarithms of the softmax of outputs `(n, ...)`, float64 `(n, classes)`."""
    return torch.log_softmax(outputs.double().flatten(1), dim=1)


def divergence(reference: torch.Tensor, outputs: torch.Tensor) -> torch.Tensor:
    """Return `KL(p_reference || p)` of each image in nats, float64 `(n,)`.

    Args:
        reference: logarithms of probabilities `(n, classes)`, see `log_probabilities`.
        outputs: of the other network, before the softmax, `(n, ...)`.
    """
    return (reference.exp() * (reference - log_probabilities(outputs))).sum(dim=1)


class Spread:
    """Variance of the outputs of each layer: within a channel, over images and positions, averaged over the channels.

    What the noise of a coding is a share of (`LayerCoding.noise`): the mean of a channel can be put right for nothing.
    """

    def __init__(self, model: CapturedModel) -> None:
        self._model = model
        self._moments: dict[str, torch.Tensor] = {}

    def add(self, values: Mapping[str, torch.Tensor]) -> None:
        """Take in the outputs of some images, by the name of the call."""
        for call, value in values.items():
            node = self._model.nodes[call]
            rows = value.detach().double().movedim(node.channel_dim, 0).flatten(1)
            ones = torch.full((len(rows),), float(rows.shape[1]), dtype=torch.float64)
            moments = torch.stack([ones, rows.sum(1), rows.square().sum(1)])
            known = self._moments.get(node.layer_name)
            self._moments[node.layer_name] = moments if known is None else known + moments

    def variances(self) -> dict[str, float]:
        """Return layer name -> variance, in execution order."""
        found = {}
        for name in self._model.layer_names:
            count, total, square = self._moments[name]
            found[name] = float((square / count - (total / count).square()).clamp(min=0.0).mean())
        return found


@torch.no_grad()
def clean_run(model: CapturedModel, images: torch.Tensor, at_once: int) -> tuple[torch.Tensor, dict[str, float]]:
    """Run the unchanged network; each image goes through it once.

    Args:
        model: captured float network.
        images: `(n, ...)`.
        at_once: images at once.

    Returns:
        Logarithms of the probabilities `(n, classes)`, and the variance of each layer's outputs.
    """
    parts, spread = [], Spread(model)
    for part in images.split(at_once):
        values: dict[str, torch.Tensor] = {}
        with layer_outputs(model, values):
            parts.append(log_probabilities(model(part)))
        spread.add(values)
    return torch.cat(parts), spread.variances()
