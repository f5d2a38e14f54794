"""Defects found in other simulators, each as a test of the kernels."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from axdnn.kernels import PATHS, approx_conv2d, approx_matmul
from axdnn.multipliers import list_multipliers, load_multiplier
from axdnn.records import AmbiguousNameError, Multiplier

ASYMMETRIC = ["mul8u_17KS", "mul8s_1KR3", "mul8s_1L12", "mul8u_QKX"]


@pytest.mark.parametrize("signed", [True, False])
def test_defect_1_activation_is_operand_a_in_products_and_convolutions(signed, usable):
    """AdaPT and torch-approx look up [w][x] in convolutions and [x][w] in linear layers."""
    rows = np.arange(256)[:, None] * 1000 + np.arange(256)[None, :]  # tells row and column of every entry
    low = -128 if signed else 0
    circuit = Multiplier.from_table(rows, signed=signed, name="which")
    x = torch.tensor([[low + 3]]).to(torch.int8 if signed else torch.uint8)
    w = torch.tensor([[low + 200]]).to(x.dtype)
    for path in usable(circuit):
        assert approx_matmul(x, w, circuit, path=path).item() == 3200
        assert approx_conv2d(x.view(1, 1, 1, 1), w.view(1, 1, 1, 1), circuit, path=path).item() == 3200
        assert approx_matmul(w, x, circuit, path=path).item() == 200003


@pytest.mark.parametrize("name", ASYMMETRIC)
def test_defect_1_transposing_the_circuit_swaps_the_operands(name, codes, usable):
    circuit = load_multiplier(name)
    x, w = codes(circuit, "a", 9, 70), codes(circuit, "w", 8, 70, seed=1)
    for path in usable(circuit):
        plain = approx_matmul(x, w, circuit, path=path)
        assert torch.equal(approx_matmul(w, x, circuit.transposed(), path=path).T, plain)
        assert not torch.equal(approx_matmul(w, x, circuit, path=path).T, plain)


def test_defect_2_products_of_two_negatives_and_of_minus_128_come_from_the_circuit(usable):
    """A shipped header computes f(|a|, |b|) for two negatives and has the wrong sign at -128."""
    circuit = load_multiplier("mul8s_1L2H")
    a = torch.arange(-128, 0, dtype=torch.int8).view(-1, 1)
    want = circuit.table[:128, :128]
    folded = circuit.table[128 + np.arange(128, 0, -1).clip(max=127)][:, 128 + np.arange(128, 0, -1).clip(max=127)]
    assert not np.array_equal(want, folded)
    for path in usable(circuit):
        np.testing.assert_array_equal(approx_matmul(a, a, circuit, path=path).numpy(), want)
    corner = torch.tensor([[-128]], dtype=torch.int8)
    assert approx_matmul(corner, corner, circuit).item() == circuit.table[0, 0] > 0


def test_defect_3_circuits_are_told_apart_by_content_not_by_name(codes):
    """mul8s_1KV8 is exact in one release and not in the other; caches must not mix them up."""
    with pytest.raises(AmbiguousNameError):
        load_multiplier("mul8s_1KV8")
    old, new = load_multiplier("mul8s_1KV8@v1"), load_multiplier("mul8s_1KV8@v2022")
    renamed = Multiplier.from_table(new.table, signed=True, name=old.name)
    x, w = codes(old, "a", 16, 64), codes(old, "w", 16, 64, seed=1)
    results = [approx_matmul(x, w, m) for m in (old, new, renamed, old)]
    assert torch.equal(results[0], (x.long() @ w.long().T).int())
    assert not torch.equal(results[0], results[1])
    assert torch.equal(results[1], results[2])
    assert torch.equal(results[0], results[3])


def test_defect_4_zero_times_zero_counts_in_padding_and_never_in_the_tail(usable):
    """f(0, 0) != 0 must be added for real padding, and not for terms that only fill up a block."""
    found = 0
    for row in list_multipliers():
        circuit = load_multiplier(row.name)
        zero = 128 if circuit.a_signed else 0
        if row.transposed or circuit.table[zero, zero] == 0:
            continue
        found += 1
        corner = int(circuit.table[zero, zero])
        for k in (1, 3, 8, 17, 31, 33, 129):
            zeros = torch.zeros(2, k, dtype=torch.int8 if circuit.a_signed else torch.uint8)
            for path in usable(circuit):
                assert (approx_matmul(zeros, zeros, circuit, path=path) == corner * k).all()
        image = torch.zeros(1, 1, 1, 1, dtype=zeros.dtype)
        kernel = torch.zeros(1, 1, 3, 3, dtype=zeros.dtype)
        for path in usable(circuit):
            assert approx_conv2d(image, kernel, circuit, padding=1, path=path).item() == 9 * corner
    assert found >= 2


def test_defect_4_padding_multiplies_the_code_of_zero_by_the_weight(conv, codes, usable):
    circuit = load_multiplier("mul8u_17KS")
    rng = np.random.default_rng(3)
    user = Multiplier.from_table(rng.integers(1, 99, (256, 256)), signed=False, name="never zero")
    for mult in (circuit, user):
        x, w = codes(mult, "a", 1, 2, 3, 3), codes(mult, "w", 2, 2, 3, 3)
        for pad in (0, 77, 255):
            want = conv(mult, x, w, padding=(2, 1), pad_code=pad)
            for path in usable(mult):
                got = approx_conv2d(x, w, mult, padding=(2, 1), pad_code=pad, path=path)
                np.testing.assert_array_equal(got.numpy(), want)


def test_defect_6_sums_above_2_to_24_keep_every_unit():
    """255 * 255 * 259 passes 2^24, from where float accumulators lose integers; 1x1 kernels are no special case."""
    circuit = load_multiplier("mul8u_1JJQ")
    for k in (258, 259, 260, 1033):
        x = torch.full((1, k), 255, dtype=torch.uint8)
        x[0, -1] = 1
        w = torch.full((1, k), 255, dtype=torch.uint8)
        w[0, -1] = 1
        want = 65025 * (k - 1) + 1
        for path in PATHS:
            assert approx_matmul(x, w, circuit, path=path).item() == want
            assert approx_conv2d(x.view(1, k, 1, 1), w.view(1, k, 1, 1), circuit, path=path).item() == want


@pytest.mark.parametrize("kernel", [1, 3])
def test_defect_7_dilation_keeps_the_output_shape_of_torch(codes, kernel):
    circuit = load_multiplier("exact")
    x, w = codes(circuit, "a", 2, 3, 11, 13), codes(circuit, "w", 4, 3, kernel, kernel, seed=1)
    for dilation in (1, 2, (3, 1)):
        want = torch.nn.functional.conv2d(x.double(), w.double(), None, 2, 1, dilation)
        for path in PATHS:
            assert torch.equal(approx_conv2d(x, w, circuit, 2, 1, dilation, path=path).double(), want)
