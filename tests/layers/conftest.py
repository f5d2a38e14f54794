"""Shared: one thread, small trained-like networks, and an integer network written out literally in NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

FLOAT = np.float32


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(threads)


class Chain(nn.Module):
    """A small LeNet: padded, strided and dilated convolutions, pooling, linear layers with and without bias."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, 6, 3, padding=1)
        self.conv2 = nn.Conv2d(6, 8, 3, stride=2, dilation=(1, 2), bias=False)
        self.fc1 = nn.Linear(8 * 3, 12)
        self.fc2 = nn.Linear(12, 5, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.relu6(self.conv2(x))
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


class Residual(nn.Module):
    """A small ResNet: batch norm, a depthwise convolution, a residual addition, average pooling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn0 = nn.Conv2d(2, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6)
        self.wide, self.bn1 = nn.Conv2d(6, 6, 3, padding=1, groups=2, bias=False), nn.BatchNorm2d(6)
        self.deep, self.bn2 = nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.BatchNorm2d(6)
        self.fc = nn.Linear(6, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = F.relu(self.bn0(self.stem(x)))
        z = self.bn2(self.deep(F.relu(self.bn1(self.wide(y)))))
        return self.fc(F.relu(y + z).mean((2, 3)))


def lively(model: nn.Module, seed: int = 3) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for p in model.parameters():
            fan = max(1, p[0].numel()) if p.dim() > 1 else 4
            p.copy_(torch.randn(p.shape, generator=generator) * (1.5 / fan**0.5))
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.running_var.copy_(torch.rand(module.running_var.shape, generator=generator) + 0.5)
                module.running_mean.copy_(torch.randn(module.running_mean.shape, generator=generator) * 0.2)
                module.weight.copy_(torch.rand(module.weight.shape, generator=generator) + 0.5)
    return model.eval()


def images(*shape: int, seed: int = 0) -> torch.Tensor:
    """Smooth, partly negative inputs."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(*shape, generator=generator) * 2 - torch.rand(shape[0], 1, 1, 1, generator=generator)


class Literal:
    """The integer law, one array operation at a time, from a model's exported codes, scales and biases."""

    def __init__(self, model) -> None:
        self.model = model

    def quantise(self, x: np.ndarray, e, low=None, high=None) -> np.ndarray:
        return self.levels(x * FLOAT(1.0 / (e.scale * 2**e.step_bits)), e, low, high)

    def levels(self, scaled: np.ndarray, e, low=None, high=None) -> np.ndarray:
        """Round half to even, clamp to the code and to the bounds of an activation function, return codes."""
        assert scaled.dtype == FLOAT
        step = 2**e.step_bits
        first = -((e.zero_point - (-128 if e.signed else 0)) // step)
        last = ((127 if e.signed else 255) - e.zero_point) // step
        if low is not None:
            first = max(first, round(low / (e.scale * step)))
        if high is not None:
            last = min(last, round(high / (e.scale * step)))
        return np.clip(np.rint(scaled), first, last).astype(np.int64) * step + e.zero_point

    def real(self, codes: np.ndarray, e) -> np.ndarray:
        return (codes - e.zero_point).astype(FLOAT) * FLOAT(e.scale)

    def encoding(self, name: str):
        return self.model.layer(name).coding.encoding

    def _products(self, name: str):
        """`f(activation codes, weight codes)`: product with its zero-point corrections, term by term."""
        layer = self.model.layer(name)
        m, zx, zw = layer.multiplier, layer.coding.encoding.zero_point, layer.coding.w_zero
        table, a_low, w_low = m.table.astype(np.int64), -128 * m.a_signed, -128 * m.w_signed

        def value(w: np.ndarray) -> np.ndarray:
            if m.coding == "sign_magnitude":
                return np.where(w == -128, 0, 2 * w)
            return w - zw

        return lambda x, w: table[x - a_low, w - w_low] - zw * x - zx * value(w)

    def conv(self, name: str, x: np.ndarray, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1) -> np.ndarray:
        layer, product = self.model.layer(name), self._products(name)
        w, zero = layer.w_codes.numpy().astype(np.int64), layer.coding.encoding.zero_point
        x = np.pad(x, ((0, 0), (0, 0), (padding[0],) * 2, (padding[1],) * 2), constant_values=zero)
        size = [(x.shape[2 + i] - dilation[i] * (w.shape[2 + i] - 1) - 1) // stride[i] + 1 for i in range(2)]
        out = np.zeros((len(x), len(w), *size), np.int64)
        for o, c, i, j in np.ndindex(w.shape):
            source = o // (len(w) // groups) * w.shape[1] + c
            window = x[:, source, i * dilation[0] :, j * dilation[1] :][:, :: stride[0], :: stride[1]]
            out[:, o] += product(window[:, : size[0], : size[1]], w[o, c, i, j])
        return out + layer.bias.numpy().astype(np.int64)[:, None, None]

    def linear(self, name: str, x: np.ndarray) -> np.ndarray:
        layer, product = self.model.layer(name), self._products(name)
        w = layer.w_codes.numpy().astype(np.int64)
        return product(x[..., None, :], w).sum(-1) + layer.bias.numpy().astype(np.int64)

    def next(self, name: str, sums: np.ndarray, e=None, low=None, high=None) -> np.ndarray:
        """Scale sums into codes of the next tensor, or into real outputs."""
        scale = self.model.layer(name).scale.numpy()
        scale = scale[:, None, None] if sums.ndim == 4 else scale
        if e is None:
            return sums.astype(FLOAT) * scale
        unit = (scale.astype(np.float64) / (e.scale * 2**e.step_bits)).astype(FLOAT)
        return self.levels(sums.astype(FLOAT) * unit, e, low, high)

    def chain(self, x: torch.Tensor) -> np.ndarray:
        """`Chain`."""
        c = self.quantise(x.numpy(), self.encoding("conv1"))
        c = self.next("conv1", self.conv("conv1", c, padding=(1, 1)), self.encoding("conv2"), low=0.0)
        b, ch, h, w = c.shape
        c = c[:, :, : h // 2 * 2, : w // 2 * 2].reshape(b, ch, h // 2, 2, w // 2, 2).max((3, 5))
        s = self.conv("conv2", c, stride=(2, 2), dilation=(1, 2))
        c = self.next("conv2", s, self.encoding("fc1"), low=0.0, high=6.0).reshape(b, -1)
        c = self.next("fc1", self.linear("fc1", c), self.encoding("fc2"), low=0.0)
        return self.next("fc2", self.linear("fc2", c))

    def residual(self, x: torch.Tensor) -> np.ndarray:
        """`Residual`: the stem's result is wanted in two codings."""
        of = {}
        for (name, i), e in self.model.operator_encodings.items():
            of[self.model.nodes[name].op, i] = e
        stem = self.conv("stem", self.quantise(x.numpy(), self.encoding("stem")), padding=(1, 1))
        y = self.next("stem", stem, of["add", 0], low=0.0)
        c = self.next("stem", stem, self.encoding("wide"), low=0.0)
        c = self.next("wide", self.conv("wide", c, padding=(1, 1), groups=2), self.encoding("deep"), low=0.0)
        z = self.next("deep", self.conv("deep", c, padding=(1, 1), groups=6), of["add", 1])
        pooled = of["avg_pool2d", 0]
        codes = self.quantise(self.real(y, of["add", 0]) + self.real(z, of["add", 1]), pooled, low=0.0)
        count = codes.shape[2] * codes.shape[3]
        sums = (codes - pooled.zero_point).sum((2, 3)).astype(FLOAT)
        e = self.encoding("fc")
        c = self.levels(sums * FLOAT(pooled.scale / count / (e.scale * 2**e.step_bits)), e)
        return self.next("fc", self.linear("fc", c))


@pytest.fixture(scope="session")
def nets() -> SimpleNamespace:
    """`chain`, `residual`: (module, calibration images, test images); `literal(model)`, `images(*shape)`, `lively`."""
    return SimpleNamespace(
        chain=(lively(Chain()), images(24, 1, 14, 12), images(7, 1, 14, 12, seed=9) * 1.3),
        residual=(lively(Residual()), images(24, 2, 9, 8), images(7, 2, 9, 8, seed=9) * 1.3),
        literal=Literal,
        images=images,
        lively=lively,
    )


def snr(model, reference, x) -> float:
    """Signal to noise of the outputs, decibels."""
    with torch.no_grad():
        want = reference(x).double()
    noise = (model(x).double() - want).square().mean()
    return float(10 * torch.log10((want - want.mean(0)).square().mean() / noise))


@pytest.fixture(scope="session")
def decibels():
    return snr
