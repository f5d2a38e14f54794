"""Digits of factors in int8: every product of every table, the worst operands, and convolutions of all shapes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from axdnn.kernels import approx_conv2d, explain
from axdnn.kernels.int8 import TERMS_IN_INT32, conv2d_int8, int8_factors, int8_is_exact, matmul_int8
from axdnn.multipliers import list_multipliers, load_multiplier
from axdnn.records import Multiplier

ALL = torch.arange(256, dtype=torch.uint8).view(1, 256, 1)
NAMES = sorted(row.name for row in list_multipliers("evoapprox8b"))


@pytest.fixture(autouse=True)
def _needs_exact_products() -> None:
    if not int8_is_exact():
        pytest.skip("int8 products that do not saturate are not to be had on this processor (none is installed here)")


@pytest.mark.parametrize("name", NAMES)
def test_all_65536_products(name):
    found = load_multiplier(name)
    circuits = [found, found.sign_magnitude()] if found.coding == "unsigned" else [found]
    for circuit in circuits:
        factors = int8_factors(circuit)
        if factors is not None:
            assert np.array_equal(matmul_int8(factors, ALL, ALL, torch.int64)[0].numpy(), circuit.table)


@pytest.mark.parametrize("kind", ["zero", "rank1", "rank20", "wide"])
@pytest.mark.parametrize("signed", [False, True])
def test_all_products_of_a_users_table(kind, signed, table):
    circuit = table(kind, signed)
    factors = int8_factors(circuit)
    assert factors is not None
    assert np.array_equal(matmul_int8(factors, ALL, ALL, torch.int64)[0].numpy(), circuit.table)


def test_the_worst_operands_over_more_terms_than_int32_holds():
    """Both extremes at every term: one chunk would overflow int32, the sum needs int64."""
    circuit = Multiplier.from_table(
        np.multiply.outer(np.arange(-128, 128), np.arange(-128, 128)), signed=True, name="exact"
    )
    factors = int8_factors(circuit)
    assert factors is not None
    k = 2 * TERMS_IN_INT32 + 77
    x = torch.zeros(1, 3, k, dtype=torch.uint8)  # code -128
    w = torch.zeros(1, 2, k, dtype=torch.uint8)
    x[0, 1], w[0, 1] = 255, 255
    expected = torch.tensor([[16384 * k, -128 * 127 * k], [-128 * 127 * k, 127 * 127 * k], [16384 * k, -128 * 127 * k]])
    assert torch.equal(matmul_int8(factors, x, w, torch.int64)[0], expected)


@pytest.mark.parametrize("name", ["mul8s_1KV6", "mul8u_13QR", "mul8u_R36"])
@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 1, 1), (3, 5, 3, 1, 1), (16, 8, 3, 2, 1), (7, 3, 2, 1, 2), (2, 9, 5, 3, 1)]
)
def test_convolutions_equal_the_reference(name, shape, codes, monkeypatch):
    circuit = load_multiplier(name)
    circuit = circuit.sign_magnitude() if circuit.coding == "unsigned" else circuit
    c_in, c_out, kernel, stride, dilation = shape
    x, w = codes(circuit, "a", 3, c_in, 11, 9), codes(circuit, "w", c_out, c_in, kernel, kernel, seed=1)
    options = {"stride": stride, "dilation": dilation, "padding": 1, "pad_code": 5}
    expected = approx_conv2d(x, w, circuit, path="reference", **options)
    factors, rows = int8_factors(circuit), torch.nn.functional.pad(x, (1, 1, 1, 1), value=5)
    rows = (rows.view(torch.uint8) ^ 0x80) if circuit.a_signed else rows
    columns = (w.view(torch.uint8) ^ 0x80) if circuit.w_signed else w
    arguments = (factors, rows, columns, (stride, stride), (dilation, dilation), tuple(expected.shape[2:]))
    assert torch.equal(conv2d_int8(*arguments, torch.int64), expected.long())
    monkeypatch.setattr("axdnn.kernels.int8.ROWS_AT_ONCE", 1)  # image by image
    assert torch.equal(conv2d_int8(*arguments, torch.int32).long(), expected.long())


def test_sums_that_wrap_on_the_way_come_back():
    """Digits of scale 65,536 overflow int32 term by term; the whole sum fits."""
    rng = np.random.default_rng(3)
    circuit = Multiplier.from_table(
        np.multiply.outer(rng.integers(-30000, 30000, 256), np.ones(256, int)), signed=True, name="steep"
    )
    factors = int8_factors(circuit)
    assert factors is not None
    assert max(group.scale for group in factors.groups) >= 256
    x, w = torch.randint(0, 256, (1, 5, 4000), dtype=torch.uint8), torch.zeros(1, 2, 4000, dtype=torch.uint8)
    whole = matmul_int8(factors, x, w, torch.int64)
    assert int(whole.abs().max()) < 2**31
    assert torch.equal(matmul_int8(factors, x, w, torch.int32).long(), whole)


def test_the_dispatcher_takes_it_for_wide_layers_and_says_so(monkeypatch):
    monkeypatch.setattr("axdnn.kernels.plan.native_variants", lambda: ())
    plan = explain("mul8u_R36", m=4096, k=2304, n=256)
    assert (plan.path, plan.floats) == ("factorised", "int8")
    assert "8-bit digits" in plan.reason
