"""Dead inputs against brute force: the float network with the skipped channels set to 0, on random inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from axdnn.models import build_model
from axdnn.quant import CapturedModel, apply_float, capture, check_absent, check_skip, dead_inputs, fold_batch_norm
from axdnn.records import InvalidInputError, UnknownNameError


class Plain(nn.Module):
    """Padded, strided, depthwise and grouped convolutions, both poolings, clamps around 0, flattening."""

    def __init__(self, least: float = 0.0) -> None:
        super().__init__()
        self.least = least
        self.conv1 = nn.Conv2d(2, 6, 3, padding=1)
        self.deep = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.wide = nn.Conv2d(6, 4, 3, stride=2, groups=2)
        self.fc1, self.fc2 = nn.Linear(4 * 4, 10), nn.Linear(10, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(torch.clamp(self.conv1(x), self.least, 9.0), 2)
        x = F.hardtanh(self.deep(x), -1.0, 2.0)
        x = F.avg_pool2d(torch.clamp(self.wide(x), self.least, 6.0), 2)
        return self.fc2(torch.clamp(self.fc1(x.flatten(1)), self.least, 9.0))


class Joined(nn.Module):
    """Additions and concatenation, batch norms that are folded and one that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.bn_a = nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4)
        self.b = nn.Conv2d(4, 4, 3, padding=1)
        self.c = nn.Conv2d(8, 4, 1)
        self.bn_late = nn.BatchNorm2d(4)
        self.d, self.fc = nn.Conv2d(4, 3, 1), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = F.relu(self.bn_a(self.a(x)))
        joined = self.c(torch.cat([a, F.relu(a + self.b(a))], dim=1))
        y = self.d(self.bn_late(F.relu(joined)))
        return self.fc(y.mean((2, 3)))


class Floor(nn.Module):
    """A clamp that lifts 0 and a sigmoid, neither of which keeps zero."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c, self.d = (nn.Linear(6, 6) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.clamp(self.a(x), 0.25, 1.0)
        x = torch.sigmoid(self.b(x))
        return self.d(torch.tanh(self.c(x)))


def captured(model: nn.Module, *shape: int) -> CapturedModel:
    """With biases everywhere, so that nothing is 0 by chance."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(torch.randn(p.shape, generator=generator) * 0.3)
    return fold_batch_norm(capture(model.eval(), torch.rand(2, *shape)))


def zeros_seen(model: CapturedModel, skip: Mapping[str, Sequence[int]], images: torch.Tensor) -> dict[str, set[int]]:
    """Input channels (features) of each layer that are 0 on all images once the skipped outputs are 0."""
    values: dict[str, torch.Tensor] = {}
    found: dict[str, set[int]] = {}
    for node in model.nodes.values():
        if node.op == "output":
            continue
        if node.op == "input":
            values[node.name] = images
            continue
        inputs = tuple(values[i] for i in node.inputs)
        if node.is_layer:
            x = inputs[0]
            each = x.transpose(0, 1).flatten(1) if node.op == "conv2d" else x.reshape(-1, x.shape[-1]).T
            found[node.name] = set(torch.nonzero((each == 0).all(dim=1)).flatten().tolist())
            layer, a = model.layer(node.name), node.attrs
            y = (
                F.linear(x, layer.weight, layer.bias) if node.op == "linear"
                else F.conv2d(x, layer.weight, layer.bias, a["stride"], a["padding"], a["dilation"], a["groups"])
            )  # fmt: skip
            y[:, list(skip.get(node.name, ()))] = 0
            values[node.name] = y
        else:
            values[node.name] = apply_float(node, inputs)
    return found


NETS: dict[str, Callable[[], CapturedModel]] = {
    "open": lambda: captured(Plain(-9.0), 2, 20, 20),
    "plain": lambda: captured(Plain(), 2, 20, 20),
    "joined": lambda: captured(Joined(), 2, 6, 6),
    "floor": lambda: captured(Floor(), 6),
    "lenet5": lambda: captured(build_model("lenet5", 1, 10, 28), 1, 28, 28),
    "resnet8": lambda: captured(build_model("resnet8", 3, 10, 32), 3, 32, 32),
}


