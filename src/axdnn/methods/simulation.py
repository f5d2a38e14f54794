"""Accuracy of an assignment on any images, beside the exact int8 network and the float network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from axdnn.data import load_dataset
from axdnn.evaluation import BATCH, Split, paired_loss_bound
from axdnn.kernels import PATHS, Path
from axdnn.methods.saved_run import Rebuilt
from axdnn.records import InvalidInputError, unknown_name

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Simulation:
    """What a simulation found; accuracies are fractions of the same images.

    Attributes:
        model, data, split: what ran on what.
        images: how many.
        accuracy: of the approximate network.
        baseline_accuracy: of the int8 network with exact multipliers.
        float_accuracy: of the float network.
        loss_bound: one-sided 95 % bound of the loss against the baseline.
        path: kernel path.
        multipliers: layer -> multiplier.
    """

    model: str
    data: str
    split: str
    images: int
    accuracy: float
    baseline_accuracy: float
    float_accuracy: float
    loss_bound: float
    path: Path
    multipliers: dict[str, str]


def simulate(
    built: Rebuilt,
    *,
    data: str | None = None,
    split: str = "test",
    images: int | None = None,
    path: Path = "auto",
    progress: Progress | None = None,
) -> Simulation:
    """Run an assignment on a split of a data set.

    Args:
        built: the assignment.
        data: name; the data set of the run by default.
        split: `fit`, `calibration`, `search`, `accept` or `test`.
        images: the first so many; by default as many as the run used of that split of its data.
        path: kernel path of both integer networks; all give the same bits.
        progress: called with (message, images done, images in all).

    Raises:
        InvalidInputError: images of another shape or with other classes than the network's.
        UnknownNameError: no such data set, split or path.
    """
    if path not in PATHS:
        raise unknown_name("kernel path", path, PATHS)
    own = data in (None, built.dataset.name)
    dataset = built.dataset if own else load_dataset(str(data), progress=progress)
    check_images(built, dataset.name, dataset.image_shape, len(dataset.classes))
    limit = images if images is not None or not own else built.limits.get(split)
    part = Split(split, *dataset.tensors(split, limit))
    networks = (built.model(), built.baseline())
    for network in networks:
        network.path = path
    names = ("approximate", "exact int8", "float")
    right = [
        _right(network, part, f"{name} network, {split}", progress)
        for name, network in zip(names, (*networks, built.float_model), strict=True)
    ]
    accuracy, baseline, floats = (float(r.double().mean()) for r in right)
    return Simulation(
        built.label, dataset.name, split, len(part), accuracy, baseline, floats,
        paired_loss_bound(right[1].numpy(), right[0].numpy()), path, dict(built.assignment.multipliers),
    )  # fmt: skip


def check_images(built: Rebuilt, name: str, shape: tuple[int, ...], classes: int) -> None:
    """Check that a network takes the images of a data set.

    Args:
        built: the network.
        name: of the data set.
        shape: of its images.
        classes: how many it has.

    Raises:
        InvalidInputError: images of another shape, or other classes.
    """
    own = built.dataset
    wanted = (own.image_shape, len(own.classes))
    if (shape, classes) != wanted:
        raise InvalidInputError(
            f"{built.label!r} takes images {wanted[0]} of {wanted[1]} classes, "
            f"but {name!r} has images {shape} of {classes}"
        )


@torch.no_grad()
def _right(model: nn.Module, part: Split, message: str, progress: Progress | None) -> torch.Tensor:
    """Return for each image whether the model is right."""
    found = []
    for batch, labels in zip(part.images.split(BATCH), part.labels.split(BATCH), strict=True):
        if progress is not None:
            progress(message, sum(map(len, found)), len(part))
        found.append(model(batch).argmax(dim=1).eq(labels))
    if progress is not None:
        progress(message, len(part), len(part))
    return torch.cat(found)
