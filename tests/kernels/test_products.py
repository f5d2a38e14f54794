"""Every path gives the same integers as a literal sum over the table, on every entry."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from axdnn.kernels import PATHS, approx_matmul, explain, torch_factors
from axdnn.multipliers import load_multiplier

# Asymmetric, f(0,0) != 0, non-zero f(0,b), full rank, exact, and transposed circuits of both codings.
LIBRARY = [
    "mul8s_1KV6", "mul8s_1L2H", "mul8s_1L2N", "mul8s_1KR3", "mul8s_1L12", "mul8u_1JJQ", "mul8u_QKX", "mul8u_17R6",
    "mul8u_R36", "mul8u_13QR", "mul8u_17KS",
]  # fmt: skip
USER = ["random", "extreme", "minimum", "zero", "rank1", "rank20", "wide"]


def all_pairs(multiplier):
    a = torch.arange(256, dtype=torch.uint8).view(256, 1)
    a_codes = (a ^ 0x80).view(torch.int8) if multiplier.a_signed else a
    w_codes = (a ^ 0x80).view(torch.int8) if multiplier.w_signed else a
    return a_codes, w_codes


@pytest.mark.parametrize("name", LIBRARY)
def test_all_65536_products_of_library_circuits(usable, name):
    circuits = [load_multiplier(name)]
    if circuits[0].coding == "unsigned":
        circuits.append(circuits[0].sign_magnitude())
    if not np.array_equal(circuits[0].table, circuits[0].table.T):
        circuits.append(circuits[0].transposed())
    for circuit in circuits:
        a, w = all_pairs(circuit)
        for path in usable(circuit, 1):
            np.testing.assert_array_equal(approx_matmul(a, w, circuit, path=path).numpy(), circuit.table)


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("kind", USER)
def test_all_65536_products_of_user_tables(table, usable, kind, signed):
    circuit = table(kind, signed)
    a, w = all_pairs(circuit)
    for path in usable(circuit, 1):
        np.testing.assert_array_equal(approx_matmul(a, w, circuit, path=path).numpy(), circuit.table)
    assert torch_factors(circuit) is None or kind not in ("random", "extreme")


@pytest.mark.parametrize("kind", USER)
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 7, 5), (5, 257, 2), (2, 1, 300), (300, 3, 2)])
def test_sums_of_user_tables(table, codes, oracle, usable, kind, shape):
    m, k, n = shape
    circuit = table(kind)
    x, w = codes(circuit, "a", m, k), codes(circuit, "w", n, k, seed=1)
    for path in usable(circuit, x.shape[-1]):
        np.testing.assert_array_equal(approx_matmul(x, w, circuit, path=path).numpy(), oracle(circuit, x, w))


@pytest.mark.parametrize("name", LIBRARY)
def test_sums_of_library_circuits(name, codes, oracle, usable):
    circuit = load_multiplier(name)
    for mult in (circuit, circuit.sign_magnitude()) if circuit.coding == "unsigned" else (circuit,):
        x, w = codes(mult, "a", 11, 130), codes(mult, "w", 9, 130, seed=1)
        for path in usable(mult, x.shape[-1]):
            np.testing.assert_array_equal(approx_matmul(x, w, mult, path=path).numpy(), oracle(mult, x, w))


@pytest.mark.parametrize(
    ("x_lead", "w_lead"),
    [((), ()), ((2,), ()), ((), (2,)), ((2, 3), ()), ((2, 3), (3,)), ((2, 1), (1, 3)), ((3,), (2, 3)), ((2,), (1, 1)),
     ((0,), ()), ((0,), (1,)), ((2, 0), (1,))],
)  # fmt: skip
@pytest.mark.parametrize("kind", ["random", "rank1"])
def test_leading_dimensions_broadcast(table, codes, oracle, usable, kind, x_lead, w_lead):
    circuit = table(kind)
    x, w = codes(circuit, "a", *x_lead, 4, 6), codes(circuit, "w", *w_lead, 3, 6, seed=2)
    for path in usable(circuit, x.shape[-1]):
        got = approx_matmul(x, w, circuit, path=path)
        want = oracle(circuit, x, w)
        assert got.shape == want.shape == (*torch.broadcast_shapes(x_lead, w_lead), 4, 3)
        np.testing.assert_array_equal(got.numpy(), want)


@pytest.mark.parametrize("shape", [(0, 3, 2), (3, 0, 2), (3, 2, 0), (0, 0, 0)])
@pytest.mark.parametrize("lead", [(), (2,), (0,)])
def test_empty_operands_give_zeros_on_every_path(table, shape, lead):
    m, k, n = shape
    circuit = table("rank1")
    for path in PATHS:
        x, w = torch.empty(*lead, m, k, dtype=torch.int8), torch.empty(n, k, dtype=torch.int8)
        got = approx_matmul(x, w, circuit, path=path)
        assert got.shape == (*lead, m, n)
        assert not got.any()


@pytest.mark.parametrize("kind", ["random", "rank1"])
def test_non_contiguous_expanded_and_offset_inputs(table, codes, oracle, usable, kind):
    circuit = table(kind)
    x = codes(circuit, "a", 12, 10).T[1:9:2]
    w = codes(circuit, "w", 24, 30, seed=1)[::3, 3:27:2]
    assert not x.is_contiguous()
    assert not w.is_contiguous()
    expanded = codes(circuit, "a", 1, 12, seed=2).expand(5, 12)
    for path in usable(circuit, x.shape[-1]):
        for left in (x, expanded):
            before = left.clone(), w.clone()
            got = approx_matmul(left, w, circuit, path=path)
            np.testing.assert_array_equal(got.numpy(), oracle(circuit, left, w))
            assert torch.equal(left, before[0])
            assert torch.equal(w, before[1])


def test_result_type_follows_the_bound(table, usable):
    peak = 2**15
    entries = np.zeros((256, 256), int)
    entries[255, 255] = -peak
    circuit = table("zero").from_table(entries, signed=False, name="peak")
    for k, dtype in ((2**16 - 1, torch.int32), (2**16, torch.int64)):  # 2^16 * 2^15 does not fit with both signs
        x = torch.full((1, k), 255, dtype=torch.uint8)
        for path in usable(circuit, k):
            got = approx_matmul(x, x, circuit, path=path)
            assert got.dtype == dtype
            assert got.item() == -peak * k
            assert explain(circuit, 1, k, 1, path).result == str(dtype).removeprefix("torch.")


def test_sums_beyond_int32_do_not_wrap(table, usable):
    circuit = table("minimum")
    x = torch.zeros(2, 70000, dtype=torch.int8)
    for path in usable(circuit, 70000):
        assert approx_matmul(x, x, circuit, path=path).tolist() == [[-(2**31) * 70000] * 2] * 2


@pytest.mark.parametrize("kind", ["random", "rank20", "extreme"])
def test_threads_and_splits_do_not_change_a_bit(table, codes, usable, kind):
    circuit = table(kind)
    x, w = codes(circuit, "a", 64, 600), codes(circuit, "w", 40, 600, seed=1)
    for path in usable(circuit, x.shape[-1]):
        torch.set_num_threads(1)
        one = approx_matmul(x, w, circuit, path=path)
        split = torch.cat([approx_matmul(part, w, circuit, path=path) for part in x.split([1, 20, 43])])
        torch.set_num_threads(2)
        assert torch.equal(one, approx_matmul(x, w, circuit, path=path))
        assert torch.equal(one, split)
        assert not one.requires_grad
