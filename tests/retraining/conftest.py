"""Shared: small networks with every operator that can be trained through, and their images."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import nn


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


class Plain(nn.Module):
    """Padded, strided, dilated and grouped convolutions, pooling, linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, padding=1)
        self.conv2 = nn.Conv2d(6, 8, 3, stride=2, dilation=(1, 2), groups=2, bias=False)
        self.fc1, self.fc2 = nn.Linear(24, 12), nn.Linear(12, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.relu(self.fc1(F.relu(self.conv2(x)).flatten(1)))
        return self.fc2(x)


class Branched(nn.Module):
    """Batch norm folded and unfolded, addition, concatenation, unary functions, a clamp, both kinds of pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(2)
        self.stem, self.bn = nn.Conv2d(2, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.deep = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.side = nn.Conv2d(6, 4, 1)
        self.fc = nn.Linear(10, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.bn(self.stem(self.norm(x))))
        z = F.silu(self.deep(y))
        z = F.avg_pool2d(F.relu6(y + z), 2)
        s = F.avg_pool2d(torch.tanh(self.side(y)), 2)
        return self.fc(torch.cat([z, s], 1).mean((2, 3)))


def _prepared(model: nn.Module) -> nn.Module:
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for p in model.parameters():
            fan = p[0].numel() if p.dim() > 1 else 4
            p.copy_(torch.randn(p.shape, generator=generator) * (1.5 / fan**0.5))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_var.copy_(torch.rand(module.running_var.shape, generator=generator) + 0.5)
                module.weight.copy_(torch.rand(module.weight.shape, generator=generator) + 0.5)
    return model.eval()


def _images(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(*shape, generator=generator) * 2 - torch.rand(shape[0], 1, 1, 1, generator=generator)


@pytest.fixture(scope="session")
def nets() -> SimpleNamespace:
    """`plain`, `branched`: (module, images)."""
    torch.manual_seed(0)
    return SimpleNamespace(
        plain=(_prepared(Plain()), _images(16, 1, 14, 12)), branched=(_prepared(Branched()), _images(16, 2, 10, 8))
    )
