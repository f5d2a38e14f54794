"""How each network is trained unless the user says otherwise."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from axdnn.models.zoo import require_model
from axdnn.records import InvalidInputError, require_finite


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Settings of a training run; with a seed, a data set and a machine they fix the weights.

    Attributes:
        epochs: passes over the training images, 1..1000.
        batch_size: images a step, 1..10,000.
        learning_rate: peak of the one-cycle schedule, above 0.
        weight_decay: of all parameters, 0..1.
        momentum: Nesterov momentum, above 0 and below 1.
        warmup: share of the steps spent on raising the learning rate, 0..1.
        shift: each image is moved by up to so many pixels each way, 0..8; what comes in is 0.
        flip: each image is mirrored left to right with probability 1/2.
        bf16: forward pass in bfloat16 autocast, channels last; about twice as fast for convolutions of some width.
        images: train on the first so many images of split `fit`; None for all.
    """

    epochs: int
    batch_size: int = 128
    learning_rate: float = 0.1
    weight_decay: float = 5e-4
    momentum: float = 0.9
    warmup: float = 0.25
    shift: int = 0
    flip: bool = False
    bf16: bool = False
    images: int | None = None

    def __post_init__(self) -> None:
        """Check every setting."""
        for name, low, high in (("epochs", 1, 1000), ("batch_size", 1, 10_000), ("shift", 0, 8)):
            _require_integer(name, getattr(self, name), low, high)
        if self.images is not None:
            _require_integer("images", self.images, 1, 10**9)
        for name, lowest, highest in (
            ("learning_rate", 1e-9, 100.0),
            ("weight_decay", 0.0, 1.0),
            ("momentum", 1e-9, 0.9999),
            ("warmup", 0.0, 1.0),
        ):
            require_finite(name, getattr(self, name), lowest, highest)

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as plain data."""
        return dataclasses.asdict(self)

    def key(self, seed: int) -> str:
        """Return a short content key of the settings and a seed."""
        text = json.dumps({**self.as_dict(), "seed": seed}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]


def _require_integer(name: str, value: Any, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidInputError(f"{low} <= {name} <= {high} must hold (an integer), but got {name}={value!r}")


# Epochs and weight decay on CIFAR-10: a smaller network underfits, so it is trained longer and decayed less.
_CIFAR_RESNETS = {"resnet8": (48, 1e-4), "resnet14": (32, 3e-4), "resnet20": (40, 4e-4)}


def default_recipe(name: str, data: str) -> Recipe:
    """Return the recipe that `train` and `load_model` use for a model and a data set, both by name.

    Raises:
        UnknownNameError: no such model.
    """
    require_model(name)
    colour = data == "cifar10"
    shift = 4 if colour else 1
    if name == "lenet5":
        return Recipe(epochs=12 if colour else 8, learning_rate=0.05 if colour else 0.1, shift=shift, flip=colour)
    if name == "cnn_small":
        return Recipe(epochs=12, shift=shift, flip=colour, bf16=True)
    if not colour:
        return Recipe(epochs=4, learning_rate=0.2, shift=shift, bf16=True)
    epochs, decay = _CIFAR_RESNETS[name]
    return Recipe(epochs=epochs, learning_rate=0.2, weight_decay=decay, shift=shift, flip=True, bf16=True)
