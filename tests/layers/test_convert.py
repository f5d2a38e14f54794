"""Which layer gets which multiplier, what stays exact, bad input, and degenerate networks."""

from __future__ import annotations

import copy
import hashlib
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from axdnn import approximate, load_multiplier
from axdnn.layers import Recipe, resolve
from axdnn.records import (
    Assignment,
    InvalidInputError,
    Multiplier,
    UnknownNameError,
    UnsupportedOperatorError,
)

LAYERS = ("stem", "stage1.0.conv1", "stage1.0.conv2", "stage2.0.conv1", "fc")


def names(multipliers):
    chosen, exact = resolve(multipliers, LAYERS)
    assert tuple(chosen) == LAYERS
    return [m.name for m in chosen.values()], [e.name for e in exact]


def test_one_multiplier_goes_everywhere():
    for one in ("mul8u_QKX", load_multiplier("mul8u_QKX")):
        assert names(one) == (["mul8u_QKX"] * 5, [])


def test_full_names_win_over_patterns_and_earlier_patterns_over_later_ones():
    mapping = {"*": "mul8u_R36", "stage1.*": "mul8u_17R6", "stage1.0.conv2": "mul8s_1L2N"}
    assert names(mapping)[0] == ["mul8u_R36", "mul8u_R36", "mul8s_1L2N", "mul8u_R36", "mul8u_R36"]
    mapping = {"stage1.*": "mul8u_17R6", "stage?.0.conv1": "mul8s_1L2N", "*": "mul8u_R36"}
    assert names(mapping)[0] == ["mul8u_R36", "mul8u_17R6", "mul8u_17R6", "mul8s_1L2N", "mul8u_R36"]


def test_layers_that_nothing_names_stay_exact_and_are_listed():
    chosen, exact = names({"stage*.conv1": "mul8u_QKX"})
    assert chosen == ["mul8s_1KV6", "mul8u_QKX", "mul8s_1KV6", "mul8u_QKX", "mul8s_1KV6"]
    assert exact == ["stem", "stage1.0.conv2", "fc"]
    assert names({})[1] == list(LAYERS)
    assert all("no entry" in e.reason for e in resolve({}, LAYERS)[1])


def test_a_users_table_cannot_go_by_the_catalogues_name_of_another_circuit():
    """An assignment names circuits, so a borrowed name would mean another one when it is read again."""
    table = load_multiplier("mul8u_R36").table
    with pytest.raises(InvalidInputError, match="another circuit"):
        resolve(Multiplier.from_table(table, signed=False, name="mul8u_QKX"), LAYERS)
    assert names(Multiplier.from_table(table, signed=False, name="mul8u_R36"))[0] == ["mul8u_R36"] * 5
    assert names(Multiplier.from_table(table, signed=False, name="my own"))[0] == ["my own"] * 5


def test_unknown_names_list_the_nearest():
    with pytest.raises(UnknownNameError, match=r"layer or pattern 'stage1\.0\.cnv1'.*nearest: stage1\.0\.conv1"):
        resolve({"stage1.0.cnv1": "exact"}, LAYERS)
    with pytest.raises(UnknownNameError, match="'stage9'"):
        resolve({"stage9": "exact"}, LAYERS)
    with pytest.raises(UnknownNameError, match="mul8u_QKX"):
        resolve({"fc": "mul8u_QKY"}, LAYERS)
    with pytest.raises(UnknownNameError, match="mul8u_QKX"):
        resolve("mul8u_QKY", LAYERS)
    for bad in (3, None, ["exact"]):
        with pytest.raises(InvalidInputError, match="catalogue name or a Multiplier"):
            resolve(bad, LAYERS)
    with pytest.raises(InvalidInputError, match="keys of `multipliers`"):
        resolve({0: "exact"}, LAYERS)


