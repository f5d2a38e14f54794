"""The layers and the tables that are timed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from axdnn.multipliers import list_multipliers, load_multiplier
from axdnn.records import Multiplier


class Shape(NamedTuple):
    """A layer with its batch; `size` 1 is a linear layer with `batch` rows."""

    batch: int
    inputs: int
    size: int
    outputs: int
    kernel: int
    stride: int = 1
    padding: int = 0
    groups: int = 1

    @property
    def linear(self) -> bool:
        """Whether it is a matrix product."""
        return self.size == 1

    @property
    def out(self) -> int:
        """Height and width of the output."""
        return (self.size + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def terms(self) -> int:
        """Products of an output."""
        return self.inputs // self.groups * self.kernel**2

    @property
    def products(self) -> int:
        """Products of the layer for the whole batch."""
        return self.batch * self.out**2 * self.outputs * self.terms


SHAPES = {
    "LeNet-5 conv2": Shape(128, 6, 14, 16, 5),
    "ResNet-20 16": Shape(32, 16, 32, 16, 3, 1, 1),
    "ResNet-20 32": Shape(32, 32, 16, 32, 3, 1, 1),
    "ResNet-20 64": Shape(32, 64, 8, 64, 3, 1, 1),
    "ResNet-18 64": Shape(8, 64, 32, 64, 3, 1, 1),
    "ResNet-18 128": Shape(8, 128, 16, 128, 3, 1, 1),
    "ResNet-18 256": Shape(8, 256, 8, 256, 3, 1, 1),
    "ResNet-18 512": Shape(8, 512, 4, 512, 3, 1, 1),
    "ResNet-18 128 stride 2": Shape(8, 64, 32, 128, 3, 2, 1),
    "MobileNetV2 expand": Shape(4, 32, 28, 192, 1),
    "MobileNetV2 depthwise": Shape(4, 192, 28, 192, 3, 1, 1, 192),
    "MobileNetV2 project": Shape(4, 192, 28, 32, 1),
    "ViT-S projection": Shape(197, 384, 1, 384, 1),
    "ViT-S MLP": Shape(197, 384, 1, 1536, 1),
}
UNSIGNED = ("mul8u_17KS", "mul8u_18DU", "mul8u_2AC", "mul8u_R36", "mul8u_QKX", "mul8u_12N4")
QUICK_SHAPES = ("ResNet-20 32", "ResNet-18 128", "MobileNetV2 depthwise", "ViT-S projection")
QUICK_TABLES = ("mul8s_1KV6", "mul8s_1KVQ", "mul8u_QKX", "random")


def circuits() -> dict[str, Multiplier]:
    """Return tables by name: all signed ones, unsigned ones of low and high rank as networks use them, a random one."""
    rows = [r for r in list_multipliers("evoapprox8b") if r.coding == "signed" and not r.name.endswith(".T")]
    signed = {m.id: m for m in (load_multiplier(row.name) for row in rows)}
    wrapped = [load_multiplier(name).sign_magnitude() for name in UNSIGNED]
    entries = np.random.default_rng(0).integers(-16384, 16385, (256, 256))
    chance = Multiplier.from_table(entries, signed=True, name="random")
    return {m.name: m for m in (*sorted(signed.values(), key=lambda m: m.name), *wrapped, chance)}
