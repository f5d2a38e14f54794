"""One call for the importance of a model's layers by several scores."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import torch
from torch import nn

from axdnn.importance.ablation import Ablation
from axdnn.importance.base import Context, Progress, Scorer
from axdnn.importance.conductance import Conductance
from axdnn.importance.deeplift import DeepLift
from axdnn.importance.error_path import ErrorPath
from axdnn.importance.fisher import Fisher
from axdnn.importance.gradients import GradientXActivation, IntegratedGradients
from axdnn.importance.learned_noise import LearnedNoise
from axdnn.importance.noise import NoiseRanking
from axdnn.layers import Calibration, Recipe
from axdnn.quant import capture, fold_batch_norm, network_of
from axdnn.records import InvalidInputError, LayerScores, Network, unknown_name

# The one table of scores: `explain`, generation and the command line look here.
SCORERS: dict[str, Callable[..., Scorer]] = {
    "conductance": Conductance,
    "ablation": Ablation,
    "integrated_gradients": IntegratedGradients,
    "gradient_x_activation": GradientXActivation,
    "deeplift": DeepLift,
    "fisher": Fisher,
    "noise": NoiseRanking,
    "learned_noise": LearnedNoise,
    "error_path": ErrorPath,
}
SCORES = tuple(SCORERS)
USUAL_SCORES = ("conductance", "ablation")


def load_scorer(name: str) -> Scorer:
    """Return a scorer with its default options.

    Raises:
        UnknownNameError: no such score.
    """
    if name not in SCORERS:
        raise unknown_name("score", name, SCORERS)
    return SCORERS[name]()


def explain(
    model: nn.Module,
    images: torch.Tensor,
    *,
    calibration: torch.Tensor | None = None,
    scores: Sequence[str | Scorer] = USUAL_SCORES,
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
        images: inputs `(n, ...)`; all of them measure ablation, the first `conductance_images` are attributed, and the
            scores of noise, curvature and errors look at as many of them as their scorers say.
        calibration: inputs that calibrate the integer network; `images` if omitted.
        scores: names, see `SCORES`, or scorers with options of their own.
        classes: output indices to attribute to; the first five if omitted.
        steps: intervals of the path.
        conductance_images: how many images are attributed.
        recipe: conversion switches.
        name: label of the network.
        progress: called with (message, done, total).

    Returns:
        The network's description and one LayerScores per score. The images that calibrate the integer network are
        counted with the first score that needs them.

    Raises:
        UnknownNameError: no such score.
        InvalidInputError: no images, or an option that cannot hold.
        UnsupportedOperatorError: the model cannot be captured.
    """
    scorers = [load_scorer(s) if isinstance(s, str) else s for s in scores]
    asked: dict[str, Scorer] = {
        "conductance": Conductance(classes=classes, steps=steps, images=conductance_images),
        "integrated_gradients": IntegratedGradients(classes=classes, steps=steps, images=conductance_images),
        "gradient_x_activation": GradientXActivation(classes=classes, images=conductance_images),
        "deeplift": DeepLift(classes=classes, images=conductance_images),
    }
    scorers = [
        asked.get(s, scorer) if isinstance(s, str) else scorer for s, scorer in zip(scores, scorers, strict=True)
    ]
    if len(images) == 0:
        raise InvalidInputError("`images` must hold at least one input, but is empty")
    captured = fold_batch_norm(capture(model, images))
    network = network_of(captured, name or type(model).__name__)
    recipe = recipe or Recipe()
    calibrations: list[Calibration] = []

    def calibrate() -> Calibration:
        inputs = images if calibration is None else calibration
        made = Calibration(captured, inputs, recipe.fit_rows, recipe.seed, recipe.activation_range)
        calibrations.append(made)
        return made

    context = Context(captured, network, images, calibrate, recipe, progress)
    found = []
    for scorer in scorers:
        before = sum(c.network_images for c in calibrations)
        score = scorer.score(context)
        spent = sum(c.network_images for c in calibrations) - before
        found.append(msgspec.structs.replace(score, network_images=score.network_images + spent))
    return network, tuple(found)
