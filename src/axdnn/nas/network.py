"""A layout as a torch network, and weights that it takes over from another one."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import nn

from axdnn.nas.layout import HEAD, Block, Layout


class BlockModule(nn.Module):
    """Convolution, batch norm and ReLU; beside a shortcut, or before 2 x 2 max pooling.

    Args:
        block: shapes.
    """

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.operator = block.operator
        self.conv = nn.Conv2d(
            block.in_channels, block.channels, block.kernel, block.stride, padding=block.kernel // 2, bias=False
        )
        self.bn = nn.BatchNorm2d(block.channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map `(n, in_channels, h, w)` to `(n, channels, *out_map)`."""
        out = self.bn(self.conv(x))
        out = F.relu(out + x if self.operator == "residual" else out)
        return F.max_pool2d(out, 2) if self.operator == "pool" else out


class LayeredNetwork(nn.Module):
    """Blocks, global average or flattening, linear layer.

    Args:
        layout: shapes.
    """

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.readout = layout.readout
        self.blocks = nn.Sequential(OrderedDict((f"block{i}", BlockModule(b)) for i, b in enumerate(layout.blocks)))
        self.fc = nn.Linear(layout.features, layout.classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map images `(n, *image)` in [0, 1] to logits `(n, classes)`."""
        x = self.blocks(x)
        if self.readout == "average":
            x = F.adaptive_avg_pool2d(x, 1)
        logits: torch.Tensor = self.fc(torch.flatten(x, 1))
        return logits


def build_network(layout: Layout, generator: torch.Generator) -> LayeredNetwork:
    """Return the network of a layout with random weights (He's normal initialisation), in training mode.

    Args:
        layout: shapes.
        generator: of the weights.
    """
    network = LayeredNetwork(layout)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network


def module_name(layer: str) -> str:
    """Return the path of a layer of a layout in the network."""
    return layer if layer == HEAD else f"blocks.{layer}"


@torch.no_grad()
def inherit(network: nn.Module, state: Mapping[str, torch.Tensor]) -> float:
    """Take over what fits of another network's weights, tensor by tensor of the same name.

    Equal shapes are copied whole. Of convolutions and their batch norm whose channels or kernels differ, what both have
    is copied, the middle of a kernel onto the middle; the rest keeps its own values. Other shapes are left.

    Args:
        network: in place.
        state: of a trained network, by name.

    Returns:
        Share of the network's numbers that were taken over, 0..1.
    """
    taken, total = 0, 0
    for name, own in network.state_dict().items():
        total += own.numel()
        theirs = state.get(name)
        if theirs is None or theirs.dim() != own.dim():
            continue
        if theirs.shape == own.shape:
            own.copy_(theirs)
            taken += own.numel()
        elif name.startswith("blocks."):
            here, there = _common(own.shape, theirs.shape)
            own[here] = theirs[there]
            taken += own[here].numel()
    return taken / total


def _common(own: torch.Size, theirs: torch.Size) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Return where two tensors overlap: the first channels, the middle of windows (dimensions 2 and 3)."""
    here, there = [], []
    for dimension, (a, b) in enumerate(zip(own, theirs, strict=True)):
        size = min(a, b)
        first, other = ((a - size) // 2, (b - size) // 2) if dimension >= 2 else (0, 0)
        here.append(slice(first, first + size))
        there.append(slice(other, other + size))
    return tuple(here), tuple(there)
