"""Float sums stay exact at their bound, whatever precision the process allows elsewhere."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from axdnn.kernels import approx_conv2d, approx_matmul, explain, torch_factors
from axdnn.kernels.bounds import FLOAT32_EXACT, FLOAT64_EXACT, chunk_ends
from axdnn.kernels.factorised import chunks_needed, conv2d_factorised, matmul_factorised
from axdnn.multipliers import load_multiplier
from axdnn.records import Multiplier


def rank_one(peak: int) -> Multiplier:
    """One large odd entry, every other small and odd, so that no bit may be dropped and the maximum can be attained."""
    left = np.ones(256, int)
    left[255] = peak
    return Multiplier.from_table(np.multiply.outer(left, np.ones(256, int)), signed=False, name=f"peak{peak}")


def adversarial(k: int, peak: int) -> tuple[torch.Tensor, list[int]]:
    """Rows that attain the maximum in every place, and rows that miss it by one and by half."""
    x = torch.full((3, k), 255, dtype=torch.uint8)
    x[1, k // 2] = 0
    x[2, ::2] = 0
    few = (k + 1) // 2
    return x, [peak * k, peak * (k - 1) + 1, peak * (k - few) + few]


@pytest.mark.parametrize("peak", [4095, 65025, 2**20 - 1, 2**23 - 1])
@pytest.mark.parametrize("extra", [-1, 0, 1, 2, 1001])
def test_float32_sums_at_the_bound(peak, extra):
    circuit = rank_one(peak)
    factors = torch_factors(circuit)
    fits = FLOAT32_EXACT // peak
    k = max(fits + extra, 1)
    assert chunks_needed(factors, torch.float32, k) == -(-k // fits)
    x, want = adversarial(k, peak)
    w = torch.zeros(2, k, dtype=torch.uint8)
    for path in ("factorised", "lookup"):
        assert approx_matmul(x, w, circuit, path=path).tolist() == [[v, v] for v in want]
    forced = matmul_factorised(factors, x[None], w[None], torch.float32, torch.int64)
    assert forced[0, :, 0].tolist() == want


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_float64_sums_at_the_bound(extra):
    """Few terms of float64's own bound: factors so large that float32 cannot hold a single product."""
    peak = 2**31 - 1
    circuit = rank_one(peak)
    factors = torch_factors(circuit)
    assert chunks_needed(factors, torch.float32, 1) == 0
    fits = FLOAT64_EXACT // peak
    assert chunks_needed(factors, torch.float64, fits) == 1
    assert chunks_needed(factors, torch.float64, fits + 1) == 2
    k = 5000 + extra
    x, want = adversarial(k, peak)
    w = torch.zeros(1, k, dtype=torch.uint8)
    assert explain(circuit, 3, k, 1, "factorised").floats == "float64"
    for path in ("factorised", "lookup", "reference"):
        assert approx_matmul(x, w, circuit, path=path).flatten().tolist() == want


def test_chunks_are_cut_exactly_at_the_limit():
    assert list(chunk_ends([4, 4, 4], 8)) == [2, 3]
    assert list(chunk_ends([4, 4, 5], 8)) == [2, 3]
    assert list(chunk_ends([8, 1, 7, 8], 8)) == [1, 3, 4]
    assert list(chunk_ends([0, 0, 0], 8)) == [3]
    assert list(chunk_ends([1, 1, 1, 1], 8, widest=3)) == [3, 4]
    assert list(chunk_ends([], 8)) == []
    for seed in range(20):
        bounds = np.random.default_rng(seed).integers(0, 9, 30).tolist()
        ends = [0, *chunk_ends(bounds, 9)]
        assert ends[-1] == 30
        assert all(sum(bounds[a:b]) <= 9 for a, b in pairwise(ends))
        assert all(sum(bounds[a : b + 1]) > 9 for a, b in pairwise(ends) if b < 30)


def test_powers_of_two_in_the_terms_raise_the_limit():
    left = np.arange(256) * 64
    circuit = Multiplier.from_table(np.multiply.outer(left, np.arange(256) * 32), signed=False, name="shifted")
    factors = torch_factors(circuit)
    assert factors.granule == 2048
    k = 2048 * FLOAT32_EXACT // int(circuit.table.max())
    assert chunks_needed(factors, torch.float32, k) == 1
    assert chunks_needed(factors, torch.float32, k + 1) == 2
    x = torch.full((1, k), 255, dtype=torch.uint8)
    x[0, 0] = 1
    want = int(circuit.table.max()) * (k - 1) + int(circuit.table[1, 255])
    w = torch.full((1, k), 255, dtype=torch.uint8)
    assert approx_matmul(x, w, circuit, path="factorised").item() == want


@pytest.mark.parametrize("window", [(3, 3), (1, 1)])
def test_convolution_whose_window_exceeds_the_float32_bound(window):
    peak = 2**22 - 1
    circuit = rank_one(peak)
    area = window[0] * window[1]
    x, w = torch.full((2, 40, 5, 5), 255, dtype=torch.uint8), torch.zeros(3, 40, *window, dtype=torch.uint8)
    x[1, 7, 2, 2] = 0
    want = approx_conv2d(x, w, circuit, path="reference")
    assert want.max() == peak * area * 40
    for path in ("factorised", "lookup", "auto"):
        assert torch.equal(approx_conv2d(x, w, circuit, path=path), want)
    plan = explain(circuit, 18, 40 * area, 3, "factorised", window=area)
    assert plan.floats == ("float64" if area == 9 else plan.floats)