def test_the_result_lists_assignment_exact_layers_and_operators(nets):
    module, images, _ = nets.residual
    model = approximate(module, {"wide": "mul8u_QKX"}, images, name="mine")
    assert isinstance(model.assignment, Assignment)
    assert model.assignment.multipliers == {
        "stem": "mul8s_1KV6", "wide": "mul8u_QKX", "deep": "mul8s_1KV6", "fc": "mul8s_1KV6",
    }  # fmt: skip
    assert [e.name for e in model.exact_layers] == ["stem", "deep", "fc"]
    operators = [e.operator for e in model.exact_operators]
    assert operators.count("layer") == 3
    assert {"add", "avg_pool2d", "clamp"} < set(operators)
    assert all(e.reason for e in model.exact_operators)
    covered = {e.name for e in model.exact_operators} | set(model.assignment.multipliers)
    assert covered == {n.name for n in model.nodes.values() if n.op not in ("input", "output")}
    assert model.network.name == "mine"
    assert not model.training


def test_mixed_codings_in_one_network_equal_the_literal_network(nets):
    for (module, images, x), net in ((nets.chain, "chain"), (nets.residual, "residual")):
        first = "conv1" if net == "chain" else "stem"
        model = approximate(module, {first: "exact", "fc*": "mul8s_1L2N", "*": "mul8u_QKX"}, images)
        np.testing.assert_array_equal(model(x).numpy(), getattr(nets.literal(model), net)(x))


CALIBRATION = {
    "empty tensor": (lambda x: x[:0], "must not be empty"),
    "no batches": (lambda x: [], "at least one batch"),
    "empty batches": (lambda x: [x[:0], x[:0]], "must not be empty"),
    "wrong channels": (lambda x: x.repeat(1, 2, 1, 1), r"fails on an input of shape \(2, 14, 12\)"),
    "single image": (lambda x: x[0], "fails on an input of shape|at least"),
    "vector": (lambda x: x.flatten(), "must not be empty|at least one"),
    "not a number": (lambda x: x.masked_fill(x > 0.9, float("nan")), "finite"),
    "infinite": (lambda x: [x, x / 0.0], "finite"),
    "arrays": (lambda x: list(x.numpy()), "each a tensor"),
    "text": (lambda x: "images", "must be a tensor or tensors, but got str"),
    "nothing": (lambda x: None, "must be a tensor or tensors, but got NoneType"),
    "mixed shapes": (lambda x: [x, x[:, :, :4]], "one shape"),
}


@pytest.mark.parametrize("case", CALIBRATION)
def test_bad_calibration_data(nets, case):
    module, images, _ = nets.chain
    make, message = CALIBRATION[case]
    with pytest.raises(InvalidInputError, match=message):
        approximate(module, "exact", make(images))


def test_calibration_batches_and_loaders_give_the_same_model(nets):
    module, images, x = nets.chain
    want = approximate(module, "mul8u_QKX", images)(x)
    labels = torch.zeros(len(images))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, labels), batch_size=10)
    for calibration in (list(images.split(7)), (part for part in images.split(5)), loader, images.double()):
        assert torch.equal(approximate(module, "mul8u_QKX", calibration)(x), want)


def test_bad_models_and_inputs(nets):
    module, images, x = nets.chain
    with pytest.raises(InvalidInputError, match=r"torch\.nn\.Module"):
        approximate(torch.relu, "exact", images)
    with pytest.raises(InvalidInputError, match="no convolution or linear layer"):
        approximate(nn.Sequential(nn.ReLU()), "exact", images)
    with pytest.raises(UnsupportedOperatorError, match="softmax"):
        approximate(nn.Sequential(module, nn.Softmax(0)), "exact", images)
    model = approximate(module, "exact", images)
    for bad in (x[0], x[:, :, :5], x.numpy()):
        with pytest.raises(InvalidInputError, match="shape"):
            model(bad)
    with pytest.raises(InvalidInputError, match="NaN"):
        model(x * float("nan"))
    assert torch.isfinite(model(x * 1e30)).all()
    with pytest.raises(InvalidInputError, match=r"256, 256"):
        Multiplier.from_table(np.zeros((64, 64), int), signed=True, name="small")


def test_the_users_model_and_images_are_not_changed(nets):
    module, images, x = nets.residual
    module = copy.deepcopy(module).train()
    module.bn1.eval()
    state, kept = copy.deepcopy(module.state_dict()), images.clone()
    model = approximate(module, "mul8u_QKX", images)
    model(x)
    assert all(torch.equal(v, module.state_dict()[k]) for k, v in state.items())
    assert torch.equal(images, kept)
    assert module.training
    assert not module.bn1.training


