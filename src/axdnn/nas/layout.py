"""The network that a candidate stands for, as shapes: what it weighs and multiplies, before anything is built."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

from axdnn.nas.options import SpaceOptions
from axdnn.records import Scalar

HEAD = "fc"
HEAD_MULTIPLIER = "head_multiplier"


@dataclass(frozen=True)
class Block:
    """One convolutional layer with what follows it.

    Attributes:
        operator: `conv`, `residual` or `pool`.
        kernel, stride: of the convolution; a window is padded by half its size.
        in_channels, channels: before and after.
        in_map: height and width that it reads.
        skip: share of its channels left out.
        multiplier: its circuit.
    """

    operator: str
    kernel: int
    stride: int
    in_channels: int
    channels: int
    in_map: tuple[int, int]
    skip: float
    multiplier: str

    @property
    def conv_map(self) -> tuple[int, int]:
        """Height and width of what the convolution makes."""
        high, wide = ((side - 1) // self.stride + 1 for side in self.in_map)
        return high, wide

    @property
    def out_map(self) -> tuple[int, int]:
        """Height and width of what it hands on."""
        high, wide = (side // 2 if self.operator == "pool" else side for side in self.conv_map)
        return high, wide

    @property
    def weights(self) -> int:
        """Weights of the convolution."""
        return self.channels * self.in_channels * self.kernel**2

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of one image."""
        return self.weights * self.conv_map[0] * self.conv_map[1]


@dataclass(frozen=True)
class Layout:
    """A whole network: blocks, then `average` or `flatten`, then a linear layer.

    Attributes:
        blocks: in order.
        readout: how maps become features.
        image: channels, height, width.
        classes: outputs of the linear layer.
        head_multiplier: circuit of the linear layer.
    """

    blocks: tuple[Block, ...]
    readout: str
    image: tuple[int, int, int]
    classes: int
    head_multiplier: str

    @property
    def features(self) -> int:
        """Inputs of the linear layer."""
        last = self.blocks[-1]
        return last.channels * (last.out_map[0] * last.out_map[1] if self.readout == "flatten" else 1)

    @property
    def weights(self) -> int:
        """Weights of all layers, biases not counted."""
        return sum(block.weights for block in self.blocks) + self.features * self.classes

    @property
    def macs(self) -> int:
        """Multiply-accumulate operations of one image, nothing left out."""
        return sum(block.macs for block in self.blocks) + self.features * self.classes

    @property
    def layer_names(self) -> tuple[str, ...]:
        """Names of the layers in the network, in order."""
        return (*(layer_name(i) for i in range(len(self.blocks))), HEAD)

    @property
    def multipliers(self) -> dict[str, str]:
        """Layer -> multiplier."""
        chosen = (*(block.multiplier for block in self.blocks), self.head_multiplier)
        return dict(zip(self.layer_names, chosen, strict=True))

    @property
    def skips(self) -> dict[str, float]:
        """Convolution -> share of its channels left out, where it is above 0."""
        return {layer_name(i): block.skip for i, block in enumerate(self.blocks) if block.skip > 0}

    @property
    def topology(self) -> str:
        """Digest of all that decides the float network, 16 digits: multipliers and skipped shares do not."""
        shapes = [[b.operator, b.kernel, b.stride, b.channels] for b in self.blocks]
        text = json.dumps([shapes, self.readout, self.image, self.classes], separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def layer_name(index: int) -> str:
    """Return the name of the convolution of a block."""
    return f"block{index}.conv"


def layout_of(candidate: Mapping[str, Scalar], options: SpaceOptions) -> Layout:
    """Return the network of a candidate whose fields all exist; limits are not looked at."""
    blocks: list[Block] = []
    channels, map_ = options.image[0], (options.image[1], options.image[2])
    for i in range(int(candidate["layers"])):
        prefix = f"layers/{i}/"
        own = {path.removeprefix(prefix): value for path, value in candidate.items() if path.startswith(prefix)}
        block = _block({**own, **(options.topology[i] if options.topology else {})}, channels, map_)
        blocks.append(block)
        channels, map_ = block.channels, block.out_map
    readout = options.readout if options.topology else str(candidate["readout"])
    return Layout(tuple(blocks), readout, options.image, options.classes, str(candidate[HEAD_MULTIPLIER]))


def _block(fields: Mapping[str, Scalar], channels: int, map_: tuple[int, int]) -> Block:
    operator = str(fields["operator"])
    return Block(
        operator=operator, kernel=int(fields["kernel"]), stride=int(fields["stride"]) if operator == "conv" else 1,
        in_channels=channels, channels=channels if operator == "residual" else int(fields["channels"]), in_map=map_,
        skip=float(fields["skip"]), multiplier=str(fields["multiplier"]),
    )  # fmt: skip
