"""The networks by name."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from axdnn.models.cnn import SmallCNN
from axdnn.models.lenet import LeNet5
from axdnn.models.resnet import ResNet
from axdnn.records import InvalidInputError, unknown_name


def _resnet(blocks: int) -> Callable[[int, int, int], nn.Module]:
    def build(in_channels: int, num_classes: int, image_size: int) -> nn.Module:
        return ResNet(blocks, in_channels, num_classes, image_size)

    return build


_BUILDERS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "lenet5": LeNet5,
    "cnn_small": SmallCNN,
    "resnet8": _resnet(1),
    "resnet14": _resnet(2),
    "resnet20": _resnet(3),
}


def list_models() -> tuple[str, ...]:
    """Return the names that `build_model` accepts."""
    return tuple(_BUILDERS)


def require_model(name: str) -> str:
    """Return `name` if it is a known model.

    Raises:
        UnknownNameError: it is not.
    """
    if name not in _BUILDERS:
        raise unknown_name("model", name, _BUILDERS, "`axdnn models list` prints all of them")
    return name


def build_model(
    name: str,
    in_channels: int,
    num_classes: int,
    image_size: int,
    *,
    generator: torch.Generator | None = None,
) -> nn.Module:
    """Build a network with random weights, in training mode on the CPU.

    Args:
        name: one of `list_models()`.
        in_channels: channels of the images, at least 1.
        num_classes: outputs, at least 2.
        image_size: height and width of the images; 28 or 32 for `lenet5`, at least 8 for the others.
        generator: source of the weights (He's normal initialisation); None leaves torch's own, which uses the
            global generator.

    Raises:
        UnknownNameError: no such model.
        InvalidInputError: a size is out of range.
    """
    require_model(name)
    for label, value, low in (("in_channels", in_channels, 1), ("num_classes", num_classes, 2)):
        if isinstance(value, bool) or not isinstance(value, int) or value < low:
            raise InvalidInputError(f"`{label} >= {low}` must hold (an integer), but got {label}={value!r}")
    model = _BUILDERS[name](in_channels, num_classes, image_size)
    if generator is not None:
        _initialise(model, generator)
    return model


def _initialise(model: nn.Module, generator: torch.Generator) -> None:
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
