"""DeepLIFT at a layer: changes of its outputs from a baseline, times what a change becomes on its way to a result.

Captum's `LayerDeepLift` finds activation functions among the modules of a network, and a captured network has them as
operators: it would take plain gradients there without a word. `MeanSlopes` has the rules for operators. On plain chains
of modules both give the same attributions, but for maximum pooling, where Captum's do not sum (tested).

References:
    A. Shrikumar, P. Greenside, A. Kundaje, "Learning Important Features Through Propagating Activation Differences",
    ICML 2017.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from axdnn.importance.all_layers import images_at_once
from axdnn.importance.base import Context, Scorer
from axdnn.importance.conductance import Aggregation, checked_classes
from axdnn.importance.gradients import Attributions, gradients_of, scores_of
from axdnn.importance.mean_slopes import MeanSlopes
from axdnn.quant import CapturedModel
from axdnn.records import LayerScores


@dataclass(frozen=True)
class DeepLift(Scorer):
    """DeepLIFT with the rescale rule, see `deeplift`.

    Attributes:
        classes: output indices to attribute to; the first five if None.
        baseline: a value for every input, or an input `(1, ...)`; 0 is the black image.
        aggregation: over the neurons of a layer, see `conductance`.
        groups: layers that share their value, see `conductance`.
        images: how many images of the context are attributed.
    """

    name: ClassVar[str] = "deeplift"
    classes: Sequence[int] | None = None
    baseline: torch.Tensor | float = 0.0
    aggregation: Aggregation = "abs_sum"
    groups: Mapping[str, str] | None = None
    images: int = 32

    def score(self, context: Context) -> LayerScores:
        """Attribute the first images of the context."""
        images = context.images[: self.images]
        classes = checked_classes(context.model, images, self.classes, None, self.aggregation, self.name)
        groups_of_images = -(-len(images) // images_at_once(context.model, images[:1], 1))
        return scores_of(
            self.name, context, images, classes, self.aggregation, self.groups,
            deeplift(context.model, images, classes, baseline=self.baseline),
            {"baseline": "tensor" if isinstance(self.baseline, torch.Tensor) else str(self.baseline)},
            len(images) + groups_of_images,
        )  # fmt: skip


def deeplift(
    model: CapturedModel, images: torch.Tensor, classes: Sequence[int], *, baseline: torch.Tensor | float = 0.0
) -> Attributions:
    """Yield the DeepLIFT attributions of the neurons of each layer.

    The sum over a complete cut of the network, as any layer of a plain chain is, is F(x) less F(baseline).

    Args:
        model: captured float network.
        images: `(n, ...)`; each goes through the network once, and the baseline once for each group of images.
        classes: output indices to attribute to, a backward pass each.
        baseline: a value for every input, or an input `(1, ...)`; 0 is the black image.
    """
    images, sloped = images.detach(), MeanSlopes(model)
    for part in images.split(images_at_once(model, images[:1], 1)):
        first = part[:1]
        start = torch.full_like(first, baseline) if isinstance(baseline, int | float) else baseline.expand_as(first)
        with torch.enable_grad():
            outputs = sloped(torch.cat([part, start]))
        values = sloped.values
        for target, found in zip(classes, gradients_of(outputs[:-1], classes, list(values.values())), strict=True):
            for (call, value), gradient in zip(values.items(), found, strict=True):
                front = sloped.axes[call].front(value.detach())
                slopes = sloped.axes[call].front(gradient)[:-1]
                yield model.nodes[call].layer_name, target, (front[:-1] - front[-1:]) * slopes
