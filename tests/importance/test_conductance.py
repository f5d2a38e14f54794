"""Conductance against its definition, completeness, and what each option says."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from axdnn.importance import (
    AGGREGATIONS,
    channel_conductance,
    conductance,
    conductance_of_all_layers,
    grouped,
    layer_conductance,
)
from axdnn.models import load_model
from axdnn.quant import CapturedModel, capture, fold_batch_norm
from axdnn.records import InvalidInputError, UnknownNameError
from axdnn.testing import counted_images


@pytest.fixture(scope="module")
def lenet() -> CapturedModel:
    return fold_batch_norm(capture(load_model("lenet5", "mnist", allow_training=False).model, torch.rand(2, 1, 28, 28)))


@pytest.fixture(scope="module")
def strokes() -> torch.Tensor:
    """Images with strokes, as digits have: mostly black."""
    generator = torch.Generator().manual_seed(3)
    images = torch.zeros(3, 1, 28, 28)
    for i in range(3):
        column, row = torch.randint(8, 18, (2,), generator=generator).tolist()
        images[i, 0, 5:23, column : column + 3] = 1.0
        images[i, 0, row : row + 3, 7:21] = 0.8
    return images


Array = np.ndarray


def literal_conductance(weights: list[Array], x: Array, base: Array, target: int, points: int) -> Array:
    """Conductance of the hidden units of a two-layer network by its definition, in NumPy.

    `sum_i (x_i - x'_i) * integral dF/dy * dy/dx_i`, midpoint rule; y is the output before the activation.
    """
    w1, b1, w2 = weights
    total = np.zeros(len(b1))
    for p in range(points):
        at = base + (p + 0.5) / points * (x - base)
        y = w1 @ at + b1
        df_dy = w2[target] * (y > 0)
        dy_dx = w1
        total += df_dy * (dy_dx * (x - base)[None, :]).sum(axis=1)
    return total / points


def test_agrees_with_the_definition_on_a_tiny_network(tiny: CapturedModel) -> None:
    generator = torch.Generator().manual_seed(5)
    x, base = torch.randn(4, 5, generator=generator), torch.randn(1, 5, generator=generator)
    a, b = tiny.layer("a"), tiny.layer("b")
    weights = [t.double().numpy() for t in (a.weight, a.bias, b.weight)]
    for target in range(3):
        found = layer_conductance(tiny, "a", x, target, baseline=base, steps=400)
        start = base[0].double().numpy()
        expected = np.stack([literal_conductance(weights, v, start, target, 20_000) for v in x.double().numpy()])
        np.testing.assert_allclose(found.numpy(), expected, atol=0.01 * np.abs(expected).max())


def test_the_output_layer_passes_on_what_it_gets(tiny: CapturedModel) -> None:
    """At the output itself only the target's own neuron has any conductance."""
    x = torch.randn(3, 5)
    found = layer_conductance(tiny, "b", x, 1, steps=200)
    assert not found[:, [0, 2]].any()
    difference = (tiny(x) - tiny(torch.zeros(1, 5)))[:, 1]
    torch.testing.assert_close(found[:, 1], difference, rtol=1e-2, atol=1e-3)


def completeness_error(model: CapturedModel, layer: str, images: torch.Tensor, target: int, steps: int) -> float:
    found = layer_conductance(model, layer, images, target, steps=steps).flatten(1).sum(1)
    expected = (model(images) - model(torch.zeros_like(images[:1])))[:, target]
    return float((found - expected).abs().max() / expected.abs().max())


@pytest.mark.parametrize("target", [0, 7])
def test_completeness_holds_at_every_layer_of_lenet(lenet: CapturedModel, strokes: torch.Tensor, target: int) -> None:
    """In a chain every layer is a complete cut: signed sums give F(x) - F(x'), the better the more steps."""
    for layer in lenet.layer_names:
        coarse = completeness_error(lenet, layer, strokes, target, 10)
        fine = completeness_error(lenet, layer, strokes, target, 200)
        assert fine < 0.02, layer
        assert fine < 0.5 * coarse or coarse < 1e-3, (layer, coarse, fine)


def test_completeness_holds_with_another_baseline(lenet: CapturedModel, strokes: torch.Tensor) -> None:
    grey = torch.full((1, 1, 28, 28), 0.3)
    expected = (lenet(strokes) - lenet(grey))[:, 4]
    for baseline in (0.3, grey):
        found = layer_conductance(lenet, "conv2", strokes, 4, baseline=baseline, steps=200).flatten(1).sum(1)
        torch.testing.assert_close(found, expected, rtol=0.03, atol=0.05)