def test_models_survive_copies_and_pickles(nets):
    module, images, x = nets.residual
    model = approximate(module, "mul8u_QKX", images)
    want = model(x)
    assert torch.equal(copy.deepcopy(model)(x), want)
    assert torch.equal(pickle.loads(pickle.dumps(model))(x), want)
    other = approximate(module, "mul8u_QKX", images.flip(0) * 0.9)
    assert not torch.equal(other(x), want)
    for layer in model.layer_names:
        assert set(model.layer(layer).state_dict()) == {"w_codes", "scale", "bias", "shift"}
        assert model.layer(layer).bias.dtype == torch.int32
        assert model.layer(layer).scale.dtype == torch.float32


CODE = """
import hashlib, sys, torch
torch.set_num_threads(1)
sys.path.insert(0, sys.argv[1])
from conftest import Residual, images, lively
from axdnn import approximate
model = approximate(lively(Residual()), {"fc": "exact", "*": "mul8u_QKX"}, images(24, 2, 9, 8))
print(hashlib.sha256(model(images(7, 2, 9, 8, seed=9)).numpy().tobytes()).hexdigest())
"""


def test_another_process_computes_the_same_bits(nets):
    module, images, _ = nets.residual
    x = nets.images(7, 2, 9, 8, seed=9)
    here = [approximate(module, {"fc": "exact", "*": "mul8u_QKX"}, images)(x) for _ in range(2)]
    assert torch.equal(here[0], here[1])
    digest = hashlib.sha256(here[0].numpy().tobytes()).hexdigest()
    command = [sys.executable, "-c", CODE, os.path.dirname(__file__)]
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    assert subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout.strip() == digest


class Dead(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(2, 4, 3), nn.Conv2d(4, 4, 1), nn.Linear(4, 3)

    def forward(self, x):
        return self.c(F.relu(self.b(F.relu(self.a(x)))).mean((2, 3)))


@pytest.mark.parametrize("name", ["exact", "mul8u_QKX", "mul8s_1L2N", "mul8u_17KS"])
@pytest.mark.parametrize("unsigned", ["sign_magnitude", "unsigned"])
def test_dead_channels_dead_layers_and_constant_inputs(nets, name, unsigned):
    x = nets.images(16, 2, 6, 6)
    recipe = Recipe(unsigned_coding=unsigned)
    channel, layer, silent = (nets.lively(Dead()) for _ in range(3))
    with torch.no_grad():
        channel.a.weight[1] = 0.0
        channel.a.weight[2] *= 1e-20
        layer.b.weight.zero_()
        silent.a.bias.fill_(-1e3)
    for module, images in (
        (channel, x),
        (layer, x),
        (silent, x),
        (channel, torch.zeros_like(x)),
        (channel, x[:1] * 0 + 2),
    ):
        model = approximate(module, name, images, recipe=recipe)
        got, again = model(x), approximate(module, name, images, recipe=recipe)(x)
        assert torch.isfinite(got).all()
        assert torch.equal(got, again)
        if module is not channel:
            tolerance = 0.02 if name == "exact" else 0.1
            torch.testing.assert_close(got, module(x).detach(), rtol=tolerance, atol=tolerance)
        model.path = "reference"
        assert torch.equal(model(x), got)


@pytest.mark.parametrize("weight", [1e-3, 1e-9, 1e-14, 1e-30])
@pytest.mark.parametrize("name", ["exact", "mul8u_QKX"])
def test_a_bias_far_above_the_weights_is_kept(nets, name, weight):
    """Batch norm leaves channels with next to no weight; int32 must still hold their bias."""
    module, x = nets.lively(Dead()), nets.images(16, 2, 6, 6)
    with torch.no_grad():
        module.a.weight[1] = weight
        module.a.bias[1] = 2.0
        module.b.weight[3] *= weight
        module.b.bias[3] = 1.5
    want = module(x).detach()
    for recipe in (Recipe(), Recipe(compensate=False), Recipe(in_order=False), Recipe(unsigned_coding="unsigned")):
        if name != "exact" and (recipe.unsigned_coding == "unsigned" or not recipe.compensate):
            continue
        model = approximate(module, name, x, recipe=recipe)
        error = (model(x) - want).abs().max()
        assert error < (0.04 if name == "exact" else 0.25) * want.abs().max()
