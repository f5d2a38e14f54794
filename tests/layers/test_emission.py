"""Clamps that travel from a consumer to its producer compute what the clamps in a row compute."""

from __future__ import annotations

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.layers.emission import Emission
from axdnn.quant import Encoding

BOUND = st.one_of(st.none(), st.integers(-6, 6).map(float))
CLAMP = st.tuples(BOUND, BOUND).map(lambda b: b if None in b else (min(b), max(b))).filter(any)
VALUES = torch.linspace(-9, 9, 73)


def in_a_row(clamps):
    value = VALUES
    for low, high in clamps:
        value = torch.clamp(value, low, high)
    return value


def requested(encoding, clamps):
    """The consumer's request, passed backward through the clamps."""
    emission = Emission(encoding)
    for low, high in reversed(clamps):
        emission = emission.clamped(low, high)
    return emission


@settings(max_examples=500, deadline=None, derandomize=True)
@given(clamps=st.lists(CLAMP, max_size=4))
def test_real_values(clamps):
    assert torch.equal(requested(None, clamps).emit(VALUES), in_a_row(clamps))


@settings(max_examples=500, deadline=None, derandomize=True)
@given(
    clamps=st.lists(CLAMP, max_size=3),
    zero=st.integers(-128, 127),
    step=st.integers(0, 4),
    scale=st.sampled_from([0.1, 0.03]),
)
def test_codes(clamps, zero, step, scale):
    encoding = Encoding(scale, zero, True, step)
    got = requested(encoding, clamps).emit(VALUES)
    want = encoding.quantise(in_a_row(clamps))
    assert ((got.long() - want.long()).abs() <= 2**step).all()  # bounds between two levels may round apart from values
    assert (got == want).double().mean() > 0.9 or clamps
    low, high = encoding.level_bounds
    codes = encoding.code_of(torch.arange(low, high + 1).float())
    assert torch.isin(got, codes).all()


def test_sums_are_scaled_once_per_channel_and_rounded_half_to_even():
    encoding = Encoding(1.0, 0, True)
    sums = torch.tensor([[1.0, 1.0], [3.0, 3.0], [1000.0, -1000.0]])
    unit = torch.tensor([0.5, 1.5], dtype=torch.float64)
    assert Emission(encoding).emit(sums, unit).tolist() == [[0, 2], [2, 4], [127, -128]]
    assert Emission(encoding, low=0.0).emit(sums, unit).tolist() == [[0, 2], [2, 4], [127, 0]]
    assert Emission(None, high=2.0).emit(sums, unit).tolist() == [[0.5, 1.5], [1.5, 2.0], [2.0, -1500.0]]
