"""DeepLIFT: changes sum to the change of the result, and the numbers are Captum's where Captum can read the network."""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable

import pytest
import torch
from captum.attr import LayerDeepLift
from torch import nn

from axdnn.importance import Context, DeepLift, deeplift
from axdnn.importance.mean_slopes import MeanSlopes
from axdnn.quant import CapturedModel, capture, fold_batch_norm, network_of
from axdnn.records import InvalidInputError

Found = dict[tuple[str, int], torch.Tensor]


def collected(model: CapturedModel, images: torch.Tensor, classes: tuple[int, ...], baseline: object = 0.0) -> Found:
    found: dict[tuple[str, int], list[torch.Tensor]] = defaultdict(list)
    for layer, target, each in deeplift(model, images, classes, baseline=baseline):  # type: ignore[arg-type]
        found[layer, target].append(each)
    return {key: torch.cat(each) for key, each in found.items()}


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules["axdnn.importance.deeplift"], "images_at_once", lambda model, image, steps: 3)


def chain(pool: type[nn.Module] = nn.AvgPool2d) -> nn.Sequential:
    """Layers and activation functions that Captum has rules for, each module used once."""
    torch.manual_seed(3)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), pool(2), nn.Conv2d(4, 5, 3), nn.Sigmoid(), nn.AvgPool2d(2),
        nn.Flatten(), nn.Linear(20, 8), nn.Tanh(), nn.Linear(8, 6), nn.Softplus(), nn.Linear(6, 4),
    ).eval()  # fmt: skip


@pytest.mark.parametrize("baseline", [0.0, 0.4, "image"])
@pytest.mark.usefixtures("few_at_once")
def test_a_plain_chain_gives_captums_numbers(baseline: float | str) -> None:
    module, images = chain(), torch.randn(7, 1, 12, 12)
    start = torch.randn(1, 1, 12, 12) if baseline == "image" else torch.full((1, 1, 12, 12), float(baseline))
    model = fold_batch_norm(capture(module, images))
    found = collected(model, images, (2, 0), start if baseline == "image" else baseline)
    weighted = [(str(i), m) for i, m in enumerate(module) if isinstance(m, nn.Conv2d | nn.Linear)]
    assert set(found) == {(name, target) for name, _ in weighted for target in (2, 0)}
    module, images, start = module.double(), images.double(), start.double()
    for name, layer in weighted:
        for target in (2, 0):
            theirs = LayerDeepLift(module, layer).attribute(images, start.expand_as(images).clone(), target=target)
            # Ours is float32: where an activation hardly changes its quotient is mostly rounding, so no bound for each.
            error = (found[name, target] - theirs.detach()).norm() / theirs.detach().norm()
            assert float(error) < 5e-3, (name, target)


@pytest.mark.usefixtures("few_at_once")
def test_maximum_pooling_sums_where_captums_rule_does_not() -> None:
    """Every layer of a chain is a complete cut; Captum agrees behind the pooling and loses some before it."""
    module, images, start = chain(nn.MaxPool2d), torch.randn(7, 1, 12, 12), torch.randn(1, 1, 12, 12)
    model = fold_batch_norm(capture(module, images))
    change = (module(images) - module(start))[:, 2].detach()
    found, size = collected(model, images, (2,), start), float(change.abs().max())
    for name in model.layer_names:
        theirs = LayerDeepLift(module, module[int(name)]).attribute(images, start.expand_as(images).clone(), target=2)
        torch.testing.assert_close(found[name, 2].flatten(1).sum(1), change, rtol=0, atol=1e-3 * size)
        missing = float((theirs.detach().flatten(1).sum(1) - change).abs().max())
        assert (missing > 0.5 * size) == (name == "0"), name


def test_a_captured_network_would_be_read_wrongly_by_captum() -> None:
    """Why there is an implementation here: activation functions that are no modules get plain gradients there."""
    module, images = chain(), torch.randn(5, 1, 12, 12)
    model = fold_batch_norm(capture(module, images))
    theirs = LayerDeepLift(model, model.layer("0")).attribute(images, target=1)
    change = (module(images) - module(torch.zeros_like(images)))[:, 1]
    assert not torch.allclose(theirs.flatten(1).sum(1), change, rtol=0.05)
    torch.testing.assert_close(collected(model, images, (1,))["0", 1].flatten(1).sum(1), change, rtol=1e-4, atol=1e-5)


