"""Conductance of the neurons of all layers from one pass along the path.

Captum attributes to one layer at a time, so a network of L layers goes along the path L times for each class. The
conductance of a layer needs only its values and the gradient with respect to them at each point, and one forward pass
with a backward pass for each class has those of every layer: the same sums as Captum's (tested), L times cheaper.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch

from axdnn.importance.batch_axis import BatchAxis, batch_axes
from axdnn.importance.layer_hooks import layer_outputs
from axdnn.quant import CapturedModel

VALUES_AT_ONCE = 1 << 26
"""Values of layers held at once, gradients not counted."""


def conductance_of_all_layers(
    model: CapturedModel,
    images: torch.Tensor,
    classes: Sequence[int],
    *,
    baseline: torch.Tensor | float = 0.0,
    steps: int = 20,
) -> Iterator[tuple[int, Mapping[str, torch.Tensor]]]:
    """Yield, for each class and group of images, the conductance of every neuron of every layer.

    Args:
        model: captured float network.
        images: `(n, ...)`.
        classes: output indices to attribute to.
        baseline: a value for every input, or an input `(1, ...)`.
        steps: intervals of the path; each image goes through the network at `steps + 1` Gauss-Legendre points.

    Yields:
        (class, name of a call of a layer -> `(b, *layer output shape)`), each output before the activation function;
        see `CapturedModel.calls`. The images come in order, all classes of one group of images before the next group.
    """
    at_once, axes = images_at_once(model, images[:1], steps), batch_axes(model)
    images = images.detach()
    points = (1 + np.polynomial.legendre.leggauss(steps + 1)[0]) / 2
    for part in images.split(at_once):
        start = torch.full_like(part, baseline) if isinstance(baseline, int | float) else baseline.expand_as(part)
        path = torch.cat([start + float(alpha) * (part - start) for alpha in points])
        values: dict[str, torch.Tensor] = {}
        with torch.enable_grad(), layer_outputs(model, values):
            outputs = model(path.detach().requires_grad_())
            goals = [outputs[:, target].sum() for target in classes]
        reached = [value for value in values.values() if value.requires_grad]  # a first state does not see the input
        for i, target in enumerate(classes):
            gradients = torch.autograd.grad(goals[i], reached, retain_graph=i + 1 < len(goals), allow_unused=True)
            found = dict(zip((name for name, v in values.items() if v.requires_grad), gradients, strict=True))
            yield (
                target,
                {
                    name: _along(axes[name], value.detach(), found.get(name), len(part))
                    for name, value in values.items()
                },
            )


def _along(axis: BatchAxis, values: torch.Tensor, gradients: torch.Tensor | None, images: int) -> torch.Tensor:
    """Sum gradient times change of value over the intervals, the gradient at the start of each, as Captum does."""
    values, gradients = axis.front(values), None if gradients is None else axis.front(gradients)
    if gradients is None:  # the layer does not reach the outputs
        return torch.zeros_like(values[:images])
    change = (values[images:] - values[:-images]) * gradients[:-images]
    return change.unflatten(0, (-1, images)).sum(dim=0)


def images_at_once(model: CapturedModel, image: torch.Tensor, steps: int) -> int:
    """Return how many images, `steps + 1` points of each, may go through the network with all layers' values held."""
    values: dict[str, torch.Tensor] = {}
    with torch.no_grad(), layer_outputs(model, values):
        model(torch.zeros_like(image))
    return max(1, VALUES_AT_ONCE // (sum(v.numel() for v in values.values()) * (steps + 1)))
