"""Networks that use every operator of a captured graph, multipliers of every kind, and ways to run what is written."""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from axdnn import approximate
from axdnn.export import archive_bytes, lower, onnx_bytes, pt2_bytes, run_onnx
from axdnn.layers import ApproxModel, Recipe
from axdnn.records import Multiplier

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


class Windows(nn.Module):
    """Strided, dilated, grouped and depthwise convolutions; max pooling that sticks out; padded average pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(2, 6, (3, 2), stride=(2, 1), padding=(1, 2))
        self.grouped = nn.Conv2d(6, 9, 3, padding=2, dilation=2, groups=3)
        self.deep = nn.Conv2d(9, 18, 3, stride=2, padding=1, groups=9, bias=False)
        self.head = nn.Linear(18, 5)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(self.stem((x - 0.3) / 0.7), 3, 2, padding=1, ceil_mode=True)
        x = F.max_pool2d(torch.tanh(self.grouped(x)), (2, 1), (1, 1), dilation=(2, 1))
        x = F.avg_pool2d(F.hardtanh(self.deep(x), -1.0, 1.5), 2, 1, padding=1)
        return self.head(x.mean((2, 3)))


class Paths(nn.Module):
    """Additions and concatenations of values in several codings, batch norm on its own, tokens, a clamped result."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(2, 4, 1)
        self.norm = nn.BatchNorm2d(4)
        self.mix, self.wide = nn.Linear(8, 6), nn.Linear(6, 6, bias=False)
        self.last = nn.Linear(6 * 9, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = F.silu(self.a(x)), self.b(x)
        y = torch.cat([self.norm(a + b), F.relu6(b)], dim=1)
        y = F.avg_pool2d(y, 4).flatten(2).transpose(1, 2)  # (b, 9, 8)
        y = F.gelu(self.mix(y))
        y = (y + self.wide(y)).permute(0, 2, 1)
        return F.relu(self.last(y.reshape(-1, 6 * 9)))


class Ends(nn.Module):
    """A result that is not a layer's: moved, joined, from tables, additions, pooling, batch norm."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.conv, self.norm = nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x)
        ends: dict[str, Callable[[], torch.Tensor]] = {
            "layer": lambda: y,
            "moved": lambda: F.max_pool2d(y, 3, 2, padding=1, ceil_mode=True).permute(0, 2, 3, 1).flatten(1),
            "joined": lambda: torch.cat([F.hardtanh(y), y], 1),
            "table": lambda: torch.sigmoid(y),
            "sum": lambda: F.relu(y + torch.exp(y)),
            "pool": lambda: F.avg_pool2d(y, 2),
            "mean": lambda: y.mean((2, 3), keepdim=True),
            "norm": lambda: self.norm(torch.tanh(y)),
        }
        return ends[self.kind]()


ENDS = ("layer", "moved", "joined", "table", "sum", "pool", "mean", "norm")


def lively(model: nn.Module, seed: int = 3) -> nn.Module:
    """Weights and statistics under which every class and code occurs."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn(p.shape, generator=generator) * (1.5 / max(1, p[0].numel()) ** 0.5))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_var.copy_(torch.rand(module.running_var.shape, generator=generator) + 0.5)
    return model.eval()


def images(count: int, *shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, *shape, generator=torch.Generator().manual_seed(seed))


def full_rank(signed: bool, scale: int = 300) -> Multiplier:
    """Products off by up to `scale`, never zero at zero."""
    values = np.arange(256) - (128 if signed else 0)
    noise = np.random.default_rng(0).integers(1, scale, (256, 256))
    return Multiplier.from_table(np.multiply.outer(values, values) + noise, signed=signed, name="mine")


UNSIGNED = Recipe(unsigned_coding="unsigned")
CIRCUITS: dict[str, tuple[str | Multiplier, Recipe]] = {
    "exact": ("exact", Recipe()),
    "signed": ("mul8s_1L12", Recipe()),
    "in steps": ("mul8s_1L2N", Recipe()),
    "sign-magnitude": ("mul8u_17R6", Recipe()),
    "unsigned": ("mul8u_R36", UNSIGNED),
    "f(0,0) != 0": ("mul8u_17KS", UNSIGNED),
    "full rank, signed": (full_rank(True), Recipe()),
    "full rank, unsigned": (full_rank(False), UNSIGNED),
    "full rank, sign-magnitude": (full_rank(False), Recipe()),
    "beyond int32": (full_rank(True, 2**31 - 2**15), Recipe(compensate=False)),
}


def reader() -> ModuleType:
    """The example that reads archives, with its neighbour in reach."""
    if str(EXAMPLES) not in sys.path:
        sys.path.append(str(EXAMPLES))
    return _loaded(EXAMPLES / "read_export.py")


def _loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def kinds() -> ModuleType:
    """The small networks of every kind of layer."""
    return _loaded(Path(__file__).resolve().parents[1] / "layers" / "test_layer_kinds.py")


def run_written(model: nn.Module, to: str, x: torch.Tensor) -> torch.Tensor:
    """Write a network, run what was written, return its result."""
    program = lower(model)
    if to == "onnx":
        found = run_onnx(onnx_bytes(program), (x,))
        assert found is not None
        return found[0]
    if to == "pt2":
        result: torch.Tensor = torch.export.load(io.BytesIO(pt2_bytes(program))).module()(x)
        return result
    return torch.from_numpy(reader().run(io.BytesIO(archive_bytes(program)), x.numpy())[0])


@cache
def made(net: str, case: str) -> tuple[ApproxModel, torch.Tensor]:
    """A network of these classes with one kind of circuit everywhere, and images to run; made once."""
    circuit, recipe = CIRCUITS[case]
    module = Ends(net) if net in ENDS else {"windows": Windows, "paths": Paths}[net]()
    model = approximate(lively(module), circuit, images(16, 2, 13, 12), recipe=recipe)
    return model, images(5, 2, 13, 12, seed=1) * 1.4


class Kit:
    """What the tests of this folder share."""

    windows, circuits = Windows, CIRCUITS
    lively, images, full_rank = staticmethod(lively), staticmethod(images), staticmethod(full_rank)
    run, reader, made = staticmethod(run_written), staticmethod(reader), staticmethod(made)
    kinds = staticmethod(kinds)


@pytest.fixture(scope="session")
def kit() -> type[Kit]:
    return Kit
