"""A trained network in a file: the same bits come back, and nothing but the network that was saved."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from axdnn.layers import ApproxModel, Recipe, approximate, coded
from axdnn.multipliers import load_multiplier
from axdnn.quant import CapturedModel, capture, fold_batch_norm, network_of
from axdnn.records import CheckpointError, Multiplier
from axdnn.retraining import FineTuning, fine_tune, network_bytes, read_network, trainable


class Mixed(nn.Module):
    """A convolution, attention (products of activations), a residual, a line of its own and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.norm = nn.Conv2d(1, 8, 3, stride=2, groups=1), nn.BatchNorm2d(8)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)
        self.head = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.conv(x)))
        x = self.block((x + 0.5 * x).flatten(2).transpose(1, 2))
        return self.head(x.mean(1))


CIRCUITS = {"conv": "mul8u_13QR", "block.*": "mul8s_1L2N", "head": "exact"}


@pytest.fixture(scope="module")
def trained() -> tuple[ApproxModel, CapturedModel, dict[str, Multiplier], torch.Tensor]:
    """The network after a few steps, its captured model, the circuit of each layer, and images."""
    model, images = Mixed().eval(), torch.rand(64, 1, 9, 9, generator=torch.Generator().manual_seed(1))
    start = approximate(model, CIRCUITS, images)
    network = trainable(start, model, images)
    fine_tune(network, images, torch.arange(64) % 4, FineTuning(epochs=2, batch_size=16, learning_rate=1e-2))
    done = network.finish()
    wired = {name: done.layer(name).multiplier for name in done.layer_names}
    assert not torch.equal(done(images), start(images))
    return done, fold_batch_norm(capture(model, images[:2])), wired, images


def test_the_same_bits_come_back_on_every_path(
    trained: tuple[ApproxModel, CapturedModel, dict[str, Multiplier], torch.Tensor], tmp_path: Path
) -> None:
    model, captured, wired, images = trained
    content = network_bytes(model)
    assert content == network_bytes(copy.deepcopy(model))
    (tmp_path / "net").write_bytes(content)
    found = read_network(tmp_path / "net", captured, network_of(captured, "mixed"), wired)
    assert torch.equal(found(images), model(images))
    assert network_bytes(found) == content
    assert found.assignment == model.assignment
    found.path = "reference"
    assert torch.equal(found(images[:8]), model(images[:8]))


def test_what_is_not_the_network_is_refused(
    trained: tuple[ApproxModel, CapturedModel, dict[str, Multiplier], torch.Tensor], tmp_path: Path
) -> None:
    model, captured, wired, _ = trained
    content, file = network_bytes(model), tmp_path / "net"
    network = network_of(captured, "mixed")

    def refused(data: bytes, says: str, circuits: dict[str, Multiplier] = wired) -> None:
        file.write_bytes(data)
        with pytest.raises(CheckpointError, match=says):
            read_network(file, captured, network, circuits)

    refused(content[:-40], "cannot be read")
    refused(b"", "cannot be read")
    refused(safetensors.torch.save({"x": torch.zeros(1)}), "cannot be read")
    refused(content, "another circuit in layer 'conv'", {**wired, "conv": coded(load_multiplier("exact"), Recipe())})
    file.unlink()
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_network(file, captured, network, wired)
    other = fold_batch_norm(capture(nn.Sequential(nn.Flatten(), nn.Linear(81, 4)), torch.rand(2, 1, 9, 9)))
    file.write_bytes(content)
    with pytest.raises(CheckpointError, match="of another model"):
        read_network(file, other, network_of(other, "other"), wired)


def test_a_weight_of_another_shape_is_refused(
    trained: tuple[ApproxModel, CapturedModel, dict[str, Multiplier], torch.Tensor], tmp_path: Path
) -> None:
    model, captured, wired, _ = trained
    (tmp_path / "net").write_bytes(network_bytes(model))
    with torch.no_grad():
        wider = copy.deepcopy(captured)
        wider.layer("conv").weight = torch.zeros(8, 2, 3, 3)
    with pytest.raises(CheckpointError, match=r"must have weights \(8, 2, 3, 3\) in layer 'conv'"):
        read_network(tmp_path / "net", wider, network_of(captured, "mixed"), wired)