def drawn(model: CapturedModel, rng: np.random.Generator, most: float = 0.8) -> dict[str, tuple[int, ...]]:
    skip = {}
    for name in model.layer_names:
        count = model.layer(name).weight.shape[0]
        chosen = rng.choice(count, int(rng.integers(0, max(2, int(most * count)))), replace=False)
        if len(chosen):
            skip[name] = tuple(sorted(chosen.tolist()))
    return skip


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", NETS)
def test_dead_inputs_are_zero_and_the_others_are_not(name: str, seed: int) -> None:
    model, rng = NETS[name](), np.random.default_rng(seed)
    skip = drawn(model, rng)
    images = torch.randn(32, *model.input_shape, generator=torch.Generator().manual_seed(seed))
    dead, zero = dead_inputs(model, skip), zeros_seen(model, skip, images)
    for layer in model.layer_names:
        marked = set(dead.get(layer, ()))
        assert marked <= zero[layer], "what is marked dead is 0 whatever the image"
        if name in ("open", "floor"):  # no addition, and no ReLU that may stay shut on all of these images
            assert marked == zero[layer]
    assert dead or name == "floor"


def test_marks_worked_by_hand() -> None:
    model = captured(Plain(), 2, 20, 20)
    found = dead_inputs(model, {"conv1": (1, 4), "deep": (0, 1), "wide": (2,), "fc1": (9,)})
    assert found == {
        "deep": (1, 4), "wide": (0, 1), "fc1": (8, 9, 10, 11), "fc2": (9,),
    }, "a depthwise output of a dead input keeps its bias"  # fmt: skip


def test_both_sides_of_an_addition_must_be_dead() -> None:
    model = captured(Joined(), 2, 6, 6)
    assert dead_inputs(model, {"a": (0, 2), "b": (2, 3)}) == {"b": (0, 2), "c": (0, 2, 6)}
    assert dead_inputs(model, {"c": (1,)}) == {}, "a batch norm in front shifts what was 0"


def test_operators_that_move_zero() -> None:
    model = captured(Floor(), 6)
    assert dead_inputs(model, {"a": (1,), "b": (2,), "c": (3,)}) == {"d": (3,)}


def test_nothing_skipped_is_nothing_dead() -> None:
    for make in NETS.values():
        assert dead_inputs(make(), {}) == {}


@pytest.mark.parametrize(
    ("skip", "error", "part"),
    [
        ({"conv9": (0,)}, UnknownNameError, "conv1"),
        ({"conv1": (6,)}, InvalidInputError, "0..5"),
        ({"conv1": (-1,)}, InvalidInputError, "0..5"),
        ({"conv1": tuple(range(6))}, InvalidInputError, "at least one"),
    ],
)
def test_what_is_refused(skip: Any, error: type[Exception], part: str) -> None:
    model = captured(Plain(), 2, 20, 20)
    for function in (check_skip, dead_inputs):
        with pytest.raises(error, match=part):
            function(model, skip)


@pytest.mark.parametrize(
    ("absent", "error", "part"),
    [
        ({"conv9": (0,)}, UnknownNameError, "conv1"),
        ({"conv1": (2,)}, InvalidInputError, "0..1"),
        ({"wide": (6,)}, InvalidInputError, "0..5"),
        ({"deep": (-1,)}, InvalidInputError, "0..5"),
        ({"fc2": tuple(range(10))}, InvalidInputError, "at least one"),
    ],
)
def test_absent_inputs_that_are_refused(absent: Any, error: type[Exception], part: str) -> None:
    model = captured(Plain(), 2, 20, 20)
    check_absent(model, {"conv1": (1,), "wide": (0, 5), "deep": (5,), "fc2": ()})
    with pytest.raises(error, match=part):
        check_absent(model, absent)
