"""Error-path attribution: complete, the approximate network's own loss at the path's end, slopes by differences."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from axdnn.importance import ErrorPath, ablation, error_attributions
from axdnn.importance.base import Context
from axdnn.importance.divergence import divergence, log_probabilities
from axdnn.importance.error_path import errors_of, path_slopes
from axdnn.layers import ApproxModel, Calibration, Recipe, approximate, build, fit_coding
from axdnn.multipliers import load_multiplier
from axdnn.quant import CapturedModel, network_of
from axdnn.records import InvalidInputError

RECIPE = Recipe(fit_rows=64)
COARSE = "mul8s_1L12"


class Chain(nn.Module):
    """Convolution, maximum pooling, three linear layers; nothing but layers requantises."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.a, self.b = nn.Conv2d(1, 4, 3), nn.Linear(16, 16), nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.max_pool2d(torch.relu(self.conv(x)), 2).flatten(1)
        return self.b(torch.relu(self.a(y)))


def calibrated(model: CapturedModel, shape: tuple[int, ...]) -> Calibration:
    images = torch.rand(64, *shape, generator=torch.Generator().manual_seed(9))
    return Calibration(model, images, RECIPE.fit_rows, RECIPE.seed)


def coarse(data: Calibration) -> ApproxModel:
    circuit = load_multiplier(COARSE)
    codings = {name: fit_coding(data.samples[name], circuit, RECIPE) for name in data.model.layer_names}
    return build(data, codings, network_of(data.model, "net"), RECIPE)


@pytest.fixture(scope="module")
def chain(captured: Callable[..., CapturedModel]) -> Calibration:
    return calibrated(captured(Chain(), (1, 6, 6), 3), (1, 6, 6))


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(48, 1, 6, 6, generator=torch.Generator().manual_seed(8))


def test_attributions_sum_to_the_loss(chain: Calibration, residual: CapturedModel, images: torch.Tensor) -> None:
    """To the error of quadrature, which falls with the steps: the path has a kink wherever a ReLU switches."""
    for data in (chain, calibrated(residual, (1, 6, 6))):
        found = error_attributions(
            data, network_of(data.model, "net"), images, panel=(COARSE, "mul8u_13QR"), steps=96, recipe=RECIPE
        )
        assert found.values.shape == (2, len(data.model.layer_names))
        assert float(found.losses.min()) > 1e-5
        torch.testing.assert_close(found.values.sum(1), found.losses, rtol=2e-3, atol=1e-6)


def test_the_path_ends_at_the_approximate_network(chain: Calibration, images: torch.Tensor) -> None:
    """Where only layers requantise, float operators between integer layers compute what the integer network does."""
    approx = coarse(chain)
    _, outputs = errors_of(chain.model, approx, images)
    torch.testing.assert_close(outputs, approx(images), rtol=1e-4, atol=1e-5)
    found = error_attributions(chain, approx.network, images, panel=(COARSE,), steps=1, recipe=RECIPE)
    exact = log_probabilities(chain.model(images))
    assert float(found.losses[0]) == pytest.approx(float(divergence(exact, approx(images)).mean()), rel=1e-4)


def test_with_one_layer_it_is_the_loss_that_ablation_measures(captured: Callable[..., CapturedModel]) -> None:
    model = captured(nn.Sequential(nn.Linear(16, 4)), (16,))
    data, images = calibrated(model, (16,)), torch.rand(64, 16)
    network = network_of(model, "net")
    found = error_attributions(data, network, images, panel=(COARSE,), steps=8, recipe=RECIPE)
    measured = ablation(data, network, images, panel=(COARSE,), recipe=RECIPE).values["0"]
    assert float(found.values[0, 0]) == pytest.approx(measured, rel=0.1), "ablation starts at 8 bits, the path at float"
    other = approximate(nn.Sequential(nn.Linear(16, 4)), COARSE, data.images, recipe=RECIPE)
    assert other.layer_names == ("0",)


def test_slopes_by_differences(chain: Calibration, images: torch.Tensor) -> None:
    """A layer's slope is what a little more of its own errors adds to the loss, the others' held."""
    model = chain.model
    errors, _ = errors_of(model, coarse(chain), images)
    exact = log_probabilities(model(images))

    def loss(amounts: dict[str, float]) -> float:
        handles = [
            model.layer(n).register_forward_hook(lambda m, i, o, n=n: o + amounts[n] * errors[n]) for n in amounts
        ]
        total = float(divergence(exact, model(images)).sum())
        for handle in handles:
            handle.remove()
        return total

    slopes = path_slopes(model, images, exact, errors, 0.6)
    for slope, name in zip(slopes.tolist(), model.layer_names, strict=True):
        near = [loss({**dict.fromkeys(model.layer_names, 0.6), name: 0.6 + step}) for step in (1e-2, -1e-2)]
        assert slope == pytest.approx((near[0] - near[1]) / 2e-2, rel=0.05, abs=1e-3)


def test_the_score_is_the_mean_over_circuits_without_what_helps(chain: Calibration, images: torch.Tensor) -> None:
    network, panel = network_of(chain.model, "net"), (COARSE, "mul8u_13QR")
    before = chain.network_images
    found = error_attributions(chain, network, images[:16], panel=panel, steps=5, recipe=RECIPE)
    assert chain.network_images == before, "what calibration took is counted with the score"
    assert found.network_images == 16 * (1 + 2 * 6) + 2 * 64
    score = ErrorPath(panel=panel, steps=5, images=16).score(
        Context(chain.model, network, images, lambda: chain, RECIPE)
    )
    for value, signed in zip(score.values.values(), found.values.mean(0).tolist(), strict=True):
        assert value == pytest.approx(max(signed, 0.0))
    assert score.settings["loss"] == f"{float(found.losses.mean()):.6g} nat"


def test_nothing_to_attribute_is_refused(chain: Calibration, images: torch.Tensor) -> None:
    network = network_of(chain.model, "net")
    with pytest.raises(InvalidInputError, match="0 images"):
        error_attributions(chain, network, images[:0])
    with pytest.raises(InvalidInputError, match="0 circuits"):
        error_attributions(chain, network, images, panel=())
    with pytest.raises(InvalidInputError, match="steps"):
        error_attributions(chain, network, images, steps=0)
