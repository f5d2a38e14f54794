"""One call for the importance of a model's layers by several scores."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from axdnn.importance.ablation import ablation
from axdnn.importance.conductance import Progress, conductance
from axdnn.layers import Calibration, Recipe
from axdnn.quant import capture, fold_batch_norm, network_of
from axdnn.records import InvalidInputError, LayerScores, Network, unknown_name

SCORES = ("conductance", "ablation")


def explain(
    model: nn.Module,
    images: torch.Tensor,
    *,
    calibration: torch.Tensor | None = None,
    scores: Sequence[str] = SCORES,
    classes: Sequence[int] | None = None,
    steps: int = 20,
    conductance_images: int = 32,
    recipe: Recipe | None = None,
    name: str = "",
    progress: Progress | None = None,
) -> tuple[Network, tuple[LayerScores, ...]]:
    """Score the layers of a trained model.

    Args:
        model: trained network.
        images: inputs `(n, ...)`; all of them measure ablation, the first `conductance_images` are attributed.
        calibration: inputs that calibrate the integer network; `images` if omitted.
        scores: any of `conductance`, `ablation`.
        classes: output indices to attribute to; the first five if omitted.
        steps: points on the path.
        conductance_images: how many images are attributed.
        recipe: conversion switches.
        name: label of the network.
        progress: called with (message, done, total).

    Returns:
        The network's description and one LayerScores per score.
    """
    for score in scores:
        if score not in SCORES:
            raise unknown_name("score", score, SCORES)
    if len(images) == 0:
        raise InvalidInputError("`images` must hold at least one input, but is empty")
    captured = fold_batch_norm(capture(model, images))
    network = network_of(captured, name or type(model).__name__)
    found = []
    for score in scores:
        if score == "conductance":
            with torch.no_grad():
                outputs = captured(images[:1]).shape[1]
            wanted = tuple(classes) if classes is not None else tuple(range(min(5, outputs)))
            found.append(
                conductance(captured, images[:conductance_images], classes=wanted, steps=steps, progress=progress)
            )
        else:
            recipe = recipe or Recipe()
            data = Calibration(
                captured, images if calibration is None else calibration, recipe.fit_rows, recipe.seed
            )
            found.append(ablation(data, network, images, recipe=recipe, progress=progress))
    return network, tuple(found)
