"""Measured ablation against a literal computation, and the order it gives."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from axdnn.importance import PANEL, ablation
from axdnn.layers import Calibration, Recipe, approximate
from axdnn.multipliers import load_multiplier
from axdnn.quant import CapturedModel, capture, fold_batch_norm, network_of
from axdnn.records import InvalidInputError

RECIPE = Recipe(fit_rows=64)


class Three(nn.Module):
    """Input -> fragile -> sturdy and dead in parallel -> output."""

    def __init__(self) -> None:
        super().__init__()
        self.fragile = nn.Linear(16, 16)
        self.sturdy = nn.Linear(16, 16)
        self.dead = nn.Linear(16, 16)
        self.out = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.relu(self.fragile(x))
        return self.out(torch.relu(y + self.sturdy(y) + self.dead(y)))


@pytest.fixture(scope="module")
def three() -> nn.Module:
    module, generator = Three(), torch.Generator().manual_seed(4)
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) * 0.5)
        module.sturdy.weight.mul_(0.01)  # what it gets wrong hardly reaches the output
        module.dead.weight.zero_()
        module.dead.bias.zero_()
    return module


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(96, 16, generator=torch.Generator().manual_seed(8))


@pytest.fixture(scope="module")
def ready(three: nn.Module, images: torch.Tensor) -> Calibration:
    return Calibration(fold_batch_norm(capture(three, images)), images[:64], RECIPE.fit_rows, RECIPE.seed)


def test_a_sensitive_layer_first_a_dead_layer_last(ready: Calibration, images: torch.Tensor) -> None:
    score = ablation(ready, network_of(ready.model, "three"), images[64:], recipe=RECIPE)
    order = sorted(score.values, key=lambda name: score.values[name])
    assert order[0] == "dead"
    assert order[1] == "sturdy"
    assert score.values["dead"] < 0.02 * max(score.values.values())
    assert (score.unit, score.settings["panel"]) == ("nat", ",".join(PANEL))


def test_agrees_with_a_literal_computation(three: nn.Module, ready: Calibration, images: torch.Tensor) -> None:
    """One layer approximate, all others exact: mean Kullback-Leibler divergence of the softmax outputs, in nats."""
    held_out, panel = images[64:], ("mul8s_1L12", "mul8u_13QR")
    score = ablation(ready, network_of(ready.model, "three"), held_out, panel=panel, recipe=RECIPE)

    def probabilities(multipliers: dict[str, str]) -> np.ndarray:
        logits = approximate(three, multipliers, images[:64], recipe=RECIPE)(held_out).double().numpy()
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return shifted / shifted.sum(axis=1, keepdims=True)

    exact = probabilities({"*": "exact"})
    for layer in ready.model.layer_names:
        divergences = []
        for circuit in panel:
            other = probabilities({layer: circuit, "*": "exact"})
            divergences.append((exact * np.log(exact / other)).sum(axis=1).mean())
        assert score.values[layer] == pytest.approx(np.mean(divergences), rel=1e-6, abs=1e-12)


def test_the_exact_circuit_does_no_damage(ready: Calibration, images: torch.Tensor) -> None:
    score = ablation(ready, network_of(ready.model, "three"), images[64:], panel=("exact",), recipe=RECIPE)
    assert set(score.values.values()) == {0.0}


def test_circuits_may_be_given_as_records(ready: Calibration, images: torch.Tensor) -> None:
    network = network_of(ready.model, "three")
    by_name = ablation(ready, network, images[64:], panel=("mul8s_1L12",), recipe=RECIPE)
    by_record = ablation(ready, network, images[64:], panel=(load_multiplier("mul8s_1L12"),), recipe=RECIPE)
    assert by_name == by_record


def test_the_calibration_gets_its_count_back(ready: Calibration, images: torch.Tensor) -> None:
    """The images an ablation spends are its own: an evaluator that shares the calibration does not count them twice."""
    before = ready.network_images
    score = ablation(ready, network_of(ready.model, "three"), images[64:], panel=("exact",), recipe=RECIPE)
    assert ready.network_images == before
    runs = 1 + len(ready.model.layer_names)
    assert score.network_images == runs * (32 + 64)


def test_without_compensation_no_calibration_images_are_spent(
    captured: Callable[..., CapturedModel], three: nn.Module, images: torch.Tensor
) -> None:
    recipe = Recipe(fit_rows=64, compensate=False)
    data = Calibration(fold_batch_norm(capture(three, images)), images[:64], 64, 0)
    score = ablation(data, network_of(data.model, "three"), images[64:], panel=("exact",), recipe=recipe)
    assert score.network_images == (1 + len(data.model.layer_names)) * 32


def test_nothing_to_measure_is_refused(ready: Calibration, images: torch.Tensor) -> None:
    network = network_of(ready.model, "three")
    with pytest.raises(InvalidInputError, match="0 and 3"):
        ablation(ready, network, images[:0])
    with pytest.raises(InvalidInputError, match="32 and 0"):
        ablation(ready, network, images[64:], panel=())
