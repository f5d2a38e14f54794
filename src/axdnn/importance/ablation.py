"""Measured single-layer ablation, the truth to rank by: what the output suffers when one layer alone is approximate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch

from axdnn.importance.base import Context, Progress, Scorer
from axdnn.importance.divergence import divergence, log_probabilities
from axdnn.layers import ActivationCache, ApproxModel, Calibration, Recipe, build, fit_coding, outputs_of
from axdnn.multipliers import load_multiplier
from axdnn.records import InvalidInputError, LayerScores, Multiplier, Network

# Three circuits that are coarse in different ways, two to six per cent of the exact circuit's power.
PANEL = ("mul8s_1L12", "mul8u_13QR", "mul8u_17MJ")


@dataclass(frozen=True)
class Ablation(Scorer):
    """Measured single-layer ablation, see `ablation`."""

    name: ClassVar[str] = "ablation"
    panel: Sequence[str | Multiplier] = PANEL

    def score(self, context: Context) -> LayerScores:
        """Measure on all images of the context."""
        return ablation(
            context.calibration, context.network, context.images,
            panel=self.panel, recipe=context.recipe, progress=context.progress,
        )  # fmt: skip


def ablation(
    calibration: Calibration,
    network: Network,
    images: torch.Tensor,
    *,
    panel: Sequence[str | Multiplier] = PANEL,
    recipe: Recipe | None = None,
    progress: Progress | None = None,
) -> LayerScores:
    """Importance of each layer: mean divergence of the outputs when it alone uses a coarse circuit.

    The divergence is `KL(p_exact || p_approximate)` of the softmax outputs in nats, averaged over images and over the
    circuits of the panel; all other layers keep the exact circuit, and later layers are calibrated as usual.

    Args:
        calibration: of the captured model.
        network: its description.
        images: `(n, ...)`, not used for calibration.
        panel: circuits.
        recipe: as used for conversion.
        progress: called with (message, done, total).
    """
    if len(images) == 0 or not panel:
        raise InvalidInputError(f"ablation needs images and circuits, but got {len(images)} and {len(panel)}")
    recipe = recipe or Recipe()
    circuits = [load_multiplier(c) if isinstance(c, str) else c for c in panel]
    exact = load_multiplier("exact")
    base = {name: fit_coding(calibration.samples[name], exact, recipe) for name in network.layer_names}
    before, cache = calibration.network_images, ActivationCache(calibration)
    total = len(network.layer_names) * len(circuits)
    models = [build(calibration, base, network, recipe, cache=cache)]
    for layer in reversed(network.layer_names):  # what begins like its neighbour shares the most with it
        for circuit in circuits:
            coding = fit_coding(calibration.samples[layer], circuit, recipe)
            models.append(build(calibration, {**base, layer: coding}, network, recipe, cache=cache))
            if progress is not None:
                progress(f"calibrate for ablation of {layer}", len(models) - 1, total)
    sums = _divergences(models, images, cache, progress)
    losses = sums.view(len(network.layer_names), len(circuits)).flip(0).mean(dim=1) / len(images)
    values = dict(zip(network.layer_names, losses.tolist(), strict=True))
    runs = 1 + total
    calibrated, calibration.network_images = calibration.network_images - before, before  # counted with this score
    return LayerScores(
        score="ablation",
        values=values,
        settings={"panel": ",".join(c.name for c in circuits)},
        images=len(images),
        network_images=len(images) * runs + calibrated,
        unit="nat",
    )


def _divergences(
    models: Sequence[ApproxModel], images: torch.Tensor, cache: ActivationCache, progress: Progress | None
) -> torch.Tensor:
    """Return the divergence of each model but the first from the first, summed over the images, float64."""
    sums = torch.zeros(len(models), dtype=torch.float64)
    done, reference = 0, torch.empty(0)
    for i, outputs in outputs_of(models, images, cache):
        if i == 0:
            reference, done = log_probabilities(outputs), done + len(outputs)
        sums[i] += divergence(reference, outputs).sum()
        if progress is not None and i == len(models) - 1:
            progress("ablation on images", done, len(images))
    return sums[1:]
