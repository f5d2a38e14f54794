"""`TrainedModel`: a network with weights and where they come from; its accuracy in float."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import nn

from axdnn.records import InvalidInputError

Origin = Literal["package", "cache", "file", "trained now", "as the function made them"]


@dataclass(frozen=True, eq=False, kw_only=True)
class TrainedModel:
    """A network with weights.

    Attributes:
        model: in evaluation mode on the CPU, float32, gradients off is up to the caller; takes pixels / 255.
        name: model name, e.g. `"lenet5"`.
        data: name of the data set it was made for.
        source: where the weights come from: `"package"` (ships with axdnn), `"cache"`, `"file"`, `"trained now"` or
            `"as the function made them"` (a user's model without a file of weights).
        accuracy: fraction correct on the test split in float32, 0..1; None if not known (a user's file).
        accuracy_images: how many test images made `accuracy`; 0 if it is not known.
        recipe: how the weights were trained (seed, settings, splits, versions); empty if not known.
        mean, std: per channel, of the normalisation that is part of the model; empty for none.
    """

    model: nn.Module
    name: str
    data: str
    source: Origin
    accuracy: float | None = None
    accuracy_images: int = 0
    recipe: dict[str, Any] = field(default_factory=dict)
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()


@torch.inference_mode()
def measure_accuracy(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, batch_size: int = 500) -> float:
    """Return the fraction of images classified correctly.

    The model runs in evaluation mode and gets its own mode back afterwards.

    Args:
        model: maps images to logits `(n, classes)`.
        images: uint8 (divided by 255 here) or float `(n, c, h, w)`, n at least 1.
        labels: int64 `(n,)`.
        batch_size: images a step; changes speed and memory only.

    Raises:
        InvalidInputError: no images, or not one label an image.
    """
    if len(images) == 0 or len(images) != len(labels):
        raise InvalidInputError(
            f"there must be at least one image and one label for each, but got {len(images)} images "
            f"and {len(labels)} labels"
        )
    training = model.training
    model.eval()
    correct = 0
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        batch = batch.float() / 255.0 if batch.dtype == torch.uint8 else batch
        correct += int((model(batch).argmax(1) == labels[start : start + batch_size]).sum())
    model.train(training)
    return correct / len(images)
