"""What the GPU's digit products rest on, as far as a CPU can show it: padding, bounds, settings, predictions."""

from __future__ import annotations

import pytest
import torch

from axdnn.kernels import device_digits, explain
from axdnn.kernels.device_digits import HALF_TERMS, digit_type, half_mm, padded_int_mm
from axdnn.kernels.device_rates import DEVICE_RATES, device_digits_s, triton_s
from axdnn.kernels.int8 import int8_factors, matmul_int8
from axdnn.multipliers import load_multiplier

CPU = torch.device("cpu")


def digits(seed: int, *shape: int) -> torch.Tensor:
    return torch.randint(-128, 128, shape, generator=torch.Generator().manual_seed(seed)).to(torch.int8)


def as_tensor_cores_do(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Half operands, float32 sums; the most adverse operands must come out exact, so rounding would show."""
    assert left.dtype == right.dtype == torch.float16
    assert left.shape[1] <= HALF_TERMS
    return left.float() @ right.float()


@pytest.mark.parametrize("k", [1, 1023, 1024, 1025, 3000])
def test_half_precision_is_exact_up_to_its_bound(k) -> None:
    full = torch.full((3, k), -128, dtype=torch.int8)
    odd = full.clone()
    odd[:, ::2] = 127
    for left in (full, odd, digits(k, 3, k)):
        for right in (full.T, odd.T, digits(k + 1, k, 5)):
            want = left.double() @ right.double()
            assert torch.equal(half_mm(left, right, as_tensor_cores_do).double(), want)


def test_a_chunk_longer_by_a_half_would_not_be_exact() -> None:
    left, right = torch.full((1, 2 * HALF_TERMS), -128.0), torch.full((2 * HALF_TERMS, 1), -128.0)
    left[0, -1], right[-1, 0] = 1.0, 1.0
    exact = left.double() @ right.double()
    assert exact.item() > 2**24
    assert (left @ right).double() != exact  # float32 loses the last unit: the bound is not idle


@pytest.mark.parametrize(("m", "k", "n"), [(1, 1, 1), (16, 8, 8), (17, 9, 7), (33, 4, 24)])
def test_padding_gives_cublas_its_sizes_and_changes_no_sum(m, k, n, monkeypatch) -> None:
    seen = []

    def strict(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        seen.append((*left.shape, right.shape[1]))
        return (left.double() @ right.double()).to(torch.int32)

    monkeypatch.setattr(torch, "_int_mm", strict)
    left, right = digits(m, m, k), digits(n, k, n)
    assert torch.equal(padded_int_mm(left, right).double(), left.double() @ right.double())
    assert seen[0][0] > 16
    assert seen[0][1] % 8 == seen[0][2] % 8 == 0


def test_half_accumulation_is_off_meanwhile_and_restored() -> None:
    matmul = torch.backends.cuda.matmul
    before = matmul.allow_fp16_accumulation
    seen = []

    def watching(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        seen.append(matmul.allow_fp16_accumulation)
        return left.float() @ right.float()

    matmul.allow_fp16_accumulation = True
    try:
        half_mm(digits(0, 2, 3), digits(1, 3, 2), watching)
        assert matmul.allow_fp16_accumulation
    finally:
        matmul.allow_fp16_accumulation = before
    assert seen == [False]


def test_a_device_that_rounds_or_saturates_is_found_out() -> None:
    def halves_result(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return (left.float() @ right.float()).half().float()

    def saturates(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
        return (left.double() @ right.double()).clamp(-(2**24), 2**24)

    for wrong in (halves_result, saturates, lambda left, right: left.float() @ right.float()):
        assert not device_digits._is_exact(wrong, CPU)
    assert device_digits._is_exact(lambda left, right: half_mm(left, right, as_tensor_cores_do), CPU)
    assert not device_digits._is_exact(half_mm, CPU)  # torch has no float32 result of halves on the CPU


@pytest.mark.parametrize("kind", ["int8", "float16"])
def test_a_product_of_digits_is_the_product_of_the_table(kind, codes, oracle, monkeypatch) -> None:
    product = padded_int_mm if kind == "int8" else lambda a, b: half_mm(a, b, as_tensor_cores_do)
    monkeypatch.setattr(
        torch, "_int_mm", lambda a, b: (a.double() @ b.double()).to(torch.int32)
    )  # any CPU, also one that saturates
    monkeypatch.setattr("axdnn.kernels.int8._product", product)
    for name in ("mul8s_1L2H", "mul8s_1KVA@v2022", "exact"):
        circuit = load_multiplier(name)
        x, w = codes(circuit, "a", 19, 1500), codes(circuit, "w", 3, 1500, seed=1)
        factors = int8_factors(circuit)
        assert factors is not None
        index = [(c.view(torch.uint8) ^ 0x80)[None] for c in (x, w)]
        assert torch.equal(matmul_int8(factors, *index, torch.int64)[0], torch.from_numpy(oracle(circuit, x, w)))


def test_plans_for_a_gpu(monkeypatch) -> None:
    """Which paths are compared, and that a device without exact digits is served; the times are nobody's measure."""
    circuit, random = load_multiplier("mul8s_1L2H"), load_multiplier("mul8u_17QU")
    for kind in ("int8", "float16", None):
        monkeypatch.setattr("axdnn.kernels.plan.digit_type", lambda device, kind=kind: kind)
        plan = explain(circuit, 10**5, 576, 64, device="cuda")
        assert not {"native_factorised", "native_lookup"} & set(plan.predicted_s)
        assert {"lookup", "triton", "factorised", "reference"} == set(plan.predicted_s)
        forced = explain(circuit, 10**5, 576, 64, "factorised", device="cuda")
        assert forced.floats == (kind or "float32")
    torch.set_float32_matmul_precision("high")
    assert explain(circuit, 10**5, 576, 64, "factorised", device="cuda").floats == "float64"
    assert explain(random, 10**5, 576, 64, "triton", device="cuda").path == "triton"
    assert device_digits_s("int8", 64, 576, 1, 1, 1) < device_digits_s("float16", 64, 576, 64, 1, 1)
    assert triton_s(10, 10, 10) < triton_s(1000, 1000, 1000)
    assert set(DEVICE_RATES) >= {"int8", "float16", "float32", "float64", "lookup", "triton"}


def test_no_gpu_means_no_digits_and_no_error() -> None:
    if not torch.cuda.is_available():
        assert digit_type(torch.device("cuda")) is None
