"""One thread, and networks with every kind of layer that is split or left whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn

from axdnn.models import load_model
from axdnn.quant import CapturedModel, capture, fold_batch_norm


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


class Kinds(nn.Module):
    """Dense, grouped, depthwise, transposed and shared layers, and a product of activations."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.depthwise = nn.Conv2d(8, 16, 3, padding=1, groups=8)
        self.grouped = nn.Conv2d(16, 8, 1, groups=4, bias=False)
        self.pair = nn.Conv2d(8, 6, 1, groups=2)
        self.up = nn.ConvTranspose2d(6, 6, 2, stride=2, groups=3)
        self.shared = nn.Linear(12, 12)
        self.few = nn.Linear(12, 1)
        self.out = nn.Linear(12, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.depthwise(torch.relu(self.stem(x))))
        x = torch.relu(self.pair(torch.relu(self.grouped(x))))
        x = self.up(x).flatten(2)  # (b, 6, 144)
        mixed = x @ x.transpose(1, 2)  # (b, 6, 6)
        x = torch.cat([mixed, mixed.softmax(2)], 2)
        x = torch.relu(self.shared(torch.relu(self.shared(x))))
        return self.out(x.mean(1)) + self.few(x.mean(1))


@pytest.fixture(scope="session")
def kinds() -> tuple[CapturedModel, torch.Tensor]:
    """`Kinds` as a graph, and images of it."""
    torch.manual_seed(3)
    images = torch.rand(24, 1, 6, 6)
    return fold_batch_norm(capture(Kinds().eval(), images)), images


@pytest.fixture(scope="session")
def zoo() -> Callable[[str], tuple[CapturedModel, torch.Tensor]]:
    """Name of a network with weights in the package -> its graph, and random images."""

    def make(name: str) -> tuple[CapturedModel, torch.Tensor]:
        data, shape = ("mnist", (1, 28, 28)) if name == "lenet5" else ("cifar10", (3, 32, 32))
        images = torch.rand(40, *shape, generator=torch.Generator().manual_seed(1))
        return fold_batch_norm(capture(load_model(name, data, allow_training=False).model, images)), images

    return make
