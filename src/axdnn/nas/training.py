"""Brief training of one candidate's float network: the same seed gives the same weights."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from axdnn.data import Dataset
from axdnn.models.batches import Batches
from axdnn.models.machine import one_thread
from axdnn.records import InvalidInputError, require_finite


@dataclass(frozen=True, kw_only=True)
class Training:
    """Settings of a brief training with SGD, Nesterov momentum and a one-cycle schedule.

    Attributes:
        epochs: passes over the images, at least 1.
        images: the first so many of split `fit`.
        batch_size, learning_rate, weight_decay, momentum, warmup, shift, flip: see `axdnn.models.Recipe`.
    """

    epochs: int = 3
    images: int = 6_000
    batch_size: int = 64
    learning_rate: float = 0.1
    weight_decay: float = 5e-4
    momentum: float = 0.9
    warmup: float = 0.25
    shift: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        """Check every setting."""
        for name, low, high in (("epochs", 1, 1000), ("images", 1, 10**9), ("batch_size", 1, 10_000), ("shift", 0, 8)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
                raise InvalidInputError(f"{low} <= {name} <= {high} must hold (an integer), but got {name}={value!r}")
        require_finite("learning_rate", self.learning_rate, 1e-9, 100.0)
        require_finite("weight_decay", self.weight_decay, 0.0, 1.0)
        require_finite("momentum", self.momentum, 0.0, 0.9999)
        require_finite("warmup", self.warmup, 0.0, 1.0)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as JSON data."""
        return asdict(self)


def train_briefly(network: nn.Module, data: Dataset, training: Training, generator: torch.Generator) -> float:
    """Train a network in place, on one thread; it is in evaluation mode afterwards, its gradients off.

    Args:
        network: maps images to logits.
        data: its split `fit` is trained on.
        training: settings.
        generator: of the order of the images and of their augmentation.

    Returns:
        Mean loss of the last epoch.

    Raises:
        InvalidInputError: more images than there are, or the training diverged.
    """
    fit = data.splits()["fit"]
    if training.images > len(fit):
        raise InvalidInputError(f"images <= {len(fit)} must hold for {data.name}, but got images={training.images}")
    images = torch.tensor(data.train_images[fit[: training.images]])
    labels = torch.tensor(data.train_labels[fit[: training.images]])
    batches = Batches(images, labels, training.batch_size, training.shift, training.flip, generator)
    optimizer = torch.optim.SGD(
        network.parameters(), lr=training.learning_rate, momentum=training.momentum,
        weight_decay=training.weight_decay, nesterov=training.momentum > 0,
    )  # fmt: skip
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=training.learning_rate, total_steps=training.epochs * len(batches) + 1,
        pct_start=training.warmup, cycle_momentum=False,
    )  # fmt: skip
    loss = 0.0
    network.train()
    with one_thread():
        for _ in range(training.epochs):
            loss = 0.0
            for x, y in batches.epoch():
                step = F.cross_entropy(network(x), y)
                optimizer.zero_grad(set_to_none=True)
                step.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                loss += float(step.detach()) * len(y)
            if not math.isfinite(loss):
                raise InvalidInputError(
                    f"the loss must stay finite, but it became {loss}; lower learning_rate ({training.learning_rate:g})"
                )
    network.eval().requires_grad_(False)
    return loss / len(labels)
