"""Small networks, captured."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from axdnn.quant import CapturedModel, capture, fold_batch_norm


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


class Residual(nn.Module):
    """Trunk convolution, a residual block of one convolution, a head."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Conv2d(1, 3, 3, padding=1)
        self.branch = nn.Conv2d(3, 3, 3, padding=1)
        self.head = nn.Linear(3, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.trunk(x))
        y = torch.relu(y + self.branch(y))
        return self.head(y.mean((2, 3)))


class Tiny(nn.Module):
    """Two linear layers."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(5, 6)
        self.b = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(torch.relu(self.a(x)))


@pytest.fixture(scope="session")
def captured() -> Callable[[nn.Module, tuple[int, ...]], CapturedModel]:
    """A function that seeds, fills and captures a module."""

    def make(module: nn.Module, shape: tuple[int, ...], seed: int = 0) -> CapturedModel:
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for p in module.parameters():
                p.copy_(torch.randn(p.shape, generator=generator) * 0.5)
        return fold_batch_norm(capture(module, torch.rand(2, *shape, generator=generator)))

    return make


@pytest.fixture(scope="session")
def tiny(captured: Callable[..., CapturedModel]) -> CapturedModel:
    return captured(Tiny(), (5,))


@pytest.fixture(scope="session")
def residual(captured: Callable[..., CapturedModel]) -> CapturedModel:
    return captured(Residual(), (1, 6, 6))
