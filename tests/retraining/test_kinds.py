"""Every kind of layer under training: the bits of the finished network, and gradients against independent ones."""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from msgspec import structs
from torch import nn

from axdnn import approximate
from axdnn.kernels import approx_conv, approx_conv_transpose, approx_matmul
from axdnn.layers import Calibration, Recipe, build, fit_coding
from axdnn.layers.emission import Emission
from axdnn.multipliers import load_multiplier
from axdnn.quant import TRANSPOSED_OPS, capture, fold_batch_norm, network_of
from axdnn.quant.float_layers import FloatLayer, FloatProduct
from axdnn.records import InvalidInputError
from axdnn.retraining import GradientRule, fine_tune, recalibrate, smoothed_difference, trainable
from axdnn.retraining.functions import Products, RealFunction
from axdnn.retraining.parameters import TrainableProduct
from axdnn.retraining.slopes import slopes

GRADIENTS = ("straight_through", "table_slope")
PLACES = 6  # operands of a layer whose derivative by the table is looked at


def _module(path):
    """The networks of another test file."""
    spec = importlib.util.spec_from_file_location("layer_kinds", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


kinds = _module(Path(__file__).parents[1] / "layers" / "test_layer_kinds.py")


class Of(nn.Module):
    """A module from a function of its inputs and one part."""

    def __init__(self, function, part=None):
        super().__init__()
        self.function, self.part = function, part

    def forward(self, *inputs):
        return self.function(self.part, *inputs)


def one(part, *shape):
    return (lambda: Of(lambda layer, x: layer(x), part()), [shape])


LAYERS = {
    "linear": one(lambda: nn.Linear(5, 4), 4, 2, 3, 5),
    "conv1d": one(lambda: nn.Conv1d(4, 6, 3, 2, 2, 2, groups=2), 4, 4, 9),
    "conv2d": one(lambda: nn.Conv2d(2, 3, (2, 3), (1, 2), (0, 1)), 4, 2, 5, 6),
    "conv3d": one(lambda: nn.Conv3d(2, 4, (2, 1, 2), (1, 2, 1), (1, 0, 1), groups=2), 4, 2, 3, 3, 4),
    "conv_transpose1d": one(lambda: nn.ConvTranspose1d(4, 2, 4, 3, 2, 1, groups=2, dilation=2), 4, 4, 5),
    "conv_transpose2d": one(lambda: nn.ConvTranspose2d(2, 3, 3, 2, 1, 1), 4, 2, 4, 3),
    "conv_transpose3d": one(lambda: nn.ConvTranspose3d(2, 2, 2, (2, 1, 1), (0, 1, 0)), 4, 2, 2, 3, 3),
    "matmul": (lambda: Of(lambda _, x, y: x @ y), [(4, 2, 3, 5), (4, 1, 5, 4)]),
}


def made(name, circuit, recipe, table=LAYERS):
    """Float network, its inputs, the approximate network; calibrated on more than the inputs, so that none clips."""
    torch.manual_seed(1)
    make, shapes = table[name]
    inputs = tuple(torch.randn(*shape) for shape in shapes)
    module, wide = make().eval(), tuple(x * 1.1 for x in inputs)
    given = wide if len(wide) > 1 else wide[0]
    return module, given, inputs, approximate(module, circuit, given, recipe=recipe)


@pytest.mark.parametrize("circuit", ["exact", "mul8u_1JJQ"])
@pytest.mark.parametrize("name", LAYERS)
def test_with_exact_products_a_layer_has_torch_s_own_gradients(name, circuit):
    """At the points that the codes stand for, the float layer has the same values and the same derivatives."""
    recipe = Recipe(activation_range="minmax", compensate=False, weight_codes="nearest")
    module, given, inputs, model = made(name, circuit, recipe)
    captured = capture(module, given)
    for gradient in GRADIENTS:
        compare_with_torch(trainable(model, captured, given, recipe=recipe, gradient=gradient), inputs)


def compare_with_torch(trained, inputs):
    (layer_name,) = trained.layer_names
    part, operands = trained.layer(layer_name), [x.clone().requires_grad_() for x in inputs]
    codes = tuple(of.emit(x, None, -1, Emission(None)) for of, x in zip(part.ranges, operands, strict=True))
    ready = part.ready()
    got = part.integer.real(part(codes, ready, "auto"))
    real = [of.dequantise(c).detach().requires_grad_() for of, c in zip(part.ranges, codes, strict=True)]
    if isinstance(part, TrainableProduct):
        reference = FloatProduct()
    else:
        values = part.values[(ready.weights[0].detach().long() + 128 * part.multiplier.w_signed).flatten()]
        weight = values.view(len(part.weight), -1) * part.weight_scale.detach().view(-1, 1)
        reference = FloatLayer(part.integer.node.op, weight.view_as(part.weight), part.bias, part.integer.node.attrs)
        reference.weight.requires_grad_()
    want = reference(*real)
    near = 1e-4
    assert torch.allclose(got, want, rtol=near, atol=near * float(want.detach().abs().max()))
    chance = torch.randn(want.shape)
    got.backward(chance)
    want.backward(chance)
    pairs = [(x.grad, r.grad) for x, r in zip(operands, real, strict=True)]
    if not isinstance(part, TrainableProduct):
        pairs.append((part.weight.grad, reference.weight.grad))
    for a, b in pairs:
        assert torch.allclose(a, b, rtol=1e-3, atol=1e-3 * float(b.abs().max()))


def forward_sums(node, a, b, table, coding):
    """Return the sums of any table's entries by the literal forward pass, uncorrected."""
    circuit = structs.replace(coding.multiplier, table=table)
    if node.op == "matmul":
        return approx_matmul(a, b.transpose(-1, -2), circuit, path="reference")
    if node.op == "linear":
        return approx_matmul(a.flatten(0, -2), b, circuit, path="reference").view(*a.shape[:-1], -1)
    t, pad = node.attrs, coding.encoding.zero_point
    extra = (t["output_padding"],) if node.op in TRANSPOSED_OPS else ()
    call = approx_conv_transpose if extra else approx_conv
    return call(a, b, circuit, t["stride"], t["padding"], *extra, t["dilation"], t["groups"], pad, path="reference")


@pytest.mark.parametrize("circuit", ["mul8s_1L12", "mul8u_QKX"])
@pytest.mark.parametrize("name", LAYERS)
def test_table_slopes_reach_each_operand_by_the_terms_of_the_forward_pass(name, circuit):
    """Each operand has a code of its own; its derivative is what the forward pass makes of its row or column alone."""
    _, _, inputs, model = made(name, circuit, Recipe())
    layer = model.layer(model.layer_names[0])
    node, coding, m, rule = layer.node, layer.coding, layer.multiplier, GradientRule("table_slope", 20, 0.0)
    shape_a, shape_b = inputs[0][:1].shape, (inputs[1][:1] if node.op == "matmul" else layer.w_codes).shape
    low_a, low_b, zero = -128 * m.a_signed, -128 * m.w_signed, coding.encoding.zero_point
    codes_a = torch.tensor([c for c in range(low_a, low_a + 256) if c != zero])
    codes_b = torch.arange(low_b + 1, low_b + 256)  # stored -128 of sign and magnitude is no neighbour of -127
    a, b = (codes[torch.randperm(len(codes))[: shape.numel()]].view(shape)
            for codes, shape in ((codes_a, shape_a), (codes_b, shape_b)))  # fmt: skip
    a, b = a.to(coding.encoding.dtype), b.to(torch.int8 if m.w_signed else torch.uint8)
    if node.op != "matmul":
        layer.w_codes = b
        layer.shift.zero_()
    x, w = a.float().requires_grad_(), b.float().requires_grad_()
    values = torch.from_numpy(m.w_values).double()
    total = Products.apply(x, w, layer.bias.double(), layer, slopes(coding, values, rule), "auto")
    chance = torch.randn(total.shape)
    total.backward(chance)

    table, halved = m.table.astype(float), 2 if m.coding == "sign_magnitude" else 1
    d_a = smoothed_difference(table, 20) - coding.w_zero
    d_b = smoothed_difference(table.T, 20, halved - 1).T / halved - zero
    for got, codes, low, slope, by_row in ((x.grad, a, low_a, d_a, True), (w.grad, b, low_b, d_b, False)):
        whole = np.rint(slope * 1024).astype(np.int32)
        for place in np.random.default_rng(0).permutation(list(np.ndindex(*codes.shape)))[:PLACES]:
            place = tuple(place)
            only, at = np.zeros_like(whole), int(codes[place]) - low
            only[(at, slice(None)) if by_row else (slice(None), at)] = whole[at] if by_row else whole[:, at]
            want = float((forward_sums(node, a, b, only, coding) * chance).sum()) / 1024
            assert float(got[place]) == pytest.approx(want, rel=2e-3, abs=2e-3 * float(got.abs().max()))


@cache
def small(name):
    """A network of every kind with folded batch norm, its inputs, and what the float network makes of them."""
    module, inputs = kinds.built(name)
    return fold_batch_norm(capture(module, inputs)), inputs, kinds.results(module, inputs)


def coded_with(captured, inputs, circuit, recipe):
    """The approximate network, without capturing it again."""
    data = Calibration(captured, kinds.given(inputs))
    codings = {n: fit_coding(data.samples[n], load_multiplier(circuit), recipe) for n in captured.layer_names}
    return build(data, codings, network_of(captured, ""), recipe)


@pytest.mark.parametrize(("number", "name"), list(enumerate(kinds.NETWORKS)))
def test_every_network_is_the_finished_one_to_the_bit_before_and_after_steps(number, name):
    captured, inputs, target = small(name)
    for circuit, gradient in (("mul8s_1KR6", GRADIENTS[number % 2]), ("mul8u_18DU", GRADIENTS[1 - number % 2])):
        model = coded_with(captured, inputs, circuit, Recipe())
        trained = trainable(model, captured, kinds.given(inputs), gradient=gradient, weight_scales=True)
        optimizer = torch.optim.Adam(trained.parameters(), 5e-3)
        for step in range(3):
            found = trained(*inputs)
            found = list(found) if isinstance(found, tuple) else [found]
            integer = kinds.results(trained.finish() if step else model, inputs)
            assert all(torch.equal(a, b) for a, b in zip(found, integer, strict=True)), (circuit, step)
            optimizer.zero_grad()
            sum((a - b).square().mean() for a, b in zip(found, target, strict=True)).backward()
            optimizer.step()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in trained.parameters())
    integer = kinds.results(trained.finish(), inputs)
    with torch.autocast("cpu", torch.bfloat16):
        assert all(torch.equal(a, b) for a, b in zip(kinds.results(trained, inputs), integer, strict=True))


