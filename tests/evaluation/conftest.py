"""A small network, splits and an evaluator that takes milliseconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from axdnn.evaluation import CodingBank, Evaluator, Split
from axdnn.hardware import load_accelerator
from axdnn.layers import Calibration, Recipe
from axdnn.multipliers import load_multiplier
from axdnn.quant import CapturedModel, capture, fold_batch_norm, network_of
from axdnn.records import Multiplier

FC3_BIAS = (-0.20, -0.72, 0.63)  # with seed 0 every class wins on some images
NAMES = ("exact", "mul8s_1L12", "mul8u_QKX", "mul8u_13QR")


class Small(nn.Module):
    """Convolution, pooling, an addition, two linear layers."""

    def __init__(self, seed: int = 0, stride: int = 1, top: float = 6.0) -> None:
        super().__init__()
        self.top = top
        self.conv = nn.Conv2d(1, 4, 3, stride=stride, padding=1)
        self.fc1 = nn.Linear(4 * 9, 8)
        self.fc2 = nn.Linear(8, 8)
        self.fc3 = nn.Linear(8, 3)
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(torch.randn(p.shape, generator=generator) * 0.4)
            self.fc3.bias.copy_(torch.tensor(FC3_BIAS))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = nn.functional.adaptive_avg_pool2d(torch.clamp(self.conv(x), 0.0, self.top), 3).flatten(1)
        y = torch.relu(self.fc1(y))
        return self.fc3(torch.relu(y + self.fc2(y)))


@pytest.fixture(scope="session")
def small() -> nn.Module:
    """The module that evaluators of `make_evaluator` get."""
    return Small()


@pytest.fixture(scope="session")
def capture_small() -> Callable[..., CapturedModel]:
    def make(**options: Any) -> CapturedModel:
        return fold_batch_norm(capture(Small(**options), torch.rand(2, 1, 6, 6)))

    return make


@pytest.fixture(scope="session")
def images() -> torch.Tensor:
    """Noise behind one of three masks, so that the network tells them apart by a small margin."""
    noise = torch.rand(360, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    masks = torch.ones(3, 1, 6, 6)
    masks[0, :, :, 3:] = masks[1, :, 3:] = 0
    return noise * masks[torch.arange(360) % 3]


@pytest.fixture(scope="session")
def splits(images: torch.Tensor) -> dict[str, Split]:
    """120 images each; labels are mostly what the float network says."""
    with torch.no_grad():
        labels = Small()(images).argmax(1)
    flip = torch.rand(len(images), generator=torch.Generator().manual_seed(2)) < 0.2
    labels = torch.where(flip, (labels + 1) % 3, labels)
    parts = {"search": slice(0, 120), "accept": slice(120, 240), "test": slice(240, 360)}
    return {name: Split(name, images[part], labels[part]) for name, part in parts.items()}


@pytest.fixture(scope="session")
def multipliers() -> dict[str, Multiplier]:
    return {name: load_multiplier(name) for name in NAMES}


@pytest.fixture(scope="session")
def make_evaluator(
    capture_small: Callable[..., CapturedModel], splits: dict[str, Split], multipliers: dict[str, Multiplier]
) -> Callable[..., Evaluator]:
    """A function that builds a fresh evaluator; every part can be replaced."""
    default = capture_small()

    def make(
        folder: Path | None = None,
        *,
        model: CapturedModel = default,
        calibration: torch.Tensor | None = None,
        recipe: Recipe | None = None,
        parts: dict[str, Split] = splits,
        circuits: dict[str, Multiplier] = multipliers,
        codings: Path | None = None,
        cap: int = 30,
        **options: Any,
    ) -> Evaluator:
        recipe = recipe or Recipe(fit_rows=64)
        inputs = (
            torch.rand(24, 1, 6, 6, generator=torch.Generator().manual_seed(5)) if calibration is None else calibration
        )
        data = Calibration(model, inputs, recipe.fit_rows, recipe.seed, recipe.activation_range)
        bank = CodingBank(data, recipe, codings)
        chip = load_accelerator("tpu_v4")
        return Evaluator(
            bank, network_of(model, "small"), circuits, "exact", {k: parts[k] for k in ("search", "accept")}, chip, cap,
            folder, **options,
        )  # fmt: skip

    return make
