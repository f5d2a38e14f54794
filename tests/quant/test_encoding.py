"""Codes of real values: zero is exact, rounding is half to even, levels stay inside the code."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from axdnn.quant import RANGE_RULES, Encoding, candidate_ranges, plain_encoding, range_encoding
from axdnn.records import InvalidInputError

BOUND = st.one_of(st.floats(-1e6, 1e6, width=32), st.sampled_from([0.0, -0.0, 1e-42, -1e-42, 1e-38, -1e-31, 1e-25]))


@settings(max_examples=200, deadline=None, derandomize=True)
@given(low=BOUND, high=BOUND, signed=st.booleans(), step=st.integers(0, 7), symmetric=st.booleans())
def test_every_encoding_holds_its_laws(low, high, signed, step, symmetric):
    if symmetric and not signed and low < 0:
        with pytest.raises(InvalidInputError, match="zero point"):
            range_encoding(low, high, signed, step, symmetric)
        return
    e = range_encoding(low, high, signed, step, symmetric)
    assert e.scale > 0
    assert e.code_min <= e.zero_point <= e.code_max
    first, last = e.level_bounds
    assert first <= 0 <= last
    levels = torch.arange(first, last + 1, dtype=torch.float32)
    codes = e.code_of(levels)
    assert codes.dtype == (torch.int8 if signed else torch.uint8)
    assert torch.equal(codes.long(), levels.long() * 2**step + e.zero_point)  # nothing wraps
    assert codes.long().min() - 2**step < e.code_min  # and no level is left out
    assert codes.long().max() + 2**step > e.code_max
    values = e.dequantise(codes)
    assert values[-first] == 0.0
    assert torch.equal(e.quantise(values), codes)
    assert torch.equal(e.quantise(torch.tensor([0.0, -0.0])).long(), torch.full((2,), e.zero_point))
    if symmetric:
        assert e.zero_point == 0


@settings(max_examples=100, deadline=None, derandomize=True)
@given(low=BOUND, high=BOUND, signed=st.booleans(), step=st.integers(0, 5))
def test_values_inside_the_range_are_off_by_at_most_one_level(low, high, signed, step):
    e = range_encoding(low, high, signed, step)
    low, high = min(low, 0.0), max(high, 0.0)
    x = torch.linspace(low, high, 101)
    error = (e.dequantise(e.quantise(x)) - x).abs().max()
    assert error <= e.level_scale * 1.001 + 1e-30
    inner = x[(x > low + e.level_scale) & (x < high - e.level_scale)]
    if len(inner):
        assert (e.dequantise(e.quantise(inner)) - inner).abs().max() <= 0.5 * e.level_scale * 1.001


def test_rounding_is_half_to_even_and_clamps():
    e = Encoding(scale=0.5, zero_point=10, signed=False)
    x = torch.tensor([0.25, 0.75, 1.25, -0.25, -0.75, 1e9, -1e9, float("inf"), -float("inf")])
    assert e.quantise(x).tolist() == [10, 12, 12, 10, 8, 255, 0, 255, 0]
    stepped = Encoding(scale=0.5, zero_point=-1, signed=True, step_bits=3)  # levels are 4.0 wide, codes 8 apart
    assert stepped.level_bounds == (-15, 16)
    assert stepped.quantise(torch.tensor([2.0, 6.0, -2.0, 100.0, -100.0])).tolist() == [-1, 15, -1, 127, -121]


@pytest.mark.parametrize(("signed", "codes"), [(True, (-128, 127)), (False, (0, 255))])
def test_all_codes_and_bounds(signed, codes):
    e = Encoding(1.0, codes[0], signed)
    assert (e.code_min, e.code_max) == codes
    assert e.all_codes().long().tolist() == list(range(codes[0], codes[1] + 1))
    assert e.level_bounds == (0, 255)


def test_constant_and_one_sided_ranges():
    assert range_encoding(0, 0, False).quantise(torch.zeros(2)).tolist() == [0, 0]
    assert range_encoding(2, 5, False).zero_point == 0  # zero is always included
    assert range_encoding(-5, -2, False).zero_point == 255
    assert range_encoding(-5, -2, True).zero_point == 127
    assert range_encoding(-1, 3, True, symmetric=True).quantise(torch.tensor([3.0, -1.0])).tolist() == [127, -42]
    for bound in (float("nan"), float("inf")):
        with pytest.raises(InvalidInputError, match="finite"):
            range_encoding(-1, bound, True)


def test_range_rules():
    values = torch.cat([torch.linspace(-1, 2, 10000), torch.tensor([50.0])])
    assert candidate_ranges(values, "minmax") == [(-1.0, 50.0)]
    ((low, high),) = candidate_ranges(values, "percentile")
    assert -1.0 < low < -0.99
    assert 1.99 < high < 2.0
    spans = candidate_ranges(values, "error")
    assert spans[0] == (-1.0, 50.0)
    assert spans == sorted(spans)
    with pytest.raises(InvalidInputError, match="`activation_range` must be one of error"):
        candidate_ranges(values, "best")


def test_the_error_rule_finds_the_least_squared_error():
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(200000, generator=generator)
    values[0] = 12.0
    errors = {}
    for rule in RANGE_RULES:
        e = plain_encoding(values, rule)
        errors[rule] = float((e.dequantise(e.quantise(values)) - values).square().mean())
    assert errors["error"] < errors["minmax"]
    tried = []
    for low, high in candidate_ranges(values, "error"):
        e = range_encoding(low, high, False)
        tried.append(float((e.dequantise(e.quantise(values)) - values).square().mean()))
    assert errors["error"] == min(tried)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    scale=st.floats(1e-6, 1e3), zero=st.integers(-128, 127), data=st.lists(st.floats(-1e4, 1e4, width=32), min_size=1)
)
def test_quantising_agrees_with_numpy(scale, zero, data):
    e = Encoding(scale, zero, True)
    x = np.array(data, np.float32)
    want = np.clip(np.rint(x * np.float32(1.0 / scale)), -128 - zero, 127 - zero) + zero
    assert e.quantise(torch.from_numpy(x)).tolist() == want.astype(int).tolist()