@pytest.mark.parametrize("name", kinds.NETWORKS)
def test_with_exact_products_a_network_has_nearly_the_float_network_s_gradients(name):
    """All calls of a shared or recurrent layer add up, functions and movements hand gradients on.

    The results are weighted by chance, several times: for one choice, a layer's gradients can nearly cancel and leave
    the rounding of the operands.
    """
    captured, inputs, _ = small(name)
    recipe = Recipe(activation_range="minmax", weight_codes="nearest", compensate=False)
    trained = trainable(coded_with(captured, inputs, "exact", recipe), captured, kinds.given(inputs), recipe=recipe)
    names = [n for n in captured.layer_names if captured.nodes[n].op != "matmul"]
    wanted, off = dict.fromkeys(names, 0.0), dict.fromkeys(names, 0.0)
    for seed in range(8):
        exact = gradients_of(captured, inputs, names, seed)
        found = gradients_of(trained, inputs, names, seed)
        for n in names:
            wanted[n] += float(exact[n].square().sum())
            off[n] += float((found[n] - exact[n]).square().sum())
    for n in names:
        if wanted[n] > 1e-6 * sum(wanted.values()):
            assert (off[n] / wanted[n]) ** 0.5 < 0.2, n


def gradients_of(network, inputs, names, seed):
    """Of the layers' weights, for a sum of the results weighted by chance."""
    generator = torch.Generator().manual_seed(seed)
    weights = [network.layer(n).weight.requires_grad_() for n in names]
    results = network(*inputs)
    results = results if isinstance(results, tuple) else (results,)
    loss = sum((r * torch.randn(r.shape, generator=generator)).sum() for r in results)
    found = torch.autograd.grad(loss, weights)
    if not isinstance(weights[0], torch.nn.Parameter):
        for weight in weights:
            weight.requires_grad_(False)
    return dict(zip(names, found, strict=True))


