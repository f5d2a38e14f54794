"""Layer integrated gradients and gradient times activation against Captum, their definitions and completeness."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import pytest
import torch
from captum.attr import LayerGradientXActivation, LayerIntegratedGradients

from axdnn.importance import (
    AGGREGATIONS,
    Context,
    GradientXActivation,
    IntegratedGradients,
    gradient_x_activation,
    layer_integrated_gradients,
)
from axdnn.quant import CapturedModel, network_of
from axdnn.records import InvalidInputError, UnknownNameError
from axdnn.testing import counted_images

Found = dict[tuple[str, int], torch.Tensor]
SHAPES = {"tiny": (5,), "residual": (1, 6, 6)}


def collected(parts: Iterable[tuple[str, int, torch.Tensor]]) -> Found:
    found: dict[tuple[str, int], list[torch.Tensor]] = defaultdict(list)
    for layer, target, each in parts:
        found[layer, target].append(each)
    return {key: torch.cat(each) for key, each in found.items()}


@pytest.fixture(params=list(SHAPES))
def case(request: pytest.FixtureRequest) -> tuple[CapturedModel, torch.Tensor]:
    model: CapturedModel = request.getfixturevalue(request.param)
    return model, torch.randn(7, *SHAPES[request.param])


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("axdnn.importance.gradients.images_at_once", lambda model, image, steps: 3)


@pytest.mark.parametrize("baseline", [0.0, 0.7, "image"])
@pytest.mark.usefixtures("few_at_once")
def test_integrated_gradients_are_captums(case: tuple[CapturedModel, torch.Tensor], baseline: float | str) -> None:
    model, images = case
    start = torch.randn_like(images[:1]) if baseline == "image" else torch.full_like(images[:1], float(baseline))
    given = start if baseline == "image" else float(baseline)
    found = collected(layer_integrated_gradients(model, images, (2, 0), baseline=given, steps=9))
    assert set(found) == {(layer, target) for layer in model.layer_names for target in (2, 0)}
    for (layer, target), each in found.items():
        theirs = LayerIntegratedGradients(model, model.layer(layer)).attribute(
            images, start.expand_as(images).clone(), target, n_steps=9
        )
        torch.testing.assert_close(each, theirs.detach().float(), rtol=1e-4, atol=1e-6)


@pytest.mark.usefixtures("few_at_once")
def test_gradient_x_activation_is_captums(case: tuple[CapturedModel, torch.Tensor]) -> None:
    model, images = case
    found = collected(gradient_x_activation(model, images, (2, 0)))
    assert set(found) == {(layer, target) for layer in model.layer_names for target in (2, 0)}
    for (layer, target), each in found.items():
        theirs = LayerGradientXActivation(model, model.layer(layer)).attribute(images, target)
        torch.testing.assert_close(each, theirs.detach(), rtol=1e-5, atol=1e-7)


def test_gradient_x_activation_by_finite_differences(residual: CapturedModel) -> None:
    """A small change of one neuron, nothing else touched, moves the output by the gradient."""
    image = torch.randn(1, 1, 6, 6)
    found = collected(gradient_x_activation(residual, image, (1,)))["branch", 1]
    outputs: list[torch.Tensor] = []
    handle = residual.layer("branch").register_forward_hook(lambda m, i, o: outputs.append(o.detach()))
    residual(image)
    handle.remove()
    value = outputs[0]
    for place in [(0, 0, 0, 0), (0, 1, 2, 3), (0, 2, 5, 5)]:
        moved = []
        for step in (1e-2, -1e-2):
            changed = value.clone()
            changed[place] += step
            handle = residual.layer("branch").register_forward_hook(lambda m, i, o, c=changed: c)
            moved.append(float(residual(image)[0, 1]))
            handle.remove()
        slope = (moved[0] - moved[1]) / 2e-2
        assert float(found[place]) == pytest.approx(slope * float(value[place]), abs=1e-3)


def test_integrated_gradients_are_complete(case: tuple[CapturedModel, torch.Tensor]) -> None:
    """They sum to the output less the output with this layer as for the baseline, also beside a shortcut."""
    model, images = case
    found = collected(layer_integrated_gradients(model, images, (1,), steps=300))
    for layer in model.layer_names:
        black: list[torch.Tensor] = []
        handle = model.layer(layer).register_forward_hook(lambda m, i, o, b=black: b.append(o.detach()))
        model(torch.zeros_like(images))
        handle.remove()
        handle = model.layer(layer).register_forward_hook(lambda m, i, o, b=black: b[0])
        without = model(images)[:, 1]
        handle.remove()
        difference = model(images)[:, 1] - without
        total = found[layer, 1].flatten(1).sum(1)
        torch.testing.assert_close(total, difference, rtol=2e-2, atol=2e-3)


def context_of(model: CapturedModel, images: torch.Tensor) -> Context:
    def never() -> None:
        raise AssertionError("attribution needs no calibration")

    return Context(model, network_of(model, "net"), images, never)  # type: ignore[arg-type]


@pytest.mark.parametrize("aggregation", list(AGGREGATIONS))
@pytest.mark.parametrize("kind", [IntegratedGradients, GradientXActivation])
def test_the_score_is_the_mean_of_the_aggregated_attributions(
    kind: type, aggregation: str, residual: CapturedModel
) -> None:
    images = torch.rand(5, 1, 6, 6)
    score = kind(classes=(3, 1), aggregation=aggregation, images=4).score(context_of(residual, images))
    parts = (
        gradient_x_activation(residual, images[:4], (3, 1))
        if kind is GradientXActivation
        else layer_integrated_gradients(residual, images[:4], (3, 1))
    )
    found = collected(parts)
    for layer, value in score.values.items():
        flat = torch.stack([found[layer, target] for target in (3, 1)]).flatten(2)
        by_hand = {
            "abs_sum": flat.abs().sum(2), "abs_mean": flat.abs().mean(2), "signed_sum": flat.sum(2),
            "positive_sum": flat.clamp(min=0).sum(2),
        }[aggregation].mean()  # fmt: skip
        assert value == pytest.approx(float(by_hand), rel=1e-4, abs=1e-6)
    assert score.images == 4
    assert score.settings["classes"] == "3,1"


@pytest.mark.usefixtures("few_at_once")
def test_the_cost_is_counted_and_classes_are_free(residual: CapturedModel) -> None:
    images = torch.rand(8, 1, 6, 6)
    costs = {}
    for classes in ((0,), (0, 1, 2)):
        for scorer in (IntegratedGradients(classes=classes, steps=6), GradientXActivation(classes=classes)):
            with counted_images() as seen:
                score = scorer.score(context_of(residual, images))
            assert score.network_images == sum(seen)
            costs.setdefault(scorer.name, []).append(score.network_images)
    assert costs["gradient_x_activation"] == [1 + 8] * 2
    assert costs["integrated_gradients"] == [1 + (8 + 3) + 3 * 6 * 8] * 2  # three layers; three groups of images


@pytest.mark.parametrize("kind", [IntegratedGradients, GradientXActivation])
def test_layers_of_a_group_share_their_sum(kind: type, residual: CapturedModel) -> None:
    context = context_of(residual, torch.rand(3, 1, 6, 6))
    alone, together = kind().score(context).values, kind(groups={"[tb]*": "unit"}).score(context).values
    assert together["trunk"] == together["branch"] == pytest.approx(alone["trunk"] + alone["branch"])
    assert together["head"] == alone["head"]
    with pytest.raises(UnknownNameError, match="nothing"):
        kind(groups={"nothing": "unit"}).score(context)


@pytest.mark.parametrize(
    "make",
    [
        lambda: IntegratedGradients(steps=1),
        lambda: IntegratedGradients(images=0),
        lambda: IntegratedGradients(classes=()),
        lambda: IntegratedGradients(classes=(4,)),
        lambda: IntegratedGradients(aggregation="sum"),  # type: ignore[arg-type]
        lambda: IntegratedGradients(baseline=float("nan")),
        lambda: GradientXActivation(classes=(-1,)),
        lambda: GradientXActivation(images=0),
        lambda: GradientXActivation(aggregation="sum"),  # type: ignore[arg-type]
    ],
)
def test_options_that_cannot_hold(make: Callable[[], IntegratedGradients], residual: CapturedModel) -> None:
    with pytest.raises(InvalidInputError):
        make().score(context_of(residual, torch.rand(3, 1, 6, 6)))
