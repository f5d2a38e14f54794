"""What a space of layer-by-layer convolutional networks offers, and the limits that its networks keep."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from axdnn.records import InvalidInputError, Scalar, require_finite, unknown_name

OPERATORS = ("conv", "residual", "pool")
READOUTS = ("average", "flatten")


@dataclass(frozen=True, kw_only=True)
class SpaceOptions:
    """Choices for each layer, and limits for the whole network; plain data, so that other processes get the same.

    Attributes:
        image: channels, height and width of the images.
        classes: outputs, at least 2.
        least, most: number of convolutional layers.
        operators: `conv` (convolution, batch norm, ReLU), `residual` (the same beside a shortcut; keeps the shape) and
            `pool` (a `conv` followed by 2 x 2 max pooling).
        kernels: odd sizes of square windows.
        strides: of a `conv`.
        channels: output channels of a `conv` or `pool`.
        skips: shares of a layer's channels that are left out, 0 or more and below 1.
        multipliers: names, from the exact circuit to the coarsest.
        readouts: `average` over the last maps, or `flatten`, before the linear layer.
        most_weights: of all layers, biases not counted.
        most_macs: multiply-accumulate operations of one image.
        least_map: height and width of the last maps, at least.
        most_kinds: distinct multipliers of a network; a chip whose pods hold one each has no more than pods.
        topology: fields of each layer (operator, kernel, stride, channels), if they are fixed and only multipliers and
            skipped shares vary; empty where the topology is searched.
        readout: of a fixed topology.
    """

    image: tuple[int, int, int]
    classes: int
    multipliers: tuple[str, ...]
    least: int = 2
    most: int = 5
    operators: tuple[str, ...] = OPERATORS
    kernels: tuple[int, ...] = (3, 5, 7)
    strides: tuple[int, ...] = (1, 2)
    channels: tuple[int, ...] = (4, 8, 12, 16)
    skips: tuple[float, ...] = (0.0, 0.125, 0.25, 0.5)
    readouts: tuple[str, ...] = READOUTS
    most_weights: int = 60_000
    most_macs: int = 2_000_000
    least_map: int = 3
    most_kinds: int = 4
    topology: tuple[Mapping[str, Scalar], ...] = ()
    readout: str = "average"

    def __post_init__(self) -> None:
        """Check every choice."""
        for name, low in (("classes", 2), ("least", 1), ("most_weights", 1), ("most_macs", 1), ("least_map", 1),
                          ("most_kinds", 1)):  # fmt: skip
            require_finite(name, getattr(self, name), low)
        require_finite("most", self.most, self.least)
        if len(self.image) != 3 or min(self.image) < 1:
            raise InvalidInputError(f"`image` must be channels, height and width, each >= 1, but got {self.image}")
        for name in ("multipliers", "operators", "kernels", "strides", "channels", "skips", "readouts"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise InvalidInputError(f"`{name}` must have at least one value, each once, but got {list(values)}")
        for name, values, known in (("operator", self.operators, OPERATORS), ("readout", self.readouts, READOUTS)):
            for value in values:
                if value not in known:
                    raise unknown_name(name, value, known)
        if "conv" not in self.operators:
            raise InvalidInputError(
                f"`operators` must have conv, which every repair can fall back to: {self.operators}"
            )
        if any(k < 1 or k % 2 == 0 for k in self.kernels):
            raise InvalidInputError(f"`kernels` must be odd, so that maps keep their middle, but got {self.kernels}")
        if min(self.strides) < 1 or min(self.channels) < 1:
            raise InvalidInputError(f"strides and channels must be >= 1, but got {self.strides} and {self.channels}")
        for share in self.skips:
            require_finite("skips", share, 0.0, 0.99)

    def as_dict(self) -> dict[str, Any]:
        """Return the options as JSON data."""
        return asdict(self) | {"topology": [dict(block) for block in self.topology]}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> SpaceOptions:
        """Return the options of `as_dict`, also when they come from JSON, which has lists for tuples."""
        own: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in plain.items()}
        return cls(**own)
