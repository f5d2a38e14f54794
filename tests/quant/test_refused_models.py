"""What cannot be captured is refused with the reason and the place."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from axdnn.quant import capture
from axdnn.records import InvalidInputError, UnsupportedOperatorError

IMAGES = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(1)) * 2 - 0.7


def test_all_unsupported_operators_are_listed_with_their_place():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.LPPool2d(2, 2), nn.Upsample(scale_factor=2, mode="bilinear"))
    model.append(nn.Sequential(nn.Softmax(0), nn.LocalResponseNorm(2)))
    with pytest.raises(UnsupportedOperatorError) as caught:
        capture(model, IMAGES)
    text = str(caught.value)
    for word in ("pow", "upsample_bilinear2d", "softmax over the batch", "'1'", "'2'", "'3.0'", "'3.1'"):
        assert word in text
    assert "Supported: convolutions" in text


BAD = {
    "stored times activation": (lambda s, x: s.embedding.mean(1, keepdim=True) @ s.conv(x), "transpose the product"),
    "mean over the batch": (lambda s, x: s.conv(x).mean(0, keepdim=True), "over the batch"),
    "half of the batch": (lambda s, x: s.conv(x)[:1], "takes the batch apart"),
    "padded with ones": (lambda s, x: F.pad(s.conv(x), (1, 1), value=1.0), "anything but zeros"),
    "over zero": (lambda s, x: s.conv(x) / 0.0, "division by zero"),
    "number over": (lambda s, x: 1.0 / s.conv(x), "reciprocal|division by an activation"),
    "weights from activations": (
        lambda s, x: F.conv2d(x, x[:1].mean((2, 3), keepdim=True)),
        "weights are computed|aten.slice",
    ),
    "active dropout": (lambda s, x: F.dropout(s.conv(x), 0.5), "dropout that is active"),
    "stored result": (lambda s, x: s.embedding * 1.0, "stored tensor|one tensor"),
    "batch merged": (lambda s, x: s.conv(x).view(-1, 8), "moves the batch|batch"),
    "batch moved": (lambda s, x: s.conv(x).permute(1, 0, 2, 3), "moves the batch"),
    "cat over batch": (lambda s, x: torch.cat([s.conv(x), s.conv(x)]), "over the batch"),
    "cast": (lambda s, x: s.conv(x).double(), "cast to torch.float64"),
    "odd pool": (lambda s, x: F.adaptive_avg_pool2d(s.conv(x), 3), "whole number of windows"),
    "uncounted padding": (lambda s, x: F.avg_pool2d(s.conv(x), 3, 2, 1, count_include_pad=False), "count_include_pad"),
    "even same": (lambda s, x: F.conv2d(s.conv(x), torch.ones(1, 4, 2, 2), padding="same"), "even window|weights are"),
    "batch statistics": (lambda s, x: F.batch_norm(s.conv(x), None, None, training=True), "statistics"),
    "batch statistics kept": (lambda s, x: F.batch_norm(s.conv(x), s.mean, s.var, training=True), "statistics"),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_integer_is_refused_with_the_reason(made, name):
    function, reason = BAD[name]
    parts = {
        "conv": nn.Conv2d(3, 4, 1),
        "embedding": torch.rand(1, 3, 8, 8),
        "mean": torch.zeros(4),
        "var": torch.ones(4),
    }
    with pytest.raises(UnsupportedOperatorError, match=reason):
        capture(made(function, **parts), IMAGES)


def test_batch_statistics_without_running_ones_are_refused():
    with pytest.raises(UnsupportedOperatorError, match="batch norm"):
        capture(nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, track_running_stats=False)), IMAGES)


@pytest.mark.parametrize(
    "function",
    [
        lambda s, x: s.conv(x) * float(x.shape[0]),
        lambda s, x: s.conv(x) if x.shape[0] > 1 else s.conv(x) + 1,
        lambda s, x: s.conv(x) if x.shape[0] != 5 else -s.conv(x),
        lambda s, x: s.conv(x) + torch.rand(()).item(),
    ],
)
def test_models_that_depend_on_the_batch_size_or_on_chance_are_refused(made, function):
    for images in (IMAGES, IMAGES[:1]):
        with pytest.raises(UnsupportedOperatorError):
            capture(made(function, conv=nn.Conv2d(3, 4, 1)), images)


def test_models_that_depend_on_values_are_refused(made):
    def forward(self, x):
        return self.conv(x) if x.sum() > 0 else -self.conv(x)

    with pytest.raises(UnsupportedOperatorError, match=r"cannot be captured|reproduce"):
        capture(made(forward, conv=nn.Conv2d(3, 4, 1)), IMAGES)


def test_bad_models_and_examples():
    model = nn.Sequential(nn.Conv2d(3, 4, 3))
    with pytest.raises(InvalidInputError, match=r"torch\.nn\.Module, but got function"):
        capture(lambda x: x, IMAGES)
    for example in (IMAGES[:0], IMAGES[0, 0, 0], IMAGES.tolist()):
        with pytest.raises(InvalidInputError, match="at least one input"):
            capture(model, example)
    with pytest.raises(InvalidInputError, match=r"fails on an input of shape \(1, 8, 8\)"):
        capture(model, IMAGES[:, :1])
