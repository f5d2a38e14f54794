"""Noise ranking: how far the outputs move when one layer alone gets Gaussian noise of a fixed share of its spread.

The usual baseline for approximate layers: it knows nothing of circuits, needs neither codes nor gradients, and measures
the loss itself instead of a derivative. For little noise the divergence is the square of the share times the score
`fisher` (tested).

References:
    M. A. Hanif, R. Hafiz, M. Shafique, "Error Resilience Analysis for Systematically Employing Approximate Computing in
    Convolutional Neural Networks", DATE 2018 (layers ranked by white Gaussian noise at their outputs).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from axdnn.importance.all_layers import images_at_once
from axdnn.importance.base import Context, Scorer
from axdnn.importance.divergence import clean_run, divergence
from axdnn.importance.layer_hooks import Change, changed_outputs
from axdnn.quant import Node
from axdnn.records import LayerScores, require_finite


@dataclass(frozen=True)
class NoiseRanking(Scorer):
    """`KL(p_exact || p_noisy)` in nats, averaged over images and seeds, when a layer alone is noisy.

    Attributes:
        share: standard deviation of the noise as a share of that of the layer's outputs, see `Spread`; 0.3 is a
            signal-to-noise ratio of 10.5 dB.
        seeds: how many times noise is drawn.
        seed: of the first.
        images: how many images of the context are looked at.
    """

    name: ClassVar[str] = "noise"
    share: float = 0.3
    seeds: int = 3
    seed: int = 0
    images: int = 64

    @torch.no_grad()
    def score(self, context: Context) -> LayerScores:
        """Measure on the first images of the context."""
        require_finite("share", self.share, 0.0)
        for field in ("seeds", "images"):
            require_finite(field, getattr(self, field), 1)
        model, images = context.model, context.images[: self.images]
        at_once = images_at_once(model, images[:1], 0)
        reference, variances = clean_run(model, images, at_once)
        values = {}
        for i, layer in enumerate(model.layer_names):
            size, total = self.share * variances[layer] ** 0.5, 0.0
            for draw in range(self.seeds):
                generator = torch.Generator().manual_seed((self.seed + draw) * len(model.layer_names) + i)
                for part, clean in zip(images.split(at_once), reference.split(at_once), strict=True):
                    with changed_outputs(model, noisy(layer, size, generator)):
                        total += float(divergence(clean, model(part)).sum())
            values[layer] = total / (self.seeds * len(images))
            if context.progress is not None:
                context.progress("noise in one layer", i + 1, len(model.layer_names))
        return LayerScores(
            score=self.name, values=values,
            settings={"share": f"{self.share:g}", "seeds": str(self.seeds), "seed": str(self.seed)},
            images=len(images), network_images=len(images) * (1 + self.seeds * len(values)), unit="nat",
        )  # fmt: skip


def noisy(layer: str, size: float, generator: torch.Generator) -> Change:
    """Return a change of outputs that adds Gaussian noise of standard deviation `size` to one layer."""

    def change(node: Node, _: tuple[torch.Tensor, ...], output: torch.Tensor) -> torch.Tensor | None:
        if node.layer_name != layer:
            return None
        return output + size * torch.randn(output.shape, generator=generator)

    return change
