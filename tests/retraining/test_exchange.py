"""Other circuits in a trained network, and the float network that it stands for."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
from torch import nn

from axdnn.layers import ApproxModel, Calibration, LayerCoding, Recipe, build, fit_coding
from axdnn.multipliers import load_multiplier
from axdnn.quant import CapturedModel, capture, fold_batch_norm, network_of
from axdnn.retraining import Exchange, FineTuning, fine_tune, latent_weights, trainable, trained_float

RECIPE = Recipe(fit_rows=128)


class Net(nn.Module):
    """Two convolutions, the second called twice, and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.norm = nn.Conv2d(1, 6, 3, stride=2), nn.BatchNorm2d(6)
        self.again, self.head = nn.Conv2d(6, 6, 3, padding=1), nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.first(x)))
        x = torch.relu(self.again(torch.relu(self.again(x))))
        return self.head(x.mean(dim=(2, 3)))


class Setting(NamedTuple):
    """A network before and after a few steps, and the float network that the latter stands for."""

    images: torch.Tensor
    captured: CapturedModel
    start: ApproxModel
    trained: ApproxModel
    weights: CapturedModel
    unchanged: CapturedModel


def coding(data: Calibration, layer: str, circuit: str) -> LayerCoding:
    return fit_coding(data.samples[layer], load_multiplier(circuit), RECIPE)


@pytest.fixture(scope="module")
def setting() -> Setting:
    images = torch.rand(96, 1, 11, 11, generator=torch.Generator().manual_seed(1))
    captured = fold_batch_norm(capture(Net().eval(), images[:2]))
    data = Calibration(captured, images, RECIPE.fit_rows, RECIPE.seed, RECIPE.activation_range)
    codings = {name: coding(data, name, "mul8u_13QR") for name in captured.layer_names}
    start = build(data, codings, network_of(captured, "net"), RECIPE)
    network = trainable(start, captured, images, recipe=RECIPE)
    before = latent_weights(network)
    unchanged = trained_float(network, before, captured, images)
    labels = captured(images).argmax(1)
    fine_tune(network, images, labels, FineTuning(epochs=4, batch_size=16, learning_rate=1e-2, scale_rate=1e-2))
    return Setting(
        images, captured, start, network.finish(), trained_float(network, before, captured, images), unchanged
    )


def apart(model: nn.Module, other: nn.Module, images: torch.Tensor) -> float:
    """Distance of the outputs, as a share of their size."""
    found, wanted = model(images), other(images)
    return float((found - wanted).norm() / wanted.norm())


def test_without_training_it_stands_for_the_approximate_network(setting: Setting) -> None:
    for name in setting.captured.layer_names:
        old, new = (model.layer(name).weight.flatten(1) for model in (setting.captured, setting.unchanged))
        assert torch.allclose(torch.nn.functional.cosine_similarity(old, new), torch.ones(len(old)), atol=1e-6)
    before = apart(setting.captured, setting.start, setting.images)
    assert apart(setting.unchanged, setting.start, setting.images) < before < 0.1


def test_the_float_network_follows_the_training(setting: Setting) -> None:
    assert apart(setting.start, setting.trained, setting.images) > 0.5, "training changed the outputs"
    assert apart(setting.captured, setting.trained, setting.images) > 0.3
    assert apart(setting.weights, setting.trained, setting.images) < 0.1


def test_layers_that_stay_keep_their_bits(setting: Setting) -> None:
    data = Calibration(setting.weights, setting.images, RECIPE.fit_rows, RECIPE.seed, RECIPE.activation_range)
    exchange = Exchange(setting.trained, data)
    assert torch.equal(exchange.model({})(setting.images), setting.trained(setting.images))
    for name in setting.captured.layer_names:
        model = exchange.model({name: coding(data, name, "mul8s_1L2N")})
        circuits = model.assignment.multipliers
        assert circuits == {**setting.trained.assignment.multipliers, name: "mul8s_1L2N"}
        for kept in set(circuits) - {name}:
            assert model.layer(kept) is setting.trained.layer(kept)
        literal = model(setting.images[:4])
        model.path = "reference"
        assert torch.equal(model(setting.images[:4]), literal)
    assert exchange.network_images == 96 * (2 + len(setting.captured.layer_names))


def test_an_exchange_stays_near_the_trained_network(setting: Setting) -> None:
    """Near the trained one, also where that is far from the network before training; a fine circuit is nearer."""
    data = Calibration(setting.weights, setting.images, RECIPE.fit_rows, RECIPE.seed, RECIPE.activation_range)
    exchange = Exchange(setting.trained, data)
    moved = apart(setting.start, setting.trained, setting.images)
    for name in setting.captured.layer_names:
        fine = apart(exchange.model({name: coding(data, name, "mul8s_1L2L")}), setting.trained, setting.images)
        assert fine < 0.8 * moved, name
