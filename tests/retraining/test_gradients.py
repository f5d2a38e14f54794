"""Gradients against finite differences of smooth surrogates in float64, and against an ordinary quantised network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from axdnn import approximate, load_multiplier
from axdnn.kernels.requantise import Levels
from axdnn.layers import Recipe
from axdnn.retraining import GradientRule, smoothed_difference, trainable
from axdnn.retraining.functions import Products, Quantise
from axdnn.retraining.slopes import slopes

SMALL = 1e-6


def smooth(row: np.ndarray, at: float, width: int) -> float:
    """256 values, interpolated linearly and averaged over `at - width .. at + width`: the integral piece by piece."""
    knots = np.unique(
        np.clip([at - width, *np.arange(np.ceil(at - width), np.floor(at + width) + 1), at + width], 0, 255)
    )
    values = np.interp(knots, np.arange(256), row)
    return float(((values[1:] + values[:-1]) / 2 * np.diff(knots)).sum() / (knots[-1] - knots[0]))


def slope_by_difference(table: np.ndarray, a: int, w: int, width: int) -> float:
    column = table[:, w]
    return (smooth(column, a + SMALL, width) - smooth(column, a - SMALL, width)) / (2 * SMALL)


@pytest.mark.parametrize("width", [3, 16, 64])
@pytest.mark.parametrize("name", ["mul8s_1L12", "mul8u_QKX"])
def test_the_slope_is_the_derivative_of_the_smoothed_interpolated_table(name, width):
    table = load_multiplier(name).table.astype(float)
    slope, chance = smoothed_difference(table, width), np.random.default_rng(0)
    for a, w in zip(chance.integers(width + 1, 254 - width, 40), chance.integers(0, 256, 40), strict=True):
        assert slope[a, w] == pytest.approx(slope_by_difference(table, a, w, width), abs=5e-3)


@pytest.mark.parametrize("name", ["mul8s_1L12", "mul8u_QKX"])
@pytest.mark.parametrize("layer", ["conv1", "conv2", "fc1"])
def test_a_layers_gradients_are_finite_differences_of_the_surrogate(nets, name, layer):
    """Slopes of the surrogate (tested above) summed term by term, in float64, without factors or convolutions."""
    net, images = nets.plain
    model = approximate(net, name, images)
    part, rule = model.layer(layer), GradientRule("table_slope", width=20, tolerance=0.0)
    e, m, node = part.coding.encoding, part.multiplier, part.node
    seen = {}
    model.run(images[:1], lambda at, codes: seen.update({at.node.name: codes[0]}))
    x = seen[layer].float().requires_grad_()
    w = part.w_codes.float().requires_grad_()
    values = torch.from_numpy(m.w_values).double()
    total = Products.apply(x, w, part.bias.double(), part, slopes(part.coding, values, rule), "auto")
    assert torch.equal(total, part.sums(seen[layer]).float())
    g = torch.randn(total.shape)
    total.backward(g)

    unit = 2 if m.coding == "sign_magnitude" else 1
    a_low, w_low = (128 if m.a_signed else 0), 128
    table = m.table.astype(float)
    w_table = np.concatenate([table[:, 1:2], table[:, 1:]], axis=1) if unit == 2 else table  # no minus zero
    d_a = smoothed_difference(table, 20)
    d_w = smoothed_difference(w_table.T, 20, 1 if unit == 2 else 0).T / unit - e.zero_point
    if layer == "fc1":
        xi, wi = x.detach().long() + a_low, w.detach().long() + w_low
        term_a, term_w = torch.from_numpy(d_a)[xi[:, None], wi], torch.from_numpy(d_w)[xi[:, None], wi]
        want_x, want_w = (g.double()[..., None] * term_a).sum(1), (g.double()[..., None] * term_w).sum(0)
    else:
        a = node.attrs
        padding = a["padding"]
        padded = F.pad(x.detach(), (padding[1],) * 2 + (padding[0],) * 2, value=e.zero_point).long() + a_low
        want_x, want_w = torch.zeros(padded.shape, dtype=torch.double), torch.zeros(w.shape, dtype=torch.double)
        for o, c, i, j in np.ndindex(*w.shape):
            source = o // (len(w) // a["groups"]) * w.shape[1] + c
            rows, cols = (
                slice(
                    at * a["dilation"][d],
                    at * a["dilation"][d] + (g.shape[2 + d] - 1) * a["stride"][d] + 1,
                    a["stride"][d],
                )
                for d, at in enumerate((i, j))
            )
            window, column = padded[:, source, rows, cols], int(w[o, c, i, j]) + w_low
            want_x[:, source, rows, cols] += g[:, o].double() * torch.from_numpy(d_a)[window, column]
            want_w[o, c, i, j] = (g[:, o].double() * torch.from_numpy(d_w)[window, column]).sum()
        want_x = want_x[:, :, padding[0] : padding[0] + x.shape[2], padding[1] : padding[1] + x.shape[3]]
    assert torch.allclose(x.grad.double(), want_x, rtol=1e-4, atol=1e-4 * float(want_x.abs().max()))
    assert torch.allclose(w.grad.double(), want_w, rtol=1e-4, atol=1e-4 * float(want_w.abs().max()))


def test_quantise_has_the_gradient_of_its_unrounded_form():
    """Without rounding it is `clamp(value * unit)`: differenced in float64 away from the kinks."""
    levels = Levels(-4, 11, 8, 3, True)
    value = torch.linspace(-8.3, 19.1, 60, dtype=torch.double).view(2, 3, 10, 1).requires_grad_()
    unit = torch.tensor([0.7, 1.1, 1.9], dtype=torch.double).view(-1, 1, 1).requires_grad_()
    weight = torch.randn(value.shape, dtype=torch.double)

    def surrogate(v, u):
        return (weight * (torch.clamp(v * u, levels.low, levels.high) * levels.step + levels.zero)).sum()

    assert torch.autograd.gradcheck(surrogate, (value, unit))
    want = torch.autograd.grad(surrogate(value, unit), (value, unit))
    got = torch.autograd.grad((weight * Quantise.apply(value, unit, None, None, levels)).sum(), (value, unit))
    for a, b in zip(got, want, strict=True):
        assert torch.allclose(a, b)


def rounded(x: torch.Tensor) -> torch.Tensor:
    return x + (x.round() - x).detach()


class FakeQuantised:
    """`nets.plain` as learned-step-size quantisation is usually written: everything real, autograd does the rest."""

    def __init__(self, trained, scales: dict[str, torch.Tensor]) -> None:
        self.trained, self.scales = trained, scales
        self.weights = {n: trained.layer(n).weight.detach().clone().requires_grad_() for n in trained.layer_names}

    def layer(self, x: torch.Tensor, name: str, convolution=None) -> torch.Tensor:
        part, s = self.trained.layer(name), self.scales[name]
        low, high = part.range.start.level_bounds
        x = rounded(torch.clamp(x / s, low, high)) * s
        size = part.weight_scale.float().view(-1, *([1] * (part.weight.dim() - 1)))
        w = rounded(torch.clamp(self.weights[name] / size, -128.4, 127.4)) * size
        gain = part.start_gain.float().detach()
        if convolution is None:
            return F.linear(x, w) * gain + part.bias.float()
        return F.conv2d(x, w, None, **convolution) * gain.view(-1, 1, 1) + part.bias.float().view(-1, 1, 1)

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.layer(x, "conv1", {"padding": 1})), 2)
        x = F.relu(self.layer(x, "conv2", {"stride": 2, "dilation": (1, 2), "groups": 2}))
        return self.layer(F.relu(self.layer(x.flatten(1), "fc1")), "fc2")


@pytest.mark.parametrize("gradient", ["straight_through", "table_slope"])
def test_with_the_exact_circuit_it_is_ordinary_quantisation_aware_training(nets, gradient):
    net, images = nets.plain
    recipe = Recipe(weight_codes="nearest")
    trained = trainable(approximate(net, "exact", images, recipe=recipe), net, images, recipe=recipe, gradient=gradient)
    scales = {n: trained.layer(n).range.scale.detach().float().requires_grad_() for n in trained.layer_names}
    reference = FakeQuantised(trained, scales)
    target = torch.randn(len(images), 5)
    got, want = trained(images), reference(images)
    assert torch.allclose(got, want, atol=2e-3 * float(want.detach().abs().max()))
    F.mse_loss(got, target).backward()
    F.mse_loss(want, target).backward()
    for name in trained.layer_names:
        part, other = trained.layer(name), reference.weights[name].grad
        near = 0.05 if name == "conv1" else 1e-4  # codes tie in max pooling, real values do not
        assert torch.allclose(part.weight.grad, other, rtol=near, atol=near * float(other.abs().max())), name
        by_log = float(scales[name].grad * scales[name].detach())  # d/d log s = s d/ds
        most = max(abs(float(s.grad * s.detach())) for s in scales.values())
        assert float(part.range.log_change.grad) == pytest.approx(by_log, rel=0.05, abs=0.02 * most), name


def test_table_slope_of_an_exact_circuit_is_the_straight_through_gradient(nets):
    net, images = nets.branched
    for name in ("exact", "mul8u_1JJQ"):
        model, grads = approximate(net, name, images), []
        for gradient in ("straight_through", "table_slope"):
            trained = trainable(model, net, images, gradient=gradient, weight_scales=True)
            trained(images).square().mean().backward()
            grads.append([p.grad for p in trained.parameters()])
            assert all(g is not None and g.isfinite().all() for g in grads[-1])
        for a, b in zip(*grads, strict=True):
            assert torch.allclose(a, b, rtol=1e-3, atol=1e-4 * float(b.abs().max()) + 1e-9)