def test_convolution_whose_window_exceeds_the_float64_bound(monkeypatch, codes):
    """It cannot be cut inside a window, so it becomes a matrix product that can (no int32 table gets there alone)."""
    circuit = rank_one(3)
    huge = torch_factors(circuit)._replace(column_bound=torch.full((256,), FLOAT64_EXACT // 4))
    assert [chunks_needed(huge, torch.float64, terms) for terms in (4, 5, 9)] == [1, 2, 3]
    assert chunks_needed(huge, torch.float32, 1) == 0
    for module in ("conv", "dispatch"):
        monkeypatch.setattr(f"axdnn.kernels.{module}.torch_factors", lambda _: huge)
    monkeypatch.setattr("axdnn.kernels.conv.conv2d_factorised", None)
    x, w = codes(circuit, "a", 2, 4, 6, 6), codes(circuit, "w", 6, 2, 3, 3)
    want = approx_conv2d(x, w, circuit, 2, 1, groups=2, path="reference")
    assert torch.equal(approx_conv2d(x, w, circuit, 2, 1, groups=2, path="factorised"), want)


@pytest.mark.parametrize("precision", ["medium", "high", "highest"])
def test_reduced_float32_precision_and_autocast_change_nothing(table, codes, precision):
    circuit = table("rank20")
    x, w = codes(circuit, "a", 64, 256), codes(circuit, "w", 64, 256, seed=1)
    image, kernel = codes(circuit, "a", 16, 16, 8, 8, seed=2), codes(circuit, "w", 16, 16, 3, 3, seed=3)
    want = approx_matmul(x, w, circuit, path="reference"), approx_conv2d(image, kernel, circuit, path="reference")
    torch.set_float32_matmul_precision(precision)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        for path in ("factorised", "lookup", "auto"):
            assert torch.equal(approx_matmul(x, w, circuit, path=path), want[0])
            assert torch.equal(approx_conv2d(image, kernel, circuit, path=path), want[1])
    plan = explain(load_multiplier("exact"), 1024, 576, 64, "factorised")
    assert plan.floats == ("float32" if precision == "highest" else "float64")


def test_other_ways_to_reduce_precision_are_noticed(monkeypatch):
    monkeypatch.setattr("axdnn.kernels.plan.native_variants", lambda: ())
    circuit = load_multiplier("exact")
    products = torch.backends.mkldnn
    for backend in (products.matmul, products.conv):
        backend.fp32_precision = "bf16"
        try:
            assert explain(circuit, 1024, 576, 64).floats == "float64"
            assert "reduced precision" in explain(circuit, 1024, 576, 64).reason
        finally:
            backend.fp32_precision = "none"
    assert explain(circuit, 1024, 576, 64).floats == "float32"


def test_convolution_is_exact_where_torch_would_take_winograd():
    """Without oneDNN torch convolves through NNPACK, whose transforms round: 3x3, batch of 16."""
    circuit = Multiplier.from_table(
        np.multiply.outer(np.arange(256) * 15 + 1, np.ones(256, int)), signed=False, name="n"
    )
    generator = torch.Generator().manual_seed(0)
    x = torch.randint(0, 256, (16, 64, 16, 16), generator=generator, dtype=torch.uint8)
    w = torch.randint(0, 256, (64, 64, 3, 3), generator=generator, dtype=torch.uint8)
    want = approx_conv2d(x, w, circuit, padding=1)
    with torch.backends.mkldnn.flags(enabled=False, allow_tf32=None):
        assert torch.equal(approx_conv2d(x, w, circuit, padding=1, path="factorised"), want)
    assert torch.equal(approx_conv2d(x, w[:2], circuit, padding=1, path="reference"), want[:, :2])


def test_forced_floats_of_a_convolution_at_the_bound():
    peak = FLOAT32_EXACT // 9
    circuit = rank_one(peak)
    factors = torch_factors(circuit)
    x, w = torch.full((1, 3, 4, 4), 255, dtype=torch.uint8), torch.zeros(2, 3, 3, 3, dtype=torch.uint8)
    got = conv2d_factorised(factors, x, w, (1, 1), (1, 1), 1, torch.float32, torch.int64)
    assert (got == peak * 27).all()


def test_tables_whose_factors_would_be_huge_are_looked_up(codes, oracle):
    rng = np.random.default_rng(0)
    left, right = rng.integers(-(2**27), 2**27, (256, 2)), rng.integers(-3, 4, (2, 256))
    circuit = Multiplier.from_table(left @ right, signed=True, name="huge")
    x, w = codes(circuit, "a", 5, 40), codes(circuit, "w", 3, 40)
    for path in ("auto", "lookup"):
        np.testing.assert_array_equal(approx_matmul(x, w, circuit, path=path).numpy(), oracle(circuit, x, w))
