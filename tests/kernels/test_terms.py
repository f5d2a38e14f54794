"""Terms that multiply exactly or are left out: every path equals a literal sum with a table for each term."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from axdnn.kernels import ABSENT, APPROXIMATE, EXACT, PATHS, approx_conv2d, approx_matmul
from axdnn.multipliers import load_multiplier
from axdnn.records import InvalidInputError, UnknownNameError

# f(a, 0) != 0 (KVM at some rows, the user table), full rank, sign-magnitude, unsigned, exact.
CIRCUITS = ["mul8s_1L2H", "mul8s_1L12", "mul8u_QKX", "mul8u_13QR", "mul8s_1KV6"]


def circuit(name, table):
    if name == "user":
        return table("random")
    found = load_multiplier(name)
    return found if found.coding == "signed" else found.sign_magnitude()


def literal(multiplier, x, w, terms):
    """Product by product in Python integers: table, exact value or nothing."""
    table, exact = multiplier.table.tolist(), multiplier.exact_table.tolist()
    xi, wi = [(t.numpy().astype(int) + (128 if t.dtype == torch.int8 else 0)).tolist() for t in (x, w)]
    chosen = {APPROXIMATE: lambda a, b: table[a][b], EXACT: lambda a, b: exact[a][b], ABSENT: lambda a, b: 0}
    return np.array(
        [[sum(chosen[t](a, b) for a, b, t in zip(r, c, terms.tolist(), strict=True)) for c in wi] for r in xi]
    )


@pytest.mark.parametrize("name", [*CIRCUITS, "user"])
@pytest.mark.parametrize("path", PATHS)
def test_matmul_equals_the_literal_sum(name, path, table, codes, usable):
    multiplier = circuit(name, table)
    x, w = codes(multiplier, "a", 7, 31), codes(multiplier, "w", 5, 31, seed=1)
    terms = torch.randint(0, 3, (31,), generator=torch.Generator().manual_seed(2)).to(torch.uint8)
    if path not in usable(multiplier, 31):
        with pytest.raises(InvalidInputError, match=path):
            approx_matmul(x, w, multiplier, path=path, terms=terms)
        return
    got = approx_matmul(x, w, multiplier, path=path, terms=terms)
    assert np.array_equal(got.numpy(), literal(multiplier, x, w, terms))


@pytest.mark.parametrize("name", [*CIRCUITS, "user"])
@pytest.mark.parametrize("groups", [1, 2])
def test_convolution_equals_matmul_of_windows(name, groups, table, codes, usable):
    multiplier = circuit(name, table)
    x, w = codes(multiplier, "a", 2, 4, 6, 5), codes(multiplier, "w", 6, 4 // groups, 3, 2, seed=1)
    k = w[0].numel()
    terms = torch.randint(0, 3, (groups, k), generator=torch.Generator().manual_seed(3)).to(torch.uint8)
    pad = 3
    options = {"stride": (2, 1), "padding": (1, 1), "groups": groups, "pad_code": pad}
    padded = torch.full((2, 4, 8, 7), pad, dtype=x.dtype)
    padded[:, :, 1:-1, 1:-1] = x
    for path in usable(multiplier, k):
        got = approx_conv2d(x, w, multiplier, path=path, terms=terms, **options)
        for b, g, i, j in np.ndindex(2, groups, got.shape[2], got.shape[3]):
            c, o = 4 // groups, 6 // groups
            window = padded[b, g * c : (g + 1) * c, 2 * i : 2 * i + 3, j : j + 2].reshape(1, k)
            expected = literal(multiplier, window, w[g * o : (g + 1) * o].reshape(o, k), terms[g])
            assert np.array_equal(got[b, g * o : (g + 1) * o, i, j].numpy(), expected[0]), path


def test_all_terms_of_one_kind(codes):
    multiplier = load_multiplier("mul8s_1L2N")
    x, w = codes(multiplier, "a", 9, 20), codes(multiplier, "w", 4, 20, seed=1)
    plain = approx_matmul(x, w, multiplier)
    kind = lambda value: torch.full((20,), value, dtype=torch.uint8)  # noqa: E731
    assert torch.equal(approx_matmul(x, w, multiplier, terms=kind(APPROXIMATE)), plain)
    assert torch.equal(approx_matmul(x, w, multiplier, terms=kind(EXACT)).long(), x.long() @ w.long().T)
    assert not approx_matmul(x, w, multiplier, terms=kind(ABSENT)).any()


@pytest.mark.parametrize(
    "terms", [torch.zeros(19, dtype=torch.uint8), torch.zeros(20), torch.full((20,), 3, dtype=torch.uint8), [0] * 20]
)
def test_bad_terms_are_refused(terms, codes):
    multiplier = load_multiplier("mul8s_1L2N")
    x, w = codes(multiplier, "a", 9, 20), codes(multiplier, "w", 4, 20, seed=1)
    with pytest.raises(InvalidInputError, match="terms"):
        approx_matmul(x, w, multiplier, terms=terms)


def test_terms_need_one_weight_matrix(codes):
    multiplier = load_multiplier("mul8s_1L2N")
    x, w = codes(multiplier, "a", 2, 9, 20), codes(multiplier, "w", 2, 4, 20, seed=1)
    with pytest.raises(InvalidInputError, match="one weight matrix"):
        approx_matmul(x, w, multiplier, terms=torch.ones(20, dtype=torch.uint8))


def test_a_multiplier_may_be_named(codes):
    multiplier = load_multiplier("mul8s_1L2N")
    x, w = codes(multiplier, "a", 3, 8), codes(multiplier, "w", 4, 8, seed=1)
    assert torch.equal(approx_matmul(x, w, "mul8s_1L2N"), approx_matmul(x, w, multiplier))
    with pytest.raises(UnknownNameError, match="1L2N"):
        approx_matmul(x, w, "mul8s_1L2n")
