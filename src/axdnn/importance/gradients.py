"""Attribution at a layer by gradients: layer integrated gradients, and gradient times activation.

Both look at the output of a layer before its activation function, as conductance does. Captum has both, for one layer
and one class a call (`LayerIntegratedGradients`, `LayerGradientXActivation`); here all classes share each forward pass,
and gradient times activation needs one for all layers: the same numbers as Captum's (tested), cheaper.

References:
    M. Sundararajan, A. Taly, Q. Yan, "Axiomatic Attribution for Deep Networks", ICML 2017.
    A. Shrikumar, P. Greenside, A. Shcherbina, A. Kundaje, "Not Just a Black Box: Learning Important Features Through
    Propagating Activation Differences", arXiv:1605.01713, 2016 (gradient times input, here at a layer).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from axdnn.importance.all_layers import images_at_once
from axdnn.importance.base import Context, Progress, Scorer
from axdnn.importance.batch_axis import batch_axes
from axdnn.importance.conductance import AGGREGATIONS, Aggregation, checked_classes, grouped
from axdnn.importance.layer_hooks import layer_outputs
from axdnn.quant import CapturedModel
from axdnn.records import InvalidInputError, LayerScores

# (layer, class, attribution of every neuron `(b, *layer output shape)`), each for some of the images
Attributions = Iterator[tuple[str, int, torch.Tensor]]


@dataclass(frozen=True)
class IntegratedGradients(Scorer):
    """Layer integrated gradients, see `layer_integrated_gradients`.

    Attributes:
        classes: output indices to attribute to; the first five if None.
        baseline: a value for every input, or an input `(1, ...)`; 0 is the black image.
        steps: points on the path.
        aggregation: over the neurons of a layer, see `conductance`.
        groups: layers that share their value, see `conductance`.
        images: how many images of the context are attributed.
    """

    name: ClassVar[str] = "integrated_gradients"
    classes: Sequence[int] | None = None
    baseline: torch.Tensor | float = 0.0
    steps: int = 20
    aggregation: Aggregation = "abs_sum"
    groups: Mapping[str, str] | None = None
    images: int = 32

    def score(self, context: Context) -> LayerScores:
        """Attribute the first images of the context."""
        images = context.images[: self.images]
        classes = checked_classes(context.model, images, self.classes, self.steps, self.aggregation, self.name)
        parts = [len(p) for p in images.split(images_at_once(context.model, images[:1], self.steps))]
        layers = len(context.model.layer_names)
        return scores_of(
            self.name, context, images, classes, self.aggregation, self.groups,
            layer_integrated_gradients(context.model, images, classes, baseline=self.baseline, steps=self.steps),
            {"steps": str(self.steps), "baseline": str(self.baseline) if not _is_tensor(self.baseline) else "tensor"},
            sum(n + 1 for n in parts) + layers * self.steps * len(images),
        )  # fmt: skip


@dataclass(frozen=True)
class GradientXActivation(Scorer):
    """Gradient times activation, see `gradient_x_activation`.

    Attributes:
        classes, aggregation, groups, images: see `IntegratedGradients`.
    """

    name: ClassVar[str] = "gradient_x_activation"
    classes: Sequence[int] | None = None
    aggregation: Aggregation = "abs_sum"
    groups: Mapping[str, str] | None = None
    images: int = 32

    def score(self, context: Context) -> LayerScores:
        """Attribute the first images of the context."""
        images = context.images[: self.images]
        classes = checked_classes(context.model, images, self.classes, None, self.aggregation, self.name)
        found = gradient_x_activation(context.model, images, classes)
        return scores_of(self.name, context, images, classes, self.aggregation, self.groups, found, {}, len(images))


def layer_integrated_gradients(
    model: CapturedModel,
    images: torch.Tensor,
    classes: Sequence[int],
    *,
    baseline: torch.Tensor | float = 0.0,
    steps: int = 20,
) -> Attributions:
    """Yield the integrated gradients of the neurons of each layer.

    For the outputs y of a layer, y' those of the baseline: `(y - y') * integral dF/dy` along the straight line from y'
    to y, by Gauss-Legendre; whatever does not come through the layer is as for the image. Conductance follows the path
    of the input instead. The sum over a layer is F(x) less F with that layer as for the baseline (completeness).

    Args:
        model: captured float network.
        images: `(n, ...)`.
        classes: output indices to attribute to.
        baseline: a value for every input, or an input `(1, ...)`; 0 is the black image.
        steps: points on the path; an image goes through the network so many times for each layer, and once more.
    """
    images = images.detach()
    axes = batch_axes(model)
    nodes, shares = np.polynomial.legendre.leggauss(steps)
    for part in images.split(images_at_once(model, images[:1], steps)):
        first = part[:1]
        start = torch.full_like(first, baseline) if isinstance(baseline, int | float) else baseline.expand_as(first)
        values: dict[str, torch.Tensor] = {}
        with torch.no_grad(), layer_outputs(model, values):
            model(torch.cat([part, start]))
        path_images = part.repeat(steps, *([1] * (part.dim() - 1)))
        for call in values:
            layer, value = model.nodes[call].layer_name, axes[call].front(values[call])
            end, begin = value[:-1], value[-1:]
            change = end - begin
            path = torch.cat([begin + float((1 + node) / 2) * change for node in nodes]).requires_grad_()
            outputs = _replaced(model, call, axes[call].back(path), path_images)
            weights = torch.tensor(shares / 2, dtype=path.dtype)
            for target, gradient in zip(classes, gradients_of(outputs, classes, [path]), strict=True):
                along = gradient[0].unflatten(0, (steps, len(part)))
                yield layer, target, torch.einsum("s,s...->...", weights, along) * change


def gradient_x_activation(model: CapturedModel, images: torch.Tensor, classes: Sequence[int]) -> Attributions:
    """Yield `y * dF/dy` of the neurons of each layer, y the layer's outputs.

    Args:
        model: captured float network.
        images: `(n, ...)`; each goes through the network once.
        classes: output indices to attribute to.
    """
    axes = batch_axes(model)
    for part in images.detach().split(images_at_once(model, images[:1], 0)):
        values: dict[str, torch.Tensor] = {}
        with torch.enable_grad(), layer_outputs(model, values):
            outputs = model(part.clone().requires_grad_())
        for target, gradients in zip(classes, gradients_of(outputs, classes, list(values.values())), strict=True):
            for (call, value), gradient in zip(values.items(), gradients, strict=True):
                yield model.nodes[call].layer_name, target, axes[call].front(value.detach() * gradient)


def _replaced(model: CapturedModel, call: str, path: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Run the network with the outputs of one call of a layer replaced; gradients begin there."""
    layer = model.nodes[call].layer_name
    calls = (node.name == call for node in model.calls(layer))
    handle = model.layer(layer).register_forward_hook(lambda *_: path if next(calls) else None)
    try:
        with torch.enable_grad():
            result: torch.Tensor = model(images)
        return result
    finally:
        handle.remove()


def gradients_of(
    outputs: torch.Tensor, classes: Sequence[int], inputs: list[torch.Tensor]
) -> Iterator[list[torch.Tensor]]:
    """Yield, for each class, the gradients of its output; zeros where it does not depend on an input."""
    for i, target in enumerate(classes):
        goal = outputs[:, target].sum()
        if not goal.requires_grad:
            yield [torch.zeros_like(v) for v in inputs]
            continue
        reached = [v for v in inputs if v.requires_grad]
        found = iter(torch.autograd.grad(goal, reached, retain_graph=i + 1 < len(classes), allow_unused=True))
        each = [next(found) if v.requires_grad else None for v in inputs]
        yield [torch.zeros_like(v) if g is None else g for v, g in zip(inputs, each, strict=True)]


def _is_tensor(value: object) -> bool:
    return isinstance(value, torch.Tensor)


def scores_of(
    name: str, context: Context, images: torch.Tensor, classes: Sequence[int], aggregation: str,
    groups: Mapping[str, str] | None, found: Attributions, settings: Mapping[str, str], network_images: int,
) -> LayerScores:  # fmt: skip
    """Aggregate over the neurons of a layer, average over images and classes."""
    model = context.model
    grouped(dict.fromkeys(model.layer_names, 0.0), groups)
    combine: Callable[[torch.Tensor], torch.Tensor] = AGGREGATIONS[aggregation]
    sums = dict.fromkeys(model.layer_names, 0.0)
    progress: Progress | None = context.progress
    total, done = len(images) * len(classes) * len(sums), 0
    for layer, _, each in found:
        sums[layer] += float(combine(each).double().sum())
        done += len(each)
        if progress is not None:
            progress(name.replace("_", " "), done, total)
    values = {layer: value / (len(images) * len(classes)) for layer, value in sums.items()}
    if not all(math.isfinite(v) for v in values.values()):
        raise InvalidInputError(f"{name} must be finite, but the images, the baseline or the network are not")
    return LayerScores(
        score=name, values=grouped(values, groups),
        settings={
            "aggregation": aggregation, "classes": ",".join(map(str, classes)), **settings,
            "groups": ",".join(f"{pattern}={unit}" for pattern, unit in (groups or {}).items()),
        },
        images=len(images), network_images=1 + network_images, unit="logit",
    )  # fmt: skip
