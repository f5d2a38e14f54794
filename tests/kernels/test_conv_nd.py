"""Convolutions of any axes and transposed ones: exact products against torch, any table against plain loops."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.kernels import approx_conv, approx_conv2d, approx_conv_transpose
from axdnn.multipliers import load_multiplier
from axdnn.records import InvalidInputError, Multiplier

EXACT = load_multiplier("exact")
RANDOM = Multiplier.from_table(np.random.default_rng(0).integers(-30000, 30000, (256, 256)), signed=True, name="random")


@st.composite
def cases(draw, transposed):
    """Sizes of a convolution that has outputs, with codes."""
    n = draw(st.integers(1, 3))
    many = lambda low, high: [draw(st.integers(low, high)) for _ in range(n)]  # noqa: E731
    kernel, stride, dilation, size = many(1, 3), many(1, 3), many(1, 3), many(1, 4)
    padding, groups = many(0, 2), draw(st.sampled_from([1, 2]))
    extra = [draw(st.integers(0, max(s, d) - 1)) for s, d in zip(stride, dilation, strict=True)] if transposed else []
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    x = torch.randint(-128, 128, (2, 2 * groups, *size), generator=generator).to(torch.int8)
    w = torch.randint(-128, 128, (3 * groups, 2, *kernel), generator=generator).to(torch.int8)
    return x, w, stride, padding, dilation, groups, extra


@settings(max_examples=60, deadline=None)
@given(cases(transposed=False))
def test_exact_products_are_torchs_convolution(case):
    x, w, stride, padding, dilation, groups, _ = case
    out = [(s + 2 * p - d * (k - 1) - 1) // t + 1
           for s, p, d, k, t in zip(x.shape[2:], padding, dilation, w.shape[2:], stride, strict=True)]  # fmt: skip
    if min(out) < 1:
        with pytest.raises(InvalidInputError):
            approx_conv(x, w, EXACT, stride, padding, dilation, groups)
        return
    expected = getattr(F, f"conv{len(out)}d")(x.double(), w.double(), None, stride, padding, dilation, groups)
    assert torch.equal(approx_conv(x, w, EXACT, stride, padding, dilation, groups).double(), expected)


@settings(max_examples=60, deadline=None)
@given(cases(transposed=True))
def test_exact_products_are_torchs_transposed_convolution(case):
    x, w, stride, padding, dilation, groups, extra = case
    stored = w.unflatten(0, (groups, -1)).transpose(1, 2).flatten(0, 1).double()
    call = getattr(F, f"conv_transpose{len(stride)}d")
    try:
        expected = call(x.double(), stored, None, stride, padding, extra, groups, dilation)
    except RuntimeError:  # no output is left
        with pytest.raises(InvalidInputError):
            approx_conv_transpose(x, w, EXACT, stride, padding, extra, dilation, groups)
        return
    assert torch.equal(approx_conv_transpose(x, w, EXACT, stride, padding, extra, dilation, groups).double(), expected)


def conv_by_loops(table, x, w, stride, padding, dilation, groups, pad_code):
    """Every window written out, any number of axes."""
    n = w.dim() - 2
    border = [(0, 0), (0, 0), *((p, p) for p in padding)]
    padded = np.pad(x.numpy().astype(int), border, constant_values=pad_code) + 128
    sizes = [(padded.shape[2 + i] - dilation[i] * (w.shape[2 + i] - 1) - 1) // stride[i] + 1 for i in range(n)]
    out = np.zeros((x.shape[0], w.shape[0], *sizes), dtype=np.int64)
    weights, inputs = w.numpy().astype(int) + 128, w.shape[1]
    for o, place, tap in product(range(len(w)), product(*map(range, sizes)), product(*map(range, w.shape[2:]))):
        at = tuple(p * s + t * d for p, s, t, d in zip(place, stride, tap, dilation, strict=True))
        first = o // (len(w) // groups) * inputs
        for c in range(inputs):
            out[(slice(None), o, *place)] += table[padded[(slice(None), first + c, *at)], weights[(o, c, *tap)]]
    return out


def transposed_by_loops(table, x, w, stride, padding, dilation, extra, pad_code):
    """Every output asks each tap for its input; a tap that falls between inputs forms no product."""
    n = w.dim() - 2
    sizes = [(x.shape[2 + i] - 1) * stride[i] - 2 * padding[i] + dilation[i] * (w.shape[2 + i] - 1) + extra[i] + 1
             for i in range(n)]  # fmt: skip
    out = np.zeros((x.shape[0], w.shape[0], *sizes), dtype=np.int64)
    codes, weights = x.numpy().astype(int) + 128, w.numpy().astype(int) + 128
    for o, place, tap in product(range(len(w)), product(*map(range, sizes)), product(*map(range, w.shape[2:]))):
        steps = [p + pad - d * t for p, pad, d, t in zip(place, padding, dilation, tap, strict=True)]
        if any(step % s for step, s in zip(steps, stride, strict=True)):
            continue
        at = [step // s for step, s in zip(steps, stride, strict=True)]
        inside = all(0 <= i < size for i, size in zip(at, x.shape[2:], strict=True))
        for c in range(w.shape[1]):
            rows = codes[(slice(None), c, *at)] if inside else np.full(len(x), pad_code + 128)
            out[(slice(None), o, *place)] += table[rows, weights[(o, c, *tap)]]
    return out


@pytest.mark.parametrize("path", ["auto", "reference"])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_any_table_equals_plain_loops(axes, path):
    generator = torch.Generator().manual_seed(axes)
    x = torch.randint(-128, 128, (2, 4, *[4, 3, 5][:axes]), generator=generator).to(torch.int8)
    w = torch.randint(-128, 128, (4, 2, *[2, 3, 2][:axes]), generator=generator).to(torch.int8)
    stride, padding, dilation = [1, 2, 1][:axes], [1, 0, 2][:axes], [2, 1, 1][:axes]
    got = approx_conv(x, w, RANDOM, stride, padding, dilation, 2, pad_code=-7, path=path)
    assert np.array_equal(got.numpy(), conv_by_loops(RANDOM.table, x, w, stride, padding, dilation, 2, -7))
    stride, extra = [2, 3, 1][:axes], [1, 2, 0][:axes]
    x, w = x[:, :2], w[:3]
    got = approx_conv_transpose(x, w, RANDOM, stride, padding, extra, dilation, pad_code=5, path=path)
    assert np.array_equal(got.numpy(), transposed_by_loops(RANDOM.table, x, w, stride, padding, dilation, extra, 5))


@pytest.mark.parametrize("path", ["auto", "reference"])
def test_terms_of_a_volume_and_of_a_transposed_kernel(path):
    """A term that is left out is a weight that is not there; exact terms use the product."""
    generator = torch.Generator().manual_seed(3)
    x = torch.randint(-128, 128, (1, 2, 3, 4, 3), generator=generator).to(torch.int8)
    w = torch.randint(-128, 128, (3, 2, 2, 2, 2), generator=generator).to(torch.int8)
    terms = torch.randint(0, 3, (16,), generator=generator).to(torch.uint8)
    tables = [RANDOM.table, EXACT.table, np.zeros_like(RANDOM.table)]
    parts = []
    for kind in range(3):
        kept = Multiplier.from_table(tables[kind], signed=True, name=f"kind {kind}")
        terms_of_kind = [t for t in range(16) if terms[t] == kind]
        each = []
        for c, i, j, k in (np.unravel_index(t, (2, 2, 2, 2)) for t in terms_of_kind):
            windows = x[:, c : c + 1, i : i + 2, j : j + 3, k : k + 2]
            each.append(approx_conv(windows, w[:, c : c + 1, i : i + 1, j : j + 1, k : k + 1], kept))
        parts.append(sum(p.long() for p in each))
    got = approx_conv(x, w, RANDOM, terms=terms, path=path)
    assert torch.equal(got.long(), sum(parts))
    only = torch.full((16,), 1, dtype=torch.uint8)
    assert torch.equal(
        approx_conv_transpose(x, w, RANDOM, 2, terms=only, path=path).long(),
        approx_conv_transpose(x, w, EXACT, 2).long(),
    )


def test_pictures_are_approx_conv2d():
    x = torch.randint(-128, 128, (2, 3, 6, 5), dtype=torch.int8)
    w = torch.randint(-128, 128, (4, 3, 3, 2), dtype=torch.int8)
    assert torch.equal(approx_conv(x, w, RANDOM, 2, 1, 1), approx_conv2d(x, w, RANDOM, 2, 1, 1))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stride": 0}, "`stride`"), ({"padding": -1}, "`padding`"), ({"dilation": (1, 2)}, "`dilation`"),
        ({"groups": 0}, "`groups`"), ({"pad_code": 300}, "pad_code"),
    ],
)  # fmt: skip
def test_bad_parameters(arguments, message):
    x, w = torch.zeros(1, 2, 5, dtype=torch.int8), torch.zeros(2, 2, 3, dtype=torch.int8)
    with pytest.raises(InvalidInputError, match=message):
        approx_conv(x, w, EXACT, **{"padding": 1, **arguments})


def test_bad_shapes():
    x, w = torch.zeros(1, 2, 5, dtype=torch.int8), torch.zeros(2, 2, 3, dtype=torch.int8)
    with pytest.raises(InvalidInputError, match="same one to three axes"):
        approx_conv(x, w.unsqueeze(-1), EXACT)
    with pytest.raises(InvalidInputError, match="output_padding"):
        approx_conv_transpose(x, w, EXACT, output_padding=1)
    with pytest.raises(InvalidInputError, match="int8"):
        approx_conv_transpose(x.to(torch.uint8), w, EXACT)