def test_a_function_is_differentiated_at_the_rounded_values_and_only_where_wanted():
    x, scale = torch.randn(3, 4, requires_grad=True), torch.randn(3, 4)
    RealFunction.apply(lambda a, b: torch.softmax(a * b, -1), x, scale).square().sum().backward()
    point = x.detach().double().requires_grad_()
    torch.softmax(point * scale.double(), -1).square().sum().backward()
    assert torch.allclose(x.grad.double(), point.grad, atol=1e-6)
    table = torch.randn(5, 2)
    chosen = RealFunction.apply(lambda a, b: b + table[a.long()].double(), torch.tensor([1.0, 3.0]), x[:2, :2])
    assert torch.equal(torch.autograd.grad(chosen.sum(), x)[0][:2, :2], torch.ones(2, 2))


def test_several_inputs_are_recalibrated_and_trained_by_a_loop_of_one_s_own():
    captured, inputs, (_, target) = small("two inputs and results")
    model = coded_with(captured, inputs, "mul8u_17MJ", Recipe(compensate=False))
    trained = trainable(model, captured, inputs)
    before = float((model(*inputs)[1] - target).square().mean())
    recalibrate(model, captured, inputs)
    assert float((model(*inputs)[1] - target).square().mean()) < before
    with pytest.raises(InvalidInputError, match="2 inputs and 2 results"):
        fine_tune(trained, inputs[0], torch.zeros(len(inputs[0]), dtype=torch.long))
    with pytest.raises(InvalidInputError, match=r"shape \(b, 5, 6\) and \(b, 3\)"):
        trained(inputs[0])
