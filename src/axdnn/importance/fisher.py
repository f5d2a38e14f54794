"""Curvature of the loss in the outputs of a layer: what relative noise of a layer costs, to second order.

Small changes `d` of a layer's outputs move the network's softmax outputs by `KL(p || p(d)) = d' J' H J d / 2` nats,
with `J` the derivative of the logits and `H = diag(p) - p p'`: the generalised Gauss-Newton matrix, which for the
softmax is the Fisher information with labels drawn from the network's own outputs. Independent noise of variance `v` in
each of the outputs then costs, on average, `v / 2` times its trace, `sum_c p_c |d log p_c / dy|^2`. It needs no labels.

References:
    J. Martens, "New Insights and Perspectives on the Natural Gradient Method", JMLR 21, 2020 (Fisher information and
    Gauss-Newton matrix; why labels come from the model, not from the data).
    F. Kunstner, L. Balles, P. Hennig, "Limitations of the Empirical Fisher Approximation for Natural Gradient Descent",
    NeurIPS 2019.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch

from axdnn.importance.all_layers import images_at_once
from axdnn.importance.base import Context, Scorer
from axdnn.importance.divergence import Spread, log_probabilities
from axdnn.importance.layer_hooks import changed_outputs
from axdnn.quant import CapturedModel, Node
from axdnn.records import InvalidInputError, LayerScores, require_finite


@dataclass(frozen=True)
class Fisher(Scorer):
    """Nats of `KL(p_exact || p_noisy)` per share of a layer's output variance that is noise, for little noise.

    The trace of the Gauss-Newton matrix of the layer's outputs, times the variance of these outputs (see `Spread`),
    halved, averaged over images.

    Attributes:
        images: how many images of the context are looked at.
        most_classes: up to so many classes the expectation over labels is exact, a backward pass each.
        draws: with more classes, labels drawn for each image.
        seed: of these labels.
    """

    name: ClassVar[str] = "fisher"
    images: int = 64
    most_classes: int = 16
    draws: int = 8
    seed: int = 0

    def score(self, context: Context) -> LayerScores:
        """Measure on the first images of the context."""
        for field in ("images", "draws"):
            require_finite(field, getattr(self, field), 1)
        model, images = context.model, context.images[: self.images]
        traces, spread, done, exact = dict.fromkeys(model.layer_names, 0.0), Spread(model), 0, False
        generator = torch.Generator().manual_seed(self.seed)
        for part in images.split(images_at_once(model, images[:1], 0)):
            values, outputs = outputs_with_gradients(model, part)
            log_p = log_probabilities(outputs)
            exact = log_p.shape[1] <= self.most_classes
            goals = each_class(log_p) if exact else drawn_classes(log_p, self.draws, generator)
            for name, square in squared_gradients(model, values, goals).items():
                traces[name] += square
            spread.add(values)
            done += len(part)
            if context.progress is not None:
                context.progress("curvature", done, len(images))
        variances = spread.variances()
        scores = {name: 0.5 * variances[name] * traces[name] / len(images) for name in model.layer_names}
        if not all(0 <= v < float("inf") for v in scores.values()):
            raise InvalidInputError("curvature must be finite, but the images or the network are not")
        labels = "all classes" if exact else f"{self.draws} drawn, seed {self.seed}"
        return LayerScores(
            score=self.name, values=scores, settings={"labels": labels}, images=len(images), network_images=len(images),
            unit="nat per share of variance",
        )  # fmt: skip


def outputs_with_gradients(model: CapturedModel, images: torch.Tensor) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """Run the network so that gradients reach the output of every call of a layer, also of one that no image reaches.

    Returns:
        Name of a call -> value, and the network's outputs `(n, ...)`.
    """
    values: dict[str, torch.Tensor] = {}

    def keep(node: Node, _: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor:
        values[node.name] = output if output.requires_grad else output.detach().requires_grad_()
        return values[node.name]

    with torch.enable_grad(), changed_outputs(model, keep):
        outputs: torch.Tensor = model(images.detach())
    return values, outputs


def each_class(log_p: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield, for each class, a sum over images whose squared gradients add up to the expectation over classes."""
    for column, share in zip(log_p.T, log_p.detach().exp().T, strict=True):
        yield (share.sqrt() * column).sum()


def drawn_classes(log_p: torch.Tensor, draws: int, generator: torch.Generator) -> Iterator[torch.Tensor]:
    """Yield sums over images whose squared gradients add up to a mean over labels drawn from the outputs."""
    labels = torch.multinomial(log_p.detach().exp(), draws, replacement=True, generator=generator)
    for column in labels.T:
        yield log_p.gather(1, column[:, None]).sum() / draws**0.5


def squared_gradients(
    model: CapturedModel, values: dict[str, torch.Tensor], goals: Iterator[torch.Tensor]
) -> dict[str, float]:
    """Return layer name -> sum over goals, images and outputs of the squared gradient."""
    sums = dict.fromkeys(model.layer_names, 0.0)
    reached = list(values.values())
    for goal in goals:
        if not goal.requires_grad:
            continue
        found = torch.autograd.grad(goal, reached, retain_graph=True, allow_unused=True)
        for call, gradient in zip(values, found, strict=True):
            if gradient is not None:
                sums[model.nodes[call].layer_name] += float(gradient.double().square().sum())
    return sums
