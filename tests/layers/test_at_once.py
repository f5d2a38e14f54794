"""A layer's codes in one go follow its buffers, and are those of its sums."""

from itertools import pairwise

import pytest
import torch
from torch import nn

from axdnn import approximate
from axdnn.layers.at_once import codes_at_once


@pytest.fixture
def model():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 6, 3), nn.Flatten(), nn.Linear(96, 5),
                        nn.ReLU(), nn.Linear(5, 4)).eval()  # fmt: skip
    images = torch.rand(12, 3, 6, 6)
    return approximate(net, "mul8s_1KVQ", images), images


def layer_and_form(model):
    name = model.layer_names[1]
    layer = model.layer(name)
    return layer, model.requests[layer.node.name][0]


def test_codes_are_those_of_the_sums_whatever_is_done_to_the_buffers(model):
    net, _ = model
    layer, form = layer_and_form(net)
    codes = torch.randint(-128, 128, (5, 8, 6, 6), dtype=torch.int8)

    def both():
        made = codes_at_once(layer, codes, form, "native_factorised")
        sums, constant = layer.open_sums(codes, path="reference")
        return made, form.emit_sums(sums, constant, layer.scale.double(), 1, literal=True)

    seen = []
    for change in (
        lambda: None,
        lambda: layer.bias.add_(4000),
        lambda: layer.scale.mul_(1.7),
        lambda: layer.set_affine(torch.full((6,), 0.5), torch.linspace(-1, 1, 6, dtype=torch.float64)),
        lambda: layer.load_state_dict({k: v // 2 if k == "bias" else v for k, v in layer.state_dict().items()}),
    ):
        change()
        made, wanted = both()
        assert made is not None
        assert torch.equal(made, wanted)
        seen.append(made.clone())
    assert all(not torch.equal(a, b) for a, b in pairwise(seen))


def test_networks_give_what_the_reference_gives(model):
    net, images = model
    fast = net(images)
    net.path = "reference"
    assert torch.equal(fast, net(images))


def test_tensors_of_inference_mode_are_asked_each_time(model):
    _, images = model
    torch.manual_seed(0)
    with torch.inference_mode():
        net = approximate(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3)).eval(), "mul8s_1KVP", images)
        first = net(images)
        net.layer(net.layer_names[0]).bias.add_(10_000)
        assert not torch.equal(net(images), first)


def test_layers_whose_sums_must_be_seen_are_left_alone(model):
    net, _ = model
    layer, form = layer_and_form(net)
    codes = torch.zeros(1, 8, 6, 6, dtype=torch.int8)
    layer.skipped = torch.tensor([2])
    assert codes_at_once(layer, codes, form, "native_factorised") is None
