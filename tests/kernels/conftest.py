"""Shared: an oracle that shares no code with the package, tables of every kind, one thread and restored settings."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

from axdnn.kernels import PATHS, native_variants, torch_factors
from axdnn.kernels.device_rates import triton_runs
from axdnn.kernels.native import has_permutes
from axdnn.kernels.rates import shipped_rates
from axdnn.records import Multiplier

INT32 = np.iinfo(np.int32)


@pytest.fixture(autouse=True)
def _settings() -> Iterator[None]:
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision(precision)
    torch.backends.mkldnn.matmul.fp32_precision = "none"


@pytest.fixture(autouse=True)
def _floats_only(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Test the float paths as on a processor without exact int8 products; test_int8.py and test_terms.py have those."""
    if request.module.__name__.rsplit(".", 1)[-1] not in ("test_int8", "test_terms"):
        monkeypatch.setattr("axdnn.kernels.plan.int8_is_exact", lambda: False)


@pytest.fixture(autouse=True)
def _shipped_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plan with the shipped rates, whatever was measured on this machine."""
    monkeypatch.setattr("axdnn.kernels.plan.rates", lambda _: shipped_rates(native_variants(), has_permutes()))


def _index(codes: torch.Tensor) -> np.ndarray:
    return codes.numpy().astype(np.int64) + (128 if codes.dtype == torch.int8 else 0)


def matmul_oracle(multiplier: Multiplier, x: torch.Tensor, w: torch.Tensor) -> np.ndarray:
    xi, wi = _index(x), _index(w)
    return multiplier.table.astype(np.int64)[xi[..., :, None, :], wi[..., None, :, :]].sum(axis=-1)


def conv_oracle(multiplier, x, w, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1, pad_code=0) -> np.ndarray:
    """One product at a time, in Python integers."""
    table = multiplier.table.tolist()
    xi, wi = _index(x).tolist(), _index(w).tolist()
    pad = pad_code + (128 if x.dtype == torch.int8 else 0)
    batch, _, height, width = x.shape
    c_out, c_group, kernel_h, kernel_w = w.shape
    out_h = (height + 2 * padding[0] - dilation[0] * (kernel_h - 1) - 1) // stride[0] + 1
    out_w = (width + 2 * padding[1] - dilation[1] * (kernel_w - 1) - 1) // stride[1] + 1
    out = np.zeros((batch, c_out, out_h, out_w), dtype=np.int64)
    for b, o, p, q in np.ndindex(out.shape):
        total = 0
        for c, i, j in np.ndindex(c_group, kernel_h, kernel_w):
            row = p * stride[0] + i * dilation[0] - padding[0]
            column = q * stride[1] + j * dilation[1] - padding[1]
            inside = 0 <= row < height and 0 <= column < width
            channel = o // (c_out // groups) * c_group + c
            total += table[xi[b][channel][row][column] if inside else pad][wi[o][c][i][j]]
        out[b, o, p, q] = total
    return out


def low_rank_table(rank: int, size: int, seed: int, low: int = 0) -> np.ndarray:
    """Random factors of the given size, so that exact integer factors exist."""
    rng = np.random.default_rng(seed)
    return rng.integers(low or -size, size + 1, (256, rank)) @ rng.integers(-size, size + 1, (rank, 256))


def user_table(kind: str, signed: bool = True) -> Multiplier:
    rng = np.random.default_rng(5)
    if kind == "random":
        table = rng.integers(-30000, 30000, (256, 256))
    elif kind == "extreme":
        table = rng.choice([INT32.min, INT32.min + 1, -1, 0, 1, INT32.max], (256, 256))
    elif kind == "minimum":
        table = np.full((256, 256), INT32.min)
    elif kind == "zero":
        table = np.zeros((256, 256), int)
    elif kind == "rank1":
        table = np.multiply.outer(rng.integers(-99, 99, 256), rng.integers(-50, 70, 256))
    elif kind == "rank20":
        table = low_rank_table(20, 30, 1)
    elif kind == "wide":  # rank 3, near the limits of int32
        table = low_rank_table(3, 26000, 2)
    else:
        raise AssertionError(kind)
    return Multiplier.from_table(table, signed=signed, name=f"{kind}{signed}")


@pytest.fixture(scope="session")
def oracle() -> Callable[..., np.ndarray]:
    return matmul_oracle


@pytest.fixture(scope="session")
def usable() -> Callable[..., list[str]]:
    """`usable(multiplier, k=4096)`: the paths that must be possible for sums of k products, by rules of its own."""

    def paths(multiplier: Multiplier, k: int = 4096) -> list[str]:
        table = multiplier.table.astype(np.int64)
        factors = torch_factors(multiplier)
        fits = bool(native_variants()) and int(np.abs(table).max()) * max(k, 1) < 2**31
        narrow = int((table.max(axis=0) - table.min(axis=0)).max()) < 2**16
        possible = {
            "factorised": factors is not None,
            "native_factorised": fits and factors is not None and table.any(),
            "native_lookup": fits and narrow,
            "triton": triton_runs("cpu") and k <= 128,  # a term takes the interpreter a millisecond
        }
        return [path for path in PATHS if possible.get(path, True)]

    return paths


@pytest.fixture(scope="session")
def conv() -> Callable[..., np.ndarray]:
    return conv_oracle


@pytest.fixture(scope="session")
def table() -> Callable[..., Multiplier]:
    return user_table


@pytest.fixture(scope="session")
def codes() -> Callable[..., torch.Tensor]:
    """`codes(multiplier, operand, *shape, seed=0)`: random codes with the extremes in them."""

    def make(multiplier: Multiplier, operand: str, *shape: int, seed: int = 0) -> torch.Tensor:
        signed = multiplier.a_signed if operand == "a" else multiplier.w_signed
        generator = torch.Generator().manual_seed(seed)
        low = -128 if signed else 0
        values = torch.randint(low, low + 256, shape, generator=generator)
        flat = values.flatten()
        edges = torch.tensor([low, low + 255, 0])[: flat.numel()]
        flat[: len(edges)] = edges
        order = torch.randperm(flat.numel(), generator=generator)
        return flat[order].view(shape).to(torch.int8 if signed else torch.uint8)

    return make
