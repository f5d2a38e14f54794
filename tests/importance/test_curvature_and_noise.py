"""Curvature against explicit Jacobians and against measured noise; learned noise against its optimum in closed form."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import nn

from axdnn.importance import Context, Fisher, LearnedNoise, NoiseRanking, Scorer
from axdnn.quant import CapturedModel, network_of
from axdnn.records import InvalidInputError


def context_of(model: CapturedModel, images: torch.Tensor) -> Context:
    def never() -> None:
        raise AssertionError("these scores need no calibration")

    return Context(model, network_of(model, "net"), images, never)  # type: ignore[arg-type]


def outputs_from(model: CapturedModel, layer: str, image: torch.Tensor) -> tuple[torch.Tensor, Callable]:  # type: ignore[type-arg]
    """A layer's output for an image, and the network as a function of it."""
    held: list[torch.Tensor] = []
    handle = model.layer(layer).register_forward_hook(lambda m, i, o: held.append(o))
    model(image)
    handle.remove()

    def rest(value: torch.Tensor) -> torch.Tensor:
        handle = model.layer(layer).register_forward_hook(lambda m, i, o: value)
        try:
            return model(image)[0]
        finally:
            handle.remove()

    return held[0].detach(), rest


def by_definition(model: CapturedModel, layer: str, images: torch.Tensor) -> float:
    """Half the variance of the outputs times the trace of J'(diag(p) - pp')J, explicit and in float64."""
    values, traces = [], []
    for image in images.split(1):
        value, rest = outputs_from(model, layer, image)
        jacobian = torch.autograd.functional.jacobian(rest, value).double().flatten(1)
        p = torch.softmax(rest(value).double(), 0)
        traces.append(float(torch.trace(jacobian.T @ (torch.diag(p) - torch.outer(p, p)) @ jacobian)))
        values.append(value.double())
    channel = model.nodes[layer].channel_dim
    rows = torch.cat(values).movedim(channel, 0).flatten(1)
    return 0.5 * float(rows.var(dim=1, unbiased=False).mean()) * sum(traces) / len(traces)


@pytest.mark.parametrize("shape", [(5,), (1, 6, 6)])
def test_curvature_is_the_explicit_gauss_newton_trace(
    shape: tuple[int, ...], tiny: CapturedModel, residual: CapturedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("axdnn.importance.fisher.images_at_once", lambda model, image, steps: 2)
    model, images = (tiny if len(shape) == 1 else residual), torch.randn(5, *shape)
    score = Fisher().score(context_of(model, images))
    for layer, value in score.values.items():
        assert value == pytest.approx(by_definition(model, layer, images), rel=1e-4)
    assert score.unit == "nat per share of variance"


def test_drawn_labels_are_right_on_average(residual: CapturedModel) -> None:
    context = context_of(residual, torch.randn(16, 1, 6, 6))
    exact, drawn = (Fisher(most_classes=most, draws=400).score(context) for most in (4, 3))
    assert (exact.settings["labels"], drawn.settings["labels"]) == ("all classes", "400 drawn, seed 0")
    for layer, value in exact.values.items():
        assert drawn.values[layer] == pytest.approx(value, rel=0.1)
    other = Fisher(most_classes=3, draws=2, seed=1).score(context)
    assert other.values != Fisher(most_classes=3, draws=2).score(context).values


def test_little_noise_costs_what_the_curvature_says(residual: CapturedModel) -> None:
    """Two scores that share no derivation: a measured divergence and a trace of derivatives."""
    context = context_of(residual, torch.randn(32, 1, 6, 6))
    curvature = Fisher().score(context).values
    noisy = NoiseRanking(share=0.02, seeds=60).score(context).values
    for layer, value in curvature.items():
        assert noisy[layer] / 0.02**2 == pytest.approx(value, rel=0.15)


def test_more_noise_more_divergence(residual: CapturedModel) -> None:
    """For small shares the divergence grows as their square; no noise, no divergence."""
    context = context_of(residual, torch.randn(16, 1, 6, 6))
    shares = (0.0, 0.01, 0.02, 0.04, 0.08)
    found = [NoiseRanking(share=share).score(context).values for share in shares]
    for layer in residual.layer_names:
        values = [each[layer] for each in found]
        assert values[0] == pytest.approx(0.0, abs=1e-9)
        assert values == sorted(values)
        assert values[2] / values[1] == pytest.approx(4.0, rel=0.15)
        assert values[3] / values[2] == pytest.approx(4.0, rel=0.25)


def test_noise_differs_by_seed_and_is_averaged_over_seeds(residual: CapturedModel) -> None:
    context = context_of(residual, torch.randn(6, 1, 6, 6))
    one, two, both = (
        NoiseRanking(seed=seed, seeds=seeds).score(context).values for seed, seeds in ((4, 1), (5, 1), (4, 2))
    )
    assert one != two
    for layer, value in both.items():
        assert value == pytest.approx((one[layer] + two[layer]) / 2, rel=1e-9)


@pytest.mark.parametrize("weights", ["equal", "products"])
def test_learned_noise_is_at_its_optimum(weights: str, captured: Callable[..., CapturedModel]) -> None:
    """Little noise in a smooth network: `2 sigma^2 F = balance * w`, with F from explicit Jacobians."""

    class Smooth(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(5, 12), nn.Linear(12, 6), nn.Linear(6, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.c(torch.tanh(self.b(torch.tanh(self.a(x)))))

    model, images, balance = captured(Smooth(), (5,)), torch.randn(48, 5), 2e-3
    score = LearnedNoise(balance=balance, weights=weights, steps=60).score(context_of(model, images))
    products = {"a": 60, "b": 72, "c": 18}
    for layer, value in score.values.items():
        share = 1 / 3 if weights == "equal" else products[layer] / 150
        assert value == pytest.approx(2 * by_definition(model, layer, images) / (balance * share), rel=0.15)


def test_learned_noise_stops_at_the_cap(residual: CapturedModel) -> None:
    score = LearnedNoise(balance=1e6, cap=0.5, steps=12).score(context_of(residual, torch.randn(4, 1, 6, 6)))
    assert list(score.values.values()) == pytest.approx([4.0] * 3)


@pytest.mark.parametrize(
    "scorer",
    [
        Fisher(images=0),
        Fisher(draws=0),
        NoiseRanking(share=-0.1),
        NoiseRanking(share=float("nan")),
        NoiseRanking(seeds=0),
        NoiseRanking(images=0),
        LearnedNoise(weights="macs"),
        LearnedNoise(balance=0.0),
        LearnedNoise(steps=1),
        LearnedNoise(cap=0.0),
        LearnedNoise(images=0),
    ],
)
def test_options_that_cannot_hold(scorer: Scorer, residual: CapturedModel) -> None:
    with pytest.raises(InvalidInputError):
        scorer.score(context_of(residual, torch.rand(3, 1, 6, 6)))