def test_completeness_needs_a_complete_cut(residual: CapturedModel) -> None:
    """The trunk and the head are cuts; a convolution inside the branch is not, the skip carries the rest."""
    images = torch.rand(4, 1, 6, 6, generator=torch.Generator().manual_seed(1))
    errors = {layer: completeness_error(residual, layer, images, 0, 300) for layer in residual.layer_names}
    assert errors["trunk"] < 0.02
    assert errors["head"] < 0.02
    assert errors["branch"] > 0.2


def test_aggregations_say_what_they_are(tiny: CapturedModel) -> None:
    x = torch.randn(6, 5, generator=torch.Generator().manual_seed(2))
    classes = (0, 2)
    for layer in tiny.layer_names:
        runs = [layer_conductance(tiny, layer, x, c, steps=7).numpy() for c in classes]
        expected = {
            "abs_sum": np.mean([np.abs(r).sum(1).mean() for r in runs]),
            "abs_mean": np.mean([np.abs(r).mean() for r in runs]),
            "signed_sum": np.mean([r.sum(1).mean() for r in runs]),
            "positive_sum": np.mean([r.clip(min=0).sum(1).mean() for r in runs]),
        }
        assert set(expected) == set(AGGREGATIONS)
        for name, value in expected.items():
            found = conductance(tiny, x, classes=classes, steps=7, aggregation=name)  # type: ignore[arg-type]
            assert math.isclose(found.values[layer], value, rel_tol=1e-5, abs_tol=1e-7)
            assert found.settings["aggregation"] == name


def test_the_default_is_the_sum_of_absolute_values(tiny: CapturedModel) -> None:
    x = torch.randn(3, 5)
    assert conductance(tiny, x).values == conductance(tiny, x, aggregation="abs_sum", classes=(0, 1, 2)).values


def test_a_sweep_is_the_mean_of_its_classes(tiny: CapturedModel) -> None:
    x = torch.randn(3, 5)
    single = [conductance(tiny, x, classes=(c,), steps=5).values["a"] for c in (0, 1, 2)]
    assert conductance(tiny, x, classes=(0, 1, 2), steps=5).values["a"] == pytest.approx(np.mean(single))
    assert len({round(v, 6) for v in single}) == 3


def test_one_target_an_image(tiny: CapturedModel) -> None:
    x, targets = torch.randn(3, 5), torch.tensor([2, 0, 1])
    found = layer_conductance(tiny, "a", x, targets, steps=6)
    for i in range(3):
        alone = layer_conductance(tiny, "a", x[i : i + 1], int(targets[i]), steps=6)
        torch.testing.assert_close(found[i : i + 1], alone)


def test_batches_do_not_change_the_result(lenet: CapturedModel, strokes: torch.Tensor) -> None:
    whole = layer_conductance(lenet, "conv1", strokes, 1, steps=8)
    largest: list[int] = []
    for batch in (1, 9, 18):
        with counted_images() as seen:
            torch.testing.assert_close(layer_conductance(lenet, "conv1", strokes, 1, steps=8, batch=batch), whole)
        largest.append(max(seen))
        assert sum(seen) == 3 * 9
    assert largest == [9, 9, 18]


def test_groups_share_the_sum_of_their_layers(residual: CapturedModel) -> None:
    x = torch.rand(2, 1, 6, 6)
    alone = conductance(residual, x, steps=4).values
    found = conductance(residual, x, steps=4, groups={"trunk": "body", "branch": "body"})
    assert found.values["trunk"] == found.values["branch"] == alone["trunk"] + alone["branch"]
    assert found.values["head"] == alone["head"]
    assert "branch=body" in found.settings["groups"]


def test_grouping_laws() -> None:
    values = {"stage1.a": 1.0, "stage1.b": 2.0, "stage2.a": 4.0, "fc": 8.0}
    assert grouped(values, None) == values
    assert grouped(values, {"stage1.*": "one", "stage*": "rest"}) == {
        "stage1.a": 3.0, "stage1.b": 3.0, "stage2.a": 4.0, "fc": 8.0,
    }  # fmt: skip
    # A unit may have the name of a layer outside it: they are different units all the same.
    assert grouped(values, {"stage1.*": "fc"})["fc"] == 8.0
    with pytest.raises(UnknownNameError, match="stage3"):
        grouped(values, {"stage3.*": "three"})


