"""Layers, products, edges and live activations of a captured model against numbers worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from axdnn.models import build_model
from axdnn.quant import capture, fold_batch_norm, network_of
from axdnn.records import Network, from_json, to_json


def described(model, images, fold=True):
    captured = capture(model, images)
    return network_of(fold_batch_norm(captured) if fold else captured, "net")


def test_lenet5_by_hand():
    network = described(build_model("lenet5", 1, 10, 28), torch.rand(2, 1, 28, 28))
    rows = [(x.name, x.kind, x.m, x.k, x.n, x.in_shape, x.out_shape, x.kernel, x.padding) for x in network.layers]
    assert rows == [
        ("conv1", "conv2d", 784, 25, 6, (1, 28, 28), (6, 28, 28), (5, 5), (2, 2)),
        ("conv2", "conv2d", 100, 150, 16, (6, 14, 14), (16, 10, 10), (5, 5), (0, 0)),
        ("conv3", "conv2d", 1, 400, 120, (16, 5, 5), (120, 1, 1), (5, 5), (0, 0)),
        ("fc1", "linear", 1, 120, 84, (120,), (84,), (1, 1), (0, 0)),
        ("fc2", "linear", 1, 84, 10, (84,), (10,), (1, 1), (0, 0)),
    ]
    assert [layer.macs for layer in network.layers] == [117600, 240000, 48000, 10080, 840]
    assert network.macs == 416520
    assert network.weights == 150 + 2400 + 48000 + 10080 + 840
    assert network.edges == (
        ("input", "conv1"), ("conv1", "conv2"), ("conv2", "conv3"), ("conv3", "fc1"), ("fc1", "fc2"), ("fc2", "output"),
    )  # fmt: skip
    assert network.input_shape == (1, 28, 28)
    assert network.peak_activation_words == 6 * 28 * 28 + 6 * 14 * 14  # conv1's result while it is pooled
    assert network.captured_by == "torch.export"
    assert {(o.operator) for o in network.exact_operators} == {"clamp", "max_pool2d", "reshape"}
    assert all(o.reason for o in network.exact_operators)


class Block(nn.Module):
    """A ResNet block with a strided shortcut, then pooling and a classifier."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(8, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16)
        self.conv2, self.bn2 = nn.Conv2d(16, 16, 3, 1, 1, groups=4, bias=False), nn.BatchNorm2d(16)
        self.short, self.fc = nn.Conv2d(8, 16, 1, 2, bias=False), nn.Linear(16, 5, bias=False)

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
        return self.fc(torch.relu(y + self.short(x)).mean((2, 3)))


def test_resnet_block_by_hand(alive):
    network = described(alive(Block()), torch.rand(2, 8, 6, 10))
    layers = {layer.name: layer for layer in network.layers}
    assert list(layers) == ["conv1", "conv2", "short", "fc"]
    assert [(x.m, x.k, x.n, x.groups) for x in network.layers] == [
        (15, 72, 16, 1),
        (15, 36, 4, 4),
        (15, 8, 16, 1),
        (1, 16, 5, 1),
    ]
    assert [x.macs for x in network.layers] == [17280, 8640, 1920, 80]
    assert [x.weights for x in network.layers] == [1152, 576, 128, 80]
    assert [x.has_bias for x in network.layers] == [True, True, False, False]
    assert (layers["conv1"].input_words, layers["conv1"].output_words) == (480, 240)
    assert layers["conv1"].stride == (2, 2)
    assert set(network.edges) == {
        ("input", "conv1"), ("conv1", "conv2"), ("input", "short"), ("conv2", "fc"), ("short", "fc"), ("fc", "output"),
    }  # fmt: skip
    assert network.peak_activation_words == 480 + 240 + 240  # input kept for the shortcut while conv2 runs
    assert from_json(Network, to_json(network)) == network


def test_several_rows_of_a_linear_layer_and_an_input_that_reaches_the_output():
    class Tokens(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(6, 6)

        def forward(self, x):
            return self.fc(x) + x

    network = described(Tokens(), torch.rand(2, 7, 6))
    assert [(x.m, x.k, x.n, x.macs) for x in network.layers] == [(7, 6, 6, 252)]
    assert set(network.edges) == {("input", "fc"), ("fc", "output"), ("input", "output")}


@pytest.mark.parametrize(
    ("name", "shape"),
    [("lenet5", (1, 28, 28)), ("resnet8", (3, 32, 32)), ("resnet20", (3, 32, 32)), ("block", (8, 9, 11))],
)
def test_products_agree_with_torchs_own_count(name, shape):
    model = Block() if name == "block" else build_model(name, shape[0], 10, shape[1])
    images = torch.rand(1, *shape)
    network = described(model, images)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.eval()(images)
    assert 2 * network.macs == counter.get_total_flops()
    assert network.weights == sum(p.numel() for p in model.parameters() if p.dim() > 1)
    assert isinstance(network, Network)
    assert all(math.prod(x.out_shape) == x.output_words for x in network.layers)
