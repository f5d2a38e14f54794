"""Every kind of layer in a small network: near the float network with exact products, the same bits on every path."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from axdnn import approximate
from axdnn.layers import Recipe
from axdnn.multipliers import load_multiplier
from axdnn.quant import capture, network_of
from axdnn.records import InvalidInputError, Multiplier


class Made(nn.Module):
    """A module from a function of its inputs and parts."""

    def __init__(self, function, **parts):
        super().__init__()
        self.function = function
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, *inputs):
        return self.function(self, *inputs)


class SmallViT(nn.Module):
    """Patches, a class token, positions and two transformer blocks."""

    def __init__(self, size=8, channels=3, patch=4, width=16, heads=2, classes=4):
        super().__init__()
        self.patch = nn.Conv2d(channels, width, patch, patch)
        self.token = nn.Parameter(torch.randn(1, 1, width) * 0.2)
        self.position = nn.Parameter(torch.randn(1, (size // patch) ** 2 + 1, width) * 0.2)
        block = nn.TransformerEncoderLayer(width, heads, 2 * width, 0.0, "gelu", batch_first=True, norm_first=True)
        self.blocks = nn.TransformerEncoder(block, 2, enable_nested_tensor=False)
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, classes)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.position
        return self.head(self.norm(self.blocks(x))[:, 0])


PICTURES, SERIES = (48, 3, 8, 8), (48, 5, 6)
two_heads = {"a": nn.Linear(6, 4), "b": nn.Linear(3, 4)}
NETWORKS = {
    "vit": (SmallViT, [PICTURES]),
    "lstm": (lambda: Made(lambda s, x: s.out(s.rnn(x)[0][:, -1]),
                          rnn=nn.LSTM(6, 5, 2, batch_first=True, bidirectional=True), out=nn.Linear(10, 3)), [SERIES]),
    "gru": (lambda: Made(lambda s, x: s.out(s.rnn(x.transpose(0, 1))[1][-1]), rnn=nn.GRU(6, 5), out=nn.Linear(5, 3)),
            [SERIES]),
    "plain recurrent": (lambda: Made(lambda s, x: s.rnn(x)[0], rnn=nn.RNN(6, 5, nonlinearity="relu", batch_first=True)),
                        [SERIES]),
    "conv1d": (lambda: nn.Sequential(nn.Conv1d(5, 6, 3, padding=1), nn.BatchNorm1d(6), nn.ReLU(), nn.MaxPool1d(2),
                                     nn.Conv1d(6, 4, 2, groups=2), nn.AvgPool1d(2), nn.Flatten(), nn.Linear(4, 2)),
               [SERIES]),
    "conv3d": (lambda: nn.Sequential(nn.Conv3d(2, 4, 3, (1, 2, 1), 1), nn.BatchNorm3d(4), nn.ReLU(), nn.MaxPool3d(2),
                                     nn.Conv3d(4, 4, (1, 2, 2), groups=2), nn.AdaptiveAvgPool3d(1), nn.Flatten(),
                                     nn.Linear(4, 2)), [(16, 2, 4, 8, 6)]),
    "transposed": (lambda: Made(
        lambda s, x: s.out(torch.cat([F.relu(s.up(F.relu(s.down(x)))), x], 1)),
        down=nn.Conv2d(3, 8, 2, 2), up=nn.ConvTranspose2d(8, 4, 3, 2, 1, 1, groups=2), out=nn.Conv2d(7, 2, 1)),
        [PICTURES]),
    "transposed lines": (lambda: nn.Sequential(nn.ConvTranspose1d(5, 4, 4, 3, dilation=2), nn.Tanh(),
                                               nn.Conv1d(4, 2, 3)), [SERIES]),
    "gated": (lambda: Made(lambda s, x: (lambda y: y * torch.sigmoid(s.gate(y.mean((2, 3), keepdim=True))))(
        F.silu(s.conv(x))).amax((2, 3)), conv=nn.Conv2d(3, 4, 3), gate=nn.Conv2d(4, 4, 1)), [PICTURES]),
    "two inputs and results": (lambda: Made(
        lambda s, x, y: (s.a(x[:, 0]) + s.b(y), s.a(x[:, 1]).unsqueeze(2) @ s.b(y).unsqueeze(1)), **two_heads),
        [SERIES, (48, 3)]),
    "shared": (lambda: Made(lambda s, x: s.out(F.relu(s.conv(F.relu(s.conv(x))))), conv=nn.Conv2d(3, 3, 3, padding=1),
                            out=nn.Conv2d(3, 2, 1)), [PICTURES]),
    "attention with weights": (lambda: Made(lambda s, x: s.mha(x, x, x)[0],
                                            mha=nn.MultiheadAttention(6, 2, batch_first=True)), [SERIES]),
    "any leading axes": (lambda: nn.Sequential(nn.Linear(6, 4), nn.GELU(), nn.LayerNorm(4), nn.Linear(4, 3)),
                         [(12, 2, 5, 6)]),
}  # fmt: skip


def built(name):
    """A network with its inputs."""
    torch.manual_seed(1)
    make, shapes = NETWORKS[name]
    inputs = tuple(torch.randn(*shape, generator=torch.Generator().manual_seed(2)) for shape in shapes)
    return make().eval(), inputs


def results(model, inputs):
    """What a network returns, as a list."""
    with torch.no_grad():
        found = model(*inputs)
    return [found] if isinstance(found, torch.Tensor) else list(found)


def given(inputs):
    return inputs if len(inputs) > 1 else inputs[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_exact_products_come_near_the_float_network(name):
    module, inputs = built(name)
    model = approximate(module, "exact", given(inputs))
    for found, wanted in zip(results(model, inputs), results(module, inputs), strict=True):
        assert found.shape == wanted.shape
        assert float((found - wanted).square().mean() / wanted.var()) < 0.01


@pytest.mark.parametrize("recipe", [Recipe(), Recipe(unsigned_coding="unsigned", compensate=False)], ids=["sm", "u"])
@pytest.mark.parametrize("circuit", ["mul8s_1KR6", "mul8u_18DU"])
@pytest.mark.parametrize("name", NETWORKS)
def test_every_path_and_split_of_the_batch_gives_the_same_bits(name, circuit, recipe):
    module, inputs = built(name)
    model = approximate(module, circuit, given(inputs), recipe=recipe)
    whole = results(model, inputs)
    few = tuple(x[:3] for x in inputs)
    model.path = "reference"
    literal = results(model, few)
    model.path = "auto"
    for all_of_them, apart, slow in zip(whole, results(model, few), literal, strict=True):
        assert torch.equal(all_of_them[: len(apart)], apart)
        assert torch.equal(apart, slow)


def test_the_vit_s_layers_and_products_are_named():
    module, inputs = built("vit")
    network = network_of(capture(module, inputs[0]), "vit")
    kinds = {layer.name: layer.kind for layer in network.layers}
    assert kinds["blocks.layers.0.self_attn.scores"] == kinds["blocks.layers.1.self_attn.context"] == "matmul"
    scores = next(layer for layer in network.layers if layer.name.endswith("0.self_attn.scores"))
    assert (scores.groups, scores.m, scores.k, scores.n) == (2, 5, 8, 5)
    assert next(layer for layer in network.layers if layer.name == "blocks.layers.0.linear1").m == 5
    assert network.weights == sum(p.numel() for n, p in module.named_parameters()
                                  if p.dim() > 1 and n not in ("token", "position"))  # fmt: skip


def test_a_recurrent_layer_is_one_layer_with_a_call_for_each_step():
    module, inputs = built("gru")
    network = network_of(capture(module, inputs[0]), "gru")
    layers = {layer.name: layer for layer in network.layers}
    assert list(layers) == ["rnn.weight_ih_l0", "rnn.weight_hh_l0", "out"]
    assert (layers["rnn.weight_hh_l0"].m, layers["rnn.weight_hh_l0"].calls) == (5, 5)
    assert (layers["rnn.weight_ih_l0"].m, layers["rnn.weight_ih_l0"].calls) == (5, 1)


def test_sums_of_a_product_are_the_table_s_entries():
    """Attention-like operands written out: every entry of the table, corrections by hand."""
    table = np.random.default_rng(5).integers(-20000, 20000, (256, 256))
    for circuit in (Multiplier.from_table(table, signed=True, name="s"), load_multiplier("mul8u_QKX")):
        torch.manual_seed(0)
        module = Made(lambda s, x: s.a(x) @ (s.b(x).abs() + 0.2).transpose(1, 2), a=nn.Linear(6, 4), b=nn.Linear(6, 4))
        x = torch.randn(32, 5, 6)
        model = approximate(module.eval(), circuit, x, recipe=Recipe(unsigned_coding="unsigned"))
        layer = model.layer("matmul")
        coding = layer.coding
        seen = {}
        model.run(x[:2], lambda at, codes, to=seen: to.update({at.node.name: codes}))
        a, b = (c.numpy().astype(int) for c in seen["matmul"])
        rows, columns = (128 * circuit.a_signed, 128 * circuit.w_signed)
        expected = np.zeros((2, 5, 5), dtype=np.int64)
        for i, m, n, k in np.ndindex(2, 5, 5, 4):
            p, q = a[i, m, k], b[i, k, n]
            expected[i, m, n] += circuit.table[p + rows, q + columns]
            expected[i, m, n] -= coding.w_zero * p + coding.encoding.zero_point * q
            expected[i, m, n] += coding.w_zero * coding.encoding.zero_point
        assert np.array_equal(layer.raw_sums(*seen["matmul"]).numpy(), expected)


@pytest.mark.parametrize("bits", [2, 3, 5, 8])
def test_bit_widths_on_either_side(nets, bits):
    module, images, _ = nets.chain
    for recipe in (Recipe(activation_bits=bits), Recipe(weight_bits=bits)):
        model = approximate(module, "exact", images, recipe=recipe)
        seen = {}
        model.run(images, lambda layer, codes: seen.update({layer.node.name: codes[0]}))  # noqa: B023
        side = {"activation": max(len(c.unique()) for c in seen.values()),
                "weight": max(len(model.layer(n).w_codes.unique()) for n in model.layer_names)}  # fmt: skip
        narrow = "activation" if recipe.activation_bits == bits else "weight"
        assert side[narrow] <= 2**bits
        if bits < 8:
            assert side["weight" if narrow == "activation" else "activation"] > 2**bits


def test_more_bits_leave_less_error(nets):
    module, images, _ = nets.chain
    errors = []
    for bits in (2, 4, 6, 8):
        model = approximate(module, "exact", images, recipe=Recipe(activation_bits=bits, weight_bits=bits))
        errors.append(float((model(images) - module(images).detach()).square().mean()))
    assert errors == sorted(errors, reverse=True)


def test_scales_of_a_tensor_and_symmetric_codes(nets):
    module, images, _ = nets.chain
    model = approximate(module, "exact", images, recipe=Recipe(weight_scales="tensor", activation_codes="symmetric"))
    for name in model.layer_names:
        coding = model.layer(name).coding
        assert len(coding.w_scale.unique()) == 1
        assert coding.encoding.zero_point == 0
    with pytest.raises(InvalidInputError, match="zero point"):
        approximate(module, "mul8u_18DU", images, recipe=Recipe(activation_codes="symmetric"))
    for bad in ({"activation_bits": 1}, {"weight_bits": 9}, {"weight_scales": "row"}, {"activation_codes": "odd"}):
        with pytest.raises(InvalidInputError, match=next(iter(bad))):
            Recipe(**bad)


def test_skipped_channels_of_a_transposed_layer_are_zero():
    from axdnn.layers import Calibration, build, fit_coding
    from axdnn.quant import fold_batch_norm

    module, inputs = built("transposed")
    captured = fold_batch_norm(capture(module, inputs[0]))
    data, recipe = Calibration(captured, inputs[0]), Recipe()
    codings = {n: fit_coding(data.samples[n], load_multiplier("mul8s_1KR6"), recipe) for n in captured.layer_names}
    network = network_of(captured, "transposed")
    model = build(data, codings, network, recipe, skip={"up": (1,)}, absent={"up": (0, 5)})
    seen = {}
    model.run(inputs[0][:2], lambda layer, codes: seen.update({layer.node.name: codes[0]}))
    sums = model.layer("up").sums(seen["up"])
    assert not sums[:, 1].any()
    assert sums[:, 0].any()
    other = seen["up"].clone()
    other[:, [0, 5]] = 17
    assert torch.equal(model.layer("up").sums(other), sums)


def test_wrong_numbers_of_inputs():
    module, inputs = built("two inputs and results")
    with pytest.raises(InvalidInputError, match="fails on an input"):
        approximate(module, "exact", inputs[0])
    with pytest.raises(InvalidInputError, match="as many each"):
        approximate(module, "exact", (inputs[0], inputs[1][:5]))
    model = approximate(module, "exact", inputs)
    with pytest.raises(InvalidInputError, match="takes 2 inputs, but got 1"):
        model(inputs[0])


def test_a_model_that_asks_for_its_length_is_captured_from_one_run():
    """`len(x)` fixes the batch size for torch.export; sizes of the recorded run tell where the batch is."""

    def forward(self, x):
        tokens = torch.cat([self.token.expand(len(x), -1, -1), self.fc(x)], 1)
        return tokens.transpose(0, 1).reshape(len(x) * 6, 4).view(6, len(x), 4).mean(0)

    module = Made(forward, token=nn.Parameter(torch.randn(1, 1, 4)), fc=nn.Linear(6, 4)).eval()
    x = torch.randn(16, 5, 6)
    captured = capture(module, x)
    assert captured.captured_by == "make_fx"
    model = approximate(module, "exact", x)
    assert float((model(x) - module(x).detach()).abs().max()) < 0.1


@pytest.mark.parametrize("name", ["vit", "lstm", "transposed", "shared", "attention with weights"])
def test_what_networks_share_is_computed_once_and_changes_nothing(name):
    from axdnn.layers import ActivationCache, Calibration, build, fit_coding, outputs_of
    from axdnn.quant import fold_batch_norm

    module, (x,) = built(name)
    captured = fold_batch_norm(capture(module, x))
    data, recipe, network = Calibration(captured, x), Recipe(), network_of(captured, name)
    cache = ActivationCache(data)
    circuits = [load_multiplier(m) for m in ("mul8s_1KR6", "mul8u_18DU")]
    codings = {(n, m.id): fit_coding(data.samples[n], m, recipe) for n in captured.layer_names for m in circuits}
    last = captured.layer_names[-1]
    choices = [{n: circuits[i if n == last else 0].id for n in captured.layer_names} for i in range(2)]
    chosen = [{n: codings[n, choice[n]] for n in captured.layer_names} for choice in choices]
    fresh = [build(data, c, network, recipe)(x) for c in chosen]
    shared = [build(data, c, network, recipe, cache=cache) for c in chosen]
    found = {i: value for i, value in outputs_of(shared, x, cache)}
    assert all(torch.equal(found[i], fresh[i]) for i in range(2))
    assert not torch.equal(fresh[0], fresh[1])
    first = captured.layer_names[0]
    assert cache.computed[first] < 4 * len(x) * len(captured.calls(first))  # calibrated and run twice each
