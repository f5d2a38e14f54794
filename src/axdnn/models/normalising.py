"""Normalise the input of a network: `(x - mean) / std` per channel, in front of it and part of it.

It is in front of the network, not applied to the images, so that an image stays pixels / 255 everywhere: the integer
network takes pixels without loss, the black image is 0, and zero padding pads the normalised image as in training.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from axdnn.records import InvalidInputError

_MEAN, _STD = "axdnn_input_mean", "axdnn_input_std"


def per_channel(name: str, values: Sequence[float] | None, channels: int) -> tuple[float, ...]:
    """Return one number a channel, or none.

    Args:
        name: `mean` or `std`, for messages.
        values: one number, or one a channel; None for none.
        channels: of the images.

    Raises:
        InvalidInputError: another count, a number that is not finite, or a `std` that is not above 0.
    """
    if values is None:
        return ()
    numbers = tuple(float(v) for v in values)
    if len(numbers) not in (1, channels):
        raise InvalidInputError(f"`{name}` must have 1 number or {channels} (one a channel), but got {len(numbers)}")
    if not all(math.isfinite(v) for v in numbers):
        raise InvalidInputError(f"`{name}` must hold finite numbers, but got {_text(numbers)}")
    if name == "std" and min(numbers) <= 0:
        raise InvalidInputError(f"`std` must be above 0, but got {_text(numbers)}")
    return numbers * channels if len(numbers) == 1 else numbers


def normalised(model: nn.Module, mean: Sequence[float], std: Sequence[float]) -> nn.Module:
    """Put the normalisation in front of a model, in place; its layers keep their names.

    The model's class becomes a subclass of it (as torch's parametrisations do), for a wrapper would rename all layers.

    Args:
        model: takes `(n, channels, h, w)`.
        mean: one number a channel; empty for 0.
        std: one number a channel, above 0; empty for 1.

    Returns:
        The model, which takes pixels / 255 now.
    """
    channels = max(len(mean), len(std))
    if channels == 0:
        return model
    for name, values, missing in ((_MEAN, mean, 0.0), (_STD, std, 1.0)):
        numbers = torch.tensor(list(values) or [missing] * channels, dtype=torch.float32)
        model.register_buffer(name, numbers.view(1, -1, 1, 1))
    own = model.__dict__.pop("forward", None)  # set on the object, it would hide the class's
    kind = type(model)

    def forward(self: nn.Module, x: torch.Tensor) -> Any:
        x = (x - getattr(self, _MEAN)) / getattr(self, _STD)
        return own(x) if own is not None else kind.forward(self, x)

    model.__class__ = type(f"Normalised{kind.__name__}", (kind,), {"forward": forward})
    return model


def input_text(mean: Sequence[float], std: Sequence[float]) -> str:
    """Say in words what a network is fed."""
    if not mean and not std:
        return "pixels / 255"
    top = f"pixels / 255 - ({_text(mean)})" if mean else "pixels / 255"
    return f"({top}) / ({_text(std)})" if std else top


def _text(numbers: Sequence[float]) -> str:
    return ", ".join(f"{v:g}" for v in numbers)
