"""Batch norm joins the layer before it where that is exact, and stays elsewhere."""

from __future__ import annotations

import torch
from torch import nn

from axdnn.quant import capture, fold_batch_norm

IMAGES = torch.rand(3, 3, 8, 8, generator=torch.Generator().manual_seed(1))


class Net(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.conv, self.other, self.grouped = (
            nn.Conv2d(3, 4, 3, padding=1, bias=False),
            nn.Conv2d(3, 4, 1),
            nn.Conv2d(4, 8, 3, groups=4),
        )
        self.bn, self.bn2, self.bn8 = nn.BatchNorm2d(4), nn.BatchNorm2d(4), nn.BatchNorm2d(8)
        self.fc, self.bn1d = nn.Linear(8, 4), nn.BatchNorm1d(4)

    def forward(self, x):
        return self.function(self, x)


def folded(function, alive, images=IMAGES):
    model = alive(Net(function))
    captured = fold_batch_norm(capture(model, images))
    with torch.no_grad():
        torch.testing.assert_close(captured(images), model(images), rtol=1e-5, atol=1e-5)
    return [node.op for node in captured.nodes.values()], captured


def test_after_a_convolution(alive):
    ops, captured = folded(lambda s, x: s.bn(s.conv(x)), alive)
    assert ops == ["input", "conv2d", "output"]
    assert captured.layer("conv").bias.any()


def test_after_grouped_convolution_and_linear(alive):
    ops, _ = folded(lambda s, x: s.bn1d(s.fc(s.bn8(s.grouped(s.conv(x))).mean((2, 3)))), alive)
    assert "batch_norm" not in ops


def test_two_in_a_row(alive):
    ops, _ = folded(lambda s, x: s.bn2(s.bn(s.conv(x))), alive)
    assert ops == ["input", "conv2d", "output"]


def test_after_an_addition_it_stays(alive):
    ops, _ = folded(lambda s, x: s.bn(s.conv(x) + s.other(x)), alive)
    assert ops == ["input", "conv2d", "conv2d", "add", "batch_norm", "output"]


def test_with_a_second_reader_of_the_layer_it_stays(alive):
    def forward(s, x):
        y = s.conv(x)
        return s.bn(y) + y

    ops, _ = folded(forward, alive)
    assert "batch_norm" in ops


def test_with_a_second_reader_between_two_it_stays(alive):
    def forward(s, x):
        y = s.bn(s.conv(x))
        return s.bn2(y) + y

    ops, _ = folded(forward, alive)
    assert ops.count("batch_norm") == 1


def test_after_an_activation_it_stays(alive):
    ops, _ = folded(lambda s, x: s.bn(s.conv(x).relu()), alive)
    assert ops == ["input", "conv2d", "clamp", "batch_norm", "output"]


def test_a_convolution_of_several_calls_keeps_its_weights(alive):
    ops, captured = folded(lambda s, x: s.bn(s.conv(x)) + s.conv(x).relu(), alive)
    assert "batch_norm" in ops
    assert captured.layer_names == ("conv",)


def test_normalised_inputs_become_one_scale_and_shift(alive):
    ops, captured = folded(lambda s, x: s.conv((x - 0.4) / 0.2 * 3), alive)
    assert ops == ["input", "batch_norm", "conv2d", "output"]
    norm = next(node for node in captured.nodes.values() if node.op == "batch_norm")
    torch.testing.assert_close(norm.attrs["scale"], torch.full((3,), 15.0))
    torch.testing.assert_close(norm.attrs["shift"], torch.full((3,), -6.0))


def test_over_tokens_of_a_linear_layer_it_is_not_folded_into_the_features(alive):
    """BatchNorm1d normalises dimension 1, a linear layer's channels are the last; equal sizes hide the mistake."""
    tokens = torch.rand(3, 4, 8)
    ops, _ = folded(lambda s, x: s.bn1d(s.fc(x)), alive, tokens)
    assert ops == ["input", "linear", "batch_norm", "output"]