class Mixed(nn.Module):
    """Attention, a gate, a normalisation and a shortcut between two layers that are complete cuts."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(5, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.norm = nn.LayerNorm(8)
        self.gate = nn.Linear(8, 8)
        self.last = nn.Linear(8, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = torch.nn.functional.gelu(self.first(x))
        y = y + self.attention(y, y, y, need_weights=False)[0]
        y = self.norm(y)
        y = y * torch.sigmoid(self.gate(y)) + y
        return self.last(y.mean(1))


def test_changes_sum_to_the_change_of_the_result_through_every_kind_of_operator() -> None:
    torch.manual_seed(5)
    module, images, start = Mixed().eval(), torch.randn(6, 3, 5), torch.randn(1, 3, 5)
    model = fold_batch_norm(capture(module, images))
    assert {node.op for node in model.nodes.values()} >= {"matmul", "function", "unary", "add"}
    found = collected(model, images, (0, 3), start)
    for target in (0, 3):
        change = (module(images) - module(start))[:, target]
        for cut in ("first", "last"):
            torch.testing.assert_close(found[cut, target].flatten(1).sum(1), change, rtol=2e-3, atol=2e-3)


def test_beside_a_shortcut_the_parts_of_a_cut_sum(residual: CapturedModel) -> None:
    """What goes through the branch and what goes past it is what the trunk has, less what ReLU makes of it."""
    images = torch.randn(6, 1, 6, 6)
    found = collected(residual, images, (1,))
    change = (residual(images) - residual(torch.zeros_like(images)))[:, 1]
    for cut in ("trunk", "head"):
        torch.testing.assert_close(found[cut, 1].flatten(1).sum(1), change, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found["branch", 1].flatten(1).sum(1), change, rtol=0.05), "a branch is no cut"


def test_a_layer_called_twice_has_both_calls(captured: Callable[..., CapturedModel]) -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.same = nn.Linear(5, 5)
            self.last = nn.Linear(5, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(torch.relu(self.same(torch.relu(self.same(x)))))

    model, images = captured(Twice(), (5,)), torch.randn(4, 5)
    parts = [each for layer, _, each in deeplift(model, images, (2,)) if layer == "same"]
    change = (model(images) - model(torch.zeros_like(images)))[:, 2]
    assert len(parts) == 2
    for each in parts:
        torch.testing.assert_close(each.flatten(1).sum(1), change, rtol=1e-4, atol=1e-5)


def test_equal_inputs_have_ordinary_gradients(residual: CapturedModel) -> None:
    """Where an image does not differ from the baseline the slope is the derivative, and nothing is attributed."""
    image = torch.randn(1, 1, 6, 6)
    sloped = MeanSlopes(residual)
    outputs = sloped(torch.cat([image, image]))
    (slope,) = torch.autograd.grad(outputs[0, 1], sloped.values["trunk"])
    values: list[torch.Tensor] = []
    handle = residual.layer("trunk").register_forward_hook(lambda m, i, o: values.append(o) or o)
    result = residual(image.clone().requires_grad_())[0, 1]
    handle.remove()
    (plain,) = torch.autograd.grad(result, values[0])
    torch.testing.assert_close(slope[:1], plain, rtol=1e-4, atol=1e-6)
    assert not slope[1:].any()
    assert not collected(residual, image, (1,), image)["trunk", 1].any()


@pytest.mark.parametrize(
    "scorer", [DeepLift(images=0), DeepLift(classes=(4,)), DeepLift(aggregation="sum")]  # type: ignore[arg-type]
)  # fmt: skip
def test_options_that_cannot_hold(scorer: DeepLift, residual: CapturedModel) -> None:
    context = Context(residual, network_of(residual, "net"), torch.rand(3, 1, 6, 6), lambda: None)  # type: ignore[arg-type, return-value]
    with pytest.raises(InvalidInputError):
        scorer.score(context)
