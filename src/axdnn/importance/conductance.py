"""Neuron conductance of each layer; Captum for one layer, one walk along the path for all of them.

Conductance of neuron y for input x, baseline x': `sum_i (x_i - x'_i) * integral dF/dy * dy/dx_i` along the straight
path from x' to x. Summed with sign over a complete cut of the network it equals F(x) - F(x') (completeness); a layer
inside a residual branch is not a cut, the skip carries the rest.

References:
    K. Dhamdhere, M. Sundararajan, Q. Yan, "How Important Is a Neuron?", ICLR 2019.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch

from axdnn.importance.all_layers import conductance_of_all_layers
from axdnn.importance.base import Context, Progress, Scorer
from axdnn.quant import CapturedModel
from axdnn.records import InvalidInputError, LayerScores, unknown_name

Aggregation = Literal["abs_sum", "abs_mean", "signed_sum", "positive_sum"]
AGGREGATIONS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "abs_sum": lambda c: c.abs().flatten(1).sum(1),
    "abs_mean": lambda c: c.abs().flatten(1).mean(1),
    "signed_sum": lambda c: c.flatten(1).sum(1),
    "positive_sum": lambda c: c.clamp(min=0).flatten(1).sum(1),
}
DEFAULT_CLASSES = 5


@dataclass(frozen=True)
class Conductance(Scorer):
    """Neuron conductance, see `conductance`.

    Attributes:
        classes: output indices to attribute to; the first five if None.
        baseline, steps, aggregation, groups: see `conductance`.
        images: how many images of the context are attributed.
    """

    name: ClassVar[str] = "conductance"
    classes: Sequence[int] | None = None
    baseline: torch.Tensor | float = 0.0
    steps: int = 20
    aggregation: Aggregation = "abs_sum"
    groups: Mapping[str, str] | None = None
    images: int = 32

    def score(self, context: Context) -> LayerScores:
        """Attribute the first images of the context."""
        return conductance(
            context.model, context.images[: self.images], classes=self.classes, baseline=self.baseline,
            steps=self.steps, aggregation=self.aggregation, groups=self.groups, progress=context.progress,
        )  # fmt: skip


def layer_conductance(
    model: CapturedModel,
    layer: str,
    images: torch.Tensor,
    target: int | torch.Tensor,
    *,
    baseline: torch.Tensor | float = 0.0,
    steps: int = 20,
    batch: int = 1344,
) -> torch.Tensor:
    """Conductance of every neuron of one layer (its output before the activation function).

    Args:
        model: captured float network.
        layer: layer name.
        images: `(n, ...)`.
        target: output index, one for all images or `(n,)`.
        baseline: a value for every input, or an input `(1, ...)`; 0 is the black image.
        steps: intervals of the path; an image goes through the network `steps + 1` times.
        batch: images times points held at once, at least one image.

    Returns:
        `(n, *layer output shape)`.
    """
    from captum.attr import LayerConductance

    if layer not in model.layer_names:
        raise unknown_name("layer", layer, model.layer_names)
    parts = []
    attribution = LayerConductance(model, model.layer(layer))
    at_once = max(1, batch // (steps + 1))
    for first in range(0, len(images), at_once):
        part = images[first : first + at_once]
        goal = target[first : first + at_once] if isinstance(target, torch.Tensor) else target
        zero = torch.full_like(part, baseline) if isinstance(baseline, int | float) else baseline.expand_as(part)
        parts.append(attribution.attribute(part, zero.clone(), goal, n_steps=steps).detach())
    return torch.cat(parts)


def conductance(
    model: CapturedModel,
    images: torch.Tensor,
    *,
    classes: Sequence[int] | None = None,
    baseline: torch.Tensor | float = 0.0,
    steps: int = 20,
    aggregation: Aggregation = "abs_sum",
    groups: Mapping[str, str] | None = None,
    progress: Progress | None = None,
) -> LayerScores:
    """Importance of each layer: aggregated conductance, averaged over images and target classes.

    Args:
        model: captured float network.
        images: `(n, ...)`.
        classes: output indices to attribute to, one run each (the paper sweeps five); the first five if omitted.
        baseline: see `layer_conductance`.
        steps: intervals of the path.
        aggregation: over the neurons of a layer. Signed sums of complete cuts are all equal by completeness, so the
            default is the sum of absolute values.
        groups: layer name or pattern -> unit (a residual group); the layers of a unit are summed and share the value.
        progress: called with (message, done, total).

    Raises:
        InvalidInputError: no images, no classes, a class the network does not have, fewer than 2 steps, an unknown
            aggregation, or scores that are not finite.
        UnknownNameError: a group fits no layer.
    """
    classes = checked_classes(model, images, classes, steps, aggregation)
    grouped(dict.fromkeys(model.layer_names, 0.0), groups)
    sums = dict.fromkeys(model.layer_names, 0.0)
    done = 0
    for _, found in conductance_of_all_layers(model, images, classes, baseline=baseline, steps=steps):
        for call, each in found.items():
            sums[model.nodes[call].layer_name] += float(AGGREGATIONS[aggregation](each).double().sum())
        done += len(next(iter(found.values()), ()))
        if progress is not None:
            progress("conductance", done, len(images) * len(classes))
    values = {layer: total / (len(images) * len(classes)) for layer, total in sums.items()}
    if not all(math.isfinite(v) for v in values.values()):
        raise InvalidInputError("conductance must be finite, but the images, the baseline or the network are not")
    return LayerScores(
        score="conductance",
        values=grouped(values, groups),
        settings={
            "aggregation": aggregation, "classes": ",".join(map(str, classes)), "steps": str(steps),
            "baseline": str(baseline) if isinstance(baseline, int | float) else "tensor",
            "groups": ",".join(f"{pattern}={unit}" for pattern, unit in (groups or {}).items()),
        },
        images=len(images),
        network_images=1 + len(images) * (steps + 1),
        unit="logit",
    )  # fmt: skip


def checked_classes(
    model: CapturedModel,
    images: torch.Tensor,
    classes: Sequence[int] | None,
    steps: int | None,
    aggregation: str,
    score: str = "conductance",
) -> tuple[int, ...]:
    """Return the classes to attribute to; one image goes through the network to count its outputs.

    `steps` is None for a score without a path; `score` is for messages.
    """
    if len(images) == 0 or (classes is not None and not classes) or (steps is not None and steps < 2):
        needs, got = ("", "") if steps is None else (" and steps >= 2", f", steps={steps}")
        raise InvalidInputError(
            f"{score} needs images, classes{needs}, but got {len(images)} images, classes={classes}{got}"
        )
    if aggregation not in AGGREGATIONS:
        raise InvalidInputError(f"`aggregation` must be one of {', '.join(AGGREGATIONS)}, but got {aggregation!r}")
    with torch.no_grad():
        outputs = model(images[:1]).shape[1]
    chosen = tuple(range(min(DEFAULT_CLASSES, outputs))) if classes is None else tuple(classes)
    if not all(0 <= c < outputs for c in chosen):
        raise InvalidInputError(f"0 <= class < {outputs} must hold, but got classes={chosen}")
    return chosen


def grouped(values: Mapping[str, float], groups: Mapping[str, str] | None) -> dict[str, float]:
    """Sum the values of layers that belong to one unit; each layer of the unit gets the sum.

    The first pattern that fits a layer names its unit; a layer that no pattern fits is a unit of its own.

    Raises:
        UnknownNameError: a pattern fits no layer.
    """
    if not groups:
        return dict(values)
    for pattern in groups:
        if not any(fnmatchcase(layer, pattern) for layer in values):
            raise unknown_name("layer or pattern", pattern, values)
    unit_of = {
        layer: next(((unit,) for pattern, unit in groups.items() if fnmatchcase(layer, pattern)), layer)
        for layer in values
    }
    sums: dict[str | tuple[str], float] = {}
    for layer, value in values.items():
        sums[unit_of[layer]] = sums.get(unit_of[layer], 0.0) + value
    return {layer: sums[unit_of[layer]] for layer in values}


def channel_conductance(
    model: CapturedModel,
    images: torch.Tensor,
    *,
    classes: Sequence[int] | None = None,
    baseline: torch.Tensor | float = 0.0,
    steps: int = 20,
    progress: Progress | None = None,
) -> tuple[dict[str, npt.NDArray[np.float64]], int]:
    """Importance of each neuron: |conductance| summed over positions, averaged over images and target classes.

    Args:
        model: captured float network.
        images: `(n, ...)`.
        classes: as for `conductance`.
        baseline: as for `conductance`.
        steps: as for `conductance`.
        progress: called with (message, done, total).

    Returns:
        Layer name -> float64 `(output channels,)` for each layer with weights, and how many images went through the
        network.

    Raises:
        InvalidInputError: as `conductance`.
    """
    classes = checked_classes(model, images, classes, steps, "abs_sum")
    weighted = {node.layer_name for node in model.nodes.values() if node.is_layer and node.op != "matmul"}
    sums: dict[str, torch.Tensor] = {}
    done, total = 0, len(images) * len(classes)
    for _, found in conductance_of_all_layers(model, images, classes, baseline=baseline, steps=steps):
        for call, each in found.items():
            node = model.nodes[call]
            size = each.abs().double().transpose(0, node.channel_dim).flatten(1).sum(dim=1)
            sums[node.layer_name] = sums.get(node.layer_name, torch.zeros_like(size)) + size
        done += len(next(iter(found.values()), ()))
        if progress is not None:
            progress("conductance of neurons", done, total)
    values = {layer: (sums[layer] / total).numpy() for layer in model.layer_names if layer in weighted}
    return values, 1 + len(images) * (steps + 1)
