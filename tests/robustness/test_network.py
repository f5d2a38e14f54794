"""Gradients through exact integers: the same bits as the integer network, and the derivative that was asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from axdnn import approximate
from axdnn.kernels import EXACT
from axdnn.layers import Calibration, Recipe, build, fit_coding
from axdnn.multipliers import load_multiplier
from axdnn.quant import network_of
from axdnn.records import InvalidInputError
from axdnn.retraining import smoothed_difference
from axdnn.robustness import differentiable


class Mixed(nn.Module):
    """Grouped and strided convolutions, batch norm, an addition, both poolings, a smooth function, attention."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.deep = nn.Conv2d(6, 6, 3, padding=1, groups=3)
        self.q, self.k, self.v = nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6)
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        y = F.relu(self.norm(self.stem(x)))
        y = F.max_pool2d(F.relu6(y + F.silu(self.deep(y))), 2)
        y = F.avg_pool2d(y, 2).flatten(2).transpose(1, 2)
        y = F.scaled_dot_product_attention(self.q(y), self.k(y), self.v(y))
        return self.head(y.mean(1))


@pytest.fixture(scope="module")
def mixed():
    torch.manual_seed(1)
    return Mixed().eval(), torch.rand(12, 2, 12, 12)


def gradient(network, x):
    x = x.clone().requires_grad_()
    out = network(x)
    return out.detach(), torch.autograd.grad(F.cross_entropy(out, out.argmax(1).roll(1) % out.shape[1]), x)[0]


@pytest.mark.parametrize("rule", ["straight_through", "table_slope"])
@pytest.mark.parametrize("circuit", ["exact", "mul8s_1L2H", "mul8u_13QR"])
def test_the_same_bits_with_a_gradient(mixed, circuit, rule):
    model, x = mixed
    network = approximate(model, circuit, x)
    out, grad = gradient(differentiable(network, model, rule), x)
    assert torch.equal(out, network(x))
    assert bool((grad != 0).flatten(1).any(1).all())
    if circuit == "exact":  # the integer network is nearly the float one, and so is its gradient
        wanted = gradient(model, x)[1]
        assert float(F.cosine_similarity(grad.flatten(1), wanted.flatten(1)).mean()) > 0.9


def test_straight_through_is_the_derivative_of_the_float_network():
    """Of one layer it does not depend on the activations: the weight itself, though codes of coarse circuits lie."""
    layer = nn.Linear(9, 5).eval()
    x = torch.rand(16, 9)
    for circuit in ("mul8s_1L2H", "mul8u_13QR"):
        network = differentiable(approximate(nn.Sequential(layer), circuit, x), nn.Sequential(layer))
        given = x.clone().requires_grad_()
        grad = torch.autograd.grad(network(given)[:, 2].sum(), given)[0]
        assert torch.allclose(grad, layer.weight[2].expand_as(x), rtol=1e-4, atol=1e-6)


def test_table_slope_is_the_difference_of_the_table():
    model = nn.Sequential(nn.Linear(9, 5)).eval()
    x = torch.rand(16, 9)
    integer = approximate(model, "mul8s_1L2H", x)
    network = differentiable(integer, model, "table_slope", width=20, tolerance=0.0)
    given = x.clone().requires_grad_()
    grad = torch.autograd.grad(network(given)[:, 1].sum(), given)[0]
    layer = integer.layer(integer.layer_names[0])
    slope = smoothed_difference(layer.multiplier.table.astype(np.float64), 20)
    encoding = layer.coding.encoding
    rows, columns = encoding.quantise(x).long() + 128, layer.w_codes[1].long() + 128
    wanted = torch.from_numpy(slope[rows.numpy(), columns.numpy()]) * float(layer.scale[1]) / encoding.scale
    assert torch.allclose(grad.double(), wanted, rtol=1e-3, atol=1e-6)


def test_the_range_of_the_codes_does_not_stop_the_gradient_but_a_clamp_does():
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 3)).eval()
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(4))
        model[0].bias.copy_(torch.tensor([0.0, 0.0, 0.0, -9.0]))
    calibration = torch.rand(64, 4) * 0.2
    network = differentiable(approximate(model, "exact", calibration), model)
    given = torch.full((1, 4), 0.9, requires_grad=True)  # far beyond the range that was calibrated
    grad = torch.autograd.grad(network(given)[:, 0].sum(), given)[0]
    assert torch.allclose(grad[0, :3], model[2].weight[0, :3], rtol=1e-3)
    assert float(grad[0, 3]) == 0.0


@pytest.mark.parametrize("rule", ["straight_through", "table_slope"])
def test_skipped_channels_and_absent_terms_have_no_gradient_and_exact_terms_the_exact_one(lenet, rule):
    recipe = Recipe()
    data = Calibration(lenet.captured, lenet.calibration, recipe.fit_rows, recipe.seed, recipe.activation_range)
    first, second, *_, last = lenet.captured.layer_names
    circuit, codings = load_multiplier("mul8s_1L2H"), {}
    for name, sample in data.samples.items():
        terms = torch.zeros(sample.rows.shape[2], dtype=torch.uint8)
        terms[::2] = EXACT
        codings[name] = fit_coding(replace(sample, terms=terms) if name == last else sample, circuit, recipe)
    described = network_of(lenet.captured, "lenet")
    integer = build(data, codings, described, recipe, skip={first: (0, 2)}, absent={second: (0, 2)})
    network = differentiable(integer, lenet.captured, rule)
    out, grad = gradient(network, lenet.images[:10])
    assert torch.equal(out, integer(lenet.images[:10]))
    assert bool((grad != 0).any())
    for factor in network.layer(first)._factors:
        assert not factor.second[[0, 2]].any()
        assert factor.second[1].any()
    for factor in network.layer(second)._factors:
        assert not factor.second[:, [0, 2]].any()
        assert factor.second[:, 1].any()
    if rule == "table_slope":  # the last factor is that of the exact terms: the value of the weight
        *approximate_terms, exact_terms = network.layer(last)._factors
        layer = integer.layer(last)
        assert exact_terms.p is None
        assert torch.equal(exact_terms.second[:, ::2], layer.w_codes[:, ::2].float())
        assert not exact_terms.second[:, 1::2].any()
        assert not any(factor.second[:, ::2].any() for factor in approximate_terms)


def test_another_network_is_refused(lenet):
    with pytest.raises(InvalidInputError, match="must be the network that was made approximate"):
        differentiable(lenet.approximate("exact"), nn.Sequential(nn.Flatten(), nn.Linear(784, 10)))
    with pytest.raises(InvalidInputError, match="straight_through, table_slope"):
        differentiable(lenet.approximate("exact"), lenet.captured, "backwards")
