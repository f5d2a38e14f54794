"""Operators of exported files beside those of the captured torch model: the same counts and price, or why not."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable
from itertools import starmap
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from axdnn.hardware import load_accelerator, priced_operators
from axdnn.models import build_model, network_from_onnx
from axdnn.quant import capture, fold_batch_norm, network_of
from axdnn.records import ExactOperator, Network

pytest.importorskip("onnx", reason="the extra onnx is not installed")
COUNTS = ("operations", "transcendental", "input_words", "output_words")


class Mobile(nn.Module):
    """Depthwise convolutions, squeeze and excitation, bounded and hard activations, a mean over pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1, bias=False), nn.BatchNorm2d(8), nn.Hardswish())
        self.wide = nn.Sequential(nn.Conv2d(8, 16, 1), nn.BatchNorm2d(16), nn.ReLU6())
        self.deep = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1, groups=16), nn.BatchNorm2d(16), nn.LeakyReLU())
        self.squeeze = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(16, 4, 1), nn.ReLU(), nn.Conv2d(4, 16, 1))
        self.narrow, self.head = nn.Conv2d(16, 8, 1), nn.Linear(8, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem((x - 0.5) / 0.2)
        y = self.deep(self.wide(x))
        x = x + self.narrow(y * F.hardsigmoid(self.squeeze(y)))
        return F.log_softmax(self.head(x.mean((2, 3))), -1)


class Vision(nn.Module):
    """A transformer of 4 patches and a class token, of 8 values each; 2 heads; hidden layer of 16."""

    def __init__(self) -> None:
        super().__init__()
        self.patch, self.token = nn.Conv2d(3, 8, 4, 4), nn.Parameter(torch.zeros(1, 1, 8))
        self.places = nn.Parameter(torch.rand(1, 5, 8))
        self.first, self.second = nn.LayerNorm(8), nn.LayerNorm(8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.block, self.head = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8)), nn.Linear(8, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        y = self.first(x)
        x = x + self.attention(y, y, y, need_weights=False)[0]
        return self.head((x + self.block(self.second(x)))[:, 0])


class Pools(nn.Module):
    """Poolings of one to three axes, resizing, padding, reductions, a join, a group norm, functions of one value."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8)
        self.line, self.volume = nn.Conv1d(8, 4, 3), nn.Conv3d(1, 2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.elu(self.norm(self.stem(F.pad(x, (1, 1, 1, 1)))))
        x = torch.cat([F.avg_pool2d(x, 2), F.max_pool2d(F.softplus(x), 2)], 1)
        x = F.interpolate(x, scale_factor=2, mode="nearest")[:, :8] - 1.5
        line = F.max_pool1d(F.avg_pool1d(self.line(x.mean(3)), 2), 2)
        volume = F.avg_pool3d(self.volume(x.unsqueeze(1)), 2).amax(-1).sum(2)
        return torch.exp(torch.maximum(line.flatten(1)[:, :4], volume.flatten(1)[:, :4]))


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "lenet5": (lambda: build_model("lenet5", 1, 10, 28), (1, 28, 28)),
    "cnn_small": (lambda: build_model("cnn_small", 1, 10, 28), (1, 28, 28)),
    "resnet8": (lambda: build_model("resnet8", 3, 10, 32), (3, 32, 32)),
    "resnet20": (lambda: build_model("resnet20", 3, 10, 32), (3, 32, 32)),
    "mobile": (Mobile, (3, 16, 16)),
    "vision": (Vision, (3, 8, 8)),
    "pools": (Pools, (3, 8, 8)),
}


def both(name: str, opset: int, folder: Path) -> tuple[Network, Network]:
    """Networks of the exported file and of the torch model."""
    make, shape = NETS[name]
    model, path, x = make().eval(), folder / "net.onnx", torch.zeros(2, *shape)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, (x,), str(path), dynamo=False, opset_version=opset, input_names=["input"],
                          dynamic_axes={"input": {0: "batch"}})  # fmt: skip
    return network_from_onnx(path), network_of(fold_batch_norm(capture(model, x)), "net")


def totals(operators: tuple[ExactOperator, ...]) -> dict[tuple[str, str], int]:
    """(kind, count) -> sum over operators, without zeros."""
    found: Counter[tuple[str, str]] = Counter()
    for one in operators:
        assert one.is_counted, one
        found.update({(one.kind, key): getattr(one, key) for key in COUNTS})
    return {key: count for key, count in found.items() if count}


def price(network: Network, operators: tuple[ExactOperator, ...] | None = None) -> tuple[float, float]:
    """Joules and seconds of operators, requantisation included."""
    if operators is not None:
        network = msgspec.structs.replace(network, exact_operators=operators)
    costs = priced_operators(network, load_accelerator("edge_16x16"))
    return sum(x.total_energy_j for x in costs), sum(x.latency_s for x in costs)


@pytest.mark.parametrize("name", ["lenet5", "cnn_small", "resnet8", "resnet20"])
@pytest.mark.parametrize("opset", [14, 20])
def test_the_same_counts_and_price(name: str, opset: int, tmp_path: Path) -> None:
    found, told = both(name, opset, tmp_path)
    assert totals(found.exact_operators) == totals(told.exact_operators)
    assert price(found) == pytest.approx(price(told), rel=1e-12)


def one(kind: Any, operations: int, transcendental: int, read: int, written: int) -> ExactOperator:
    return ExactOperator(name="one", operator="one", reason="a difference", kind=kind, operations=operations,
                         transcendental=transcendental, input_words=read, output_words=written)  # fmt: skip


# What the exporter does in another way: (in the file alone, in the captured network alone).
GELU = (  # x / sqrt 2, erf, + 1, times x, / 2 of 5 x 16 values; captured: one look-up
    [("elementwise", 80, 0, 80, 80), ("activation", 80, 0, 80, 80), ("elementwise", 80, 0, 80, 80),
     ("elementwise", 80, 0, 160, 80), ("elementwise", 80, 0, 80, 80)],
    [("activation", 80, 0, 80, 80)],
)  # fmt: skip
SCALE = (  # queries and keys are scaled, 40 values each; captured: the 50 scores are
    [("elementwise", 40, 0, 40, 40), ("elementwise", 40, 0, 40, 40)],
    [("softmax", 50, 0, 0, 0)],
)
TOKEN = ([], [("movement", 0, 0, 0, 8)])  # a stored value that is joined; captured: written first
NORM = (  # mean, difference, square, variance, eps, root, division by it, weight, bias of 5 rows of 8
    [("reduction", 45, 0, 40, 5), ("elementwise", 40, 0, 45, 40), ("elementwise", 40, 0, 40, 40),
     ("reduction", 45, 0, 40, 5), ("elementwise", 5, 0, 5, 5), ("elementwise", 0, 5, 5, 5),
     ("elementwise", 0, 40, 45, 40), ("elementwise", 40, 0, 40, 40), ("elementwise", 40, 0, 40, 40)],
    [("normalisation", 295, 5, 40, 40)],
)  # fmt: skip
GROUPS = (  # an instance norm with weights of one and biases of zero, then the weights and biases; 8 x 8 x 8 values
    [("elementwise", 512, 0, 512, 512), ("elementwise", 512, 0, 512, 512)],
    [],
)
INPUT = (  # difference and quotient of 3 x 16 x 16 pixels one after the other; captured: one scale and shift
    [("elementwise", 768, 0, 768, 768), ("elementwise", 768, 0, 768, 768)],
    [("elementwise", 1536, 0, 768, 768)],
)
DIFFERENCES = [
    ("mobile", 14, (INPUT,)),
    ("mobile", 20, (INPUT,)),
    ("vision", 20, (SCALE, TOKEN)),
    ("vision", 17, (SCALE, TOKEN, GELU)),
    ("vision", 14, (SCALE, TOKEN, GELU, NORM, NORM)),
    ("pools", 20, (GROUPS,)),
]


@pytest.mark.parametrize(("name", "opset", "differences"), DIFFERENCES)
def test_differences_are_what_the_exporter_wrote_otherwise(
    name: str, opset: int, differences: tuple[Any, ...], tmp_path: Path
) -> None:
    """All of the difference in counts, and in energy (time is rounded to whole cycles a pass)."""
    found, told = both(name, opset, tmp_path)
    only_file = tuple(starmap(one, [x for added, _ in differences for x in added]))
    only_torch = tuple(starmap(one, [x for _, left in differences for x in left]))
    assert totals((*found.exact_operators, *only_torch)) == totals((*told.exact_operators, *only_file))
    joules, more, less = price(found)[0] - price(told)[0], price(found, only_file)[0], price(found, only_torch)[0]
    assert joules == pytest.approx(more - less, rel=1e-9, abs=1e-18)
