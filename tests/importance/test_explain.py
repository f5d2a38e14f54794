"""`explain`: one call, every image counted, the user's model left alone; rank agreement."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau
from torch import nn

from axdnn.importance import Ablation, Conductance, ErrorPath, explain, kendall_tau
from axdnn.layers import Recipe
from axdnn.quant import CapturedModel, capture
from axdnn.records import InvalidInputError, LayerScores, UnknownNameError, from_json, to_json
from axdnn.testing import counted_images

RECIPE = Recipe(fit_rows=64)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(64, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.fc(self.drop(torch.relu(self.norm(self.conv(x)))).flatten(1))


@pytest.fixture(scope="module")
def net() -> nn.Module:
    torch.manual_seed(0)
    return Net().eval()


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return torch.rand(40, 1, 6, 6, generator=torch.Generator().manual_seed(1))


def test_two_scores_over_the_same_layers(net: nn.Module, images: torch.Tensor) -> None:
    messages: list[tuple[str, int, int]] = []
    network, scores = explain(
        net, images, calibration=images[:16], steps=3, conductance_images=4, recipe=RECIPE, name="net",
        progress=lambda *m: messages.append(m),
    )  # fmt: skip
    assert network.name == "net"
    assert [s.score for s in scores] == ["conductance", "ablation"]
    assert [s.images for s in scores] == [4, 40]
    assert all(tuple(s.values) == network.layer_names for s in scores)
    assert scores[0].settings["classes"] == "0,1,2"
    assert -1.0 <= kendall_tau(*scores) <= 1.0
    assert {(done, total) for _, done, total in messages if done == total} == {(12, 12), (6, 6), (40, 40)}
    assert all(from_json(LayerScores, to_json(s)) == s for s in scores)


@pytest.mark.parametrize("wanted", [("conductance", "ablation"), ("ablation",), ("ablation", "ablation"), ()])
def test_every_image_is_counted_calibration_included(
    net: nn.Module, images: torch.Tensor, wanted: tuple[str, ...]
) -> None:
    """What is left out is the capture's own check of the graph on a few inputs."""
    with counted_images() as check:
        capture(net, images)
    with counted_images() as seen:
        _, scores = explain(net, images, calibration=images[:16], scores=wanted, steps=3, recipe=RECIPE)
    assert sum(s.network_images for s in scores) == sum(seen) - sum(check)


def test_scorers_with_options_of_their_own(net: nn.Module, images: torch.Tensor) -> None:
    scorers = (Conductance(aggregation="abs_mean", steps=2, images=3), Ablation(panel=("exact",)), "conductance")
    _, (mean, nothing, usual) = explain(net, images, scores=scorers, steps=4, conductance_images=5, recipe=RECIPE)
    assert (mean.settings["aggregation"], mean.images) == ("abs_mean", 3)
    assert set(nothing.values.values()) == {0.0}
    assert (usual.settings["steps"], usual.images) == ("4", 5)


def test_the_recipe_reaches_the_calibration(captured: Callable[..., CapturedModel], images: torch.Tensor) -> None:
    """The range rule of the operators between the layers is the recipe's, too."""
    from axdnn.layers import approximate

    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = self.a(x)
            return self.c(torch.relu(y + self.b(torch.relu(y))))

    torch.manual_seed(2)
    net, x = Sum().eval(), torch.randn(64, 8) ** 3
    recipe = Recipe(fit_rows=64, activation_range="minmax")
    _, (found,) = explain(net, x, scores=(Ablation(panel=("mul8s_1L12",)),), recipe=recipe)
    exact = torch.log_softmax(approximate(net, "exact", x, recipe=recipe)(x).double(), 1)
    other = torch.log_softmax(approximate(net, {"a": "mul8s_1L12", "*": "exact"}, x, recipe=recipe)(x).double(), 1)
    assert found.values["a"] == pytest.approx(float((exact.exp() * (exact - other)).sum(1).mean()), rel=1e-9)


def test_the_users_model_is_left_alone(net: nn.Module, images: torch.Tensor) -> None:
    before = {k: v.clone() for k, v in net.state_dict().items()}
    net.train()
    explain(net, images, steps=2, conductance_images=2, recipe=RECIPE)
    assert net.training
    assert net.drop.training
    assert all(p.requires_grad and p.grad is None for p in net.parameters())
    assert all(torch.equal(before[k], v) for k, v in net.state_dict().items())
    assert not any(len(m._forward_hooks) + len(m._backward_hooks) for m in net.modules())
    net.eval()


def test_unknown_scores_and_empty_inputs_are_refused(net: nn.Module, images: torch.Tensor) -> None:
    with pytest.raises(UnknownNameError, match="ablation"):
        explain(net, images, scores=("ablations",))
    with pytest.raises(InvalidInputError, match="at least one"):
        explain(net, images[:0])


def scores_of(values: list[float]) -> LayerScores:
    return LayerScores(score="s", values={f"layer{i}": float(v) for i, v in enumerate(values)})


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=12))
def test_tau_is_tau_b(pairs: list[tuple[int, int]]) -> None:
    a, b = [p[0] for p in pairs], [p[1] for p in pairs]
    found = kendall_tau(scores_of(a), scores_of(b))
    signs = [((a[i] > a[j]) - (a[i] < a[j]), (b[i] > b[j]) - (b[i] < b[j])) for i in range(len(a)) for j in range(i)]
    untied = [sum(s[k] != 0 for s in signs) for k in (0, 1)]
    expected = sum(x * y for x, y in signs) / (untied[0] * untied[1]) ** 0.5 if all(untied) else 0.0
    assert found == pytest.approx(expected, abs=1e-12)
    if all(untied):
        assert found == pytest.approx(float(kendalltau(a, b).statistic))


def test_tau_of_constants_orders_and_mismatches() -> None:
    rising = scores_of([1, 2, 3, 4])
    assert kendall_tau(rising, scores_of([2, 4, 6, 80])) == 1.0
    assert kendall_tau(rising, scores_of([4, 3, 2, 1])) == -1.0
    assert kendall_tau(rising, scores_of([5, 5, 5, 5])) == 0.0
    shuffled = LayerScores(score="s", values=dict(reversed(list(rising.values.items()))))
    assert kendall_tau(rising, shuffled) == 1.0
    with pytest.raises(InvalidInputError, match="4 and"):
        kendall_tau(rising, scores_of([1, 2, 3]))
    with pytest.raises(InvalidInputError, match="at least 2"):
        kendall_tau(scores_of([1]), scores_of([1]))


class Sequence(nn.Module):
    """Self-attention, then a recurrent layer whose steps come first and examples second."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.rnn, self.head = nn.GRU(8, 8), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(x, x, x, need_weights=False)[0]
        return self.head(self.rnn(x.transpose(0, 1))[0][-1])


def test_scores_take_attention_and_layers_called_several_times() -> None:
    """Batches move to other axes there, products have no weights, and the first state sees no image."""
    torch.manual_seed(0)
    model, x = Sequence().eval(), torch.randn(24, 4, 8)
    scores = ("deeplift", "fisher", "noise", "learned_noise", ErrorPath(panel=("mul8s_1L12",), steps=2))
    network, found = explain(model, x, scores=scores, conductance_images=6, recipe=RECIPE)
    assert [score.score for score in found] == ["deeplift", "fisher", "noise", "learned_noise", "error_path"]
    for score in found:
        assert tuple(score.values) == network.layer_names
        assert all(0 <= v < float("inf") for v in score.values.values())
        assert sum(v > 0 for v in score.values.values()) >= len(score.values) - 1
