"""Every path on a GPU against the literal reference. `make test-gpu` runs this; without a GPU nothing here can run."""

from __future__ import annotations

import os

import pytest
import torch

from axdnn.kernels import PATHS, approx_conv2d, approx_matmul, explain, operators, table_operand
from axdnn.kernels.device_digits import digit_type, half_mm
from axdnn.multipliers import load_multiplier

if not torch.cuda.is_available() or os.environ.get("TRITON_INTERPRET") != "0":
    pytest.skip("needs a GPU, and TRITON_INTERPRET=0: `make test-gpu`", allow_module_level=True)

ON_DEVICE = [path for path in PATHS if not path.startswith("native")]
KINDS = ("random", "extreme", "rank1", "rank20", "wide", "zero")
GPU = torch.device("cuda")


def possible(circuit, path: str, k: int) -> bool:
    """Only the factorised path depends on the table; `explain` refuses it on the CPU for the same tables."""
    return path != "factorised" or "factorised" in explain(circuit, 64, k, 8).predicted_s


def circuits(table):
    library = [load_multiplier(name) for name in ("mul8s_1L2H", "mul8s_1KV8@v2022", "mul8u_QKX", "mul8u_1JJQ")]
    return library + [table(kind, signed) for kind in KINDS for signed in (True, False)]


@pytest.mark.parametrize("path", ON_DEVICE)
def test_all_65536_pairs(path, table) -> None:
    for circuit in circuits(table):
        if not possible(circuit, path, 1):
            continue
        low = -128 if circuit.a_signed else 0
        every = torch.arange(low, low + 256).to(torch.int8 if circuit.a_signed else torch.uint8).view(256, 1).to(GPU)
        got = approx_matmul(every, every, circuit, path=path)
        assert got.device.type == "cuda"
        assert torch.equal(got.cpu().long(), torch.from_numpy(circuit.table.copy()).long())


@pytest.mark.parametrize("path", ON_DEVICE)
@pytest.mark.parametrize("shape", [(1, 5, 3), (16, 8, 8), (700, 577, 65), (33, 40000, 3)])
def test_matrix_products(path, shape, table, codes) -> None:
    m, k, n = shape
    for circuit in circuits(table):
        if possible(circuit, path, k):
            x, w = codes(circuit, "a", m, k), codes(circuit, "w", n, k, seed=1)
            want = approx_matmul(x, w, circuit)
            assert torch.equal(approx_matmul(x.to(GPU), w.to(GPU), circuit, path=path).cpu(), want)


CONVOLUTIONS = [
    ((2, 8, 13, 11), (12, 8, 3, 3), 1, 1, 1, 1), ((3, 6, 9, 9), (6, 1, 3, 3), 2, 1, 1, 6),
    ((1, 4, 12, 7), (6, 2, 3, 2), (2, 1), (0, 1), (1, 2), 2), ((5, 16, 8, 8), (32, 16, 1, 1), 2, 0, 1, 1),
]  # fmt: skip


@pytest.mark.parametrize("path", ON_DEVICE)
@pytest.mark.parametrize(("x", "w", "stride", "padding", "dilation", "groups"), CONVOLUTIONS)
def test_convolutions(path, x, w, stride, padding, dilation, groups, table, codes) -> None:
    for circuit in circuits(table):
        a, b = codes(circuit, "a", *x), codes(circuit, "w", *w, seed=1)
        if possible(circuit, path, b[0].numel()):
            want = approx_conv2d(a, b, circuit, stride, padding, dilation, groups, 7)
            got = approx_conv2d(a.to(GPU), b.to(GPU), circuit, stride, padding, dilation, groups, 7, path=path)
            assert torch.equal(got.cpu(), want)


def test_terms(table, codes) -> None:
    terms = torch.randint(0, 3, (72,), generator=torch.Generator().manual_seed(2)).to(torch.uint8)
    for circuit in circuits(table):
        x, w = codes(circuit, "a", 2, 8, 6, 6), codes(circuit, "w", 5, 8, 3, 3, seed=1)
        want = approx_conv2d(x, w, circuit, terms=terms)
        assert torch.equal(approx_conv2d(x.to(GPU), w.to(GPU), circuit, terms=terms).cpu(), want)


def test_half_precision_is_exact_on_this_device() -> None:
    """Also where int8 is there and half precision is not taken."""
    generator = torch.Generator().manual_seed(0)
    for k in (5, 1024, 5000):
        left, right = (torch.randint(-128, 128, s, generator=generator).to(torch.int8) for s in ((64, k), (k, 40)))
        for a, b in ((left, right), (torch.full_like(left, 127), torch.full_like(right, 127))):
            assert torch.equal(half_mm(a.to(GPU), b.to(GPU)).cpu().double(), a.double() @ b.double())
    assert digit_type(GPU) in ("int8", "float16")


def test_operators_and_compiled_code(codes) -> None:
    circuit = load_multiplier("mul8s_1L2H")
    x, w = codes(circuit, "a", 9, 33), codes(circuit, "w", 5, 33, seed=1)
    want = approx_matmul(x, w, circuit)
    args = (x.to(GPU), w.to(GPU), table_operand(circuit).to(GPU), torch.int32)
    torch.library.opcheck(operators.matmul_operator, args)
    compiled = torch.compile(lambda a, b: approx_matmul(a, b, circuit))
    assert torch.equal(compiled(*args[:2]).cpu(), want)