def test_conductance_ignores_gradient_switches(tiny: CapturedModel) -> None:
    x = torch.randn(2, 5)
    expected = conductance(tiny, x, steps=3)
    with torch.no_grad():
        assert conductance(tiny, x, steps=3) == expected
    assert conductance(tiny, x.clone().requires_grad_(), steps=3) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 1}, "steps >= 2"),
        ({"classes": ()}, "classes"),
        ({"classes": (3,)}, r"0 <= class < 3"),
        ({"classes": (-1,)}, r"0 <= class < 3"),
        ({"aggregation": "median"}, "abs_sum"),
    ],
)
def test_bad_options_are_refused(tiny: CapturedModel, options: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidInputError, match=message):
        conductance(tiny, torch.randn(2, 5), **options)  # type: ignore[arg-type]


def test_bad_inputs_are_refused(tiny: CapturedModel) -> None:
    with pytest.raises(InvalidInputError, match="0 images"):
        conductance(tiny, torch.rand(0, 5))
    with pytest.raises(InvalidInputError, match="finite"):
        conductance(tiny, torch.full((1, 5), torch.nan), steps=2)
    with pytest.raises(UnknownNameError, match="'c'"):
        layer_conductance(tiny, "c", torch.randn(2, 5), 0)


def test_all_layers_at_once_equal_captum_layer_by_layer(tiny: CapturedModel) -> None:
    x = torch.randn(3, 5)
    for target, found in conductance_of_all_layers(tiny, x, (0, 2), baseline=0.25, steps=7):
        for layer in tiny.layer_names:
            expected = layer_conductance(tiny, layer, x, target, baseline=0.25, steps=7)
            torch.testing.assert_close(found[layer], expected, rtol=1e-6, atol=1e-7)


def test_groups_of_images_change_nothing(tiny: CapturedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(5, 5)
    whole = channel_conductance(tiny, x, steps=4)[0]
    monkeypatch.setattr("axdnn.importance.all_layers.VALUES_AT_ONCE", 1)  # one image at a time
    parts = channel_conductance(tiny, x, steps=4)[0]
    for layer in tiny.layer_names:
        assert parts[layer] == pytest.approx(whole[layer], rel=1e-6)


def test_channels_sum_to_the_layer(tiny: CapturedModel) -> None:
    x = torch.randn(4, 5)
    channels, images = channel_conductance(tiny, x, steps=4)
    score = conductance(tiny, x, steps=4)
    for layer, value in score.values.items():
        assert channels[layer].shape == (tiny.layer(layer).weight.shape[0],)
        assert channels[layer].sum() == pytest.approx(value, rel=1e-6)
    assert images == score.network_images


class Moved(torch.nn.Module):
    """A network whose layers see the images on the first axis, on the second, and merged with the rows."""

    def __init__(self) -> None:
        super().__init__()
        self.embed, self.merged, self.head = torch.nn.Linear(6, 4), torch.nn.Linear(4, 4), torch.nn.Linear(20, 3)
        self.rnn = torch.nn.GRU(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.rnn(self.embed(x.transpose(0, 1)))[0].tanh()
        x = self.merged(x.reshape(-1, 4)).view(5, x.shape[1], 4)
        return self.head(x.transpose(0, 1).flatten(1))


def test_images_are_told_apart_wherever_the_batch_lies() -> None:
    torch.manual_seed(0)
    model = capture(Moved().eval(), torch.randn(3, 5, 6))
    images = torch.randn(4, 5, 6)
    whole = conductance(model, images, classes=(0, 2), steps=6, aggregation="abs_mean").values
    apart = [conductance(model, x, classes=(0, 2), steps=6, aggregation="abs_mean").values for x in images.split(1)]
    for layer, value in whole.items():
        assert math.isclose(value, sum(a[layer] for a in apart) / 4, rel_tol=1e-5)
    # The sums over a cut of the network are F(x) - F(0) (completeness): `merged` is one.
    signed = conductance(model, images[:1], classes=(1,), steps=400, aggregation="signed_sum").values["merged"]
    with torch.no_grad():
        change = model(images[:1])[0, 1] - model(torch.zeros(1, 5, 6))[0, 1]
    assert math.isclose(signed, float(change), rel_tol=0.02, abs_tol=2e-3)
